"""The rows of one parent in their order are no learnt one's: whole or in part, dates moved or a column changed."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinlake.privacy.sequences import Finding, Met, Trio, _failed, copied_sequences
from twinlake.schema import Column, Kind, Reference, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units

SHOPS = Table("shops", (Column("id", pa.int64(), nullable=False), Column("kind", pa.string())), key=("id",))
SALES = Table(
    "sales",
    (
        Column("shop", pa.int64(), nullable=False),
        Column("day", pa.int32(), kind=Kind.NUMBER),
        Column("item", pa.string()),
        Column("pieces", pa.int32(), kind=Kind.NUMBER),
    ),
    references=(Reference(("shop",), "shops", ("id",)),),
    order_by="day",
)
ITEMS = [f"item {i}" for i in range(40)]
SCHEMA = Schema((SHOPS, SALES))
LOOSE = Schema((SHOPS, replace(SALES, order_by=None)))


def world(shops: int, seed: int, *, first: int = 0, schema: Schema = SCHEMA, days: int = 2000) -> Tables:
    """Shops that each sell two dozen times; many a row coincides with one of another shop."""
    rng = np.random.default_rng(seed)
    many = rng.integers(12, 40, shops)
    n = int(many.sum())
    ids = np.arange(shops) + first
    kinds = rng.choice(["bakery", "kiosk", "florist"], shops)
    sales = {
        "shop": np.repeat(ids, many), "day": rng.integers(0, days, n).astype(np.int32),
        "item": rng.choice(ITEMS, n), "pieces": rng.geometric(0.4, n).astype(np.int32),
    }  # fmt: skip
    sold = pa.table(sales).sort_by([("shop", "ascending"), ("day", "ascending")])
    return Tables(schema, {"shops": pa.table({"id": ids, "kind": kinds}), "sales": sold})


def with_copies(twin: Tables, real: Tables, shops: int, change: str = "") -> Tables:
    """The twin with all sales of a few real shops, under other numbers."""
    sales = real["sales"].filter(pa.array(real["sales"]["shop"].to_numpy() < shops))
    columns = {n: sales[n].to_numpy(zero_copy_only=False) for n in sales.column_names}
    columns["shop"] = columns["shop"] + 10**6
    if change == "dates moved":
        columns["day"] = columns["day"] + 3000
    if change == "pieces":
        columns["pieces"] = columns["pieces"] + 50
    if change == "half":
        ends = np.r_[columns["shop"][1:] != columns["shop"][:-1], True]
        first = np.maximum.accumulate(
            np.r_[0, np.flatnonzero(ends)[:-1] + 1].repeat(np.diff(np.r_[-1, np.flatnonzero(ends)]))
        )
        kept = np.arange(len(ends)) - first < 9
        columns = {n: c[kept] for n, c in columns.items()}
    above = pa.table({"id": np.unique(columns["shop"]), "kind": ["kiosk"] * len(np.unique(columns["shop"]))})
    more = pa.table(columns).cast(SALES.arrow)
    return Tables(twin.schema, {
        "shops": pa.concat_tables([twin["shops"], above.cast(SHOPS.arrow)]),
        "sales": pa.concat_tables([twin["sales"], more]),
    })  # fmt: skip


REAL, HOLDOUT, TWIN = world(400, 0), world(100, 1, first=5000), world(400, 2)


def parts(twin: Tables, real: Tables = REAL, holdout: Tables = HOLDOUT) -> dict[str, float]:
    units, held = (assign_units(side, "shops")["sales"] for side in (real, holdout))
    return copied_sequences(real, holdout, twin, "sales", units=units, held=held, k=10)


def test_other_shops_of_the_same_town_pass() -> None:
    for seed in range(2, 8):
        assert parts(world(400, seed)) == {}


@pytest.mark.parametrize("shops", [1, 5, 20])
@pytest.mark.parametrize("change", ["", "dates moved", "pieces"])
def test_a_copied_sequence_is_a_violation_though_dates_are_moved_or_a_column_is_changed(
    shops: int, change: str
) -> None:
    found = parts(with_copies(TWIN, REAL, shops, change))
    assert found
    assert max(found.values()) >= shops / 2
    if change == "dates moved":
        assert any("dates moved" in part or "without day" in part for part in found)


def test_a_few_copies_are_found_where_single_rows_coincide() -> None:
    def small(shops: int, seed: int, first: int = 0) -> Tables:
        """Shops with four to nine sales in sixty days: rows coincide, rows in a row hardly do, and none is long."""
        sides = world(shops, seed, first=first, days=60)
        kept = np.random.default_rng(seed).random(sides.rows("sales")) < 0.25
        return Tables(SCHEMA, {"shops": sides["shops"], "sales": sides["sales"].filter(pa.array(kept))})

    real, holdout, twin = small(400, 0), small(400, 1, 5000), small(400, 2)
    assert parts(twin, real, holdout) == {}
    found = parts(with_copies(twin, real, 4), real, holdout)
    assert any(part.endswith("beyond chance") and "all columns" in part for part in found)
    assert max(found.values()) <= 8


class Counted(Trio):
    """Of which chance met so many units at so many rows in a row; at others nobody."""

    def __init__(self, counts: dict[int, float]) -> None:
        super().__init__([], ())
        object.__setattr__(self, "found", counts)

    def _count(self, length: int) -> float:
        return self.found.get(length, 1.0)

    def chance(self, length: int) -> bool:
        return length in self.found


def test_chance_is_counted_or_carried_on_no_faster_than_it_may_fall() -> None:
    trio = Counted({1: 100.0, 2: 30.0, 3: 3.0})
    assert [trio.expected(length) for length in (1, 2, 3, 4)] == [100, 30, 3, 1]
    assert trio.expected(8) == pytest.approx(0.7**4)
    steep = Counted({1: 100.0})
    assert steep.expected(4) == pytest.approx(0.25**2)  # not to a hundredth with each row, though one step was so
    assert steep.expected(8) == pytest.approx(0.25**2 * 0.7**4)


def test_where_everybody_shares_rows_nothing_is_told_of_longer_ones() -> None:
    assert Counted(dict.fromkeys((1, 2, 3, 4), 400.0)).expected(32) == 400


def test_what_chance_reaches_is_held_against_the_other_side_alone() -> None:
    met = Met(learnt=6, holdout=2, of_learnt=400, of_holdout=400)
    reached, unreached = Counted({1: 100.0, 2: 9.0, 8: 3.0}), Counted({1: 100.0, 2: 9.0})
    assert reached.finding("x", met, 8, sure=2).p_value == met.p_value > 0.05
    assert unreached.finding("x", met, 8, sure=2).p_value == pytest.approx(0, abs=1e-6)
    assert unreached.finding("x", met, 8, sure=4).p_value is None


def test_a_few_units_whose_rows_never_change_are_no_copies_of_each_other() -> None:
    def town(shops: int, seed: int, first: int = 0) -> Tables:
        """Shops with few sales, of which one in eighty sells the same thing every week."""
        rng, rows = np.random.default_rng(seed), []
        for shop in np.arange(shops) + first:
            if rng.random() < 1 / 80:
                rows += [(shop, 7 * week, ITEMS[0], 1) for week in range(rng.integers(16, 24))]
            else:
                days = np.sort(rng.integers(0, 60, rng.integers(3, 9)))
                rows += [(shop, day, ITEMS[rng.integers(0, 20)], rng.geometric(0.5)) for day in days]
        columns = dict(zip(SALES.names, zip(*rows, strict=True), strict=True))
        ids = pa.table({"id": np.arange(shops) + first, "kind": rng.choice(["bakery", "kiosk"], shops)})
        sales = pa.Table.from_arrays([pa.array(columns[n], SALES[n].type) for n in SALES.names], schema=SALES.arrow)
        return Tables(SCHEMA, {"shops": ids.cast(SHOPS.arrow), "sales": sales})

    for seed in range(0, 15, 3):
        assert parts(town(600, seed), town(600, seed + 1), town(600, seed + 2, 5000)) == {}


def test_findings_of_the_same_name_are_each_looked_at() -> None:
    several = [Finding("x", 5.0, 1e-9), Finding("x", 1.0, 0.9)]
    assert _failed(several) == {"x, beyond chance": 5.0}


def test_half_of_the_significance_is_for_copies_of_all_columns() -> None:
    faint = [Finding(f"view {i}", 3.0, 0.5) for i in range(20)]
    assert _failed([*faint, Finding("plain", 3.0, 0.004, plain=True)]) == {"plain, beyond chance": 3.0}
    assert _failed([*faint, Finding("other", 3.0, 0.004)]) == {}
    assert _failed([Finding("sure", 1.0, None)]) == {"sure": 1.0}


def test_a_part_of_a_sequence_is_a_violation() -> None:
    assert any(part.startswith("8 rows in a row") for part in parts(with_copies(TWIN, REAL, 5, "half")))


def test_rows_without_an_order_are_compared_as_a_heap() -> None:
    real, holdout, twin = (world(n, s, first=f, schema=LOOSE) for n, s, f in ((400, 0, 0), (100, 1, 5000), (400, 2, 0)))
    assert parts(twin, real, holdout) == {}
    copied = with_copies(twin, real, 5)
    order = np.random.default_rng(0).permutation(copied.rows("sales"))
    shuffled = Tables(LOOSE, {"shops": copied["shops"], "sales": copied["sales"].take(pa.array(order))})
    assert parts(shuffled, real, holdout)["all rows of one shops, all columns"] == 5


def test_a_parent_with_its_own_children_is_a_violation() -> None:
    rich = Table("shops", (*SHOPS.columns, Column("rent", pa.int32(), kind=Kind.NUMBER)), key=("id",))
    schema = Schema((rich, replace(SALES, order_by=None)))

    def rented(tables: Tables, seed: int) -> Tables:
        rent = np.random.default_rng(seed).integers(300, 900, tables.rows("shops"))
        shops = tables["shops"].append_column("rent", pa.array(rent, pa.int32()))
        return Tables(schema, {"shops": shops, "sales": tables["sales"]})

    real, holdout, twin = rented(REAL, 0), rented(HOLDOUT, 1), rented(TWIN, 2)
    assert parts(twin, real, holdout) == {}
    shops, sales = twin["shops"].to_pydict(), twin["sales"].to_pydict()
    for place in range(3):
        shops["kind"][place], shops["rent"][place] = (real["shops"][c][place].as_py() for c in ("kind", "rent"))
    mine = [i for i, s in enumerate(real["sales"]["shop"].to_pylist()) if s < 3]
    kept = [i for i, s in enumerate(sales["shop"]) if s >= 3]
    sales = {n: [c[i] for i in kept] + [real["sales"][n][i].as_py() for i in mine] for n, c in sales.items()}
    copied = Tables(schema, {"shops": pa.table(shops), "sales": pa.table(sales)})
    assert any("with their shops" in part for part in parts(copied, real, holdout))


def test_rows_of_nobody_and_rows_whose_parents_are_shared_by_people_have_no_sequences() -> None:
    assert copied_sequences(REAL, HOLDOUT, REAL, "sales", units=None, held=None, k=10) == {}
    assert (
        copied_sequences(REAL, HOLDOUT, REAL, "shops", units=assign_units(REAL, None)["shops"], held=None, k=10) == {}
    )
    alone = assign_units(REAL, None)["sales"]  # each sale is another person's
    assert copied_sequences(REAL, HOLDOUT, REAL, "sales", units=alone, held=None, k=10) == {}
