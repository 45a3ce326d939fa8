"""Where children were held back apart from their parents, the numbers of children before come back."""

from collections.abc import Callable

import numpy as np
import pytest

from twinlake.generators.thinning import Split, unthinned
from twinlake.random import stream

Draw = Callable[[np.random.Generator, int], np.ndarray]
WORLDS: dict[str, tuple[Draw, float]] = {
    "always one": (lambda r, n: np.ones(n, np.int64), 0.99),
    "always three": (lambda r, n: np.full(n, 3), 0.99),
    "none, one or two": (lambda r, n: r.choice(3, n, p=[0.43, 0.5, 0.07]), 0.98),
    "none or five": (lambda r, n: r.choice([0, 5], n, p=[0.7, 0.3]), 0.98),
    "up to six": (lambda r, n: r.integers(0, 7, n), 0.93),
    "many small": (lambda r, n: r.geometric(0.25, n) - 1, 0.96),
    "around eight": (lambda r, n: r.poisson(8, n), 0.95),
}


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """1 - the total variation distance of two histograms."""
    size = int(max(one.max(), other.max())) + 1
    shares = [np.bincount(c, minlength=size) / len(c) for c in (one, other)]
    return float(1 - np.abs(shares[0] - shares[1]).sum() / 2)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("share", [0.8, 0.5])
def test_the_numbers_before_come_back(world: str, share: float) -> None:
    draw, needed = WORLDS[world]
    before = draw(stream(1), 2000)
    left = stream(2).binomial(before, share)
    found = unthinned(left, left.sum() / before.sum(), stream(3))
    assert alike(found, before) > needed - (0.06 if share == 0.5 else 0)
    assert alike(found, before) > alike(left, before)
    assert found.sum() == pytest.approx(before.sum(), rel=0.01)


def test_large_numbers_are_divided_by_the_share() -> None:
    before = stream(1).integers(500, 90_000, 300)
    found = unthinned(stream(2).binomial(before, 0.8), 0.8, stream(3))
    assert np.abs(found / before - 1).max() < 0.1


def test_no_number_is_above_what_it_can_be() -> None:
    found = unthinned(np.array([0] * 60 + [1] * 40), 0.5, stream(1), most=1)
    assert found.max() == 1
    assert found.sum() == 80


def test_nothing_is_made_of_nothing() -> None:
    assert unthinned(np.zeros(5, np.int64), 0.8, stream(1)).tolist() == [0] * 5
    assert unthinned(np.zeros(0, np.int64), 0.8, stream(1)).tolist() == []
    assert unthinned(np.array([3]), 0.8, stream(1)).tolist() in ([3], [4])


def split(children: np.ndarray, units: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Parents of the children whose units were kept, and these units."""
    kept = (stream(4).random(int(units.max()) + 1) < share)[units]
    return children[kept], units[kept].astype(np.uint64)


def test_children_that_go_together_are_told_as_such() -> None:
    """Half of the parents have four children of two units, half have none."""
    parents, units = np.repeat(np.arange(0, 2000, 2), 4), np.repeat(np.arange(2000), 2)
    at, of = split(parents, units, 0.8)
    found = Split(len(at) / 4000, of, None).before(at, 2000, stream(1))
    assert alike(found, np.bincount(parents, minlength=2000)) > 0.97


def test_children_of_their_parents_unit_are_all_there() -> None:
    parents = np.repeat(np.arange(500), 3)
    owners = np.arange(500, dtype=np.uint64)
    found = Split(0.8, owners[parents], owners).before(parents, 500, stream(1))
    assert found.tolist() == [3] * 500


def test_some_children_come_with_the_parent_and_some_apart() -> None:
    """Each parent has one child of its own unit, and none or two of others."""
    own, others = np.arange(1000), np.repeat(np.arange(0, 1000, 2), 2)
    at, units = split(others, 1000 + np.arange(1000), 0.8)
    at, units = np.append(own, at), np.append(own.astype(np.uint64), units)
    found = Split(0.8, units, own.astype(np.uint64)).before(at, 1000, stream(1))
    assert alike(found, np.resize([3, 1], 1000)) > 0.97


def test_nobodys_children_and_children_of_no_parent_change_nothing() -> None:
    at = np.array([0, 0, 1, -1])
    assert Split(0.5, None, None).before(at, 3, stream(1)).tolist() == [2, 1, 0]
    assert Split().before(at, 3, stream(1)).tolist() == [2, 1, 0]
    assert Split(0.8, np.zeros(4, np.uint64), None).before(np.full(4, -1), 3, stream(1)).tolist() == [0, 0, 0]
