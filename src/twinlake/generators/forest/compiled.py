"""The three loops of a forest, compiled by numba: growing a tree, finding leaves, drawing states.

Each has a twin in `plain.py` that gives the same integers and says what everything is. Sums are of integers, so they do
not depend on their order.
"""
# mypy: allow-untyped-defs, allow-untyped-decorators, no-check-untyped-defs

import numba
import numpy as np

_MOST_NODES = 65_535
_END = 255  # the feature of a node that is a leaf
_BLOCK = 256
_ABREAST = 16
_SMALL, _COARSE = 512, 64  # nodes of fewer rows see fewer ranks


@numba.njit(nogil=True, cache=True)
def grow(x, y, apart, ordinal, rows, units, min_leaf, depth, groups, penalty, logs):
    """See `plain.grow`."""
    n = len(rows)
    cap = min(_MOST_NODES, 2 * (n // min_leaf) + 3)
    rows = rows.astype(np.uint32)
    nodes = np.empty(cap, np.uint32)
    low, high, level = np.empty(cap, np.int64), np.empty(cap, np.int64), np.empty(cap, np.int64)
    low[0], high[0], level[0] = 0, n, 0
    count, leaves = 1, 0
    size = len(apart)
    held, group, seen = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(2 * groups + size + 2, np.int64)
    label, sorted_label, ranks = np.empty(n, np.uint16), np.empty(n, np.uint16), np.empty(n, np.uint8)
    sorted_unit, apart_rows = np.empty(n, np.int64), np.empty(n, np.uint32)
    steps = logs[1:] - logs[:-1]
    several = len(units) > 0
    widest = 1
    for i in range(len(units)):
        widest = max(widest, units[i] + 1)
    left_units, right_units = np.zeros(widest, np.int64), np.zeros(widest, np.int64)
    bins, place = np.zeros(256, np.uint32), np.zeros(257, np.uint32)
    left, right, total = np.zeros(size + 1, np.uint32), np.zeros(size + 1, np.uint32), np.zeros(size + 1, np.int64)
    for node in range(cap):
        if node >= count:
            break
        a, b = low[node], high[node]
        m = b - a
        best_feature, best_cut = -1, 0
        if m >= 2 * min_leaf and level[node] < depth and count + 2 <= cap:
            k = _groups(y, rows, a, b, apart, ordinal, groups, held, group, seen)
            if k > 1:
                for g in range(k):
                    total[g] = 0
                for i in range(a, b):
                    g = group[y[rows[i]]]
                    label[i] = g
                    total[g] += 1
                base = 0
                for g in range(k):
                    base += logs[total[g]]
                best = base - logs[m] + _needed(total, k, m, penalty)
                for f in range(len(x)):
                    column = x[f]
                    first, last = np.int64(column[rows[a]]), np.int64(column[rows[a]])
                    for i in range(a, b):
                        c = np.int64(column[rows[i]])
                        ranks[i] = c
                        first, last = min(first, c), max(last, c)
                    shift = 0
                    while m < _SMALL and (last - first) >> shift >= _COARSE:
                        shift += 1
                    last = (last - first) >> shift
                    if last > 0:
                        for i in range(a, b):
                            c = (ranks[i] - first) >> shift
                            ranks[i] = c
                            bins[c] += 1
                        at = a
                        for c in range(last + 1):
                            place[c] = at
                            at += bins[c]
                        for i in range(a, b):
                            c = ranks[i]
                            sorted_label[place[c]] = label[i]
                            if several:
                                sorted_unit[place[c]] = units[rows[i]]
                            place[c] += 1
                        for g in range(k):
                            left[g], right[g] = 0, total[g]
                        units_left, units_right = 0, m
                        if several:
                            units_right = 0
                            for i in range(a, b):
                                u = sorted_unit[i]
                                if right_units[u] == 0:
                                    units_right += 1
                                right_units[u] += 1
                        told_left, told_right = 0, base
                        i = a
                        for c in range(last):
                            if bins[c] == 0:
                                continue
                            stop = np.int64(place[c])
                            while i < stop:
                                g = sorted_label[i]
                                told_left += steps[left[g]]
                                left[g] += 1
                                right[g] -= 1
                                told_right -= steps[right[g]]
                                if several:
                                    u = sorted_unit[i]
                                    if left_units[u] == 0:
                                        units_left += 1
                                    left_units[u] += 1
                                    right_units[u] -= 1
                                    if right_units[u] == 0:
                                        units_right -= 1
                                i += 1
                            if not several:
                                units_left, units_right = stop - a, b - stop
                            if units_left < min_leaf:
                                continue
                            if units_right < min_leaf:
                                break
                            told = told_left - logs[stop - a] + told_right - logs[b - stop]
                            if told > best:
                                best, best_feature, best_cut = told, f, first + ((c + 1) << shift) - 1
                        if several:
                            for j in range(a, b):
                                left_units[sorted_unit[j]] = 0
                                right_units[sorted_unit[j]] = 0
                        for c in range(last + 1):
                            bins[c] = 0
        if best_feature < 0:
            nodes[node] = np.uint32(leaves << 16 | _END << 8)
            leaves += 1
            continue
        column = x[best_feature]
        at, other = a, 0
        for i in range(a, b):
            r = rows[i]
            if column[r] <= best_cut:
                rows[at] = r
                at += 1
            else:
                apart_rows[other] = r
                other += 1
        for i in range(other):
            rows[at + i] = apart_rows[i]
        nodes[node] = np.uint32(count << 16 | best_feature << 8 | best_cut)
        low[count], high[count], level[count] = a, at, level[node] + 1
        low[count + 1], high[count + 1], level[count + 1] = at, b, level[node] + 1
        count += 2
    return nodes[:count].copy()


@numba.njit(nogil=True, cache=True)
def _groups(y, rows, a, b, apart, ordinal, groups, held, group, seen):
    """Group the states of a node's rows; returns how many groups. `held` and `seen` are all zero before and after."""
    first, last = len(held), 0
    for i in range(a, b):
        v = y[rows[i]]
        held[v] += 1
        first, last = min(first, v), max(last, v)
    m = b - a
    before, k = 0, 0
    if ordinal:
        for v in range(first, last + 1):
            if held[v] == 0:
                continue
            key = groups + v if apart[v] else (2 * before + held[v]) * groups // (2 * m)
            if seen[key] == 0:
                k += 1
                seen[key] = k
            group[v] = seen[key] - 1
            before += held[v]
        before = 0
        for v in range(first, last + 1):
            if held[v]:
                seen[groups + v if apart[v] else (2 * before + held[v]) * groups // (2 * m)] = 0
                before += held[v]
    else:
        rest = False
        for v in range(first, last + 1):
            if held[v] * 50 >= m and held[v] >= 5:
                group[v] = k
                k += 1
            elif held[v]:
                rest = True
                group[v] = -1
        if rest:
            for v in range(first, last + 1):
                if held[v] and group[v] < 0:
                    group[v] = k
            k += 1
    for v in range(first, last + 1):
        held[v] = 0
    return k


@numba.njit(nogil=True, cache=True)
def _needed(total, k, m, penalty):
    entropy = 0.0
    for g in range(k):
        if total[g]:
            entropy -= total[g] / m * np.log(total[g] / m)
    return np.int64(np.rint(penalty * (np.exp(entropy) - 1) * 512)) * 1024


@numba.njit(nogil=True, cache=True)
def leaves_of(nodes, x, rows):
    """See `plain.leaves_of`."""
    out = np.empty(len(rows), np.int32)
    for i in range(len(rows)):
        node = nodes[0]
        while (node >> 8) & 255 != _END:
            node = nodes[(node >> 16) + (1 if x[(node >> 8) & 255, rows[i]] > (node & 255) else 0)]
        out[i] = node >> 16
    return out


@numba.njit(nogil=True, cache=True)
def draw(bag, codes, inputs, ranks, rank_starts, seed, run, out):
    """See `plain.draw`."""
    nodes, roots, leaf_roots, leaf_starts, segments, axis = bag
    trees = np.uint64(len(roots))
    near, at = np.empty((_ABREAST, 256), np.uint8), np.empty(_ABREAST, np.uint32)
    for begin in range(0, len(out), _ABREAST):
        count = min(_ABREAST, len(out) - begin)
        tree = np.int64(((_mixed(~seed, begin // run * run) >> np.uint64(32)) * trees) >> np.uint64(32))
        root, leaf_root = roots[tree], leaf_roots[tree]
        for f in range(len(inputs)):
            column, first = inputs[f], rank_starts[f]
            for j in range(count):
                near[j, f] = ranks[first + codes[begin + j, column]]
        for j in range(count):
            at[j] = nodes[root]
        walking = True
        while walking:  # rows of one tree go abreast: none waits for another's memory
            walking = False
            for j in range(count):
                f = (at[j] >> 8) & 255
                if f != _END:
                    at[j] = nodes[root + (at[j] >> 16) + (1 if near[j, f] > (at[j] & 255) else 0)]
                    walking = True
        for j in range(count):
            h = _mixed(seed, begin + j)
            leaf = leaf_root + (at[j] >> 16)
            a, b = leaf_starts[leaf], leaf_starts[leaf + 1]
            want = np.int64(((h & np.uint64(0xFFFFFFFF)) * np.uint64(segments[b - 1, 1])) >> np.uint64(32))
            while b - a > 4:
                middle = (a + b) >> 1
                if segments[middle - 1, 1] > want:
                    b = middle
                else:
                    a = middle
            while segments[a, 1] <= want:
                a += 1
            state = segments[a, 0]
            if state < 0:
                state = -1 - state
                part = ((h >> np.uint64(32)) * np.uint64(segments[a, 3])) >> np.uint64(32)
                position = np.int64(segments[a, 2]) + np.int64(part)
                while axis[state + 1] <= position:
                    state += 1
            out[begin + j] = state


@numba.njit(nogil=True, cache=True)
def _mixed(seed, i):
    """SplitMix64 (Steele, Lea, Flood 2014): the i-th number of a seed."""
    z = seed + np.uint64(i + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(nogil=True, cache=True)
def score(codes, columns, roots, depths, nodes, values, out):
    """See `plain.score`."""
    near = np.zeros((_BLOCK, len(columns)), np.uint32)
    for begin in range(0, len(out), _BLOCK):
        count = min(_BLOCK, len(out) - begin)
        for f in range(len(columns)):
            for i in range(count):
                near[i, f] = codes[begin + i, columns[f]]
        for tree in range(len(roots)):  # a tree stays near while rows pass it, four at a time, all to the same depth
            root, depth = np.uint64(roots[tree]), depths[tree]
            for i in range(0, count, 4):
                p, q, r, s = root, root, root, root
                for _ in range(depth):
                    p = _child(nodes[p], near[i])
                    q = _child(nodes[q], near[i + 1])
                    r = _child(nodes[r], near[i + 2])
                    s = _child(nodes[s], near[i + 3])
                out[begin + i] += values[p]
                if i + 1 < count:
                    out[begin + i + 1] += values[q]
                if i + 2 < count:
                    out[begin + i + 2] += values[r]
                if i + 3 < count:
                    out[begin + i + 3] += values[s]


@numba.njit(nogil=True, inline="always")
def _child(node, row):
    right = row[(node >> np.uint64(24)) & np.uint64(0xFFFF)] > (node & np.uint64(0xFFFFFF))
    return (node >> np.uint64(40)) + np.uint64(right)
