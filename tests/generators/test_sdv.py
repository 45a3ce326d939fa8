"""SDV behind our states: types come back exactly, rare values do not, and it runs apart from us, without pickles."""

import io
import json
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scenario import SUBJECTS, clinic

from twinlake.errors import GeneratorError, ModelError
from twinlake.generators import apart
from twinlake.generators._sdv import receive
from twinlake.generators.registry import read_table_model, table_generator
from twinlake.hashing import hash_rows
from twinlake.random import stream

LEARNT = SUBJECTS.select(SUBJECTS.learnt)
QUICK = {"gaussian_copula": {}, "ctgan": {"epochs": 1}, "tvae": {"epochs": 1}}

pytestmark = pytest.mark.slow
pytest.importorskip("sdv", reason="the extra sdv is not installed")


def people() -> pa.Table:
    return clinic(500)["subjects"].select(list(LEARNT.names))


@pytest.fixture(
    scope="module", params=["gaussian_copula", pytest.param("ctgan", marks=pytest.mark.slow), "tvae"]
)  # fmt: skip
def model(request):
    generator = table_generator(request.param, **QUICK[request.param])
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


def test_a_model_that_was_read_is_learnt_anew_and_draws_the_same_rows(model, tmp_path):
    model.save(tmp_path / "m")
    read = read_table_model(tmp_path / "m")
    there = draw(model)
    forgotten()
    assert np.array_equal(hash_rows(draw(read)), hash_rows(there))


def forgotten() -> None:
    apart.end_all()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sdv") / "m"
    learnt = table_generator("gaussian_copula").fit(people(), LEARNT, units=None, context=None, rng=stream(0))
    learnt.save(folder)
    return folder


def test_what_is_saved_is_data_without_a_rare_value_or_an_extreme(saved):
    assert sorted(p.name for p in saved.iterdir()) == ["arrays.npz", "model.json"]
    with np.load(saved / "arrays.npz", allow_pickle=False) as arrays:
        lesson = {n: arrays[n] for n in arrays.files if n.startswith("lesson-")}
    assert len(lesson) > 4
    assert {c.dtype.kind for c in lesson.values()} == {"i", "f"}
    told = json.loads((saved / "model.json").read_text())
    assert "Bern" in str(told)
    assert "Soglio" not in str(told)
    bmi = np.array([x for x in people()["bmi"].to_pylist() if x == x])
    numbers = np.concatenate([c for c in lesson.values() if c.dtype.kind == "f"])
    assert not np.isin(bmi, numbers).any()


class Evil:
    """Runs what it likes when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_planted_pickle_is_never_run(saved, tmp_path):
    mark, folder = tmp_path / "ran", tmp_path / "m"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "sdv.pkl").write_bytes(pickle.dumps(Evil(mark)))  # where an earlier version looked
    draw(read_table_model(folder), 5)
    with np.load(saved / "arrays.npz") as arrays:
        kept = {n: arrays[n] for n in arrays.files}
    np.savez(folder / "arrays.npz", **kept | {"lesson-c0": np.array([Evil(mark)], dtype=object)})
    with pytest.raises(ModelError, match=r"arrays\.npz can't be read"):
        read_table_model(folder)
    (folder / "arrays.npz").write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(ModelError, match=r"arrays\.npz can't be read"):
        read_table_model(folder)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Evil(mark)))  # noqa: S301 - the plant works
    assert mark.exists()


def test_a_message_with_an_object_in_it_is_not_read(tmp_path):
    mark, body = tmp_path / "ran", io.BytesIO()
    np.savez(body, head=np.array([Evil(mark)], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        receive(io.BytesIO(len(body.getvalue()).to_bytes(8, "little") + body.getvalue()))
    assert not mark.exists()


APART = """
import os, socket, sys
from twinlake.generators import _sdv
def tried(what):
    try:
        what()
    except PermissionError:
        return "refused"
    return "done"
with _sdv._alone() as (source, out):
    told = [tried(lambda: socket.create_connection(("127.0.0.1", 9))), tried(lambda: open("left", "w")),
            tried(lambda: os.open("left", os.O_WRONLY | os.O_CREAT)), tried(lambda: os.system("touch left"))]
    print("a real row")
    print("a real row", file=sys.stderr)
    _sdv.send(out, {"told": told}, {})
"""


def test_sdvs_process_connects_to_nothing_writes_nothing_and_says_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", APART], cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL)
    assert receive(io.BytesIO(done.stdout))[0] == {"told": ["refused"] * 4}
    assert b"a real row" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_sdv_leaves_no_file_behind(tmp_path, monkeypatch):
    for name in ("HOME", "TMPDIR", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    forgotten()
    draw(table_generator("gaussian_copula").fit(people(), LEARNT, units=None, context=None, rng=stream(3)), 10)
    assert [p for p in tmp_path.rglob("*") if p.is_file() and b"Bern" in p.read_bytes()] == []


def test_what_sdv_can_not_learn_is_a_sentence_of_ours():
    lesson = apart.Lesson({"generator": "ctgan", "options": {"epochs": "many"}, "seed": 1}, {"c0": np.arange(9.0)})
    with pytest.raises(GeneratorError, match=r"SDV's ctgan could not learn table t \(\w+\)\. Use generator forest"):
        apart._ready(lesson, "t")


def test_a_process_that_is_killed_is_a_sentence_and_the_next_one_is_learnt(model):
    draw(model, 3)
    child = apart._READY[model.lesson.digest]._child
    child.kill()
    child.wait()
    with pytest.raises(GeneratorError, match=r"SDV's process ended"):
        draw(model, 3)
    assert draw(model, 3).num_rows == 3


def test_few_processes_are_held_at_once(monkeypatch):
    monkeypatch.setattr(apart, "_AT_ONCE", 1)
    forgotten()
    for seed in range(2):
        table_generator("gaussian_copula").fit(people(), LEARNT, units=None, context=None, rng=stream(seed))
    assert len(apart._READY) == 1


def test_a_table_of_constants_is_drawn_without_sdv():
    table = LEARNT.select(("order",))
    model = table_generator("gaussian_copula").fit(
        people().select(["order"]), table, units=None, context=None, rng=stream(0)
    )
    assert draw(model, 5)["order"].null_count == 5
