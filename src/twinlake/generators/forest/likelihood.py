"""How likely a bag is to draw given states."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from twinlake.generators.forest.bag import Bag
from twinlake.generators.forest.narrow import Floats, Ints, leaves
from twinlake.generators.states.alphabet import Codes


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The segments of a bag, to be looked up by leaf and state.

    Attributes:
        bag: as it was learnt.
        points: leaf and state of each point as one number, ascending.
        point_rows: rows of all points before each, shape (points + 1,).
        stretches: leaf and place on the axis of each stretch as one number, ascending.
        stretch_rows: rows of all stretches before each, shape (stretches + 1,).
        wide: the length of each stretch.
    """

    bag: Bag
    points: Ints
    point_rows: Ints
    stretches: Ints
    stretch_rows: Ints
    wide: Ints

    @classmethod
    def of(cls, bag: Bag) -> Self:
        """Sort the segments."""
        states, ends, low, wide = (bag.segments[:, i].astype(np.int64) for i in range(4))
        rows = np.diff(ends, prepend=0)
        rows[bag.leaf_starts[:-1]] = ends[bag.leaf_starts[:-1]]
        leaf = np.repeat(np.arange(len(bag.leaf_starts) - 1), np.diff(bag.leaf_starts))
        is_point = states >= 0
        points, point_rows, _ = _sorted(leaf * len(bag.axis) + states, rows, wide, is_point)
        stretches, stretch_rows, long = _sorted(leaf * int(bag.axis[-1] + 1) + low, rows, wide, ~is_point)
        return cls(bag, points, point_rows, stretches, stretch_rows, long)

    def told(self, codes: Codes, states: Codes) -> Floats:
        """How likely each row of `codes` is to be drawn the state beside it, shape (rows,)."""
        found = np.zeros(len(codes))
        low, high = self.bag.axis[states], self.bag.axis[states.astype(np.int64) + 1]
        leaf = leaves(self.bag, codes)
        for mine in leaf:
            key = mine * len(self.bag.axis) + states
            first, last = (np.searchsorted(self.points, key, side=side) for side in ("left", "right"))
            rows = (self.point_rows[last] - self.point_rows[first]).astype(np.float64)
            if len(self.stretches):
                rows += self._below(mine, high) - self._below(mine, low)
            found += rows / self.bag.segments[self.bag.leaf_starts[mine + 1] - 1, 1]
        return found / len(leaf)

    def _below(self, leaf: Ints, at: Ints) -> Floats:
        """Rows of a leaf's stretches that lie below a place on the axis."""
        base = leaf * int(self.bag.axis[-1] + 1)
        first = np.searchsorted(self.stretches, base)
        found = np.searchsorted(self.stretches, base + at, side="right") - 1
        inside = np.maximum(found, 0)
        part = np.clip((base + at - self.stretches[inside]) / self.wide[inside], 0, 1)
        rows = self.stretch_rows[inside] - self.stretch_rows[np.minimum(first, inside)]
        held = self.stretch_rows[inside + 1] - self.stretch_rows[inside]
        return np.where(found >= first, rows + held * part, 0.0)


def _sorted(key: Ints, rows: Ints, wide: Ints, of: npt.NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
    order = np.flatnonzero(of)[np.argsort(key[of], kind="stable")]
    return key[order], np.concatenate([[0], np.cumsum(rows[order])]), wide[order]
