"""SDV behind our states: types come back exactly, rare values do not, and pickles are trusted only under a key."""

import pickle
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scenario import SUBJECTS, clinic

from twinlake.errors import ModelError
from twinlake.generators.registry import read_table_model, table_generator
from twinlake.hashing import hash_rows
from twinlake.random import stream

LEARNT = SUBJECTS.select(SUBJECTS.learnt)
KEY = b"a key of the vault"
QUICK = {"gaussian_copula": {}, "ctgan": {"epochs": 1}, "tvae": {"epochs": 1}}

pytest.importorskip("sdv", reason="the extra sdv is not installed")


def people() -> pa.Table:
    return clinic(500)["subjects"].select(list(LEARNT.names))


@pytest.fixture(
    scope="module", params=["gaussian_copula", pytest.param("ctgan", marks=pytest.mark.slow), "tvae"]
)  # fmt: skip
def model(request):
    generator = table_generator(request.param, secret=KEY, **QUICK[request.param])
    return generator.fit(people(), LEARNT, units=None, context=None, rng=stream(0))


def draw(model, rows: int = 200, seed: int = 1) -> pa.Table:
    return model.sample(rows, context=None, rng=stream(seed))


def test_rows_are_typed_as_the_table_and_hold_nothing_rare(model):
    real, twin = people(), draw(model, 1_000)
    assert twin.schema.equals(LEARNT.arrow)
    assert twin["order"].null_count == 1_000
    assert "Soglio" not in twin["city"].to_pylist()
    for column in ("born", "income"):
        assert min(real[column].to_pylist()) < min(twin[column].to_pylist())
        assert max(twin[column].to_pylist()) < max(real[column].to_pylist())


def test_the_same_stream_gives_the_same_rows(model):
    assert np.array_equal(hash_rows(draw(model)), hash_rows(draw(model)))
    assert not np.array_equal(hash_rows(draw(model)), hash_rows(draw(model, seed=2)))


def test_global_generators_are_left_as_they_were(model):
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - it is the global state that is tested
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - as above
    draw(model)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002 - as above


def test_a_model_saved_and_read_with_its_key_draws_the_same_rows(model, tmp_path):
    model.save(tmp_path / "m")
    read = read_table_model(tmp_path / "m", secret=KEY)
    assert np.array_equal(hash_rows(draw(read)), hash_rows(draw(model)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sdv") / "m"
    generator = table_generator("gaussian_copula", secret=KEY)
    generator.fit(people(), LEARNT, units=None, context=None, rng=stream(0)).save(folder)
    return folder


@pytest.mark.parametrize("secret", [None, b"", b"another key"])
def test_a_pickle_is_not_read_without_the_right_key(saved, secret):
    with pytest.raises(ModelError, match="key"):
        read_table_model(saved, secret=secret)


def test_a_changed_pickle_is_refused_and_nothing_of_it_runs(saved, tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    folder = tmp_path / "m"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "sdv.pkl").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match="does not match its keyed hash"):
        read_table_model(folder, secret=KEY)
    assert not (tmp_path / "ran").exists()


def test_a_changed_head_is_refused(saved, tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "model.json").write_text((folder / "model.json").read_text().replace("Bern", "Rome"))
    with pytest.raises(ModelError, match="does not match its keyed hash"):
        read_table_model(folder, secret=KEY)


def test_a_model_made_without_a_key_is_not_saved(tmp_path):
    model = table_generator("gaussian_copula").fit(people(), LEARNT, units=None, context=None, rng=stream(0))
    with pytest.raises(ModelError, match="can't be saved without a key"):
        model.save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_table_of_constants_is_drawn_without_sdv():
    table = LEARNT.select(("order",))
    model = table_generator("gaussian_copula").fit(
        people().select(["order"]), table, units=None, context=None, rng=stream(0)
    )
    assert draw(model, 5)["order"].null_count == 5
