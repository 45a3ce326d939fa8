"""Contexts: what rows know of their parents, of the parents of these, and of the rows that others have for them."""

import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators import context
from twinlake.generators.context import MOST, Contexts, Telling, summed
from twinlake.schema import Reference

CITY = Reference(("city",), "cities", ("id",))
HOME = Reference(("home",), "clubs", ("id",))
AWAY = Reference(("away",), "clubs", ("id",))
HOST = Reference(("host",), "clubs", ("id",))
TABLES = {
    "cities": pa.table({"id": [1, 2], "size": [10, 20], "river": ["Aare", None]}),
    "clubs": pa.table({"id": [7, 8, 9], "city": [2, 1, None], "rank": [1, 2, 3]}),
    "matches": pa.table({"home": [7, 9, 8], "away": [8, None, 8], "goals": [3, 0, 1]}),
    "parties": pa.table({"host": [9, 7, 7], "guests": [5.0, 1.0, 3.0], "theme": ["a", "b", "b"], "at": [1, None, 4]}),
}


def contexts(*, shared: bool = True, **tellings: Telling) -> Contexts:
    told = {"cities": Telling(("size", "river")), "clubs": Telling(("rank",), (CITY,)), **tellings}
    return Contexts(lambda table, columns: TABLES[table].select(list(columns)), told, lambda child, lead: shared)


def beside(of: Contexts, table: str, *links: Reference) -> dict[str, list[object]]:
    return of.beside(table, links, {r: of.found(table, r) for r in links}).to_pydict()


def test_rows_know_their_parents_and_the_parents_of_these() -> None:
    assert beside(contexts(), "parties", HOST) == {
        "clubs.rank": [3, 1, 1],
        "clubs.cities.size": [None, 20, 20],  # a club without a city tells of none
        "clubs.cities.river": [None, None, None],
    }


def test_two_references_to_one_parent_are_told_apart_and_blanks_give_nulls() -> None:
    found = beside(contexts(), "matches", HOME, AWAY)
    assert found["home.rank"] == [1, 3, 2]
    assert found["away.rank"] == [2, None, 2]
    assert found["home.cities.size"] == [20, None, 10]
    assert found["away.cities.river"] == ["Aare", None, "Aare"]


def test_a_composite_or_unknown_key_finds_its_row_or_none() -> None:
    tables = {"wards": pa.table({"w": ["a", "a"], "s": [1, 2]}), "beds": pa.table({"w": ["a", "b"], "s": [2, 2]})}
    of = Contexts(lambda t, c: tables[t].select(list(c)), {}, lambda child, lead: True)
    assert of.found("beds", Reference(("w", "s"), "wards", ("w", "s"))).tolist() == [1, -1]


def test_children_are_summed() -> None:
    found = summed(TABLES["parties"].select(["guests", "theme", "at"]), np.array([2, 0, 0]), 3)
    assert {n: c.to_pylist() for n, c in found.items()} == {
        "rows": [2, 0, 1],
        "mean guests": [2.0, None, 5.0],
        "lowest guests": [1.0, None, 5.0],
        "highest guests": [3.0, None, 5.0],
        "mean at": [4.0, None, 1.0],  # of those that are there
        "lowest at": [4.0, None, 1.0],
        "highest at": [4.0, None, 1.0],
    }


def test_rows_without_a_parent_and_infinities_are_not_summed() -> None:
    found = summed(pa.table({"x": [1.0, np.inf, np.nan, 5.0]}), np.array([0, 0, 0, -1]), 1)
    assert {n: c.to_pylist() for n, c in found.items()} == {
        "rows": [3], "mean x": [1.0], "lowest x": [1.0], "highest x": [1.0]
    }  # fmt: skip


def test_few_of_many_quantities_are_summed() -> None:
    found = summed(pa.table({f"x{i}": [1] for i in range(30)}), np.array([0]), 1)
    assert len(found) <= context._SUMMED + 3


def test_rows_know_how_many_their_parent_has_elsewhere() -> None:
    parties = Telling(("guests", "theme"), (HOST,))
    found = beside(contexts(parties=parties), "matches", HOME, AWAY)
    assert found["rows of parties"] == [2, 1, 0]
    assert found["mean guests of parties"] == [2.0, 5.0, None]


def test_what_is_made_later_or_counted_in_part_tells_nothing() -> None:
    parties, matches = Telling(("guests",), (HOST,)), Telling(("goals",), (HOME, AWAY))
    assert "rows of parties" not in beside(contexts(parties=parties, shared=False), "matches", HOME)
    assert "rows of parties" not in beside(contexts(matches=matches, parties=parties), "matches", HOME)
    assert "rows of matches" in beside(contexts(matches=matches, parties=parties), "parties", HOST)


def test_only_children_that_a_reference_leads_to_their_parent_are_counted() -> None:
    away = Telling(("goals",), (Reference(("city",), "cities", ("id",)), AWAY))
    assert contexts(matches=away).children_of("clubs", before="parties").num_columns == 0


def test_a_parent_tells_its_own_columns_first_and_so_many() -> None:
    wide = {"wide": pa.table({"id": [1], "city": [1]} | {f"x{i}": [i] for i in range(MOST + 9)})}
    tables = TABLES | wide
    names = tuple(n for n in wide["wide"].column_names if n.startswith("x"))
    told = {"cities": Telling(("size",)), "wide": Telling(names, (CITY,)), "thin": Telling(names[:2], (CITY,))}
    of = Contexts(lambda t, c: tables["wide" if t == "thin" else t].select(list(c)), told, lambda child, lead: True)
    assert of.of("wide").column_names == list(names[:MOST])
    assert of.of("thin").column_names == ["x0", "x1", "cities.size"]


@pytest.mark.parametrize("name", ["rows of parties", "cities.size"])
def test_names_that_meet_keep_both_columns(name: str) -> None:
    tables = TABLES | {"clubs": TABLES["clubs"].rename_columns(["id", "city", name])}
    told = {
        "cities": Telling(("size",)), "clubs": Telling((name,), (CITY,)), "parties": Telling(("guests",), (HOST,))
    }  # fmt: skip
    of = Contexts(lambda t, c: tables[t].select(list(c)), told, lambda child, lead: True)
    found = of.leading("matches", HOME)
    assert len(set(found.column_names)) == found.num_columns == 6
    assert found.num_rows == 3
