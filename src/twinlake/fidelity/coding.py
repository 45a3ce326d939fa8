"""Columns of holdout, twin and learnt rows as states: small integers on one scale. State 0 is null."""

from dataclasses import dataclass

import numpy as np

from twinlake.columns import Codes, Floats, is_quantity, labels, numbers
from twinlake.fidelity.comparison import Sides
from twinlake.schema import Column

RARE = 10  # a label that fewer real rows hold has no state of its own: the twin may not hold it


@dataclass(frozen=True, slots=True)
class Coded:
    """One column of the three sides as states, shape (rows,) each; `size` states in all.

    Attributes:
        ordered: whether states 1, 2, ... follow the order of a quantity.
    """

    holdout: Codes
    synthetic: Codes
    real: Codes
    size: int
    ordered: bool

    def counts_holdout(self, weights: Floats | None = None) -> Floats:
        """How often the holdout holds each state, shape (size,)."""
        return np.bincount(self.holdout, weights, self.size).astype(np.float64)

    def counts_synthetic(self, weights: Floats | None = None) -> Floats:
        """How often the twin holds each state, shape (size,)."""
        return np.bincount(self.synthetic, weights, self.size).astype(np.float64)

    def counts_real(self) -> Floats:
        """How often the learnt rows hold each state, shape (size,)."""
        return np.bincount(self.real, None, self.size).astype(np.float64)


def code_states(sides: Sides, column: Column) -> Coded:
    """A column as states: every distinct value of a quantity in order, every label that is not rare."""
    if is_quantity(column):
        return _ordered(sides, column.name)
    return code_labels(sides, column.name, most=None)


def code_labels(sides: Sides, name: str, *, most: int | None, rare: int = RARE) -> Coded:
    """A discrete column as states; state 1 stands for labels that fewer than `rare` real rows hold.

    It stands too for all but the `most` commonest ones.
    """
    holdout, synthetic, real = labels(*(t[name] for t in sides.tables))
    seen = np.concatenate([holdout, real])
    counts = np.bincount(seen[seen >= 0], minlength=int(max(c.max(initial=-1) for c in (holdout, synthetic, real))) + 1)
    kept = np.flatnonzero(counts >= rare)
    kept = kept[np.argsort(-counts[kept], kind="stable")][:most]
    state = np.ones(len(counts) + 1, dtype=np.intp)
    state[kept] = np.arange(2, len(kept) + 2)
    state[-1] = 0  # where the code is -1
    return Coded(state[holdout], state[synthetic], state[real], len(kept) + 2, ordered=False)


def code_bins(sides: Sides, name: str, *, bins: int) -> Coded:
    """A quantity as states: `bins` of equal width over the holdout's range, the outer ones open.

    These are the bins of SDMetrics' ContingencySimilarity.
    """
    holdout, synthetic, real = (numbers(t[name]) for t in sides.tables)
    finite = holdout[np.isfinite(holdout)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    if high - low <= 1e-12 * abs(high):  # one moment in nanoseconds: no bin is narrower than floats are apart
        low, high = low - 1e-9 * abs(low), high + 1e-9 * abs(high)
    edges = np.histogram_bin_edges(np.array([low, high]), bins=bins)[1:-1]

    def states(values: Floats) -> Codes:
        return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="right") + 1)

    return Coded(states(holdout), states(synthetic), states(real), bins + 1, ordered=True)


def _ordered(sides: Sides, name: str) -> Coded:
    values = [numbers(t[name]) for t in sides.tables]
    scale = np.unique(np.concatenate([v[~np.isnan(v)] for v in values]))
    holdout, synthetic, real = (np.where(np.isnan(v), 0, np.searchsorted(scale, v) + 1).astype(np.intp) for v in values)
    return Coded(holdout, synthetic, real, len(scale) + 1, ordered=True)
