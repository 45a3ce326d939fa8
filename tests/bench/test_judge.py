"""The judges of the bench know good twins from bad ones, and copies from either."""

import math

import numpy as np
import pyarrow as pa
import pytest

from bench.judge import Measured, judge, privacy
from bench.worlds import World, halves, thirds
from twinlake.random import stream

WORLD = World("people", "people.parquet", "rich")
MEASURES = {"auc", "xgb", "shape", "trend", "three_way", "useful"}


def people(rows: int, seed: int = 0) -> pa.Table:
    """A quantity with nulls, a label that goes with it, and a target that goes with both."""
    rng = stream(seed)
    size, kind = rng.normal(size=rows), rng.integers(0, 4, rows)
    rich = size + 0.5 * kind + rng.normal(size=rows) > 1
    return pa.table({
        "size": pa.array(size, mask=rng.random(rows) < 0.1),
        "kind": [f"kind {k}" for k in kind],
        "weight": size + rng.normal(size=rows),
        "rich": ["yes" if r else "no" for r in rich],
    })  # fmt: skip


def shuffled(table: pa.Table) -> pa.Table:
    """The same columns, each in an order of its own."""
    return pa.table({n: table[n].take(pa.array(stream(1, n).permutation(table.num_rows))) for n in table.column_names})


@pytest.fixture(scope="module")
def sides() -> tuple[pa.Table, pa.Table]:
    return halves(people(3000), seed=0)


def told(learnt: pa.Table, holdout: pa.Table, twin: pa.Table) -> dict[str, float]:
    found = judge(WORLD, learnt, holdout, twin, seed=0, cores=1)
    found |= privacy(learnt, holdout, twin, WORLD, seed=0)
    return {name: m.value for name, m in found.items()}


def test_fresh_rows_of_the_same_source_are_alike_useful_and_private(sides: tuple[pa.Table, pa.Table]) -> None:
    found = told(*sides, people(1500, seed=5))
    assert found.keys() == MEASURES | {"membership", "isolated", "copies_learnt", "copies_holdout"}
    assert found["xgb"] > 0.85
    assert found["three_way"] > 0.8  # of 12 × 5 × 12 × 2 cells, from 1,500 rows
    assert found["useful"] > 0.75
    assert abs(found["membership"] - 0.5) < 0.05
    assert found["copies_learnt"] == found["copies_holdout"] == 0


def test_columns_that_do_not_go_together_are_found_out(sides: tuple[pa.Table, pa.Table]) -> None:
    found = told(*sides, shuffled(sides[0]))
    assert found["shape"] > 0.95  # each column alone is right
    assert found["xgb"] < 0.7
    assert found["three_way"] < 0.77
    assert found["useful"] < 0.65


def test_copies_of_learnt_rows_are_members_and_counted(sides: tuple[pa.Table, pa.Table]) -> None:
    found = told(*sides, sides[0])
    assert found["membership"] > 0.95
    assert found["isolated"] > 0.95
    assert found["copies_learnt"] == 1
    assert found["copies_holdout"] == 0


def test_a_twin_of_one_class_is_of_no_use(sides: tuple[pa.Table, pa.Table]) -> None:
    twin = sides[0].set_column(3, "rich", pa.array(["no"] * sides[0].num_rows))
    assert told(*sides, twin)["useful"] == 0.5


def test_a_quantity_as_target_is_told_as_r_squared(sides: tuple[pa.Table, pa.Table]) -> None:
    world = World("people", "people.parquet", "weight", regression=True)
    found = judge(world, *sides, people(1500, seed=5), seed=0, cores=1)
    assert 0.2 < found["useful"].value < 0.6  # half of its variance is noise


def test_equal_seeds_give_equal_measures(sides: tuple[pa.Table, pa.Table]) -> None:
    twin = people(1500, seed=5)
    assert told(*sides, twin) == told(*sides, twin)


def test_nulls_and_labels_that_only_one_side_holds_are_measured() -> None:
    learnt, holdout = halves(people(400), seed=0)
    empty = pa.nulls(200, pa.float64())
    twin = learnt.set_column(0, "size", empty).set_column(1, "kind", pa.array(["new"] * 200))
    assert all(math.isfinite(v) for v in told(learnt, holdout, twin).values())


def test_halves_and_thirds_share_no_row() -> None:
    rows = pa.table({"n": np.arange(31)})
    for parts, size in ((halves(rows, 3), 15), (thirds(rows, stream(3)), 10)):
        assert [p.num_rows for p in parts] == [size] * len(parts)
        assert len(set(pa.concat_tables(parts)["n"].to_pylist())) == size * len(parts)


def test_a_measure_without_a_known_error_says_so() -> None:
    assert math.isnan(Measured(1.0).error)
