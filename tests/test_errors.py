from twinlake.errors import ProjectError, TwinlakeError, WalledError, listed, nearest


def test_a_sentence_says_where_what_allowed_and_fix():
    error = TwinlakeError("no column agee", where="a.yaml:3", allowed="it has age", fix="Write age")
    assert str(error) == "a.yaml:3: no column agee; it has age. Write age."


def test_a_question_needs_no_full_stop():
    assert str(TwinlakeError("unknown", fix=nearest("agee", ["age"]))) == 'unknown. Did you mean "age"?'


def test_a_project_error_tells_every_mistake():
    error = ProjectError([TwinlakeError("one"), TwinlakeError("two")])
    assert str(error) == "one.\ntwo."
    assert [m.what for m in error.mistakes] == ["one", "two"]


def test_a_walled_error_names_the_kind_and_not_the_text():
    error = WalledError(ValueError("Mrs Real, 987654.32"), during="learning", log="data/vault/x.log")
    assert str(error) == "ValueError while learning. Its text may quote real rows, so it is kept in data/vault/x.log."


def test_nothing_near_gives_no_suggestion():
    assert nearest("zebra", ["age", "sex"]) == ""


def test_long_lists_are_cut():
    assert listed("abcd", most=2) == "a, b and 2 more"
