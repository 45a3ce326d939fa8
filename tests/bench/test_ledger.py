"""The relational judges know good twins from bad ones: each planted fault moves the measure it should, and no other."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from bench.databases import halves
from bench.joins import beside_parents, beside_previous, frequent, steps, with_children
from bench.ledger import judge_database
from twinlake.random import stream
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables

PEOPLE = Table(
    "people",
    (Column("id", pa.int64(), nullable=False), Column("age", pa.float64()), Column("kind", pa.string())),
    key=("id",),
)
VISITS = Table(
    "visits",
    (
        Column("visit", pa.int64(), nullable=False), Column("person", pa.int64()), Column("day", pa.int64()),
        Column("value", pa.float64()), Column("ward", pa.string()),
    ),
    key=("visit",), references=(Reference(("person",), "people", ("id",)),), order_by="day",
)  # fmt: skip
CLINIC = Schema((PEOPLE, VISITS))
AUCS = ("joined visits", "parents people", "lag visits")


def clinic(people: int, seed: int = 0) -> Tables:
    """Values go with the person's age and with the value before; wards go with the person's kind."""
    rng = stream(seed, "clinic")
    age, kind = rng.normal(size=people), rng.integers(0, 3, people)
    who = np.repeat(np.arange(people), rng.integers(0, 14, people))
    first = np.append(True, who[1:] != who[:-1])
    value, day = np.zeros(len(who)), np.cumsum(rng.integers(1, 9, len(who)))
    for i in range(len(who)):
        value[i] = (age[who[i]] if first[i] else value[i - 1]) + 0.4 * rng.normal()
    ward = (kind[who] + (rng.random(len(who)) < 0.2)) % 3
    return Tables(CLINIC, {
        "people": pa.table({"id": np.arange(people), "age": age, "kind": [f"kind {k}" for k in kind]}),
        "visits": pa.table({
            "visit": np.arange(len(who)), "person": who, "day": day - day[np.flatnonzero(first)][np.cumsum(first) - 1],
            "value": value, "ward": [f"ward {w}" for w in ward],
        }),
    })  # fmt: skip


def with_visits(tables: Tables, **columns: object) -> Tables:
    """The same tables with other values in some columns of the visits."""
    visits = tables["visits"]
    for name, values in columns.items():
        visits = visits.set_column(visits.column_names.index(name), name, pa.array(values))
    return Tables(tables.schema, {**tables, "visits": visits})


@pytest.fixture(scope="module")
def sides() -> tuple[Tables, Tables]:
    return halves(clinic(2_400), "people", seed=0)


@pytest.fixture(scope="module")
def floor(sides: tuple[Tables, Tables]) -> dict[str, float]:
    return judge_database(sides[1], sides[0], "people", seed=0)


def test_the_real_half_can_not_be_told_apart(floor: dict[str, float]) -> None:
    assert {n for n in floor if n.split()[0] in ("joined", "parents", "lag")} == set(AUCS)
    assert all(0.45 < floor[name] < 0.55 for name in AUCS)
    assert floor["children visits: person -> people(id)"] < 0.06
    assert floor["orphans visits: person -> people(id)"] == 0
    assert floor["repeated people"] == floor["repeated visits"] == 0


def test_children_shuffled_among_parents_are_found_out_beside_their_parents(
    sides: tuple[Tables, Tables], floor: dict[str, float]
) -> None:
    learnt, held = sides
    moved = stream(0, "moved").permutation(learnt["visits"]["person"].to_numpy())
    found = judge_database(held, with_visits(learnt, person=moved), "people", seed=0)
    assert found["joined visits"] > 0.7
    assert found["parents people"] > 0.7
    assert found["lag visits"] > 0.7
    same = "children visits: person -> people(id)"
    assert found[same] == floor[same]


def test_values_shuffled_within_a_parent_are_found_out_by_the_row_before_only(
    sides: tuple[Tables, Tables], floor: dict[str, float]
) -> None:
    learnt, held = sides
    who, value = learnt["visits"]["person"].to_numpy(), learnt["visits"]["value"].to_numpy()
    mixed = value[np.lexsort([stream(0, "mixed").random(len(who)), who])]  # visits lie by person
    found = judge_database(held, with_visits(learnt, value=mixed), "people", seed=0)
    assert found["lag visits"] > floor["lag visits"] + 0.05
    assert abs(found["parents people"] - floor["parents people"]) < 0.02


def test_one_orphan_and_one_repeated_key_are_counted(sides: tuple[Tables, Tables]) -> None:
    learnt, held = sides
    who, visit = (learnt["visits"][c].to_pylist() for c in ("person", "visit"))
    twin = with_visits(learnt, person=[10**9, None, *who[2:]], visit=[visit[1], *visit[1:]])
    found = judge_database(held, twin, "people", seed=0, told_apart=False)
    assert found["orphans visits: person -> people(id)"] == 1  # null points nowhere, and may
    assert found["repeated visits"] == 1
    assert found["repeated people"] == 0
    assert not set(AUCS).intersection(found)


def test_children_per_parent_count_parents_without_any() -> None:
    one, two = clinic(2), clinic(2)
    one = with_people(one, [0, 0, 1])
    two = with_people(two, [0, 1, 1])
    measure = "children visits: person -> people(id)"
    told = {n: judge_database(one, t, "people", seed=0)[measure] for n, t in (("same", two), ("other", one))}
    assert told == {"same": 0, "other": 0}  # which parent has how many is not asked
    three = with_people(clinic(2), [0, 0, 0])
    assert judge_database(one, three, "people", seed=0)[measure] == 1  # {1, 2} against {0, 3}


def test_of_a_public_parent_the_share_of_children_is_compared() -> None:
    schema = Schema((replace(PEOPLE, public=True), VISITS))
    one, two = (Tables(schema, with_people(clinic(2), who)) for who in ([0, 0, 0, 1], [0, 1]))
    assert judge_database(one, two, "visits", seed=0)["children visits: person -> people(id)"] == 0.25


def test_a_judge_that_knows_units_by_heart_tells_nothing() -> None:
    learnt, held = halves(clinic(1_500), "people", seed=1)  # each age is one person's
    assert abs(judge_database(held, learnt, "people", seed=1)["joined visits"] - 0.5) < 0.05


def test_rows_carry_their_parents_and_not_the_keys() -> None:
    tables = with_people(clinic(2), [1, None, 0])
    beside = beside_parents(tables, "visits", np.array([0, 1, 2]))
    assert beside.column_names == ["day", "value", "ward", "people(person).age", "people(person).kind"]
    kinds = tables["people"]["kind"].to_pylist()
    assert beside["people(person).kind"].to_pylist() == [kinds[1], None, kinds[0]]


def test_a_tree_is_followed_one_step() -> None:
    staff = Table(
        "staff", (Column("id", pa.int64(), nullable=False), Column("boss", pa.int64()), Column("pay", pa.int64())),
        key=("id",), references=(Reference(("boss",), "staff", ("id",)),),
    )  # fmt: skip
    tables = Tables(Schema((staff,)), {"staff": pa.table({"id": [1, 2, 3], "boss": [None, 1, 2], "pay": [9, 8, 7]})})
    beside = beside_parents(tables, "staff", np.arange(3))
    assert beside.to_pydict() == {"pay": [9, 8, 7], "staff(boss).pay": [None, 9, 8]}


def test_parents_carry_what_their_children_have_in_common() -> None:
    visits = pa.table({
        "visit": [0, 1, 2], "person": [0, 0, 1], "day": [1, 3, 5], "value": [2.0, 4.0, None],
        "ward": ["a", "b", None],
    })  # fmt: skip
    tables = Tables(CLINIC, {"people": clinic(3)["people"], "visits": visits})
    found = with_children(tables, "people", frequent(tables, ["visits"])).to_pydict()
    head = "visits(person)."
    assert found[head + "count"] == [2, 1, 0]
    assert found[head + "day mean"] == [2, 5, None]
    assert (found[head + "value min"], found[head + "value max"]) == ([2, None, None], [4, None, None])
    assert found[head + "value std"] == [pytest.approx(2**0.5), None, None]
    assert (found[head + "ward is 0"], found[head + "ward is 1"]) == ([0.5, 0, None], [0.5, 0, None])


def test_the_row_before_is_that_of_the_same_parent_and_ties_have_no_order_of_their_own() -> None:
    visits = pa.table({
        "visit": [0, 1, 2, 3], "person": [0, 1, 0, 0], "day": [7, 1, 2, 7], "value": [5.0, 9.0, 1.0, 4.0],
        "ward": ["a"] * 4,
    })  # fmt: skip
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        tables = Tables(CLINIC, {"people": clinic(2)["people"], "visits": visits.take(pa.array(order))})
        found = beside_previous(tables, "visits", steps(tables, "visits")).to_pydict()
        assert (found["value"], found["before.value"]) == ([4, 5], [1, 4])
        assert (found["day"], found["day grew by"]) == ([7, 7], [5, 0])


def with_people(tables: Tables, who: list[int | None]) -> Tables:
    """Visits of these people only."""
    n = len(who)
    visits = pa.table({
        "visit": np.arange(n), "person": pa.array(who, pa.int64()), "day": np.arange(n), "value": np.arange(n) * 1.0,
        "ward": ["w"] * n,
    })  # fmt: skip
    return Tables(CLINIC, {"people": tables["people"], "visits": visits})
