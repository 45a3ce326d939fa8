"""Latent classes: rows of counts that come from a few distributions, which of them depending on a leaf by chance.

A mixture of multinomials whose weights depend on what is known, fitted by expectation and maximisation (Dayton and
Macready 1988, "Concomitant-variable latent-class models").
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_TURNS = 40
_LLOYD = 4  # turns of k-means that the first guess takes
_PRIOR = 1.0  # imagined counts, distributed as all are, that each distribution and each leaf start with


@dataclass(frozen=True, slots=True)
class Histograms:
    """How often each row has each outcome, as a list of those it has.

    Attributes:
        starts: where the outcomes of each row begin, shape (rows,); each row has at least one.
        row: of each entry, ascending.
        outcome: of each entry.
        count: of each entry.
        outcomes: how many there are in all.
    """

    starts: Ints
    row: Ints
    outcome: Ints
    count: Floats
    outcomes: int

    @classmethod
    def of(cls, rows: Ints, outcomes: Ints, size: int) -> Self:
        """From pairs of a row 0, 1, ... and an outcome below `size`; every row is in some pair."""
        pairs, count = np.unique(rows * size + outcomes, return_counts=True)
        row = pairs // size
        starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]]) if len(row) else np.zeros(0, np.int64)
        return cls(starts.astype(np.int64), row, pairs % size, count.astype(np.float64), size)

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.starts)

    @property
    def sizes(self) -> Floats:
        """How many counts each row has, shape (rows,)."""
        return np.add.reduceat(self.count, self.starts) if self.rows else np.zeros(0)

    def shares(self) -> Floats:
        """Of each outcome in each row, shape (rows, outcomes)."""
        found = np.zeros((self.rows, self.outcomes))
        found[self.row, self.outcome] = self.count / self.sizes[self.row]
        return found

    def totals(self) -> Floats:
        """Of each outcome over all rows."""
        return np.asarray(self.summed(np.ones((self.rows, 1)))[0])

    def summed(self, weights: Floats) -> Floats:
        """Counts by column of `weights` (rows, groups), shape (groups, outcomes)."""
        counts = [np.bincount(self.outcome, self.count * w[self.row], self.outcomes) for w in weights.T]
        return np.stack(counts).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Mixture:
    """Distributions over outcomes, and how likely each is in each leaf.

    Attributes:
        outcomes: shape (groups, outcomes).
        shares: shape (leaves, groups).
    """

    outcomes: Floats
    shares: Floats

    @classmethod
    def fit(cls, seen: Histograms, leaf: Ints, leaves: int, groups: int, rng: np.random.Generator) -> Self:
        """So many distributions that explain the rows; `leaf` is that of each row, shape (rows,)."""
        found = cls._step(seen, leaf, leaves, _guess(seen, groups, rng))
        for _ in range(_TURNS):
            found = cls._step(seen, leaf, leaves, found.explain(seen, leaf)[0])
        return found

    @classmethod
    def one(cls, seen: Histograms) -> Self:
        """The same distribution for all, whatever is known."""
        totals = seen.totals() + _PRIOR / seen.outcomes
        return cls((totals / totals.sum())[None], np.ones((1, 1)))

    @classmethod
    def _step(cls, seen: Histograms, leaf: Ints, leaves: int, belongs: Floats) -> Self:
        all_ = cls.one(seen).outcomes
        outcomes = seen.summed(belongs) + _PRIOR * all_
        groups = np.stack([np.bincount(leaf, weights=b, minlength=leaves) for b in belongs.T], axis=1)
        groups += _PRIOR * (groups.sum(axis=0) + 1e-9) / (groups.sum() + 1e-9)
        return cls(outcomes / outcomes.sum(axis=1, keepdims=True), groups / groups.sum(axis=1, keepdims=True))

    def explain(self, seen: Histograms, leaf: Ints) -> tuple[Floats, float]:
        """How likely each row belongs to each group, shape (rows, groups); and the log-likelihood of all rows."""
        told = np.log(self.outcomes).T[seen.outcome] * seen.count[:, None]
        joint = np.add.reduceat(told, seen.starts, axis=0) + np.log(self.shares)[leaf]
        top = joint.max(axis=1, keepdims=True)
        parts = np.exp(joint - top)
        sums = parts.sum(axis=1, keepdims=True)
        return parts / sums, float((np.log(sums) + top).sum())


def _guess(seen: Histograms, groups: int, rng: np.random.Generator) -> Floats:
    """Groups of rows with like shares: k-means over their square roots, from centres that lie apart."""
    points, weights = np.sqrt(seen.shares()), seen.sizes
    centres = points[[int(rng.integers(len(points)))]]
    near = ((points - centres[0]) ** 2).sum(axis=1)
    for _ in range(groups - 1):
        chance = np.cumsum(near * np.minimum(weights, 20.0))
        if chance[-1] <= 0:
            break
        new = points[min(int(np.searchsorted(chance, rng.random() * chance[-1], side="right")), len(points) - 1)]
        centres = np.vstack([centres, new])
        near = np.minimum(near, ((points - new) ** 2).sum(axis=1))
    for _ in range(_LLOYD):
        closest = _closest(points, centres)
        mass = np.bincount(closest, weights=weights, minlength=len(centres))
        sums = [np.bincount(closest, weights=weights * p, minlength=len(centres)) for p in points.T]
        centres = np.where(mass[:, None] > 0, np.stack(sums, axis=1) / np.maximum(mass, 1e-12)[:, None], centres)
    soft = np.full((len(points), groups), 0.05 / groups)
    soft[np.arange(len(points)), _closest(points, centres)] += 0.95
    return soft


def _closest(points: Floats, centres: Floats) -> Ints:
    distance = np.stack([((points - c) ** 2).sum(axis=1) for c in centres])
    return np.asarray(np.argmin(distance, axis=0), dtype=np.int64)
