"""What a leaf keeps: segments of the states of its rows, smoothed along the order of states; no row and no value.

The states of a quantity that are ranges of values lie on an axis on which each is as long as it has rows, times `UNIT`;
states that are one value, and those outside the order, have no length and are kept as points. A segment is a point or a
stretch of the axis that about `smoothing` rows of the leaf fill; a stretch draws evenly from all that lies on it,
whoever's rows they were.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
UNIT = 16


@dataclass(frozen=True, slots=True)
class Axis:
    """The states of one column on their axis.

    Attributes:
        points: which states are points, shape (states,).
        starts: where each state begins, and the end of the last, shape (states + 1,).
    """

    points: npt.NDArray[np.bool_]
    starts: Ints

    @classmethod
    def of(cls, counts: Ints, points: npt.NDArray[np.bool_]) -> "Axis":
        """The axis of a column whose states have `counts` rows; both of shape (states,)."""
        return cls(points, np.concatenate([[0], np.cumsum(np.where(points, 0, counts) * UNIT)]))


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of all leaves of a tree, one leaf after the other.

    Attributes:
        starts: where each leaf begins, shape (leaves + 1,).
        kept: shape (segments, 4): the state of a point, or -1 - the state in which a stretch begins; rows of the leaf
            up to the segment's end; where a stretch begins on the axis, and how long it is.
    """

    starts: Ints
    kept: npt.NDArray[np.int32]


def segments(leaf: npt.NDArray[np.int32], states: npt.NDArray[np.int32], axis: Axis, *, smoothing: int) -> Segments:
    """The segments of leaves 0, 1, ..., each of which has a row.

    Args:
        leaf: of each row, shape (rows,).
        states: of each row, ascending.
        axis: of the column.
        smoothing: rows that a stretch stands for, about.
    """
    order = np.argsort(leaf, kind="stable")
    mine, state = leaf[order].astype(np.int64), states[order].astype(np.int64)
    point = axis.points[state]
    points = _points(mine[point], state[point])
    stretches = _stretches(mine[~point], state[~point], axis, smoothing=smoothing)
    whole = [np.concatenate(pair) for pair in zip(points, stretches, strict=True)]
    order = np.lexsort((np.arange(len(whole[0])), whole[0]))
    of, kept, rows, lows, widths = (column[order] for column in whole)
    starts = np.searchsorted(of, np.arange(int(mine[-1]) + 2))
    total = np.cumsum(rows)
    ends = total - np.concatenate([[0], total])[starts[of]]
    return Segments(starts, np.column_stack([kept, ends, lows, widths]).astype(np.int32))


def _points(leaf: Ints, states: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Leaf, state and rows of each point; no place on the axis."""
    begins = _begins(leaf, states)
    none = np.zeros(len(begins), np.int64)
    return leaf[begins], states[begins], np.diff(np.append(begins, len(leaf))), none, none


def _stretches(leaf: Ints, states: Ints, axis: Axis, *, smoothing: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Leaf, -1 - first state, rows, low and width of each stretch."""
    if not len(leaf):
        return (np.empty(0, np.int64),) * 5
    position = _positions(leaf, states, axis)
    held = np.bincount(leaf)
    rank = np.arange(len(leaf)) - np.concatenate([[0], np.cumsum(held)])[leaf]
    parts = np.maximum(held // smoothing, 1)
    begins = _begins(leaf, ((rank + 1) * parts[leaf] - 1) // held[leaf])
    rows = np.diff(np.append(begins, len(leaf)))
    of, low, high = leaf[begins], position[begins], position[begins + rows - 1]
    first, last = np.append(True, of[1:] != of[:-1]), np.append(of[1:] != of[:-1], True)
    beyond = np.maximum((high - low) // np.maximum(2 * rows - 1, 1), UNIT // 2)
    middle = (high[:-1] + low[1:]) // 2
    low, high = (
        np.where(first, low - beyond, np.append(0, middle)),
        np.where(last, high + beyond, np.append(middle, 0)),
    )
    low = np.clip(low, 0, axis.starts[-1] - 1)
    high = np.clip(high, low + 1, axis.starts[-1])
    begin = np.searchsorted(axis.starts, low, side="right") - 1
    return _joined(of, begin, rows, low, high, axis)


def _joined(
    of: Ints, begin: Ints, rows: Ints, low: Ints, high: Ints, axis: Axis
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Stretches within one state are points, and those of one leaf and state are one."""
    within = high <= axis.starts[begin + 1]
    key = np.where(within, begin, -1 - np.arange(len(of)))
    first = _begins(of, key)
    point = within[first]
    return (
        of[first], np.where(point, begin[first], -1 - begin[first]), np.add.reduceat(rows, first),
        np.where(point, 0, low[first]), np.where(point, 0, (high - low)[first]),
    )  # fmt: skip


def _positions(leaf: Ints, states: Ints, axis: Axis) -> Ints:
    """Where rows lie on the axis; those of one leaf and state are spread over it evenly."""
    begins = _begins(leaf, states)
    held = np.diff(np.append(begins, len(leaf)))
    run = np.repeat(np.arange(len(begins)), held)
    place = np.arange(len(leaf)) - begins[run]
    long = axis.starts[states + 1] - axis.starts[states]
    return np.asarray(axis.starts[states] + long * (2 * place + 1) // (2 * held[run]), dtype=np.int64)


def _begins(leaf: Ints, value: Ints) -> Ints:
    """Where a run of equal (leaf, value) begins."""
    if not len(leaf):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.append(True, (leaf[1:] != leaf[:-1]) | (value[1:] != value[:-1])))
