"""Where the source keeps rows that point to no row, the twin has as many, with keys that nobody has."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinlake.expectations.structure import structure
from twinlake.generators import relational
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.generators.strays import stray_columns
from twinlake.random import stream
from twinlake.schema import Column, Orphans, Reference, Schema, Table
from twinlake.tables import Tables, file_hash
from twinlake.units import assign_units

KEEP = Orphans.KEEP
PLANES = Table(
    "planes",
    (
        Column("tail", pa.string(), nullable=False),
        Column("number", pa.int32(), nullable=False),
        Column("seats", pa.int64()),
    ),
    key=("tail",),
)
FLIGHTS = Table(
    "flights",
    (
        Column("id", pa.int64(), nullable=False),
        Column("tail", pa.string()),  # may be null too
        Column("plane", pa.int16(), nullable=False),  # narrower than what it points to, and never null
        Column("next", pa.int64()),  # filled last
        Column("miles", pa.float64()),
    ),
    key=("id",),
    references=(
        Reference(("tail",), "planes", ("tail",), KEEP),
        Reference(("plane",), "planes", ("number",), KEEP),
        Reference(("next",), "flights", ("id",), KEEP),
    ),
)
LOST = {"tail": 0.1, "plane": 0.2, "next": 0.3}
BLANK = 0.15
SCHEMA = Schema((PLANES, FLIGHTS))


def air(flights: int = 3000, *, public: bool = False, schema: Schema = SCHEMA) -> Tables:
    """Planes, and flights of which so many name a plane or a flight that is not there."""
    rng = stream(1, "air")
    tails, numbers = [f"N{i:03d}X" for i in range(0, 400, 2)], np.arange(100, 300)
    lost = {name: rng.random(flights) < share for name, share in LOST.items()}
    gone = np.array([f"N{i:03d}X" for i in range(1, 400, 2)])
    tail = np.where(lost["tail"], rng.choice(gone, flights), rng.choice(tails, flights))
    following = np.where(lost["next"], 900_000 + rng.integers(0, 999, flights), rng.integers(0, flights, flights))
    planes = pa.table({"tail": tails, "number": numbers, "seats": rng.integers(50, 300, 200)}).cast(PLANES.arrow)
    rows = {
        "id": np.arange(flights),
        "tail": pa.array(tail, mask=rng.random(flights) < BLANK),
        "plane": np.where(lost["plane"], rng.integers(300, 320, flights), rng.choice(numbers, flights)),
        "next": pa.array(following, mask=np.arange(flights) % 5 == 0),
        "miles": rng.normal(size=flights),
    }
    if public:
        schema = Schema((replace(PLANES, public=True), schema["flights"]))
    return Tables(schema, {"planes": planes, "flights": pa.table(rows).cast(FLIGHTS.arrow)})


def fit(tables: Tables, generator: str = "marginals", **told: object) -> RelationalModel:
    return RelationalGenerator(table_generator(generator)).fit(tables, units=assign_units(tables, None), seed=5, **told)


def lost(tables: Tables, name: str) -> float:
    """The share of flights that point to what is not there."""
    reference = next(r for r in tables.schema["flights"].references if r.columns == (name,))
    there = set(tables[reference.table][reference.to[0]].to_pylist())
    return float(np.mean([v is not None and v not in there for v in tables["flights"][name].to_pylist()]))


def fits(twin: Tables) -> None:
    for name in twin:
        assert structure(twin, twin.schema, name).passed, structure(twin, twin.schema, name).reason


def strangers(twin: Tables, real: Tables, name: str) -> set[object]:
    """The keys of the twin that no parent of it has."""
    reference = next(r for r in twin.schema["flights"].references if r.columns == (name,))
    return set(twin["flights"][name].to_pylist()) - set(twin[reference.table][reference.to[0]].to_pylist()) - {None}


@pytest.fixture(scope="module")
def real() -> Tables:
    return air()


@pytest.fixture(scope="module")
def model(real: Tables) -> RelationalModel:
    return fit(real)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_twin_has_as_many_orphans_as_its_source(real: Tables, model: RelationalModel, tmp_path: Path, scale: float):
    twin = model.sample(tmp_path, scale=scale, seed=2)
    fits(twin)
    for name in LOST:
        assert lost(twin, name) == pytest.approx(lost(real, name), abs=0.03), name
    blank = twin["flights"]["tail"].null_count / twin.rows("flights")
    assert blank == pytest.approx(BLANK, abs=0.03)
    assert twin["flights"]["plane"].null_count == 0


def test_made_up_keys_look_like_keys_and_are_no_real_ones(real: Tables, model: RelationalModel, tmp_path: Path):
    twin = model.sample(tmp_path, scale=1.0, seed=2)
    for name in LOST:
        found = strangers(twin, real, name)
        assert len(found) > 10, name
        assert not found & set(real["flights"][name].to_pylist()), name
        assert not found & {*real["planes"]["tail"].to_pylist(), *real["planes"]["number"].to_pylist()}, name
    assert all(5 <= len(t) <= 6 and t[0] == "N" for t in strangers(twin, real, "tail"))
    assert all(len(str(n)) <= 4 for n in strangers(twin, real, "plane"))


def test_shards_and_workers_give_the_same_orphans(
    model: RelationalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relational, "ROWS", 1000)
    model.save(tmp_path / "model")
    saved = read_model(tmp_path / "model")
    fits(saved.sample(tmp_path / "alone", scale=1.0, seed=3))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        saved.sample(tmp_path / "shared", scale=1.0, seed=3, executor=pool)
    parts = [sorted((tmp_path / side).rglob("*.parquet")) for side in ("alone", "shared")]
    assert [file_hash(p) for p in parts[0]] == [file_hash(p) for p in parts[1]]
    assert len(parts[0]) > 3


def test_parents_that_were_held_back_are_no_orphans(real: Tables, tmp_path: Path):
    """What the source told counts; without it, a child of a parent that is missing tells nothing."""
    planes, flights = real["planes"].slice(0, 150), real["flights"]
    part = Tables(SCHEMA, {"planes": planes, "flights": flights})
    rows = {"planes": 200, "flights": 3000}
    names = {r.columns[0]: ("flights", str(r)) for r in FLIGHTS.references}
    told = fit(part, rows=rows, orphans={names["tail"]: 300, names["plane"]: 0, names["next"]: 30})
    twin = told.sample(tmp_path / "told", scale=1.0, seed=2)
    fits(twin)
    assert [lost(twin, n) for n in LOST] == pytest.approx([0.1, 0.0, 0.01], abs=0.02)
    silent = fit(part, rows=rows).sample(tmp_path / "silent", scale=1.0, seed=2)
    assert lost(silent, "tail") == lost(silent, "plane") == 0


def test_public_parents_have_orphans_too(tmp_path: Path):
    real = air(public=True)
    twin = fit(real, "forest").sample(tmp_path, scale=1.0, seed=2)
    fits(twin)
    for name in LOST:
        assert lost(twin, name) == pytest.approx(lost(real, name), abs=0.03), name
    assert not strangers(twin, real, "tail") & set(real["flights"]["tail"].to_pylist())


def test_only_a_reference_that_keeps_them_has_orphans(real: Tables, tmp_path: Path):
    firm = tuple(replace(r, orphans=Orphans.REFUSE) for r in FLIGHTS.references)
    schema = Schema((PLANES, replace(FLIGHTS, references=firm)))
    twin = fit(Tables(schema, {n: real[n] for n in real})).sample(tmp_path, scale=1.0, seed=2)
    fits(twin)
    assert [lost(twin, n) for n in LOST] == [0, 0, 0]


def test_a_column_that_others_need_never_holds_a_made_up_key():
    shared = (
        Reference(("tail",), "planes", ("tail",), KEEP),
        Reference(("tail", "plane"), "planes", ("tail", "number")),
    )
    for flights in (
        replace(FLIGHTS, key=("tail",)),
        replace(FLIGHTS, unique=(("tail", "plane"),)),
        replace(FLIGHTS, references=shared),
    ):
        assert stray_columns(Schema((PLANES, flights)), flights, shared[0]) == ()
    assert stray_columns(SCHEMA, FLIGHTS, FLIGHTS.references[0]) == ("tail",)


def test_where_no_key_can_be_made_up_a_row_points_nowhere_or_to_a_parent(real: Tables, tmp_path: Path):
    """A row's own key needs the column: what may not be null points to a row that is there."""
    loose = replace(FLIGHTS, unique=(("tail", "id"), ("plane", "id")))
    schema = Schema((PLANES, loose))
    twin = fit(Tables(schema, {n: real[n] for n in real})).sample(tmp_path, scale=1.0, seed=2)
    fits(twin)
    assert lost(twin, "tail") == lost(twin, "plane") == 0
    share = twin["flights"]["tail"].null_count / twin.rows("flights")
    assert share == pytest.approx(BLANK + lost(real, "tail"), abs=0.03)
