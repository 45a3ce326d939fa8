import pytest

from twinlake.cli.screen import sentences
from twinlake.errors import DataError


def test_what_was_not_foreseen_is_told_by_its_kind_only(capsys):
    with pytest.raises(SystemExit) as ended, sentences():
        raise ValueError("could not convert 'Mrs Real' to float")
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith("unforeseen: ValueError.")
    assert "Mrs Real" not in told


def test_whoever_asks_for_it_gets_the_traceback(monkeypatch):
    monkeypatch.setenv("TWINLAKE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="the text"), sentences():
        raise ValueError("the text")


def test_a_mistake_is_told_as_its_sentence(capsys):
    with pytest.raises(SystemExit), sentences():
        raise DataError("table t has no rows", fix="Fill it")
    assert capsys.readouterr().err == "table t has no rows. Fill it.\n"
