"""The compiled loops and their twins in numpy give the same integers."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinlake.generators.forest import bag as bags
from twinlake.generators.forest import compiled, plain
from twinlake.generators.forest.bag import Bag, Growth, Looks, Target
from twinlake.generators.forest.discriminator import Boosting, discriminate
from twinlake.random import stream

ROWS = (40, 300, 511, 512, 513, 1_500)  # nodes below 512 rows look at coarser ranks


class World:
    """Codes of some columns and a target that goes with the first, made from one seed."""

    def __init__(self, seed, rows, ordinal, *, features=3, sizes=(5, 40, 256), states=30, repeated=False) -> None:
        rng = stream(seed, "world")
        self.rng, self.ordinal = rng, ordinal
        self.sizes = [sizes[i % len(sizes)] for i in range(features)]
        self.codes = np.asfortranarray(np.stack([rng.integers(0, s, rows) for s in self.sizes], 1), np.int32)
        told = self.codes[:, 0] * states // self.sizes[0] + self.codes[:, -1] * states // self.sizes[-1]
        noise = rng.geometric(0.6, rows)
        self.y = ((told + noise) % states).astype(np.int32)
        self.apart = rng.random(states) < (0.15 if ordinal else 0.0)
        self.points = self.apart | (rng.random(states) < 0.3) if ordinal else np.ones(states, np.bool_)
        held = max(rows // 4, 1)
        self.units = np.unique(rng.integers(0, held, rows), return_inverse=True)[1] if repeated else np.arange(rows)
        self.ranks = [rng.permutation(s).astype(np.uint8) if rng.random() < 0.5 else self.bins(s) for s in self.sizes]

    @staticmethod
    def bins(size):
        """Ranks of an ordered column, two codes each."""
        return (np.arange(size) // 2).astype(np.uint8)

    @property
    def looks(self) -> Looks:
        return Looks.over(self.codes, list(range(len(self.sizes))), self.ranks)

    def trees(self, **growth) -> list[np.ndarray]:
        """The same tree by both."""
        chosen = {"min_leaf": 10, "depth": 12, "groups": 8, "penalty": 1.5} | growth
        rows = np.sort(self.rng.choice(len(self.y), max(len(self.y) * 3 // 4, 1), replace=False))
        several = self.units if self.units.max() + 1 < len(self.units) else self.units[:0]
        return [
            loops.grow(
                self.looks.values, self.y, self.apart, self.ordinal, rows, several, chosen["min_leaf"],
                chosen["depth"], chosen["groups"], chosen["penalty"], bags._logs(len(rows)),
            )
            for loops in (compiled, plain)
        ]  # fmt: skip


worlds = st.builds(
    World,
    st.integers(0, 2**32),
    st.sampled_from(ROWS),
    st.booleans(),
    features=st.integers(1, 5),
    states=st.sampled_from([2, 3, 30, 400]),
    repeated=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(
    worlds,
    st.sampled_from([1, 10, 60]),
    st.sampled_from([1, 4, 16]),
    st.sampled_from([2, 8, 33]),
    st.sampled_from([0.0, 0.3, 1.5, 6.0]),
)
@example(World(0, 1_500, ordinal=True), 10, 16, 8, 0.0)
@example(World(0, 1_500, ordinal=False, repeated=True), 10, 16, 8, 0.0)
def test_both_grow_the_same_tree_and_find_the_same_leaves(world, min_leaf, depth, groups, penalty):
    fast, slow = world.trees(min_leaf=min_leaf, depth=depth, groups=groups, penalty=penalty)
    assert fast.dtype == slow.dtype == np.uint32
    assert np.array_equal(fast, slow)
    order = np.argsort(world.y, kind="stable")
    fast, slow = (loops.leaves_of(fast, world.looks.values, order) for loops in (compiled, plain))
    assert fast.dtype == slow.dtype == np.int32
    assert np.array_equal(fast, slow)


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("ordinal", [False, True])
def test_worlds_grow_trees_worth_comparing(ordinal, repeated):
    tree = World(0, 1_500, ordinal, repeated=repeated).trees()[0]
    assert len(tree) > 20
    assert len(set((tree >> 8 & 255).tolist())) > 2  # features, and leaves


@settings(max_examples=80, deadline=None)
@given(worlds, st.sampled_from([1, 5, 16]), st.sampled_from([1, 3, 40]), st.sampled_from([16, 48, 256]), st.integers())
def test_both_draw_the_same_states(world, trees, smoothing, run, seed):
    growth = Growth(trees=trees, share=0.5, min_leaf=10, depth=10, penalty=0.5, groups=8, smoothing=smoothing)
    target = Target(world.y, world.apart, world.points, world.ordinal)
    grown = Bag.grow(target, world.looks, world.units, growth=growth, rng=stream(0))
    packed = (grown.nodes, grown.roots, grown.leaf_roots, grown.leaf_starts, grown.segments, grown.axis)
    codes = np.asfortranarray(world.codes[stream(1).integers(0, len(world.codes), 997)])
    out = np.full((2, len(codes)), -1, np.int32)
    for loops, mine in zip((compiled, plain), out, strict=True):
        loops.draw(packed, codes, grown.inputs, grown.ranks, grown.rank_starts, np.uint64(seed % 2**64), run, mine)
    assert np.array_equal(*out)
    assert np.isin(out[0], np.arange(len(world.points))).all()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 255, 256, 257, 1_003]))
def test_both_score_the_same(seed, rows):
    rng = stream(seed, "score")
    real, drawn = (rng.integers(0, 50, (400, 4)).astype(np.int32) for _ in "ab")
    real[:, 1] = real[:, 0]
    judge = discriminate(real, drawn, Boosting(trees=5, min_leaf=10), rng=rng)
    codes = np.asfortranarray(rng.integers(0, 60, (rows, 4)), np.int32)
    out = np.ones((2, rows))
    for loops, mine in zip((compiled, plain), out, strict=True):
        loops.score(codes, judge.columns, judge.roots, judge.depths, judge.nodes, judge.values, mine)
    assert np.array_equal(*out)
    assert rows == 1 or len(set(out[0])) > 1
