"""The loops over pairs of rows, compiled by numba. `plain.py` has the same in numpy and says what everything is."""
# mypy: allow-untyped-defs, allow-untyped-decorators, no-check-untyped-defs

import numba
import numpy as np

_SAME = 0.025
_LEAST = 1e-290


@numba.njit(inline="always")
def _apart(x_ranks, x_codes, y_ranks, y_codes):
    total = np.float32(0)
    for c in range(len(x_codes)):
        if x_codes[c] != y_codes[c]:
            total += np.float32(1)
    for c in range(len(x_ranks)):
        total += min(np.float32(1), abs(x_ranks[c] - y_ranks[c]))
    return total


@numba.njit(inline="always")
def _chance(x_ranks, x_ties, x_codes, x_shares, x_lifts, parents, y_ranks, y_codes, same):
    product = 1.0
    labels, differ = len(x_codes), 0
    for c in range(labels):
        same[c] = x_codes[c] == y_codes[c]
        if same[c]:
            product *= x_shares[c]
        else:
            differ += 1
    for c in range(len(x_ranks)):
        apart = abs(x_ranks[c] - y_ranks[c])
        near = x_ties[c] + np.float32(2) * apart
        same[labels + c] = apart < _SAME
        if apart >= _SAME:
            differ += 1
        if near < 1:
            product *= near
    for c in range(len(parents)):
        if parents[c] >= 0 and same[c] and same[parents[c]]:
            product *= x_lifts[c]
    return min(1.0, max(product, _LEAST)), differ


@numba.njit(parallel=True, cache=True)
def towards(ranks, ties, codes, shares, lifts, parents, to_ranks, to_codes, radii):
    """See `plain.towards`."""
    rows, levels = len(ranks), radii.shape[1]
    distance, chance, exact = np.empty(rows, np.float32), np.ones(rows), np.ones(rows)
    within = np.zeros((rows, levels), np.int32)
    for i in numba.prange(rows):
        nearest, least, whole = np.float32(np.inf), 1.0, 1.0
        same = np.empty(len(parents), np.bool_)
        for j in range(len(to_ranks)):
            d = _apart(ranks[i], codes[i], to_ranks[j], to_codes[j])
            nearest = min(nearest, d)
            for level in range(levels):
                if d <= radii[i, level]:
                    within[i, level] += 1
            p, differ = _chance(
                ranks[i], ties[i], codes[i], shares[i], lifts[i], parents, to_ranks[j], to_codes[j], same
            )
            least = min(least, p)
            if differ == 0:
                whole = min(whole, p)
        distance[i], chance[i], exact[i] = nearest, least, whole
    return distance, chance, exact, within


@numba.njit(parallel=True, cache=True)
def among(ranks, ties, codes, shares, lifts, parents, unit, ks):
    """See `plain.among`."""
    rows, most = len(ranks), ks[-1]
    distances, chance = np.empty((rows, len(ks)), np.float32), np.empty(rows)
    for i in numba.prange(rows):
        best = np.full(most, np.inf, np.float32)  # ascending
        least = 1.0
        same = np.empty(len(parents), np.bool_)
        for j in range(rows):
            if unit[i] == unit[j]:
                continue
            d = _apart(ranks[i], codes[i], ranks[j], codes[j])
            if d < best[most - 1]:
                place = most - 1
                while place > 0 and best[place - 1] > d:
                    best[place] = best[place - 1]
                    place -= 1
                best[place] = d
            p, _ = _chance(ranks[i], ties[i], codes[i], shares[i], lifts[i], parents, ranks[j], codes[j], same)
            least = min(least, p)
        for k in range(len(ks)):
            distances[i, k] = best[ks[k] - 1]
        chance[i] = least
    return distances, chance


@numba.njit(parallel=True, cache=True)
def owners(ranks, ties, codes, shares, lifts, parents, unit, to_ranks, to_codes):
    """See `plain.owners`."""
    rows = len(to_ranks)
    nearest, likest = np.empty(rows, np.int64), np.empty(rows, np.int64)
    d1, d2 = np.empty(rows, np.float32), np.empty(rows, np.float32)
    p1, p2 = np.empty(rows), np.empty(rows)
    for j in numba.prange(rows):
        a, b, at = np.float32(np.inf), np.float32(np.inf), -1
        c, e, best = 2.0, 2.0, -1
        same = np.empty(len(parents), np.bool_)
        for i in range(len(ranks)):
            d = _apart(ranks[i], codes[i], to_ranks[j], to_codes[j])
            if d < a:
                if at >= 0 and unit[i] != unit[at]:
                    b = a
                a, at = d, i
            elif d < b and unit[i] != unit[at]:
                b = d
            p, _ = _chance(ranks[i], ties[i], codes[i], shares[i], lifts[i], parents, to_ranks[j], to_codes[j], same)
            if p < c:
                if best >= 0 and unit[i] != unit[best]:
                    e = c
                c, best = p, i
            elif p < e and unit[i] != unit[best]:
                e = p
        nearest[j], d1[j], d2[j] = at, a, b
        likest[j], p1[j], p2[j] = best, c, e
    return nearest, d1, d2, likest, p1, p2


@numba.njit(parallel=True, cache=True)
def without_each(ranks, codes, to_ranks, to_codes):
    """See `plain.without_each`."""
    rows, labels, columns = len(ranks), codes.shape[1], codes.shape[1] + ranks.shape[1]
    at = np.zeros((rows, columns), np.int64)
    for i in numba.prange(rows):
        best = np.full(columns, np.inf, np.float32)
        own = np.empty(columns, np.float32)
        for j in range(len(to_ranks)):
            total = np.float32(0)
            for c in range(labels):
                own[c] = np.float32(codes[i, c] != to_codes[j, c])
                total += own[c]
            for c in range(labels, columns):
                own[c] = min(np.float32(1), abs(ranks[i, c - labels] - to_ranks[j, c - labels]))
                total += own[c]
            for c in range(columns):
                if total - own[c] < best[c]:
                    best[c], at[i, c] = total - own[c], j
    return at


@numba.njit(parallel=True, cache=True)
def coincide(ranks, ties, codes, shares, lifts, parents, unit, to_ranks, to_codes, to_unit, most):
    """See `plain.coincide`."""
    rows, labels, columns = len(ranks), codes.shape[1], codes.shape[1] + ranks.shape[1]
    found = np.full((rows, most + 1), -np.inf)
    for i in numba.prange(rows):
        off = np.empty(columns, np.bool_)
        for j in range(len(to_ranks)):
            if unit[i] == to_unit[j]:
                continue
            differ = 0
            for c in range(labels):
                off[c] = codes[i, c] != to_codes[j, c]
                differ += off[c]
                if differ > most:
                    break
            if differ > most:
                continue
            for c in range(labels, columns):
                off[c] = abs(ranks[i, c - labels] - to_ranks[j, c - labels]) >= _SAME
                differ += off[c]
                if differ > most:
                    break
            if differ > most:
                continue
            surprise, near, close = 0.0, 0.0, 0
            for c in range(columns):
                if off[c]:
                    continue
                if c < labels:
                    surprise -= np.log(shares[i, c])
                else:
                    close += 1
                    apart = abs(ranks[i, c - labels] - to_ranks[j, c - labels])
                    near -= np.log(min(np.float32(1), ties[i, c - labels] + np.float32(2) * apart))
                if parents[c] >= 0 and not off[parents[c]]:
                    surprise -= np.log(lifts[i, c])
            term, total = 1.0, 1.0
            for k in range(1, close):
                term *= near / k
                total += term
            found[i, differ] = max(found[i, differ], surprise + near - np.log(total))
    return found
