"""What leaves keep of their rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinlake.generators.forest.bag import Bag, Growth, Looks, Target, loops
from twinlake.generators.forest.segments import UNIT, Axis, segments
from twinlake.random import stream

DRAWS = 200_000


def growth(**settings) -> Growth:
    chosen = {"trees": 1, "share": 1.0, "min_leaf": 10, "depth": 14, "penalty": 0.0, "groups": 8, "smoothing": 3}
    return Growth(**(chosen | settings))


def shares_drawn(y, points, *, smoothing=3) -> np.ndarray:
    """The share of each state that a leaf with the rows `y` draws."""
    none = np.zeros(len(points), np.bool_)
    target = Target(np.asarray(y, np.int32), none, np.asarray(points), ordinal=True)
    nothing = Looks.over(np.empty((len(y), 0), np.int32), [], [])
    leaf = Bag.grow(target, nothing, np.arange(len(y)), growth=growth(smoothing=smoothing), rng=stream(0))
    drawn = leaf.draw(np.zeros((DRAWS, 1), np.int32), stream(1))
    return np.bincount(drawn, minlength=len(points)) / DRAWS


def two_leaves(first, second, points, *, smoothing=3) -> tuple[np.ndarray, np.ndarray]:
    """The shares of each state that each of two leaves draws."""
    y = np.r_[first, second].astype(np.int32)
    leaf = np.r_[np.zeros(len(first)), np.ones(len(second))].astype(np.int32)
    order = np.argsort(y, kind="stable")
    axis = Axis.of(np.bincount(y, minlength=len(points)), np.asarray(points))
    found = segments(leaf[order], y[order], axis, smoothing=smoothing)
    nodes = np.array([1 << 16, 255 << 8, 1 << 16 | 255 << 8], np.uint32)  # left where the only rank is 0
    bag = Bag(
        inputs=np.zeros(1, np.int32), ranks=np.arange(2, dtype=np.uint8), rank_starts=np.array([0, 2], np.int32),
        nodes=nodes, roots=np.zeros(1, np.int32), leaf_roots=np.zeros(1, np.int32),
        leaf_starts=found.starts.astype(np.int32), segments=found.kept, axis=axis.starts,
    )  # fmt: skip
    both = [bag.draw(np.full((DRAWS, 1), side, np.int32), stream(side)) for side in (0, 1)]
    return tuple(np.bincount(drawn, minlength=len(points)) / DRAWS for drawn in both)


def test_points_are_drawn_as_often_as_rows_hold_them_and_nothing_else_is():
    y = np.repeat([0, 3, 4, 9], [10, 200, 3, 787])
    drawn = shares_drawn(y, np.ones(12, np.bool_))
    assert set(np.flatnonzero(drawn)) == {0, 3, 4, 9}
    assert drawn == pytest.approx(np.bincount(y, minlength=12) / 1_000, abs=0.005)


@pytest.mark.parametrize("smoothing", [1, 3, 40])
def test_a_leaf_of_all_rows_draws_states_as_often_as_they_are(smoothing):
    y = np.sort(stream(2).integers(0, 60, 4_000) ** 2 // 60)
    drawn = shares_drawn(y, np.zeros(60, np.bool_), smoothing=smoothing)
    assert drawn == pytest.approx(np.bincount(y, minlength=60) / 4_000, abs=0.004)


def test_a_stretch_draws_states_as_often_as_all_rows_have_them():
    few, many = np.array([20, 21, 26, 27, 28, 29]), np.repeat(np.arange(50), np.where(np.arange(50) % 2, 10, 30))
    drawn = two_leaves(few, many, np.zeros(50, np.bool_), smoothing=6)[0]
    inner = np.arange(21, 29)
    ratio = drawn[inner][inner % 2 == 0].sum() / drawn[inner][inner % 2 == 1].sum()
    assert ratio == pytest.approx(3, abs=0.35)  # as many rows as have them, the leaf's own included
    assert drawn[inner].all()  # also states of which the leaf has no row


def test_a_leaf_draws_nothing_far_from_its_rows():
    every_other = np.arange(40, 61, 2)
    drawn = two_leaves(every_other, np.arange(100).repeat(200), np.zeros(100, np.bool_))[0]
    assert drawn[:39].sum() == drawn[62:].sum() == 0  # half a gap between its rows beyond the first and the last
    assert drawn[39] > 0 < drawn[61]
    assert drawn[41:60].min() > 0.02


def test_stretches_meet_halfway_between_rows():
    drawn = two_leaves([10, 20, 30], np.arange(40).repeat(100), np.zeros(40, np.bool_), smoothing=1)[0]
    halfway = [drawn[:at].sum() + drawn[at] / 2 for at in (15, 25)]
    assert halfway == pytest.approx([1 / 3, 2 / 3], abs=0.03)


def test_rows_of_one_state_are_kept_as_one_segment():
    y, leaf = np.full(500, 7, np.int32), np.zeros(500, np.int32)
    axis = Axis.of(np.bincount(y, minlength=9), np.zeros(9, np.bool_))
    assert segments(leaf, y, axis, smoothing=3).kept.tolist() == [[7, 500, 0, 0]]


def test_a_point_is_never_drawn_by_a_stretch_over_it():
    points = np.arange(30) == 15
    few = np.repeat([10, 11, 12, 13, 14, 16, 17, 18, 19], 3)
    drawn = two_leaves(few, np.arange(30).repeat(50), points)
    assert drawn[0][15] == 0
    assert drawn[0][14] > 0 < drawn[0][16]


def test_a_mixture_of_points_and_stretches_keeps_their_shares():
    points = np.arange(40) == 0
    y = np.r_[np.zeros(600), stream(0).integers(1, 40, 400)].astype(int)
    assert shares_drawn(np.sort(y), points)[0] == pytest.approx(0.6, abs=0.005)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 400),
    st.integers(1, 12),
    st.integers(1, 80),
    st.integers(1, 50),
    st.booleans(),
)
def test_segments_cover_each_leaf_and_stay_on_the_axis(seed, rows, leaves, states, smoothing, lumpy):
    rng = stream(seed)
    y = np.sort(rng.integers(0, states, rows) if not lumpy else np.minimum(rng.geometric(0.3, rows), states) - 1)
    leaf = np.unique(rng.integers(0, leaves, rows), return_inverse=True)[1]
    points = rng.random(states) < 0.3
    axis = Axis.of(np.bincount(y, minlength=states), points)
    found = segments(leaf.astype(np.int32), y.astype(np.int32), axis, smoothing=smoothing)
    assert len(found.starts) == leaf.max() + 2
    assert found.starts[-1] == len(found.kept)
    for i in range(leaf.max() + 1):
        state, ends, low, width = found.kept[found.starts[i] : found.starts[i + 1]].T
        own = y[leaf == i]
        assert np.all(np.diff(ends, prepend=0) > 0)
        assert ends[-1] == len(own)
        for s in np.unique(state[state >= 0]):
            if points[s]:
                assert np.diff(ends, prepend=0)[state == s].tolist() == [np.count_nonzero(own == s)]
        smooth = state < 0
        assert np.all(low[smooth] >= 0)
        assert np.all(low[smooth] + width[smooth] <= axis.starts[-1])
        assert np.all(axis.starts[-1 - state[smooth]] <= low[smooth])
        assert np.all(low[smooth] < axis.starts[-state[smooth]])
        stretches = np.sort(low[smooth])
        assert np.array_equal(stretches, low[smooth])  # in order
        assert np.all(low[smooth][:-1] + width[smooth][:-1] <= low[smooth][1:])  # and none over another


def test_lengths_on_the_axis_are_rows():
    axis = Axis.of(np.array([5, 0, 7, 2]), np.array([False, False, True, False]))
    assert axis.starts.tolist() == [0, 5 * UNIT, 5 * UNIT, 5 * UNIT, 7 * UNIT]


@pytest.mark.parametrize("penalty", [0.0, 1.5])
@pytest.mark.parametrize("each", [1, 10])
def test_no_leaf_is_grown_from_fewer_units_than_asked(each, penalty):
    rng = stream(0)
    codes = np.asfortranarray(rng.integers(0, 200, (4_000, 2)), np.int32)
    y = ((codes[:, 0] + codes[:, 1]) // 8).astype(np.int32)
    units = rng.permutation(np.repeat(np.arange(4_000 // each), each))
    none = np.zeros(50, np.bool_)
    looks = Looks.over(codes, [0, 1], [np.arange(200, dtype=np.uint8)] * 2)
    bag = Bag.grow(
        Target(y, none, none, ordinal=True), looks, units,
        growth=growth(min_leaf=60, penalty=penalty), rng=stream(1),
    )  # fmt: skip
    leaf = loops().leaves_of(bag.nodes, looks.values, np.arange(4_000))
    held = [len(np.unique(units[leaf == i])) for i in range(leaf.max() + 1)]
    assert len(held) > 4
    assert min(held) >= 60


def test_one_unit_with_many_rows_has_no_leaf_of_its_own():
    x = np.r_[np.zeros(1_000), np.ones(100)].astype(np.int32)
    y = np.r_[np.arange(1_000) % 2, np.full(100, 2)].astype(np.int32)
    units = np.r_[np.arange(1_000), np.full(100, 1_000)]  # one unit holds all rows with x = 1, and alone has y = 2
    codes = np.asfortranarray(np.c_[x, y])
    none = np.zeros(3, np.bool_)
    bag = Bag.grow(
        Target(y, none, ~none, ordinal=False), Looks.over(codes, [0], [np.arange(2, dtype=np.uint8)]), units,
        growth=growth(), rng=stream(0),
    )  # fmt: skip
    ones = bag.draw(np.ones((5_000, 2), np.int32), stream(1))
    assert np.mean(ones == 2) == pytest.approx(100 / 1_100, abs=0.02)
