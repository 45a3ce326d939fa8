import numpy as np
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
