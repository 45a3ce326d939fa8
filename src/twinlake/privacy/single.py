"""The single record: is one coincidence of the twin with a learnt row too unlikely for chance?

Dealing labels anew can't see fewer than about five copied rows: each is learnt or held back with a chance of a half.
What one row shows is how unlikely it is that a twin agrees with it in all its cells, or in all but one or two.
Coincidences less likely than e^-t by a sound model of rows are met at most rows times twins times e^-t times. No
model is sound everywhere, so the count is the largest of that bound and of what coincidences of twins with held-back
rows, and of real rows with each other, let expect: their tail, carried on as it falls, but never faster than e^-t.
"""

import math

import numpy as np

from twinlake.columns import Codes, Floats
from twinlake.privacy import pairs
from twinlake.privacy.pool import Cells, Known, Members

MOST = 2  # columns that may differ
TAIL_HELD, TAIL_REAL = 10, 60  # coincidences that a tail is fitted to
SHARE = {1: 2 / 3, 3: 1 / 6, 10: 1 / 6}  # of α, by how many of the least likely are counted


def single(known: Known, unit: Codes, twins: Cells, members: Members, reference: Codes) -> float:
    """Chance that one, three or ten learnt units coincide with twins as unlikely as the least likely ones do.

    Args:
        known: rows of the pool.
        unit: which unit each is of, shape (rows,).
        twins: rows of the twin.
        members: whether each unit was learnt, shape (units,).
        reference: rows of the pool that coincidences of real rows are looked for among.
    """
    columns = known.cells.codes.shape[1] + known.cells.ranks.shape[1]
    nobody = np.full(len(twins), -1, dtype=unit.dtype)
    met = _by_unit(_nats(pairs.coincide(known, unit, twins, nobody, MOST), columns), unit, len(members))
    mine, theirs = _tail(met[members]), _tail(met[~members])
    if not len(mine):
        return 1.0
    real = _tail(_nats(pairs.coincide(known, unit, known.cells.at(reference), unit[reference], MOST), columns))
    rows = len(unit)
    mine_rows = int(members[unit].sum())
    slope = max(1.0, _slope(theirs, TAIL_HELD), _slope(real, TAIL_REAL))
    bounds = [(math.log(max(1, mine_rows) * max(1, len(twins))), 0.0, 1.0)]
    bounds += _carried(theirs, TAIL_HELD, slope, mine_rows / max(1, rows - mine_rows))
    bounds += _carried(real, TAIL_REAL, slope, mine_rows * len(twins) / max(1, rows * len(reference)))
    return _chance(mine, bounds)


Bound = tuple[float, float, float]
"""Log of how many are expected at a surprise, that surprise, and how fast it falls from there."""


def _chance(mine: Floats, bounds: list[Bound]) -> float:
    """The smallest corrected chance, over counts, of so many coincidences as unlikely as these."""
    from scipy.stats import poisson

    best = 1.0
    for count, share in SHARE.items():
        if len(mine) >= count:
            expected = max(log - (mine[count - 1] - at) / slope for log, at, slope in bounds)
            best = min(best, float(poisson.sf(count - 1, math.exp(min(50.0, expected)))) / share)
    return min(1.0, best)


def _carried(tail: Floats, size: int, slope: float, scale: float) -> list[Bound]:
    """The count beyond the `size`-th of a tail, or beyond its last."""
    if not len(tail) or scale <= 0:
        return []
    at = min(size, len(tail)) - 1
    return [(math.log((at + 1) * scale), float(tail[at]), slope)]


def _slope(tail: Floats, size: int) -> float:
    """Mean of what the first `size` of a tail exceed the next by: the scale of an exponential tail; 0 for too few."""
    size = min(size, len(tail) - 1)
    return float((tail[:size] - tail[size]).mean()) if size >= 3 else 0.0


def _tail(nats: Floats) -> Floats:
    """What there is, the least likely first."""
    return np.asarray(np.sort(nats[np.isfinite(nats)])[::-1])


def _nats(found: Floats, columns: int) -> Floats:
    """The least likely over how many columns differ, less the log of how many ways there are to choose those."""
    ways = [math.log(max(1, math.comb(columns, d))) for d in range(found.shape[1])]
    return np.asarray((found - np.array(ways)).max(axis=1))


def _by_unit(nats: Floats, unit: Codes, units: int) -> Floats:
    found = np.full(units, -np.inf)
    np.maximum.at(found, unit, nats)
    return found
