"""How many privacy units stand behind values: the counts and means that may be kept of real rows.

Units are integers from 0, or None where no two rows share one: then rows are counted, which is a lot faster.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from twinlake.hashing import Hashes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

K = 10
"""A value, an end or a mean is kept only where at least this many units stand behind it."""


def unit_ids(units: Hashes | None, rows: int) -> Ints:
    """Units as integers 0, 1, ..., shape (rows,); rows that are nobody's count as units of their own."""
    if units is None:
        return np.arange(rows, dtype=np.int64)
    return np.asarray(pd.factorize(units)[0], dtype=np.int64)


def shared_ids(units: Hashes | None) -> Ints | None:
    """Units as integers 0, 1, ..., shape (rows,); None where no two rows share one."""
    if units is None:
        return None
    ids = unit_ids(units, len(units))
    return ids if len(ids) and int(ids.max()) + 1 < len(ids) else None


def part(units: Ints | None, rows: npt.NDArray[np.bool_] | Ints | slice) -> Ints | None:
    """The units of some rows."""
    return None if units is None else units[rows]


def count_all(units: Ints | None, rows: int) -> int:
    """How many units these rows have."""
    return rows if units is None else int(np.count_nonzero(np.bincount(units)))


def count_units(groups: Ints, units: Ints | None, size: int) -> Ints:
    """Distinct units in each group 0..size-1; `groups` and `units` have shape (rows,)."""
    if units is None or not len(groups):
        return np.bincount(groups, minlength=size).astype(np.int64)
    width = _bits(units)
    pairs = np.sort(groups << width | units)
    first = np.r_[True, pairs[1:] != pairs[:-1]]
    return np.bincount(pairs[first] >> width, minlength=size).astype(np.int64)


def mean_of_units(values: Floats, groups: Ints, units: Ints | None, size: int) -> Floats:
    """Mean over units of each unit's own mean, per group: however many rows a unit has, it counts once."""
    if not len(values):
        return np.zeros(size)
    if units is None:
        return np.bincount(groups, weights=values, minlength=size) / np.maximum(np.bincount(groups, minlength=size), 1)
    order = in_order(groups, units)
    g, u = groups[order], units[order]
    starts = np.flatnonzero(np.r_[True, (g[1:] != g[:-1]) | (u[1:] != u[:-1])])
    lengths = np.diff(np.r_[starts, len(g)])
    means = np.add.reduceat(values[order], starts) / lengths
    total = np.bincount(g[starts], weights=means, minlength=size)
    return np.asarray(total / np.maximum(np.bincount(g[starts], minlength=size), 1))


def in_order(groups: Ints, units: Ints) -> Ints:
    """Rows by group, then unit, then place: what `lexsort` gives, from one sort of packed integers where they fit."""
    rows = np.arange(len(groups), dtype=np.int64)
    unit_bits, row_bits = _bits(units), _bits(rows)
    if _bits(groups) + unit_bits + row_bits > 63:
        return np.lexsort((units, groups)).astype(np.int64)
    packed = np.sort((groups << unit_bits | units) << row_bits | rows)
    return np.asarray(packed & ((1 << row_bits) - 1), dtype=np.int64)


def runs(rows: int, units: Ints | None, *, most: int, k: int) -> Ints:
    """Cuts rows in their order into at most `most` runs of nearly equal length, each with at least `k` units.

    Returns the run of each row, shape (rows,), numbered from 0; one run where there are fewer than 2k units.
    """
    count = max(1, min(most, rows // max(k, 1)))
    run = np.arange(rows, dtype=np.int64) * count // max(rows, 1)
    return merged(run, units, np.zeros(count, np.int64), k=k)[run]


def merged(groups: Ints, units: Ints | None, parents: Ints, *, k: int) -> Ints:
    """Joins neighbouring groups of one parent until each holds at least `k` units.

    Args:
        groups: of each row, ascending.
        units: of each row.
        parents: of each group, ascending.
        k: units that a group must hold; a parent with fewer becomes one group.

    Returns:
        The new number of each group, shape (groups,), ascending from 0.
    """
    new = np.arange(len(parents), dtype=np.int64)
    while True:
        size = int(new[-1]) + 1
        parent = np.zeros(size, np.int64)
        parent[new] = parents
        weak = count_units(new[groups], units, size) < k
        inner = parent[1:] == parent[:-1]  # whether the border between a group and the next may go
        goes = np.zeros(size + 1, np.bool_)  # the border before each group
        goes[1:-1] = weak[:-1] & inner
        last = np.flatnonzero(weak & ~np.r_[inner, False])
        goes[last] |= np.r_[False, inner][last]
        goes = _every_other(goes)[:-1]
        if not goes.any():
            return new
        new = (new - np.cumsum(goes)[new]).astype(np.int64)


def _every_other(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Of flags in a row the first, third ...: so that weak groups join in pairs and not all at once."""
    place = np.arange(len(flags))
    begin = np.maximum.accumulate(np.where(flags & ~np.r_[False, flags[:-1]], place, 0))
    return np.asarray(flags & ((place - begin) % 2 == 0))


def _bits(values: Ints) -> int:
    return int(values.max(initial=0)).bit_length()
