"""Finds columns that are scaled copies, sums or differences of others, with whole weights.

Rows of a sample are added up with random weights that sum to zero, modulo 2**64. This turns each column into one number
in which any linear relation still holds, whatever its constant, so that sums are found by sorting and not by trying
rows (a random linear projection, as in Freivalds 1977).
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from twinlake.generators.relations.kinds import Linear
from twinlake.generators.relations.plan import Plan
from twinlake.generators.relations.ruler import is_time, per_second
from twinlake.generators.relations.sheet import Group, Sheet
from twinlake.generators.states.census import Ints
from twinlake.hashing import Hashes, mix

_COPIES = 32  # with fewer distinct values, trees know that one column determines another
_WEIGHTS = (1, 2, 10, 12, 24, 60, 100, 1_000, 3_600, 10_000)
_NARROW, _WIDE, _WIDEST = 60, 100, 400  # columns above which fewer weights and sums are tried
_SPANS = (1, 60, 3_600, 86_400)  # seconds that a number may count
_PRODUCT_OF = 1_000  # the largest numerator and denominator of a scale that is no whole number
_TRIPLES = ((10_000, 100, 1), (3_600, 60, 1))
_MOST_CANDIDATES = 400  # of one group: many coincidences are none


@dataclass(frozen=True)
class Combination:
    """Columns of a group whose weighted sum, in common units, is the same in every sampled row."""

    columns: tuple[int, ...]
    weights: tuple[int, ...]


def take_sums(sheet: Sheet, plan: Plan) -> None:
    """Compute columns that are linear in one, then two, then three others."""
    for group in sheet.groups:
        for found in _copies(group):
            plan.offer(found, partial(_holds, sheet, plan, found))
    for size in (2, 3):
        for group in sheet.groups:
            if group.complete:
                _take(sheet, plan, group, size=size)


def _take(sheet: Sheet, plan: Plan, group: Group, *, size: int) -> None:
    pool = _pool(sheet, plan, group)
    if len(pool.names) < 3 or not pool.targets:
        return
    finder = _sums_of_two if size == 2 else _sums_of_three
    for n, found in enumerate(finder(pool)):
        if n == _MOST_CANDIDATES:
            return
        for relation in _solved(plan, pool, found):
            if plan.offer(relation, partial(_holds, sheet, plan, relation)):
                break


@dataclass(frozen=True)
class _Pool:
    """What sums are made of: names, ticks in units, units in common, and the one number of each column."""

    names: tuple[str, ...]
    ticks: Ints
    units: tuple[int, ...]
    times: tuple[bool, ...]
    second: int
    sums: Hashes
    targets: tuple[int, ...]


def _pool(sheet: Sheet, plan: Plan, group: Group) -> _Pool:
    """Columns that vary, one of each that differ by a constant only, and no scaled copies."""
    types = [sheet.rulers[n].type for n in group.names]
    times = [is_time(t) for t in types]
    second = max((int(per_second(t)) for t in types if is_time(t)), default=1) or 1
    finest = max((sheet.rulers[n].decimals for n, t in zip(group.names, times, strict=True) if not t), default=0)
    units = [
        round(second / per_second(t)) if is_time(t) else 10 ** (finest - sheet.rulers[n].decimals)
        for n, t in zip(group.names, types, strict=True)
    ]
    sums = _projected(group.ticks) * np.array(units, np.int64).view(np.uint64)
    copies = {r.target for r in plan.taken if isinstance(r, Linear) and len(r.inputs) == 1}
    kept, seen = list[int](), {0}
    for i in sorted(range(len(group.names)), key=lambda i: group.names[i] not in group.targets):
        if int(sums[i]) not in seen and group.names[i] not in copies:
            seen.add(int(sums[i]))
            kept.append(i)
    kept.sort()
    names = tuple(group.names[i] for i in kept)
    targets = tuple(j for j, n in enumerate(names) if n in group.targets)
    return _Pool(
        names, group.ticks[kept], tuple(units[i] for i in kept), tuple(times[i] for i in kept), second,
        sums[kept], targets,
    )  # fmt: skip


def _projected(ticks: Ints) -> Hashes:
    weights = mix(np.arange(ticks.shape[1], dtype=np.uint64)).view(np.int64)
    weights[-1:] -= weights.sum(keepdims=True)  # wraps, like all sums here
    return np.asarray(ticks @ weights).view(np.uint64)


def _copies(group: Group) -> Iterator[Linear]:
    """Columns that are `scale × other + constant`, the other one listed first or the coarser of both."""
    at = [group.names.index(n) for n in group.targets]
    rich = [i for i in at if len(np.unique(group.ticks[i])) >= _COPIES]
    ticks = group.ticks[rich]
    for x in range(len(rich)):
        first, last = int(ticks[x].argmin()), int(ticks[x].argmax())
        run = int(ticks[x, last]) - int(ticks[x, first])
        rises = [int(r) for r in ticks[:, last] - ticks[:, first]]
        for y in _proportional(ticks, x, first, last):
            common = math.gcd(run, rises[y])
            by, to = run // common, rises[y] // common
            whole, mirrored = by == 1, abs(to) == by
            usable = whole or (abs(to) > 1 and max(abs(to), by) <= _PRODUCT_OF)
            if x == y or to == 0 or not usable or (y < x and (mirrored or not whole)):
                continue
            constant = by * int(ticks[y, first]) - to * int(ticks[x, first])
            yield Linear(group.names[rich[y]], (group.names[rich[x]],), (to,), constant, by)


def _proportional(ticks: Ints, x: int, first: int, last: int) -> Ints:
    """The columns that rise from row to row as column x does, modulo 2**64; all rows are checked later."""
    places = np.arange(len(ticks))
    for rows in (slice(0, 16), slice(None)):
        mine = ticks[places]
        left = (mine[:, rows] - mine[:, [first]]) * (ticks[x, last] - ticks[x, first])
        right = (ticks[x, rows] - ticks[x, first]) * (mine[:, [last]] - mine[:, [first]])
        places = places[(left == right).all(axis=1)]
    return places


def _sums_of_two(pool: _Pool) -> Iterator[Combination]:
    """All `y = w·a ± b` in common units."""
    weights = _WEIGHTS if len(pool.names) <= _WIDE else (1, 100)
    numbers = [i for i, time in enumerate(pool.times) if not time]
    times = [i for i, time in enumerate(pool.times) if time]
    spans = [pool.second * s for s in _SPANS]
    plain = [(i, w) for w in weights for i in numbers], [(i, w) for w in (1, -1) for i in numbers]
    timed = (
        [(i, 1) for i in times],
        [(i, w) for w in (1, -1) for i in times] + [(i, w * s) for s in spans for w in (1, -1) for i in numbers],
    )
    for (left, right), kind in ((plain, False), (timed, True)):
        targets = [y for y in pool.targets if pool.times[y] == kind]
        if left and right and targets:
            yield from _met(pool, left, right, targets)


def _met(
    pool: _Pool, left: list[tuple[int, int]], right: list[tuple[int, int]], targets: list[int]
) -> Iterator[Combination]:
    """Pairs of weighted columns that sum to a target."""
    totals = _weighted(pool, left)[:, None] + _weighted(pool, right)[None, :]
    wanted = np.array(targets)[np.argsort(pool.sums[targets])]
    for i, j, y in _equal(totals, pool.sums[wanted]):
        (a, v), (b, w) = left[i], right[j]
        yield from _distinct((a, b, wanted[y]), (v, w, -1))


def _weighted(pool: _Pool, terms: list[tuple[int, int]]) -> Hashes:
    weights = np.array([w for _, w in terms], np.int64).view(np.uint64)
    return np.asarray(pool.sums[[i for i, _ in terms]] * weights)


def _sums_of_three(pool: _Pool) -> Iterator[Combination]:
    """`y = a + b + c`, `y + c = a + b`, and numbers written as three others, such as 10000·a + 100·b + c."""
    if not 4 <= len(pool.names) <= _WIDEST:
        return
    a, b = np.triu_indices(len(pool.names), 1)
    pairs = pool.sums[a] + pool.sums[b]
    order = np.argsort(pairs, kind="stable")
    a, b, pairs = a[order], b[order], pairs[order]
    for i in np.flatnonzero(pairs[1:] == pairs[:-1]):
        yield from _distinct((a[i], b[i], a[i + 1], b[i + 1]), (1, 1, -1, -1))
    targets = np.array(pool.targets)
    for y, c, at in _equal(pool.sums[targets][:, None] - pool.sums[None, :], pairs):
        yield from _distinct((a[at], b[at], c, targets[y]), (1, 1, 1, -1))
    numbers = np.array([i for i, time in enumerate(pool.times) if not time])
    for weights in _TRIPLES if len(numbers) <= _NARROW else ():
        yield from _spelt(pool, numbers, weights)


def _spelt(pool: _Pool, numbers: Ints, weights: tuple[int, int, int]) -> Iterator[Combination]:
    high, middle, low = (pool.sums[numbers] * np.uint64(w) for w in weights)
    order = np.argsort(middle)
    for y in pool.targets:
        if not pool.times[y]:
            rest = pool.sums[[y]] - low
            for c, i, j in _equal(rest[:, None] - high[None, :], middle[order]):
                columns = (numbers[i], numbers[order[j]], numbers[c], y)
                yield from _distinct(columns, (*weights, -1))


def _equal(totals: Hashes, ascending: Hashes) -> Iterator[tuple[int, int, int]]:
    """Row and column of totals that are among these numbers, and which one each is."""
    at = np.searchsorted(ascending, totals).clip(max=len(ascending) - 1)
    for i, j in zip(*np.nonzero(ascending[at] == totals), strict=True):
        yield int(i), int(j), int(at[i, j])


def _distinct(columns: Iterable[int], weights: tuple[int, ...]) -> Iterator[Combination]:
    """The combination, if no column is in it twice."""
    found = tuple(int(c) for c in columns)
    if len(set(found)) == len(found):
        yield Combination(found, weights)


def _solved(plan: Plan, pool: _Pool, found: Combination) -> list[Linear]:
    """The combination solved for each of its columns that may be computed, the best first.

    Best is what can't leave the range of the target (only sums of what is never negative), needs no division, and
    leaves columns with few values to be learnt.
    """
    choices = []
    for place, column in enumerate(found.columns):
        if column not in pool.targets or not plan.is_free(pool.names[column]):
            continue
        relation = _solve(pool, found, place)
        inputs = [c for c in found.columns if c != column]
        below = any(pool.ticks[c].min() < 0 for c in inputs if not pool.times[c])
        unsafe = below or any(w < 0 for w in relation.weights)
        distinct = len(np.unique(pool.ticks[column]))
        if distinct >= 3:
            choices.append(((unsafe, relation.divisor != 1, -distinct, -column), relation))
    return [relation for _, relation in sorted(choices, key=lambda pair: pair[0])]


def _solve(pool: _Pool, found: Combination, place: int) -> Linear:
    terms = {c: w * pool.units[c] for c, w in zip(found.columns, found.weights, strict=True)}
    target = found.columns[place]
    divisor = -terms.pop(target)
    sign = 1 if divisor > 0 else -1
    common = math.gcd(divisor, *terms.values())
    weights = [sign * w // common for w in terms.values()]
    divisor = abs(divisor) // common
    first = sum(w * int(pool.ticks[c, 0]) for c, w in zip(terms, weights, strict=True))
    constant = divisor * int(pool.ticks[target, 0]) - first
    return Linear(pool.names[target], tuple(pool.names[c] for c in terms), tuple(weights), constant, divisor)


def _holds(sheet: Sheet, plan: Plan, relation: Linear) -> bool:
    if max(map(abs, (*relation.weights, relation.constant, relation.divisor))) >= 2**62:
        return False
    if not plan.computes(relation.target, relation.inputs, relation.computed):
        return False
    rows = sheet.valid(relation.target)
    return all(sheet.supported(name, rows) for name in relation.inputs)
