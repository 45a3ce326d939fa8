"""Drawn rows hold the rules of their table, whatever was drawn."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from twinlake.generators.rules import broken, repair, repeats
from twinlake.random import stream
from twinlake.rules import make_rule, parent_columns
from twinlake.schema import Column, Origin, Reference, Schema, Table
from twinlake.types import ENUM

N = 4000
DAY = dt.timedelta(days=1)

ORDERS = Table("orders", (Column("id", pa.int64(), nullable=False), Column("ordered", pa.date32())), key=("id",))
PARCELS = Table(
    "parcels",
    (
        Column("id", pa.int64(), nullable=False),
        Column("order_id", pa.int64()),  # some parcels belong to no order
        Column("shipped", pa.date32()),
        Column("arrived", pa.timestamp("us")),
        Column("state", ENUM, labels=("new", "sent", "lost")),
        Column("price", pa.decimal128(10, 2)),
        Column("weight", pa.float64()),
        Column("grams", pa.int32()),
        Column("code", pa.string(), nullable=False),
    ),
    key=("id",),
    references=(Reference(("order_id",), "orders", ("id",)),),
)
SCHEMA = Schema((ORDERS, PARCELS))


def table(*rules: str, unique: tuple[tuple[str, ...], ...] = ()) -> Table:
    parents = parent_columns(SCHEMA, PARCELS)
    made = tuple(make_rule(sql, PARCELS, parents, origin=Origin.FILE) for sql in rules)
    return Table(PARCELS.name, PARCELS.columns, PARCELS.key, PARCELS.references, unique=unique, rules=made)


def draw(n: int, rng: np.random.Generator) -> dict[str, object]:
    """Columns that know nothing of each other: about 30 of 100 rows break any of the rules below."""
    shipped = np.datetime64("2024-01-01", "D") + rng.integers(-30, 70, n)
    return {
        "shipped": shipped.astype("datetime64[D]"),
        "arrived": (shipped + rng.integers(-9, 21, n)).astype("datetime64[us]")
        + rng.integers(0, 24, n) * 3_600_000_000,
        "state": pa.array(rng.choice(["new", "sent", "lost"], n, p=[0.1, 0.6, 0.3])).dictionary_encode(),
        "price": pa.array([Decimal(int(x)) / 100 for x in rng.integers(-3000, 7000, n)], pa.decimal128(10, 2)),
        "weight": np.round(rng.normal(1.0, 1.0, n), 1),
        "grams": rng.integers(0, 10, n).astype(np.int32),
        "code": [f"AB-{x:04d}" for x in rng.integers(0, 9000, n)],
    }


def parcels(n: int = N, seed: int = 1) -> tuple[pa.Table, dict[str, pa.Table]]:
    rng = stream(seed, "parcels")
    nowhere = rng.random(n) < 0.05
    rows = {"id": np.arange(n), "order_id": pa.array(np.arange(n), mask=nowhere), **draw(n, rng)}
    ordered = pa.array((np.datetime64("2024-01-01", "D") + rng.integers(-30, 20, n)).astype("datetime64[D]"))
    return (
        pa.table(rows).cast(PARCELS.arrow),
        {"orders": pa.table({"ordered": pa.array(ordered.to_pylist(), pa.date32(), mask=nowhere)})},
    )


def redrawing(rng: np.random.Generator):
    return lambda places: pa.table(draw(len(places), rng))


def again(rows: pa.Table):
    """A model that always draws the same rows: no draw mends anything."""
    return lambda places: rows.take(pa.array(places))


RULES = [
    "shipped >= orders.ordered",
    "shipped <= arrived",
    "state IN ('new', 'sent')",
    "price >= 0",
    "price > 0 AND weight > 0",
    "weight BETWEEN 0.5 AND 2.5",
    "price < grams * 10",
    "grams % 3 <> 0",
    "state <> 'lost' OR price IS NULL OR price > 20",
    "arrived - shipped <= INTERVAL 10 DAY",
    "code NOT LIKE '%7'",
]


@pytest.mark.parametrize("sql", RULES)
@pytest.mark.parametrize("helps", [True, False], ids=["redrawn", "never redrawn"])
def test_no_row_breaks_a_rule_that_many_drawn_rows_break(sql: str, helps: bool):
    ruled = table(sql)
    rows, parents = parcels()
    assert broken(rows, ruled, parents).mean() > 0.05
    rng = stream(2, "repair")
    done = repair(rows, ruled, parents, redrawing(rng) if helps else again(rows), rng)
    left = {"orders": parents["orders"].take(pa.array(done.kept))}
    assert not broken(done.rows, ruled, left).any()
    assert done.rows.num_rows >= 0.99 * N


def test_all_rules_together_hold_when_a_third_of_the_rows_break_some():
    ruled = table(*RULES)
    rows, parents = parcels()
    assert broken(rows, ruled, parents).mean() > 0.3
    rng = stream(3, "repair")
    done = repair(rows, ruled, parents, redrawing(rng), rng)
    assert not broken(done.rows, ruled, {"orders": parents["orders"].take(pa.array(done.kept))}).any()
    assert done.rows.num_rows >= 0.95 * N


def test_keys_and_references_never_change():
    ruled = table(*RULES)
    rows, parents = parcels()
    done = repair(rows, ruled, parents, again(rows), stream(4, "repair"))
    for name in ("id", "order_id"):
        assert done.rows[name].combine_chunks() == rows[name].take(pa.array(done.kept)).combine_chunks()


def test_rows_that_hold_the_rules_stay_as_they_are():
    ruled = table("price >= 0")
    rows, parents = parcels()
    fine = pa.array(~broken(rows, ruled, parents))
    done = repair(rows, ruled, parents, again(rows), stream(5, "repair"))
    assert done.rows.num_rows == N
    assert done.rows.filter(fine).to_pylist() == rows.filter(fine).to_pylist()


def test_a_null_reference_or_a_null_value_breaks_no_rule():
    ruled = table("shipped >= orders.ordered")
    rows, _ = parcels()
    nothing = {"orders": pa.table({"ordered": pa.nulls(N, pa.date32())})}
    assert not broken(rows, ruled, nothing).any()


def test_a_rule_that_can_not_be_worked_out_on_a_row_is_broken_there():
    ruled = table("code::INTEGER > 0")
    rows, parents = parcels()
    assert broken(rows, ruled, parents).all()


def test_the_same_rows_come_for_the_same_stream():
    ruled = table(*RULES, unique=(("code",), ("shipped", "grams")))
    rows, parents = parcels()
    one, two = (repair(rows, ruled, parents, again(rows), stream(6, "repair")) for _ in range(2))
    assert one.rows == two.rows
    assert np.array_equal(one.kept, two.kept)


def test_values_moved_to_a_bound_do_not_heap_there():
    """Where 3 of 100 rows that hold the rule lie on the bound, moved ones do about as often."""
    ruled = table("shipped >= orders.ordered")
    rows, parents = parcels()
    ordered = parents["orders"]["ordered"].combine_chunks()
    wrong = broken(rows, ruled, parents)
    done = repair(rows, ruled, parents, again(rows), stream(7, "repair"))
    gap = np.asarray((done.rows["shipped"].cast(pa.int32()).to_numpy() - ordered.cast(pa.int32()).fill_null(0)), int)
    known = np.asarray(ordered.is_valid())
    assert np.mean(gap[wrong] == 0) == pytest.approx(np.mean(gap[known & ~wrong] == 0), abs=0.02)
    assert gap[wrong].mean() == pytest.approx(gap[known & ~wrong].mean(), rel=0.25)  # late orders have less room


def test_moved_values_stay_among_those_drawn_where_the_rules_let_them():
    """Who has drawn no exact extreme of the real rows shall not find one by moving."""
    ruled = table("shipped >= orders.ordered", "weight >= grams / 4", unique=(("grams", "price"),))
    rows, parents = parcels()
    done = repair(rows, ruled, parents, again(rows), stream(15, "repair"))
    for name in ("shipped", "weight", "price", "grams"):
        assert pc.min_max(done.rows[name])["max"] == pc.min_max(rows[name])["max"]
        assert pc.min_max(done.rows[name])["min"].as_py() >= pc.min_max(rows[name])["min"].as_py()


def test_bounds_between_columns_that_both_move_are_met_around_those_that_do_not():
    ruled = table(
        "shipped BETWEEN orders.ordered AND orders.ordered + 5", "arrived >= shipped", "arrived <= shipped + 3"
    )
    rows, parents = parcels()
    done = repair(rows, ruled, parents, again(rows), stream(16, "repair"))
    left = {"orders": parents["orders"].take(pa.array(done.kept))}
    assert not broken(done.rows, ruled, left).any()
    assert done.rows.num_rows == N


def test_a_forbidden_label_gives_way_to_others_by_their_shares():
    ruled = table("state IN ('new', 'sent')")
    rows, parents = parcels()
    done = repair(rows, ruled, parents, again(rows), stream(8, "repair"))
    states = np.array(done.rows["state"].cast(pa.string()).to_pylist())
    assert np.mean(states == "new") == pytest.approx(1 / 7, abs=0.02)


def test_lists_and_bounds_hold_where_no_row_shows_how():
    rows, parents = parcels()
    bad = rows.filter(pa.array(broken(rows, table("price >= 0"), parents))).slice(0, 300)
    needs = {"orders": parents["orders"].slice(0, 300)}
    for sql in ("price >= 0", "price > 12.5", "state IN ('other', 'else')", "weight BETWEEN 90 AND 91", "grams = 77"):
        done = repair(bad, table(sql), needs, again(bad), stream(9, "repair"))
        assert done.rows.num_rows == 300, sql
        assert not broken(done.rows, table(sql), needs).any(), sql


def test_what_nothing_can_mend_is_left_out_and_ends():
    ruled = table("price > 0 AND price < 0")
    rows, parents = parcels(500)
    done = repair(rows, ruled, parents, again(rows), stream(10, "repair"))
    assert done.rows.num_rows == 0
    assert done.redrawn == 500


def test_moved_values_stay_on_their_grid():
    """Prices have two digits, weights one, hours no minutes."""
    ruled = table("price >= weight", "arrived >= shipped", "weight >= grams")
    rows, parents = parcels()
    done = repair(rows, ruled, parents, again(rows), stream(11, "repair"))
    weights = done.rows["weight"].to_numpy()
    assert np.array_equal(np.round(weights, 1), weights)
    hours = done.rows["arrived"].cast(pa.int64()).to_numpy() % 3_600_000_000
    assert not hours.any()


@pytest.mark.parametrize("unique", [("code",), ("grams", "shipped"), ("price",), ("weight",), ("arrived",), ("state",)])
@pytest.mark.parametrize("helps", [True, False], ids=["redrawn", "never redrawn"])
def test_what_is_unique_is_never_repeated(unique: tuple[str, ...], helps: bool):
    ruled = table(unique=(unique,))
    rows, parents = parcels()
    assert repeats(rows, ruled).mean() > 0.03
    rng = stream(12, "repair")
    done = repair(rows, ruled, parents, redrawing(rng) if helps else again(rows), rng)
    assert not repeats(done.rows, ruled).any()
    assert done.rows.num_rows == N


def test_a_repeat_moves_only_where_the_rules_let_it():
    ruled = table("grams < 40", "grams >= 0", unique=(("order_id", "grams"), ("grams", "code")))
    rows, parents = parcels()
    rows = rows.set_column(1, "order_id", pa.array(np.arange(N) // 20))
    done = repair(rows, ruled, parents, again(rows), stream(13, "repair"))
    assert done.rows.num_rows == N
    assert not repeats(done.rows, ruled).any()
    assert max(done.rows["grams"].drop_null().to_pylist()) < 40


def test_text_in_a_dictionary_is_mended_too():
    ruled = table("code NOT LIKE '%7'", unique=(("code",),))
    rows, parents = parcels()
    coded = rows.set_column(rows.column_names.index("code"), "code", rows["code"].combine_chunks().dictionary_encode())
    done = repair(coded, ruled, parents, again(rows), stream(14, "repair"))
    assert not repeats(done.rows, ruled).any()
    assert not broken(done.rows, ruled, parents).any()
