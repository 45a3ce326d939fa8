"""The tree joins columns that tell of each other, and a lift leaves out the row it is asked for."""

import numpy as np
import pytest

from twinlake.privacy.likely import SMOOTHED, lifts, tree
from twinlake.random import stream


def bins(n: int = 2000) -> np.ndarray:
    """A column, one that follows it, one that follows the second, and one by itself."""
    rng = stream(0, "bins")
    first = rng.integers(0, 5, n)
    second = np.where(rng.random(n) < 0.8, first, rng.integers(0, 5, n))
    third = np.where(rng.random(n) < 0.8, second, rng.integers(0, 5, n))
    return np.column_stack([first, second, third, rng.integers(0, 5, n)]).astype(np.int32)


def joined(codes: np.ndarray) -> set[frozenset[int]]:
    return {frozenset((c, int(p))) for c, p in enumerate(tree(codes)) if p >= 0}


def test_each_column_is_joined_to_the_one_that_tells_most_of_it():
    found = joined(bins())
    assert found >= {frozenset((0, 1)), frozenset((1, 2))}
    assert frozenset((0, 2)) not in found  # it knows no more than the one between them


def test_many_labels_look_no_more_telling_than_they_are():
    rng = stream(1, "noise")
    first = rng.integers(0, 2, 3000)
    second = np.where(rng.random(3000) < 0.3, first, rng.integers(0, 2, 3000))
    noise = rng.integers(0, 40, (3000, 3))  # chance alone tells more of these, unless its part is taken off
    assert frozenset((0, 1)) in joined(np.column_stack([first, second, noise]).astype(np.int32))


@pytest.mark.parametrize("shape", [(0, 3), (10, 1), (10, 0)])
def test_where_there_is_nothing_to_join_nothing_is(shape):
    assert tree(np.zeros(shape, np.int32)).tolist() == [-1] * shape[1]


def test_a_lift_is_how_much_likelier_the_cell_is_among_the_others_with_its_parents():
    codes, parents = bins(300), np.array([-1, 0, 1, -1])
    found = lifts(codes, parents)
    for row in (0, 17, 250):
        for column, parent in ((1, 0), (2, 1)):
            others = np.delete(codes, row, axis=0)
            alike = others[others[:, parent] == codes[row, parent]]
            share = (codes[:, column] == codes[row, column]).mean()
            hits = (alike[:, column] == codes[row, column]).sum()
            assert found[row, column] == pytest.approx((hits + SMOOTHED * share) / (len(alike) + SMOOTHED) / share)
    assert (found[:, [0, 3]] == 1).all()


def test_a_pair_that_one_row_alone_has_is_not_made_likelier_by_it():
    codes = np.array([[0, 0]] * 100 + [[1, 1]] * 100 + [[0, 1]], dtype=np.int32)
    assert lifts(codes, np.array([-1, 0]))[-1, 1] < 0.1
