"""Links dealt by class: every parent has exactly its number, classes keep to theirs, rows know their number alone."""

import numpy as np
import pytest

from twinlake.generators.deals import Deal, settled

LINKS = np.array([[90.0, 0.0, 10.0], [0.0, 60.0, 0.0], [10.0, 10.0, 10.0]])  # the last of each: no parent


def world(seed: int = 0) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], int]:
    rng = np.random.default_rng(seed)
    lead, second = rng.integers(0, 2, 40), rng.integers(0, 2, 25)
    left, right = rng.integers(0, 9, 40), rng.integers(0, 9, 25)
    rows = int(max(left.sum(), right.sum())) + 12
    return (lead, np.cumsum(left)), (second, np.cumsum(right)), rows


def leading(ends: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    at = np.searchsorted(ends, numbers.astype(np.int64), side="right")
    return np.where(at < len(ends), at, -1)


@pytest.mark.parametrize("seed", range(5))
def test_every_parent_has_exactly_its_links(seed: int) -> None:
    lead, second, rows = world(seed)
    numbers = np.arange(rows, dtype=np.uint64)
    at, blank = Deal.plan(LINKS, lead, second, rows=rows, key=7).pick(numbers, leading(lead[1], numbers))
    degrees = np.diff(second[1], prepend=0)
    assert np.bincount(at[~blank], minlength=25).tolist() == degrees.tolist()
    assert blank.sum() == rows - degrees.sum()


def test_a_row_depends_on_its_own_number_alone() -> None:
    lead, second, rows = world()
    deal = Deal.plan(LINKS, lead, second, rows=rows, key=7)
    numbers = np.arange(rows, dtype=np.uint64)
    whole, blank = deal.pick(numbers, leading(lead[1], numbers))
    for part in np.array_split(numbers, 4):
        at, nowhere = deal.pick(part, leading(lead[1], part))
        assert at[~nowhere].tolist() == whole[part][~nowhere].tolist()
        assert nowhere.tolist() == blank[part].tolist()


def test_classes_of_rows_get_the_links_that_go_with_them() -> None:
    rng = np.random.default_rng(1)
    lead, second = rng.integers(0, 2, 400), rng.integers(0, 2, 200)
    ends = np.cumsum(np.full(400, 5)), np.cumsum(np.full(200, 10))
    like = np.array([[80.0, 20.0, 0.0], [20.0, 80.0, 0.0], [0.0, 0.0, 0.0]])
    numbers = np.arange(2000, dtype=np.uint64)
    deal = Deal.plan(like, (lead, ends[0]), (second, ends[1]), rows=2000, key=3)
    at, _ = deal.pick(numbers, leading(ends[0], numbers))
    same = (lead[np.arange(2000) // 5] == second[at]).mean()
    assert same == pytest.approx(0.8, abs=0.03)


def test_swapping_leaves_the_numbers_of_links_as_they_are_and_gives_classes_theirs() -> None:
    rng = np.random.default_rng(2)
    lead, second = rng.integers(0, 2, 300), np.repeat([0, 1], 100)
    left, right = np.full(300, 20), rng.multinomial(6000, np.r_[np.full(100, 0.003), np.full(100, 0.007)])
    like = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    ends = settled(like, (lead, np.cumsum(left)), (second, np.cumsum(right)), rows=6000)
    after = np.diff(ends, prepend=0)
    assert sorted(after) == sorted(right)
    wanted = np.bincount(lead, weights=left)
    assert np.bincount(second, weights=after) == pytest.approx(wanted, abs=3)
