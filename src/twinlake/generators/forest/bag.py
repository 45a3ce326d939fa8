"""A bag of trees for one column: grown from the rows of some units each, filled from all, drawn from one at a time."""

import importlib.util
from dataclasses import dataclass, fields
from functools import lru_cache
from types import ModuleType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from twinlake.generators.forest.segments import Axis, Segments, segments
from twinlake.generators.states.alphabet import Codes

Ints = npt.NDArray[np.int64]
_SCALE = 2**20
_END = 255


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees grow: how many, on what share of units, with leaves of at least how many units, how deep.

    A cut stays only if its likelihood ratio statistic G is above `penalty` for each group of states less one, rare
    ones counting little: chance alone gives about 1, Akaike's criterion asks for 2. Cuts that chance explains would
    tell single rows. `groups` is in how many parts of equal frequency an ordinal column is cut to tell it;
    `smoothing` how many rows a stretch of a leaf stands for.
    """

    trees: int
    share: float
    min_leaf: int
    depth: int
    penalty: float
    groups: int
    smoothing: int


@dataclass(frozen=True, slots=True)
class Target:
    """The column that a bag tells.

    Attributes:
        codes: the state of each row, shape (rows,).
        apart: which states stand outside the order, shape (states,).
        points: which states leaves keep one by one, not smoothed into their neighbours, shape (states,).
        ordinal: whether states are ordered.
    """

    codes: Codes
    apart: npt.NDArray[np.bool_]
    points: npt.NDArray[np.bool_]
    ordinal: bool


@dataclass(frozen=True, slots=True)
class Looks:
    """What trees look at: features, each the rank of a column's codes.

    Attributes:
        inputs: the column of each feature, shape (features,).
        ranks: of each code of each feature, one feature after the other; 0 to 255.
        starts: where each feature's ranks begin.
        values: the rank of each row by each feature, shape (features, rows).
    """

    inputs: Codes
    ranks: npt.NDArray[np.uint8]
    starts: Codes
    values: npt.NDArray[np.uint8]

    @classmethod
    def over(cls, codes: Codes, columns: list[int], ranks: list[npt.NDArray[np.uint8]]) -> Self:
        """The features with these ranks of these columns of `codes`."""
        values = np.empty((len(columns), len(codes)), np.uint8)
        for i, (column, of) in enumerate(zip(columns, ranks, strict=True)):
            values[i] = of[codes[:, column]]
        starts = np.cumsum([0, *(len(r) for r in ranks)], dtype=np.int32)
        flat = np.concatenate(ranks) if ranks else np.empty(0, np.uint8)
        return cls(np.array(columns, np.int32), flat, starts, values)


@dataclass(frozen=True, slots=True)
class Bag:
    """Trees one after the other, see `plain.grow`, and what their leaves keep, see `segments.Segments`.

    Attributes:
        inputs, ranks, rank_starts: of the features.
        nodes: of all trees; the left child counts from the tree's root.
        roots: the first node of each tree.
        leaf_roots: the first leaf of each tree.
        leaf_starts: the first segment of each leaf; one longer than leaves.
        segments: shape (segments, 4).
        axis: where each state begins on the axis, and the end of the last.
    """

    inputs: Codes
    ranks: npt.NDArray[np.uint8]
    rank_starts: Codes
    nodes: npt.NDArray[np.uint32]
    roots: Codes
    leaf_roots: Codes
    leaf_starts: Codes
    segments: Codes
    axis: Ints

    @classmethod
    def grow(cls, target: Target, looks: Looks, units: Ints, *, growth: Growth, rng: np.random.Generator) -> Self:
        """Grow a bag that tells `target` by `looks`; `units` are integers from 0, shape (rows,), at least one row."""
        axis = Axis.of(np.bincount(target.codes, minlength=len(target.points)), target.points)
        trees = growth.trees if len(looks.inputs) else 1  # nothing to look at: one leaf does
        grown = [_grown(target, looks, rows, units, growth) for rows in _samples(units, growth, trees, rng)]
        filled = _Filling.of(target, looks, axis, growth.smoothing)
        leaves = [filled.fill(nodes) for nodes in grown]
        counts = [len(found.starts) - 1 for found in leaves]
        kept = [len(found.kept) for found in leaves]
        firsts = _firsts(kept)
        starts = [found.starts[:-1] + first for found, first in zip(leaves, firsts, strict=True)]
        return cls(
            inputs=looks.inputs, ranks=looks.ranks, rank_starts=looks.starts,
            nodes=np.concatenate(grown), roots=_firsts([len(nodes) for nodes in grown]), leaf_roots=_firsts(counts),
            leaf_starts=np.concatenate([*starts, [sum(kept)]]).astype(np.int32),
            segments=np.concatenate([f.kept for f in leaves]),
            axis=axis.starts,
        )  # fmt: skip

    def draw(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """A state for each row of `codes`, whose columns in `inputs` are filled; shape (rows,)."""
        out = np.empty(len(codes), np.int32)
        seed = np.uint64(rng.integers(0, 2**64, dtype=np.uint64))
        run = 16 * min(max(len(codes) // (128 * len(self.roots)), 1), 16)  # so that each tree is asked several times
        bag = (self.nodes, self.roots, self.leaf_roots, self.leaf_starts, self.segments, self.axis)
        loops().draw(bag, codes, self.inputs, self.ranks, self.rank_starts, seed, run, out)
        return out

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@lru_cache(maxsize=1)
def loops() -> ModuleType:
    """The compiled loops, or their twins in numpy where numba is not installed."""
    if importlib.util.find_spec("numba") is None:
        from twinlake.generators.forest import plain

        return plain
    from twinlake.generators.forest import compiled

    return compiled


@dataclass(frozen=True, slots=True)
class _Filling:
    """All rows in the order of their states, ready to fill the leaves of one tree after the other."""

    order: Ints
    states: Codes
    looks: Looks
    axis: Axis
    smoothing: int

    @classmethod
    def of(cls, target: Target, looks: Looks, axis: Axis, smoothing: int) -> Self:
        order = np.argsort(target.codes, kind="stable")
        return cls(order, target.codes[order], looks, axis, smoothing)

    def fill(self, nodes: npt.NDArray[np.uint32]) -> Segments:
        leaf = loops().leaves_of(nodes, self.looks.values, self.order)
        return segments(leaf, self.states, self.axis, smoothing=self.smoothing)


def _grown(target: Target, looks: Looks, rows: Ints, units: Ints, growth: Growth) -> npt.NDArray[np.uint32]:
    if not len(looks.inputs):
        return np.array([_END << 8], np.uint32)
    several = units if int(units.max()) + 1 < len(units) else units[:0]
    grown: npt.NDArray[np.uint32] = loops().grow(
        looks.values, target.codes, target.apart, target.ordinal, rows, several, growth.min_leaf, growth.depth,
        growth.groups, growth.penalty, _logs(len(rows)),
    )  # fmt: skip
    return grown


@lru_cache(maxsize=4)
def _logs(most: int) -> Ints:
    """2**20 * c * log c as integers, for c from 0 to `most`: sums of them are the same in any order."""
    counts = np.arange(most + 1, dtype=np.float64)
    return np.rint(counts * np.log(np.maximum(counts, 1)) * _SCALE).astype(np.int64)


def _samples(units: Ints, growth: Growth, trees: int, rng: np.random.Generator) -> list[Ints]:
    """The rows each tree grows from: those of a share of the units, but of no fewer units than four leaves need."""
    count = int(units.max()) + 1
    size = min(count, max(round(growth.share * count), 4 * growth.min_leaf))
    samples = []
    for _ in range(trees):
        chosen = np.zeros(count, np.bool_)
        chosen[rng.choice(count, size, replace=False)] = True
        samples.append(np.flatnonzero(chosen[units]))
    return samples


def _firsts(lengths: list[int]) -> Codes:
    return np.cumsum([0, *lengths[:-1]], dtype=np.int32)
