"""Child counts keep their shape, tell no single parent, and sum to what is asked."""

import json

import numpy as np
import pytest

from twinlake.generators.degrees import Degrees, exactly
from twinlake.random import stream


def test_a_count_that_few_parents_have_is_not_told() -> None:
    counts = np.array([0] * 50 + [1] * 40 + [2] * 30 + [3] * 4 + [977], dtype=np.int64)
    degrees = Degrees.learn(counts, 10)
    assert min(degrees.parents) >= 10
    assert 977 not in degrees.low
    assert json.dumps(degrees.to_json()).count("977") == 0


def test_drawn_counts_keep_their_shares() -> None:
    counts = np.repeat(np.arange(4), [500, 300, 150, 50])
    drawn = Degrees.learn(counts, 10).draw(10_000, stream(1))
    assert np.abs(np.bincount(np.minimum(drawn, 4), minlength=5)[:3] / 10_000 - [0.5, 0.3, 0.15]).max() < 0.02


def test_few_parents_give_their_mean_only() -> None:
    degrees = Degrees.learn(np.array([0, 7, 8]), 10)
    assert degrees.low == (0,)
    assert degrees.mean == (5.0,)
    assert Degrees.learn(np.array([], dtype=np.int64), 10).draw(3, stream(1)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("total", [0, 1, 80, 250, 300])
def test_counts_sum_to_the_total_under_their_caps(total: int) -> None:
    counts = stream(2).integers(0, 4, 100)
    moved = exactly(counts, total, caps=np.full(100, 3), rng=stream(3))
    assert moved.sum() == total
    assert moved.min() >= 0
    assert moved.max() <= 3


def test_parents_without_children_stay_so_where_possible() -> None:
    counts = np.array([0, 0, 5, 5])
    assert exactly(counts, 18, caps=np.full(4, 100), rng=stream(1))[:2].tolist() == [0, 0]


def test_degrees_survive_json() -> None:
    degrees = Degrees.learn(np.repeat(np.arange(9), 11), 10)
    assert Degrees.from_json(json.loads(json.dumps(degrees.to_json()))) == degrees


def test_a_few_parents_with_more_do_not_blur_what_the_others_have() -> None:
    counts = np.array([2] * 3 + [3] * 900 + [9] * 2, dtype=np.int64)
    degrees = Degrees.learn(counts, 10)
    assert min(degrees.parents) >= 10
    assert sum(degrees.parents) == len(counts)
    assert not {2, 9}.intersection(degrees.low)
    assert (degrees.draw(905, stream(1)) == 3).mean() > 0.97


@pytest.mark.parametrize("parents", [60, 4000])
def test_drawn_counts_keep_their_sum(parents: int) -> None:
    counts = stream(4).geometric(0.03, 500) - 1
    drawn = Degrees.learn(counts, 10).draw(parents, stream(1))
    assert drawn.mean() == pytest.approx(counts.mean(), rel=0.06 if parents == 60 else 0.01)


@pytest.mark.parametrize("times", [0.1, 10])
def test_children_of_as_many_parents_grow_and_shrink_alike(times: float) -> None:
    counts = np.repeat([0, 10, 30], 100)
    moved = exactly(counts, round(4000 * times), caps=np.full(300, 10**6), rng=stream(1))
    assert moved.reshape(3, 100).mean(axis=1) == pytest.approx(np.array([0, 10, 30]) * times, rel=0.15)
    assert times < 1 or moved.tolist() == (counts * 10).tolist()


def test_wide_bins_keep_their_mean() -> None:
    degrees = Degrees(low=(0, 5, 1_000_005), mean=(0.0, 300_000.0, 1_000_005.0), parents=(10, 20, 10))
    drawn = degrees.draw(4000, stream(1))
    inner = drawn[(drawn > 0) & (drawn < 1_000_005)]
    assert len(inner) == pytest.approx(2000, abs=10)
    assert inner.mean() == pytest.approx(300_000, rel=0.01)
    assert inner.min() >= 5
