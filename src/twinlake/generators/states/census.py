"""How many privacy units stand behind values: the counts and means that may be kept of real rows."""

import numpy as np
import numpy.typing as npt

from twinlake.hashing import Hashes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

K = 10
"""A value, an end or a mean is kept only where at least this many units stand behind it."""


def unit_ids(units: Hashes | None, rows: int) -> Ints:
    """Units as integers 0, 1, ..., shape (rows,); rows that are nobody's count as units of their own."""
    if units is None:
        return np.arange(rows, dtype=np.int64)
    return np.unique(units, return_inverse=True)[1].astype(np.int64)


def count_units(groups: Ints, units: Ints, size: int) -> Ints:
    """Distinct units in each group 0..size-1; `groups` and `units` have shape (rows,)."""
    groups, _ = _pairs(groups, units)
    return np.bincount(groups, minlength=size).astype(np.int64)


def mean_of_units(values: Floats, groups: Ints, units: Ints, size: int) -> Floats:
    """Mean over units of each unit's own mean, per group: however many rows a unit has, it counts once."""
    if not len(values):
        return np.zeros(size)
    order = np.lexsort((units, groups))
    g, u = groups[order], units[order]
    starts = np.flatnonzero(np.r_[True, (g[1:] != g[:-1]) | (u[1:] != u[:-1])])
    lengths = np.diff(np.r_[starts, len(g)])
    means = np.add.reduceat(values[order], starts) / lengths
    total = np.bincount(g[starts], weights=means, minlength=size)
    return np.asarray(total / np.maximum(np.bincount(g[starts], minlength=size), 1))


def runs(units: Ints, *, most: int, k: int) -> Ints:
    """Cuts rows in their order into at most `most` runs of equal length, each with at least `k` units.

    Returns the run of each row, shape (rows,), numbered from 0; one run where there are fewer than 2k units.
    """
    rows = len(units)
    count = max(1, min(most, rows // max(k, 1)))
    run = np.arange(rows, dtype=np.int64) * count // max(rows, 1)
    while count > 1 and count_units(run, units, count).min() < k:
        count = max(1, count * 2 // 3)
        run = np.arange(rows, dtype=np.int64) * count // rows
    return run


def _pairs(groups: Ints, units: Ints) -> tuple[Ints, Ints]:
    order = np.lexsort((units, groups))
    g, u = groups[order], units[order]
    first = np.r_[True, (g[1:] != g[:-1]) | (u[1:] != u[:-1])] if len(g) else np.empty(0, np.bool_)
    return g[first], u[first]
