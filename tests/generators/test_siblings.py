"""Siblings: rows of a parent lie together, rows without one are alone, long runs are cut."""

import numpy as np
import pytest

from twinlake.generators.siblings import MOST, Siblings


def runs(*parents: int) -> list[int]:
    return Siblings.of(np.array(parents, np.int64)).sizes.tolist()


def test_rows_of_a_parent_are_a_run() -> None:
    assert runs(4, 4, 0, 7, 7, 7) == [2, 1, 3]
    assert Siblings.of(np.array([4, 4, 0, 7])).starts.tolist() == [0, 2, 3, 4]


def test_rows_without_a_parent_are_alone() -> None:
    assert runs(3, 3, -1, -1, -1) == [2, 1, 1, 1]
    assert runs(-1) == [1]
    assert Siblings.alone(3).sizes.tolist() == [1, 1, 1]


def test_no_rows_have_no_runs() -> None:
    for none in (Siblings.of(np.empty(0, np.int64)), Siblings.alone(0)):
        assert none.starts.tolist() == [0]
        assert none.sizes.tolist() == []


@pytest.mark.parametrize(
    ("rows", "sizes"), [(MOST, [MOST]), (MOST + 1, [MOST, 1]), (2 * MOST, [MOST] * 2), (2 * MOST + 5, [MOST, MOST, 5])]
)
def test_a_long_run_is_cut_into_full_ones_and_a_rest(rows: int, sizes: list[int]) -> None:
    assert runs(*[1] * rows, 2, 2) == [*sizes, 2]
    assert runs(0, *[1] * rows) == [1, *sizes]


def test_taken_runs_come_with_all_their_rows() -> None:
    siblings = Siblings.of(np.array([5, 5, 2, 8, 8, 8]))
    rows, taken = siblings.take(np.array([2, 0]))
    assert rows.tolist() == [3, 4, 5, 0, 1]
    assert taken.starts.tolist() == [0, 3, 5]
    rows, taken = siblings.take(np.empty(0, np.int64))
    assert rows.tolist() == []
    assert taken.starts.tolist() == [0]
