"""The compiled loops over pairs of rows give what the ones in numpy give."""

import numpy as np
import pyarrow as pa
import pytest
from dealt import cells, dealt, learnt, people, with_copies

from twinlake.privacy import pairs, plain

UNITS = dealt(120, 0, rows=3)
TWIN = with_copies(people(250, 1), learnt(UNITS, 4))
KNOWN, TWINS = cells(UNITS, TWIN)
RADII = plain.among(KNOWN, UNITS.unit, np.arange(len(UNITS.unit)), np.array([5, 20]))[0]

pytestmark = pytest.mark.skipif(not pairs.COMPILED, reason="there is no numba here")


def same(found, expected) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_the_world_has_what_could_differ():
    assert UNITS.rows["income"].null_count
    assert UNITS.rows["region"].null_count
    assert KNOWN.cells.codes.shape[1] == KNOWN.cells.ranks.shape[1] == 3
    assert (KNOWN.parents >= 0).any()
    assert (np.bincount(UNITS.unit) == 3).all()


def test_each_row_against_all_twins():
    same(pairs.towards(KNOWN, TWINS, RADII), plain.towards(KNOWN, TWINS, RADII))


def test_each_row_against_rows_of_other_units():
    ks = np.array([1, 5, 20])
    for rows in (np.arange(len(UNITS.unit)), np.arange(0, len(UNITS.unit), 3)):
        same(pairs.among(KNOWN, UNITS.unit, rows, ks), plain.among(KNOWN, UNITS.unit, rows, ks))


def test_fewer_neighbours_than_are_asked_for_are_infinitely_far():
    few = dealt(4, 2, rows=2)
    known, _ = cells(few, TWIN)
    everyone = np.arange(len(few.unit))
    found = pairs.among(known, few.unit, everyone, np.array([5, 20]))
    same(found, plain.among(known, few.unit, everyone, np.array([5, 20])))
    assert np.isfinite(found[0][:, 0]).all()
    assert np.isinf(found[0][:, 1]).all()


def test_the_unit_that_explains_each_twin():
    found = pairs.owners(KNOWN, UNITS.unit, TWINS)
    same(found, plain.owners(KNOWN, UNITS.unit, TWINS))
    mine = np.flatnonzero(UNITS.members)[:4].repeat(3)
    assert (UNITS.unit[found[0][:, :12]] == mine).all()  # copies are nearest to whom they are copied from
    assert (found[1][:2, :12, 0] == 0).all()


def test_rows_that_are_alike_explain_a_twin_equally():
    rows = UNITS.rows.slice(0, 1)
    both = dealt(2, 0)
    twice = type(both)(pa.concat_tables([rows, rows]), both.unit, both.members, both.names)
    known, twins = cells(twice, rows)
    found = pairs.owners(known, twice.unit, twins)
    same(found, plain.owners(known, twice.unit, twins))
    assert (found[1][..., 0] == found[1][..., 1]).all()


def test_twins_are_shared_by_the_rows_that_are_nearest_to_them():
    found = pairs.crowds(KNOWN, TWINS)
    np.testing.assert_array_equal(found, plain.crowds(KNOWN, TWINS))
    assert found.sum() == pytest.approx(len(TWINS))
    rows = pa.concat_tables([UNITS.rows, UNITS.rows])
    known, twins = cells(type(UNITS)(rows, UNITS.unit.repeat(2), UNITS.members, UNITS.names), TWIN)
    twice = pairs.crowds(known, twins)
    np.testing.assert_array_equal(twice[: len(found)], twice[len(found) :])


@pytest.mark.parametrize("most", [0, 1, 2])
def test_coincidences_with_twins_and_with_other_units(most):
    nobody = np.full(len(TWINS), -1)
    for twins, unit in ((TWINS, nobody), (KNOWN.cells, UNITS.unit)):
        found = pairs.coincide(KNOWN, UNITS.unit, twins, unit, most)
        expected = plain.coincide(KNOWN, UNITS.unit, twins, unit, most)
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_twin_that_is_nearest_in_all_other_columns():
    same([pairs.without_each(KNOWN.cells, TWINS)], [plain.without_each(KNOWN.cells, TWINS)])


def test_the_twins_that_are_nearest_in_either_half():
    halves = np.array([np.random.default_rng(i).permutation(np.arange(6) % 2) for i in range(4)], np.int8)
    found = pairs.linked(KNOWN.cells, TWINS, halves)
    same([found], [plain.linked(KNOWN.cells, TWINS, halves)])
    assert (found[: 3 * 4] > 0).any()
    few = KNOWN.cells.at(np.arange(5))
    assert (pairs.linked(few, few, halves) >= 0.5).all()  # each is its own twin; two are alike in one half


def test_of_twins_that_are_as_near_one_is_drawn_for_each_half():
    rows = KNOWN.cells.at(np.array([7, 7]))
    halves = np.array([[0, 1, 0, 1, 0, 1]], np.int8)
    assert pairs.linked(rows, rows, halves).tolist() == [[0.5], [0.5]]
