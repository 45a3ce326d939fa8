import numpy as np
import pyarrow as pa
import pytest
from scenario import clinic

import twinlake as tl
from twinlake.errors import GeneratorError, TwinlakeError
from twinlake.hashing import hash_rows


@pytest.fixture(scope="module")
def people() -> tl.Tables:
    whole = clinic(600)
    schema = type(whole.schema)((whole.schema["subjects"],))
    return tl.Tables(schema, {"subjects": whole["subjects"]})


@pytest.fixture(scope="module")
def model(people) -> tl.Model:
    return tl.fit(people, generator="marginals", seed=7)


def test_rows_that_are_no_number_are_a_sentence(model):
    with pytest.raises(TwinlakeError, match=r'rows is "many"; allowed is a multiple such as 1.0x'):
        model.sample("many")


def test_a_model_draws_as_many_rows_as_asked(model):
    assert model.sample()["subjects"].num_rows == 600
    assert model.sample("0.5x")["subjects"].num_rows == 300
    assert model.sample(50)["subjects"].num_rows == 50


def test_the_same_seed_draws_the_same_rows(model):
    one, two, other = (hash_rows(model.sample(50, seed=n)["subjects"]) for n in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_model_survives_its_folder(model, tmp_path):
    model.save(tmp_path / "m")
    again = tl.load(tmp_path / "m")
    one, two = (hash_rows(m.sample(50, seed=3)["subjects"]) for m in (model, again))
    assert np.array_equal(one, two)


def test_every_row_satisfies_the_predicate_and_their_number_is_exact(model):
    drawn = model.sample(70, where="city = 'Basel' AND born < DATE '1980-01-01'")["subjects"]
    assert drawn.num_rows == 70
    assert set(drawn["city"].to_pylist()) == {"Basel"}
    assert drawn.schema.equals(model.schema["subjects"].arrow)


def test_a_predicate_that_nothing_satisfies_is_told(model):
    with pytest.raises(GeneratorError, match="rows that satisfy \"city = 'Rome'\""):
        model.sample(5, where="city = 'Rome'")


def test_a_predicate_that_is_no_sql_is_told(model):
    with pytest.raises(GeneratorError, match="can't be read"):
        model.sample(5, where="city ==== 1")


def test_a_predicate_can_not_read_files(model):
    with pytest.raises(GeneratorError, match="it asks another query"):
        model.sample(5, where="city IN (SELECT content FROM read_text('/etc/passwd'))")


def test_a_predicate_needs_one_table():
    model = tl.fit(clinic(200), generator="marginals")
    with pytest.raises(TwinlakeError, match="works on a model of one table"):
        model.sample(5, where="1 = 1")


@pytest.fixture(scope="module")
def forest(people) -> tl.Model:
    return tl.fit(people, generator="forest", seed=7)


def test_a_forest_draws_under_a_predicate_and_the_rest_of_the_row_is_made_as_ever(forest):
    notes: list[str] = []
    drawn = forest.sample(400, where="city = 'Chur' AND income > 20000 AND NOT smoker", note=notes.append)["subjects"]
    assert drawn.num_rows == 400
    assert drawn.schema.equals(forest.schema["subjects"].arrow)
    assert len(set(drawn["id"].to_pylist())) == 400
    assert len(set(drawn["email"].drop_null().to_pylist())) > 390
    assert set(drawn["city"].to_pylist()) == {"Chur"}
    assert min(drawn["income"].to_pylist()) > 20_000
    (note,) = notes
    assert note.startswith("effective sample size 4")
    assert "the model puts the predicate at" in note


def test_a_predicate_on_a_key_or_a_personal_column_is_checked_on_whole_rows(forest):
    drawn = forest.sample(60, where="id % 2 = 0 AND name LIKE 'A%' AND city = 'Chur'")["subjects"]
    assert drawn.num_rows == len(set(drawn["id"].to_pylist())) == 60
    assert all(i % 2 == 0 for i in drawn["id"].to_pylist())
    assert {n[0] for n in drawn["name"].to_pylist()} == {"A"}


def test_a_forest_names_the_part_of_a_predicate_that_can_not_be(forest):
    with pytest.raises(GeneratorError, match="column city: no row satisfies city = 'Rome'; its values are Bern, Basel"):
        forest.sample(5, where="smoker AND city = 'Rome'")


def test_the_same_seed_draws_the_same_rows_under_a_predicate_before_and_after_saving(forest, tmp_path):
    forest.save(tmp_path / "m")
    again = tl.load(tmp_path / "m")
    one, two = (
        hash_rows(m.sample(50, seed=3, where="city = 'Chur'", workers=w)["subjects"])
        for m, w in ((forest, 1), (again, 2))
    )
    assert np.array_equal(one, two)


def test_a_forest_draws_values_in_the_shares_asked_for(forest):
    drawn = forest.sample(500, rebalance={"city": {"Chur": 0.6}}, where="smoker")["subjects"]
    assert drawn["city"].to_pylist().count("Chur") == 300
    assert set(drawn["smoker"].to_pylist()) == {True}


def test_only_a_forest_can_be_rebalanced_or_fill_in(model, people):
    with pytest.raises(GeneratorError, match="only a forest can be rebalanced"):
        model.sample(5, rebalance={"city": {"Chur": 0.6}})
    with pytest.raises(GeneratorError, match="only a forest can fill in"):
        model.impute(people["subjects"])


def test_columns_and_nulls_are_filled_in_and_keys_stay(forest, people):
    rows = people["subjects"].slice(0, 50)
    filled = forest.impute(rows.drop_columns(["city", "email"]), seed=1)
    assert filled.column_names == [n for n in rows.column_names if n != "email"]
    assert all(filled[n].equals(rows[n]) for n in ("id", "name", "mentor", "born"))
    assert set(filled["city"].to_pylist()) <= {"Bern", "Basel", "Chur"}
    again = forest.impute(rows.drop_columns(["city", "email"]), seed=1)
    assert np.array_equal(hash_rows(filled), hash_rows(again))


@pytest.mark.parametrize(
    ("rows", "columns", "told"),
    [
        ({"town": ["Bern"]}, None, "the rows have a column town that table subjects does not have"),
        ({"city": ["Bern"]}, ["cty"], 'columns to fill name a column cty .*Did you mean "city"'),
        ({"born": ["yesterday"]}, None, r"table subjects: column born has cells that are no date32"),
    ],
)
def test_rows_that_can_not_be_filled_in_are_a_sentence(forest, rows, columns, told):
    with pytest.raises(GeneratorError, match=told) as raised:
        forest.impute(pa.table(rows), columns=columns)
    assert "yesterday" not in str(raised.value)


def test_evaluate_tells_a_copy_from_a_twin(people, model):
    half = people["subjects"].slice(0, 300)
    real, held = (tl.Tables(people.schema, {"subjects": t}) for t in (half, people["subjects"].slice(300)))
    card = tl.evaluate(real, held, real)
    assert not card.passed
    assert not card["replay"]["subjects"].passed
    assert tl.evaluate(real, held, model.sample(300))["structure"]["subjects"].passed
    assert "replay" in str(card)


def test_read_takes_a_folder_it_wrote_and_a_plain_file(people, tmp_path):
    people.save(tmp_path / "t")
    assert tl.read(tmp_path / "t").rows("subjects") == 600
    file = next((tmp_path / "t" / "subjects").iterdir())
    assert tl.read(file)["part-00000"].num_rows == 600


def test_a_number_of_rows_counts_units_before_and_after_saving(tmp_path):
    model = tl.fit(clinic(200), generator="marginals", unit="subjects")
    model.save(tmp_path / "m")
    assert model.sample(50).rows("subjects") == tl.load(tmp_path / "m").sample(50).rows("subjects") == 50
