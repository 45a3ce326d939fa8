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
