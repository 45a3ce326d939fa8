"""How many children parents had before some were held back.

Children that were split together with their parent are all there. Others are thinned: of each parent's a known share is
left. The numbers they were thinned from are estimated for all parents at once; which parent had which stays unknown.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinlake.hashing import Hashes

_TURNS = tuple(2**i for i in range(13))  # of which the one is taken that tells left-out parents best
_WORK = 40_000_000  # cells of the likelihood to go through at most
_FOLDS = 5
_STEPS = 3
_NEARLY = 1e-6
_MOST = 200  # from so many on a number is divided by the share: it is off by a few hundredths at most
_ONES = np.array([0, 1])
_BEYOND = 3.0  # standard deviations that a number may lie above what is left of it

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Split:
    """How child rows were split.

    Attributes:
        share: of the child rows that were kept, above 0 and at most 1.
        units: of each child row, shape (rows,); None where they are nobody's.
        owners: the unit of each row of the parent table, shape (parents,); None where they are nobody's.
    """

    share: float = 1.0
    units: Hashes | None = None
    owners: Hashes | None = None

    def before(self, at: Places, parents: int, rng: np.random.Generator, *, most: int | None = None) -> Counts:
        """How many children each parent may have had, shape (parents,), for a histogram of them.

        Children of the parent's own unit were kept with it. Others of one unit were kept or held back as one.

        Args:
            at: the parent of each child row, shape (rows,); -1 for none, or one that was held back.
            parents: how many rows the parent table has.
            rng: of which parent gets which number.
            most: children that a parent can have.
        """
        there = np.flatnonzero(at >= 0)
        counts = np.bincount(at[there], minlength=parents).astype(np.int64)
        if self.share >= 1 or self.units is None or not len(there):
            return counts
        apart = there if self.owners is None else there[self.units[there] != self.owners[at[there]]]
        left = np.bincount(at[apart], minlength=parents).astype(np.int64)
        bunches = np.bincount(_runs(at[apart], self.units[apart]))
        return counts - left + unthinned(left, self.share, rng, most=most, bunches=bunches)


def _runs(at: Places, units: Hashes) -> Counts:
    """How many rows each parent has of each unit that it has any of."""
    order = np.lexsort((units, at))
    at, units = at[order], units[order]
    first = np.ones(len(at), dtype=np.bool_)
    first[1:] = (at[1:] != at[:-1]) | (units[1:] != units[:-1])
    return np.diff(np.append(np.flatnonzero(first), len(at))).astype(np.int64)


def unthinned(
    left: Counts, share: float, rng: np.random.Generator, *, most: int | None = None, bunches: Counts | None = None
) -> Counts:
    """Numbers with the histogram that numbers may have had before each was thinned, shape (numbers,), in their order.

    The histogram that most likely is thinned to the one that is left, among those with the mean that the share asks
    for, is found by expectation-maximization (Richardson 1972, Lucy 1974). It begins flat and is stopped where it tells
    numbers best that were left out: so it comes to single numbers where the data ask for it and else stays smooth.

    Args:
        left: what is left of each number.
        share: the probability of staying, above 0.
        rng: of the numbers that are left out.
        most: that a number can have been.
        bunches: how many bunches of 0, 1, 2, ... there are that stayed or went as a whole; all are of 1 by default.
    """
    found = np.rint(left / share).astype(np.int64)
    few = np.flatnonzero(left <= _MOST)
    if share >= 1 or not left[few].any():
        return found
    largest = int(left[few].max())
    top = int(np.ceil((largest + _BEYOND * np.sqrt(largest * (1 - share))) / share)) + 1
    top = top if most is None else max(min(top, most), largest)
    values, places = np.unique(left[few], return_inverse=True)
    likely = _thinned(top, share, _ONES if bunches is None else bunches[: top + 1])[values]
    cumulative = np.cumsum(_fitted(values, places, likely, share, rng))
    even = (np.arange(len(few)) + 0.5) / len(few) * cumulative[-1]
    order = few[np.argsort(left[few], kind="stable")]
    found[order] = np.minimum(np.searchsorted(cumulative, even, side="right"), top)
    return found


def _thinned(top: int, share: float, bunches: Counts) -> Floats:
    """The probability of each number that is left, given each that was before; shape (top + 1, top + 1).

    The first bunch stays or goes; then comes what is left of the others. It is as large as bunches are that fit.
    """
    likely = np.zeros((top + 1, top + 1))
    likely[0, 0] = 1.0
    sizes = np.flatnonzero(bunches)
    for before in range(1, top + 1):
        fitting = sizes[sizes <= before]
        weights = bunches[fitting] / max(bunches[fitting].sum(), 1)
        for size, weight in zip(fitting, weights, strict=True) if len(fitting) else [(before, 1.0)]:
            likely[size:, before] += weight * share * likely[: top + 1 - size, before - size]
            likely[:, before] += weight * (1 - share) * likely[:, before - size]
    return likely


def _fitted(values: Counts, places: Places, likely: Floats, share: float, rng: np.random.Generator) -> Floats:
    """Shares of the numbers before, shape (before,), after as many turns as tell left-out numbers best.

    Args:
        values: what is left, rising.
        places: which of these each number is.
        likely: the probability of each, given each number before; shape (values, before).
        share: the probability of staying.
        rng: of the folds.
    """
    fold = rng.permutation(len(places)) % _FOLDS
    folds = np.stack([np.bincount(places[fold == f], minlength=len(values)) for f in range(_FOLDS)]).astype(np.float64)
    held = np.concatenate([folds.sum(axis=0) - folds, folds.sum(axis=0, keepdims=True)])  # the last one is of all
    held = held[held.sum(axis=1) > 0]
    turns = [t for t in _TURNS if t * likely.size <= _WORK] or [1]
    path = _path(values, held / held.sum(axis=1, keepdims=True), likely, share, turns)
    told = [float((folds * np.log(np.maximum(p[:-1] @ likely.T, 1e-12))).sum()) for p in path if len(p) > _FOLDS]
    return np.asarray(path[int(np.argmax(told)) if told else 0][-1])


def _path(values: Counts, held: Floats, likely: Floats, share: float, turns: list[int]) -> list[Floats]:
    """The estimates after each of so many turns, rising, for shares of what is left, shape (estimates, values)."""
    before = np.arange(likely.shape[1], dtype=np.float64)
    away = before - np.minimum(held @ values / share, before[-1] - _NEARLY)[:, None]
    shares, tilt, done, path = np.full(away.shape, 1 / len(before)), np.zeros((len(held), 1)), 0, []
    for stop in turns:
        for _ in range(stop - done):
            shares = shares * ((held / np.maximum(shares @ likely.T, 1e-300)) @ likely)
            tilt = _tilted(shares, away, tilt)
            shares = shares / (1 + tilt * away)
            shares /= shares.sum(axis=1, keepdims=True)
        done = stop
        path.append(shares)
    return path


def _tilted(shares: Floats, away: Floats, tilt: Floats) -> Floats:
    """The tilt by which shares / (1 + tilt * away) get their mean to 0 (Owen 1988), some of Newton's steps closer."""
    low, high = -(1 - _NEARLY) / away[:, -1:], -(1 - _NEARLY) / np.minimum(away[:, :1], -_NEARLY)
    for _ in range(_STEPS):
        rest = away / (1 + tilt * away)
        slope = np.maximum((shares * rest**2).sum(axis=1, keepdims=True), _NEARLY)
        step = tilt + (shares * rest).sum(axis=1, keepdims=True) / slope
        tilt = np.clip(step, (tilt + low) / 2, (tilt + high) / 2)
    return tilt
