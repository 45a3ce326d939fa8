"""The loops over pairs of rows, compiled by numba. `plain.py` has the same in numpy and says what everything is."""
# mypy: allow-untyped-defs, allow-untyped-decorators, no-check-untyped-defs

import numba
import numpy as np

_SAME = 0.025
_LEAST = 1e-290
_TIED = np.float32(1e-5)


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
def among(ranks, ties, codes, shares, lifts, parents, unit, reference, ks):
    """See `plain.among`."""
    rows, most = len(ranks), ks[-1]
    distances, chance = np.empty((rows, len(ks)), np.float32), np.empty(rows)
    for i in numba.prange(rows):
        best = np.full(most, np.inf, np.float32)  # ascending
        least = 1.0
        same = np.empty(len(parents), np.bool_)
        for j in reference:
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


@numba.njit(inline="always")
def _lead(value, i, unit, at, best):
    """Keep the smallest two of different units in `best`, and where the first is."""
    if value < best[0]:
        if at >= 0 and unit[i] != unit[at]:
            best[1] = best[0]
        best[0] = value
        return i
    if value < best[1] and unit[i] != unit[at]:
        best[1] = value
    return at


@numba.njit(parallel=True, cache=True)
def owners(ranks, ties, codes, shares, lifts, parents, weights, unit, to_ranks, to_codes):
    """See `plain.owners`."""
    rows, labels = len(to_ranks), codes.shape[1]
    places, found = np.full((3, rows), -1, np.int64), np.empty((3, rows, 2))
    for j in numba.prange(rows):
        best = np.full((3, 2), np.inf)
        best[2] = 2.0
        at, rooted_at, likest = -1, -1, -1
        same = np.empty(len(parents), np.bool_)
        for i in range(len(ranks)):
            apart = np.float32(0)
            for c in range(labels):
                if codes[i, c] != to_codes[j, c]:
                    apart += weights[c]
            rooted = apart
            for c in range(ranks.shape[1]):
                step = min(np.float32(1), abs(ranks[i, c] - to_ranks[j, c]))
                apart += step
                rooted += np.sqrt(step)
            p, _ = _chance(ranks[i], ties[i], codes[i], shares[i], lifts[i], parents, to_ranks[j], to_codes[j], same)
            at = _lead(apart, i, unit, at, best[0])
            rooted_at = _lead(rooted, i, unit, rooted_at, best[1])
            likest = _lead(p, i, unit, likest, best[2])
        places[0, j], places[1, j], places[2, j] = at, rooted_at, likest
        found[:, j] = best
    return places, found


@numba.njit(parallel=True, cache=True)
def crowds(ranks, codes, to_ranks, to_codes):
    """See `plain.crowds`."""
    rows, twins = len(ranks), len(to_ranks)
    nearest, sharing, found = np.empty(twins, np.float32), np.empty(twins), np.empty(rows)
    for j in numba.prange(twins):
        apart = np.empty(rows, np.float32)
        for i in range(rows):
            apart[i] = _apart(ranks[i], codes[i], to_ranks[j], to_codes[j])
        nearest[j] = apart.min()
        sharing[j] = 1.0 / (apart <= nearest[j] + _TIED).sum()
    for i in numba.prange(rows):
        total = 0.0
        for j in range(twins):
            if _apart(ranks[i], codes[i], to_ranks[j], to_codes[j]) <= nearest[j] + _TIED:
                total += sharing[j]
        found[i] = total
    return found


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


@numba.njit(parallel=True, cache=True)
def linked(ranks, codes, to_ranks, to_codes, halves):
    """See `plain.linked`."""
    rows, labels, splits = len(ranks), codes.shape[1], len(halves)
    weights = np.ascontiguousarray(halves.T).astype(np.float32)
    found = np.zeros((rows, splits))
    for i in numba.prange(rows):
        least = np.full((2, splits), np.inf, np.float32)
        tied = np.zeros((3, splits), np.int64)  # nearest in either half, and in both
        own = np.empty((2, splits), np.float32)
        for j in range(len(to_ranks)):
            total = np.float32(0)
            own[1] = 0
            for c in range(len(weights)):
                if c < labels:
                    step = np.float32(codes[i, c] != to_codes[j, c])
                else:
                    step = min(np.float32(1), abs(ranks[i, c - labels] - to_ranks[j, c - labels]))
                if step > 0:
                    total += step
                    for s in range(splits):
                        own[1, s] += step * weights[c, s]
            for s in range(splits):
                own[0, s] = total - own[1, s]
            for s in range(splits):
                if own[0, s] > least[0, s] + _TIED and own[1, s] > least[1, s] + _TIED:
                    continue
                near = 0
                for half in range(2):
                    if own[half, s] < least[half, s] - _TIED:
                        least[half, s] = own[half, s]
                        tied[half, s] = tied[2, s] = 0
                    if own[half, s] <= least[half, s] + _TIED:
                        tied[half, s] += 1
                        near += 1
                if near == 2:
                    tied[2, s] += 1
        for s in range(splits):
            found[i, s] = tied[2, s] / max(1, tied[0, s] * tied[1, s])
    return found
