"""The three loops of a forest in numpy, for machines without numba: the same integers, many times slower.

A tree is an array of uint32 nodes, numbered breadth first: left child << 16 | feature << 8 | cut; the right child
follows the left. A row goes left where its rank is at most the cut. A leaf has feature 255 and its number on the left.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Ranks = npt.NDArray[np.uint8]
Nodes = npt.NDArray[np.uint32]
Bag = tuple[npt.NDArray[np.integer], ...]

_MOST_NODES = 65_535
_END = 255
_SMALL, _COARSE = 512, 64  # nodes of fewer rows see fewer ranks


def grow(
    x: Ranks,
    y: npt.NDArray[np.int32],
    apart: npt.NDArray[np.bool_],
    ordinal: bool,
    rows: Ints,
    units: Ints,
    min_leaf: int,
    depth: int,
    groups: int,
    penalty: float,
    logs: Ints,
) -> Nodes:
    """A tree that tells the states `y` apart by the ranks `x`.

    A node's states are put in groups: those of an ordinal column in up to `groups` parts of equal frequency, those
    apart each for itself, labels each for itself but rare ones together. The cut with the largest likelihood ratio
    statistic over the groups is made where that exceeds `penalty` for each group less one, rare ones counting little.

    Args:
        x: shape (features, all rows).
        y: the state of each row, shape (all rows,).
        apart: which states stand outside the order, shape (states,).
        ordinal: whether states are ordered.
        rows: which rows to grow from.
        units: the unit of each row, shape (all rows,); empty where each row is one.
        min_leaf: units on either side of a cut.
        depth: of the tree at most.
        groups: of ordinal states.
        penalty: in units of what chance alone tells.
        logs: round(2**20 * c * log c) for each count c up to the rows.
    """
    cap = min(_MOST_NODES, 2 * (len(rows) // min_leaf) + 3)
    nodes: list[int] = []
    waiting, count, leaves, level = [np.asarray(rows)], 1, 0, 0
    while waiting:
        children: list[Ints] = []
        for mine in waiting:
            cut = None
            if len(mine) >= 2 * min_leaf and level < depth and count + 2 <= cap:
                group = _groups(y[mine], apart, groups, ordinal=ordinal)
                cut = _cut(x[:, mine], group, units[mine] if len(units) else units, min_leaf, penalty, logs)
            if cut is None:
                nodes.append(leaves << 16 | _END << 8)
                leaves += 1
                continue
            nodes.append(count << 16 | cut[0] << 8 | cut[1])
            left = x[cut[0], mine] <= cut[1]
            children += [mine[left], mine[~left]]
            count += 2
        waiting, level = children, level + 1
    return np.array(nodes, np.uint32)


def _groups(y: npt.NDArray[np.int32], apart: npt.NDArray[np.bool_], groups: int, *, ordinal: bool) -> Ints:
    states, at, held = np.unique(y, return_inverse=True, return_counts=True)
    if ordinal:
        before = np.cumsum(held) - held
        key = np.where(apart[states], groups + states, (2 * before + held) * groups // (2 * len(y)))
    else:
        key = np.where((held * 50 >= len(y)) & (held >= 5), states, len(apart))
    return np.asarray(np.unique(key, return_inverse=True)[1][at], dtype=np.int64)


def _cut(x: Ranks, group: Ints, units: Ints, min_leaf: int, penalty: float, logs: Ints) -> tuple[int, int] | None:
    total = np.bincount(group)
    if len(total) < 2:
        return None
    m, found = len(group), None
    shares = total / m
    needed = int(np.rint(penalty * (np.exp(-(shares * np.log(shares)).sum()) - 1) * 512)) * 1024
    best = int(logs[total].sum()) - int(logs[m]) + needed
    for feature, told, ranks in _told(x, group, units, total, min_leaf, logs):
        at = int(np.argmax(told))
        if told[at] > best:
            best, found = int(told[at]), (feature, int(ranks[at]))
    return found


def _told(
    x: Ranks, group: Ints, units: Ints, total: Ints, min_leaf: int, logs: Ints
) -> Iterator[tuple[int, Ints, Ints]]:
    """For each feature: what each allowed cut tells, and after which rank it cuts."""
    m = len(group)
    for feature, fine in enumerate(x):
        first, wide, shift = int(fine.min()), int(fine.max()) - int(fine.min()), 0
        while m < _SMALL and wide >> shift >= _COARSE:
            shift += 1
        ranks = (fine.astype(np.int64) - first) >> shift
        order = np.argsort(ranks, kind="stable")
        ends = np.flatnonzero(np.diff(ranks[order]))
        sides = (ends + 1, m - ends - 1) if not len(units) else _units_beside(units[order], ends)
        ends = ends[(sides[0] >= min_leaf) & (sides[1] >= min_leaf)]
        if not len(ends):
            continue
        ones = np.zeros((m, len(total)), np.int64)
        ones[np.arange(m), group[order]] = 1
        left = np.cumsum(ones, axis=0)[ends]
        told = logs[left].sum(axis=1) + logs[total - left].sum(axis=1) - logs[ends + 1] - logs[m - ends - 1]
        yield feature, told, first + ((ranks[order][ends] + 1) << shift) - 1


def _units_beside(units: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """How many units there are up to each end, and how many after it."""
    first, last = np.zeros(len(units), np.int64), np.zeros(len(units), np.int64)
    first[np.unique(units, return_index=True)[1]] = 1
    last[len(units) - 1 - np.unique(units[::-1], return_index=True)[1]] = 1
    return np.cumsum(first)[ends], (last.sum() - np.cumsum(last))[ends]


def leaves_of(nodes: Nodes, x: Ranks, rows: Ints) -> npt.NDArray[np.int32]:
    """The leaf each of `rows` comes to, shape (rows,); `x` has shape (features, all rows)."""
    at = np.zeros(len(rows), np.int64)
    walking = np.arange(len(rows))
    while len(walking):
        node = nodes[at[walking]].astype(np.int64)
        walking, node = walking[node >> 8 & 255 != _END], node[node >> 8 & 255 != _END]
        at[walking] = (node >> 16) + (x[node >> 8 & 255, rows[walking]] > (node & 255))
    return (nodes[at] >> 16).astype(np.int32)


def draw(
    bag: Bag,
    codes: npt.NDArray[np.int32],
    inputs: npt.NDArray[np.int32],
    ranks: Ranks,
    rank_starts: npt.NDArray[np.int32],
    seed: np.uint64,
    run: int,
    out: npt.NDArray[np.int32],
) -> None:
    """Fill `out` with a state for each row of `codes`: a tree by chance, its leaf, a segment by chance, a level of it.

    Args:
        bag: nodes, roots, leaf_roots, leaf_starts, segments, axis; see `bag.Bag`.
        codes: shape (rows, columns).
        inputs: the column of each feature.
        ranks: of each code of each feature, one feature after the other.
        rank_starts: where each feature's ranks begin.
        seed: of the numbers that are drawn, one of 64 bits per row.
        run: rows one after the other that share a tree, so that it stays near; a multiple of 16.
        out: shape (rows,).
    """
    nodes, roots, leaf_roots, leaf_starts, segments, axis = bag
    chance, runs = _mixed(seed, np.arange(len(out))), np.arange(len(out)) // run * run
    tree = (((_mixed(~seed, runs) >> np.uint64(32)) * np.uint64(len(roots))) >> np.uint64(32)).astype(np.int64)
    at, walking = roots[tree].astype(np.int64), np.arange(len(out))
    while len(walking):
        node = nodes[at[walking]].astype(np.int64)
        inner = node >> 8 & 255 != _END
        walking, node = walking[inner], node[inner]
        feature = node >> 8 & 255
        rank = ranks[rank_starts[feature] + codes[walking, inputs[feature]]]
        at[walking] = roots[tree[walking]] + (node >> 16) + (rank > (node & 255))
    leaf = leaf_roots[tree] + (nodes[at] >> 16).astype(np.int64)
    start, stop, ends = (a.astype(np.int64) for a in (leaf_starts[leaf], leaf_starts[leaf + 1], segments[:, 1]))
    segment = _segments(chance, start, stop, ends)
    state = segments[segment, 0].astype(np.int64)
    smooth = np.flatnonzero(state < 0)
    part = ((chance[smooth] >> np.uint64(32)) * segments[segment[smooth], 3].astype(np.uint64)) >> np.uint64(32)
    position = segments[segment[smooth], 2].astype(np.int64) + part.astype(np.int64)
    state[smooth] = np.searchsorted(axis, position, side="right") - 1
    out[:] = state


def _segments(chance: npt.NDArray[np.uint64], start: Ints, stop: Ints, ends: Ints) -> Ints:
    """Which segment between `start` and `stop` each row draws, by how many rows each stands for."""
    drawn = chance & np.uint64(0xFFFFFFFF)
    want = ((drawn * ends[stop - 1].astype(np.uint64)) >> np.uint64(32)).astype(np.int64)
    low, high = start.astype(np.int64), stop.astype(np.int64) - 1
    while np.any(low < high):
        middle = (low + high) // 2
        right = ends[middle] <= want
        low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
    return low


def _mixed(seed: np.uint64, at: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    z = np.uint64(seed) + (at + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def score(
    codes: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    roots: npt.NDArray[np.int32],
    depths: npt.NDArray[np.int32],
    nodes: npt.NDArray[np.uint64],
    values: npt.NDArray[np.float32],
    out: npt.NDArray[np.float64],
) -> None:
    """Add to `out` the value of the leaf that each row of `codes` comes to in each tree; see `Discriminator`."""
    near = codes[:, columns]
    rows = np.arange(len(out))
    for root, depth in zip(roots, depths, strict=True):
        at = np.full(len(out), root, np.int64)
        for _ in range(depth):
            node = nodes[at].astype(np.int64)
            at = (node >> 40) + (near[rows, node >> 24 & 0xFFFF] > (node & 0xFFFFFF))
        out += values[at]
