"""A bag that draws only some of a column's states, or some of them more readily, and tells how likely it was to."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from twinlake.generators.forest.bag import Bag, loops
from twinlake.generators.states.alphabet import Codes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_MOST = 2.0**61  # masses are whole numbers, so that small ones beside large ones are exact


@dataclass(frozen=True, slots=True)
class Narrow:
    """A bag whose leaves count each state by a factor.

    Attributes:
        bag: as it was learnt.
        factors: of each state, 0 to 1, shape (states,).
        across: the length of the axis up to each state, counted by factors, shape (states + 1,).
        masses: of all segments before each, counted by factors, shape (segments + 1,).
        shares: of each leaf, what the factors leave of it, 0 to 1.
    """

    bag: Bag
    factors: Floats
    across: Floats
    masses: Ints
    shares: Floats

    @classmethod
    def of(cls, bag: Bag, factors: Floats) -> Self:
        """The bag with these factors, shape (states,)."""
        across = np.concatenate([[0.0], np.cumsum(factors * np.diff(bag.axis))])
        states, rows, low, wide = (bag.segments[:, i].astype(np.int64) for i in range(4))
        rows = np.diff(rows, prepend=0)
        rows[bag.leaf_starts[:-1]] = bag.segments[bag.leaf_starts[:-1], 1]
        low_at, high_at = (_across(bag.axis, factors, across, at) for at in (low, low + wide))
        left = np.where(states >= 0, factors[np.maximum(states, 0)], (high_at - low_at) / np.maximum(wide, 1))
        scale = _MOST / max(float(rows.sum()), 1.0)
        masses = np.concatenate([[0], np.cumsum(np.rint(rows * left * scale).astype(np.int64))])
        whole = bag.segments[bag.leaf_starts[1:] - 1, 1] * scale
        return cls(bag, factors, across, masses, np.diff(masses[bag.leaf_starts]) / whole)

    def draw(self, codes: Codes, rng: np.random.Generator) -> tuple[Codes, Floats]:
        """A state for each row of `codes`, and how likely the row was to have one by the factors, each shape (rows,).

        All trees are asked, and one is taken by how much the factors leave of its leaf. Where that is nothing in any
        of them, the likelihood is 0 and the state means nothing.
        """
        leaf = leaves(self.bag, codes)
        ends = np.cumsum(self.shares[leaf], axis=0)
        rows = np.arange(leaf.shape[1])
        tree = (ends <= rng.random(len(rows)) * ends[-1]).sum(axis=0)
        mine = leaf[np.minimum(tree, len(leaf) - 1), rows]
        start, stop = (self.masses[self.bag.leaf_starts[mine + i]] for i in (0, 1))
        at = start + np.minimum((rng.random(len(rows)) * (stop - start)).astype(np.int64), stop - start - 1)
        segment = np.minimum(np.searchsorted(self.masses, at, side="right") - 1, len(self.bag.segments) - 1)
        states = self._states(segment, rng)
        likely = np.where((stop > start) & (self.factors[states] > 0), ends[-1] / len(leaf), 0.0)
        return states.astype(np.int32), likely

    def _states(self, segment: Ints, rng: np.random.Generator) -> Ints:
        states = self.bag.segments[segment, 0].astype(np.int64)
        smooth = np.flatnonzero(states < 0)
        low = self.bag.segments[segment[smooth], 2].astype(np.int64)
        high = low + self.bag.segments[segment[smooth], 3]
        low_at, high_at = (_across(self.bag.axis, self.factors, self.across, at) for at in (low, high))
        drawn = low_at + rng.random(len(smooth)) * (high_at - low_at)
        found = np.searchsorted(self.across, drawn, side="right") - 1
        states[smooth] = np.clip(found, 0, len(self.factors) - 1)
        return np.asarray(states, np.int64)


def leaves(bag: Bag, codes: Codes) -> Ints:
    """The leaf of each row of `codes` in each tree, shape (trees, rows)."""
    looks = np.empty((len(bag.inputs), len(codes)), np.uint8)
    for i, (column, start) in enumerate(zip(bag.inputs, bag.rank_starts, strict=False)):
        looks[i] = bag.ranks[start + codes[:, column]]
    rows, ends = np.arange(len(codes)), np.append(bag.roots[1:], len(bag.nodes))
    found = np.empty((len(bag.roots), len(codes)), np.int64)
    for tree, (root, end) in enumerate(zip(bag.roots, ends, strict=True)):
        found[tree] = loops().leaves_of(bag.nodes[root:end], looks, rows)
    return found + bag.leaf_roots[:, None]


def _across(axis: Ints, factors: Floats, across: Floats, at: Ints) -> Floats:
    """The length of the axis up to some places, counted by factors."""
    state = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, len(factors) - 1)
    return np.asarray(across[state] + factors[state] * (at - axis[state]))
