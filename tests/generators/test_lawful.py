"""Twins of whole schemas hold business rules and unique columns: over rows, over parents, in order, across shards."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from twinlake.expectations.rules import rules
from twinlake.expectations.structure import structure
from twinlake.generators import relational
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.generators.rules import repair
from twinlake.random import stream
from twinlake.rules import make_rule, parent_columns
from twinlake.schema import Column, Kind, Origin, Reference, Schema, Table
from twinlake.tables import Tables, file_hash
from twinlake.units import assign_units

CREW = Table(
    "crew",
    (
        Column("id", pa.int64(), nullable=False),
        Column("since", pa.date32(), nullable=False),
        Column("rank", pa.int32(), nullable=False),
        Column("badge", pa.int32(), nullable=False),  # unique, but no key
        Column("chief", pa.int64()),  # filled last
    ),
    key=("id",),
    references=(Reference(("chief",), "crew", ("id",)),),
)
TRIPS = Table(
    "trips",
    (
        Column("pilot", pa.int64(), nullable=False),
        Column("number", pa.int32(), nullable=False),  # numbers a pilot's trips
        Column("leaves", pa.date32(), nullable=False),  # the order
        Column("lands", pa.date32(), nullable=False),
        Column("fee", pa.float64()),
        Column("state", pa.string(), kind=Kind.CATEGORY),
    ),
    key=("pilot", "number"),
    references=(Reference(("pilot",), "crew", ("id",)),),
    order_by="leaves",
)
TAGS = Table("tags", (Column("id", pa.int64(), nullable=False), Column("weight", pa.float64())), key=("id",))
TAGGED = Table(  # a junction table with a key of its own, as object mappers make them
    "tagged",
    (
        Column("id", pa.int64(), nullable=False),
        Column("who", pa.int64(), nullable=False),
        Column("tag", pa.int64(), nullable=False),
    ),
    key=("id",),
    references=(Reference(("who",), "crew", ("id",)), Reference(("tag",), "tags", ("id",))),
    unique=(("who", "tag"),),
)
PLAIN = Schema((CREW, TRIPS, TAGS, TAGGED))
LAWS = {
    "crew": ["rank BETWEEN 1 AND 9", "chief.rank >= rank", "chief <> id", "chief IS NOT NULL OR rank >= 5"],
    "trips": [
        "leaves >= crew.since",
        "lands >= leaves",
        "lands <= leaves + 9",
        "fee > 0 OR state = 'free'",
        "number > 0",
    ],
}
UNIQUE = {"crew": (("badge",),), "trips": (("pilot", "leaves"),), "tagged": (("who", "tag"),)}


def world(laws: dict[str, list[str]] = LAWS, people: int = 300) -> Tables:
    """A crew with trips and tags that hold the laws by design; most of them no generator is told by its marginals."""
    tables = {t.name: t for t in PLAIN}
    for name, asked in laws.items():
        parents = parent_columns(PLAIN, tables[name])
        made = tuple(make_rule(sql, tables[name], parents, origin=Origin.FILE) for sql in asked)
        tables[name] = replace(tables[name], rules=made, unique=UNIQUE.get(name, ()))
    schema, rng = Schema(tuple(tables.values())), stream(1, "world")
    rank = np.sort(rng.integers(1, 10, people))[::-1].copy()
    rank[:2] = 9
    chief = np.array([rng.integers(0, max(i, 1)) for i in range(people)])
    since = np.datetime64("2015-01-01", "D") + rng.integers(0, 2500, people)
    at = np.repeat(np.arange(people), rng.integers(0, 9, people))
    number = np.concatenate([np.arange((at == i).sum()) for i in range(people)])
    leaves = since[at] + 1 + 40 * number + rng.integers(0, 40, len(at))
    free = rng.random(len(at)) < 0.3
    tagged = np.flatnonzero(rng.random(people * 20) < 0.4)
    return Tables(schema, {
        "crew": pa.table({
            "id": np.arange(people) + 100, "since": since, "rank": rank, "badge": rng.permutation(3 * people)[:people],
            "chief": pa.array(chief + 100, mask=np.arange(people) < 2),
        }).cast(CREW.arrow),
        "trips": pa.table({
            "pilot": at + 100, "number": number + 1, "leaves": leaves, "lands": leaves + rng.integers(0, 10, len(at)),
            "fee": np.where(free, -1.0, np.round(rng.lognormal(3, 1, len(at)), 2)),
            "state": np.where(free, "free", rng.choice(["paid", "open"], len(at))),
        }).cast(TRIPS.arrow),
        "tags": pa.table({"id": np.arange(20), "weight": rng.normal(size=20)}).cast(TAGS.arrow),
        "tagged": pa.table(
            {"id": np.arange(len(tagged)), "who": tagged // 20 + 100, "tag": tagged % 20}
        ).cast(TAGGED.arrow),
    })  # fmt: skip


def fit(tables: Tables, generator: str = "marginals") -> RelationalModel:
    learner = RelationalGenerator(table_generator(generator))
    return learner.fit(tables, units=assign_units(tables, "crew"), seed=5, unit="crew")


def lawful(twin: Tables, schema: Schema) -> None:
    """The gates themselves say that rules, keys and references hold."""
    for name in schema.names:
        for verdict in (rules(twin, schema, name), structure(twin, schema, name)):
            assert verdict.passed, verdict.reason


def in_order(twin: Tables) -> bool:
    """Whether trips of a pilot are numbered in the order of time."""
    trips = twin["trips"].to_pandas().sort_values(["pilot", "number"])
    return all(rows["leaves"].is_monotonic_increasing for _, rows in trips.groupby("pilot"))


def bytes_of(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): file_hash(p) for p in sorted(folder.rglob("*.*"))}


@pytest.fixture(scope="module")
def real() -> Tables:
    tables = world()
    lawful(tables, tables.schema)
    return tables


@pytest.fixture(scope="module")
def model(real: Tables) -> RelationalModel:
    return fit(real)


def test_every_row_holds_every_rule_that_a_third_of_drawn_rows_break(
    real: Tables, model: RelationalModel, tmp_path: Path
):
    free = fit(Tables(PLAIN, {n: real[n] for n in real})).sample(tmp_path / "free", scale=1.0, seed=3)
    assert rules(free, real.schema, "trips").value < 0.7
    twin = model.sample(tmp_path / "twin", scale=1.0, seed=3)
    lawful(twin, real.schema)
    assert in_order(twin)
    for name in real:
        assert twin.rows(name) >= 0.95 * real.rows(name), name
    assert twin["crew"]["chief"].null_count < real.rows("crew") / 4


def test_shards_and_workers_give_the_same_lawful_bytes(
    real: Tables, model: RelationalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relational, "ROWS", 150)
    model.save(tmp_path / "model")
    saved = read_model(tmp_path / "model")
    alone = saved.sample(tmp_path / "alone", scale=1.0, seed=3)
    lawful(alone, real.schema)
    assert in_order(alone)
    assert len(list((tmp_path / "alone" / "trips").iterdir())) > 3
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        saved.sample(tmp_path / "shared", scale=1.0, seed=3, executor=pool)
    assert bytes_of(tmp_path / "alone") == bytes_of(tmp_path / "shared")


def test_rules_hold_where_rows_follow_one_another(real: Tables, tmp_path: Path):
    """The generator that learns sequences keeps the time of a row that is drawn again, and rules move it."""
    twin = fit(real, "forest").sample(tmp_path, scale=1.0, seed=4)
    lawful(twin, real.schema)
    assert in_order(twin)
    assert twin.rows("trips") >= 0.95 * real.rows("trips")


def test_a_rule_leaves_the_rest_of_the_rows_as_the_model_draws_them(
    real: Tables, model: RelationalModel, tmp_path: Path
):
    """Drawn again under the rule, as many trips are free as with the model's own chances given the rule."""
    twin = model.sample(tmp_path, scale=4.0, seed=3)["trips"].to_pandas()
    trips = real["trips"].to_pandas()
    free, losing = (trips["state"] == "free").mean(), (trips["fee"] <= 0).mean()
    expected = free / (free + (1 - free) * (1 - losing))  # state and fee know nothing of each other
    assert (twin["state"] == "free").mean() == pytest.approx(expected, abs=0.05)
    gaps = (twin["lands"] - twin["leaves"]).map(lambda gap: gap.days)
    assert gaps.nunique() == 10
    assert gaps.value_counts(normalize=True).max() < 0.25  # none heaps at the bound


def test_pairs_that_are_unique_are_dealt_and_not_left_out(real: Tables, model: RelationalModel, tmp_path: Path):
    twin = model.sample(tmp_path, scale=1.0, seed=6)
    assert twin.rows("tagged") == real.rows("tagged")
    counts = pc.value_counts(twin["tagged"]["who"]).field("counts").to_numpy()
    wanted = pc.value_counts(real["tagged"]["who"]).field("counts").to_numpy()
    assert abs(counts.mean() - wanted.mean()) < 0.5


@pytest.mark.parametrize("sql", ["rank <> rank", "badge % 2 = 0 AND badge % 2 = 1"])
def test_rules_that_no_row_can_hold_leave_no_row_and_end(sql: str, tmp_path: Path):
    tables = world({**LAWS, "crew": [sql]})  # the stages before would have refused it
    twin = fit(tables).sample(tmp_path, scale=1.0, seed=3)
    assert {n: twin.rows(n) for n in twin} == {"crew": 0, "trips": 0, "tags": 20, "tagged": 0}


def test_a_rule_that_hardly_any_row_holds_is_held_by_what_is_left(tmp_path: Path):
    tables = world({**LAWS, "trips": ["fee::INTEGER % 97 = 13 AND number % 2 = 1"]})
    twin = fit(tables).sample(tmp_path, scale=1.0, seed=3)
    assert rules(twin, tables.schema, "trips").passed
    assert structure(twin, tables.schema, "trips").passed
    assert twin.rows("trips") < tables.rows("trips") / 2


def test_a_row_that_shall_not_be_is_drawn_again_or_left_out():
    """The guard against rows that equal a rare real one looks at repaired rows too."""
    rng = stream(4, "shun")
    table = replace(TAGS, rules=(make_rule("weight >= 0", TAGS, {}, origin=Origin.FILE),))
    rows = pa.table({"id": np.arange(500), "weight": rng.integers(-5, 5, 500).astype(float)})

    def redraw(places: np.ndarray) -> pa.Table:
        return pa.table({"weight": rng.integers(-5, 5, len(places)).astype(float)})

    def shun(cells: pa.Table) -> np.ndarray:
        return np.flatnonzero(np.asarray(cells["weight"]) == 3.0)

    done = repair(rows, table, {}, redraw, rng, shun=shun)
    assert sorted(set(done.rows["weight"].to_pylist())) == [0.0, 1.0, 2.0, 4.0]
    assert done.rows.num_rows > 490
