"""Units are drawn and laid out by a coin that knows no rows, and their cells are compared as ranks and labels."""

import numpy as np
import pyarrow as pa
import pytest
from dealt import LABELS, PEOPLE, QUANTITIES, cells, dealt, people

from twinlake.privacy.pool import HELD, MISSING, ROWS, UNITS, code, compared, learnt_columns, sides
from twinlake.random import stream


def drawn(learnt, units, holdout, held_units, *, most=ROWS, seed=0):
    return sides(
        learnt, holdout, units=units.astype(np.uint64), held_units=held_units.astype(np.uint64),
        rng=stream(seed, "sides"), most=most,
    )  # fmt: skip


def numbered(units: np.ndarray) -> pa.Table:
    """One row for each entry, which tells its unit."""
    return pa.table({"of": units})


def test_every_row_stays_with_its_unit_and_side():
    own, back = stream(0, "own").integers(0, 300, 900), stream(0, "back").integers(300, 400, 300)
    found = drawn(numbered(own), own, numbered(back), back)
    assert (found.names[found.unit] == found.rows["of"].to_numpy()).all()
    assert (found.members == (found.names < 300)).all()
    assert sorted(found.rows["of"].to_pylist()) == sorted([*own, *back])
    assert found.held == len(np.unique(back))


def test_no_unit_and_no_side_takes_all_the_room():
    own, back = np.repeat(np.arange(50), 40), np.arange(50, 100)
    found = drawn(numbered(own), own, numbered(back), back, most=200)
    assert np.bincount(found.unit).max() == 2
    assert len(found.members) == 100
    many, others = np.arange(20_000), np.arange(20_000, 40_000)
    found = drawn(numbered(many), many, numbered(others), others)
    assert (found.held, len(found.members)) == (HELD, UNITS)
    assert len(found.rows) == UNITS


def test_the_order_of_units_does_not_tell_sides():
    own, back = np.arange(500), np.arange(500, 1000)
    found = drawn(numbered(own), own, numbered(back), back)
    assert 200 < found.members[:500].sum() < 300
    swapped = drawn(numbered(back), back, numbered(own), own)
    assert (swapped.names == found.names).all()
    assert (swapped.members == ~found.members).all()
    assert swapped.rows == found.rows


def test_columns_that_are_not_learnt_are_not_compared():
    assert learnt_columns(PEOPLE) == (QUANTITIES, LABELS)


def test_a_quantity_of_few_values_is_compared_as_a_label():
    labels, many = compared(people(500, 0), QUANTITIES, [])
    assert (labels, many) == (["rooms"], ["income", "weight", "age"])


def test_a_label_that_is_another_in_most_rows_is_not_compared():
    rows = people(500, 0)
    rows = rows.append_column("note", pa.array([f"seen {i}" for i in range(500)]))
    assert compared(rows, [], ["note"]) == ([], [])


def test_ranks_and_shares_are_those_of_the_pool_and_nulls_are_far_from_all():
    side = dealt(400, 0)
    known, twins = cells(side, people(300, 1))
    income = side.rows["income"].to_numpy()
    present = income[~np.isnan(income)]
    for row in range(50):
        rank, tie = known.cells.ranks[row, 0], known.ties[row, 0]
        if np.isnan(income[row]):
            assert rank == MISSING
            assert tie == pytest.approx(np.isnan(income).mean())
        else:
            assert rank == pytest.approx(((present < income[row]).sum() + 0.5) / len(present), abs=1e-6)
            assert tie == pytest.approx(1 / 400)
    region = side.rows["region"].to_pylist()
    assert known.shares[:, 0] == pytest.approx([region.count(r) / 400 for r in region])
    assert twins.ranks[:, 0].max() == MISSING
    assert len(twins) == 300


def test_a_value_the_pool_never_had_is_no_label_of_it():
    pool, twin = pa.table({"a": ["x", "y", None]}), pa.table({"a": ["z", "y", None]})
    known, twins = code(pool, twin, [], ["a"])
    own, drawn_ = known.cells.codes[:, 0], twins.codes[:, 0]
    assert drawn_[0] not in own
    assert drawn_[1:].tolist() == own[1:].tolist()


@pytest.mark.parametrize(("quantities", "others"), [([], LABELS), (["income", "weight"], []), ([], [])])
def test_columns_of_one_kind_or_none_are_fine(quantities, others):
    known, twins = code(people(50, 0), people(40, 1), quantities, others)
    assert known.cells.ranks.shape == (50, len(quantities))
    assert twins.codes.shape == (40, len(others))
    assert known.lifts.shape == (50, len(quantities) + len(others))
