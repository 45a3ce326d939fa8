"""Quantile bins: what a quantity's values are drawn from where no single one of them is frequent."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from twinlake.generators.states.census import (
    Floats,
    Ints,
    count_all,
    count_units,
    in_order,
    mean_of_units,
    merged,
    part,
    runs,
)
from twinlake.generators.states.ticks import Ticks

MOST_BINS = 1_024
_UNITS = 5  # times k, in a bin: cuts that follow fewer would lead to learnt values more often than to others
_STEPS = 4  # pieces of a bin's quantile function
_DIGITS = 10  # of positions that are no whole numbers of steps: their rest is noise that would fill the model


@dataclass(frozen=True, slots=True)
class Sorted:
    """Values in ascending order, with the units that hold them.

    Attributes:
        distinct: the different values, shape (values,).
        held: how many units hold each, shape (values,).
        rank: which value each row has, ascending, shape (rows,).
        units: of each row; None where no two rows share one.
    """

    distinct: Ticks
    held: Ints
    rank: Ints
    units: Ints | None

    @classmethod
    def of(cls, values: Ticks, units: Ints | None) -> Self:
        """Sort; equal values are in the order of their units, so that nothing depends on the order of rows."""
        distinct, inverse = _ranked(values)
        counts = np.bincount(inverse, minlength=len(distinct)).astype(np.int64)
        rank = np.repeat(np.arange(len(distinct), dtype=np.int64), counts)
        if units is None:
            return cls(distinct, counts, rank, None)
        units = units[in_order(inverse, units)]
        return cls(distinct, count_units(rank, units, len(distinct)), rank, units)

    def without(self, gone: npt.NDArray[np.bool_]) -> Self:
        """The other values."""
        if not gone.any():
            return self
        rows = ~gone[self.rank]
        rank = (np.cumsum(~gone) - 1)[self.rank[rows]]
        return type(self)(self.distinct[~gone], self.held[~gone], rank, part(self.units, rows))


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Bins, ascending; each draws a heap by its share, else from its quantile function.

    Attributes:
        cuts: positions between bins, ascending, shape (bins - 1,).
        knots: quantile functions at 0, 1/4, ..., 1, as positions, shape (bins, 5).
        smooth: rows of each bin that its quantile function stands for, shape (bins,).
        heaps: ticks that at least k units hold, ascending over all bins.
        heap_rows: rows of each heap.
        first_heap: where each bin's heaps begin, shape (bins + 1,).
    """

    cuts: Floats
    knots: Floats
    smooth: Ints
    heaps: Ticks
    heap_rows: Ints
    first_heap: Ints
    _draws: "_Draws" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sum the shares once."""
        object.__setattr__(self, "_draws", _Draws.of(self))

    def __len__(self) -> int:
        """How many bins."""
        return len(self.smooth)

    @property
    def single(self) -> npt.NDArray[np.bool_]:
        """Whether each bin has one heap and nothing else, shape (bins,)."""
        return np.asarray((self.smooth == 0) & (np.diff(self.first_heap) == 1))

    @property
    def middles(self) -> Floats:
        """A position inside each bin, shape (bins,)."""
        return self.knots[:, _STEPS // 2]

    @classmethod
    def none(cls, *, exact: bool) -> Self:
        """No bins."""
        empty, whole = np.empty(0), np.empty(0, np.int64)
        return cls(empty, empty.reshape(0, _STEPS + 1), whole, whole if exact else empty, whole, np.zeros(1, np.int64))

    @classmethod
    def learn(cls, values: Sorted, positions: Floats, *, whole: bool, inwards: tuple[bool, bool], k: int) -> Self:
        """The bins of some values.

        Args:
            values: none of which is an atom.
            positions: of each different value, ascending.
            whole: whether values are drawn at whole positions only.
            inwards: whether the lowest and the highest whole position drawn must lie inside the mean over k units.
            k: units that stand behind whatever is kept.
        """
        if count_all(values.units, len(values.rank)) < k:
            return cls.none(exact=whole)
        at = positions[values.rank]
        low, high = _ends(at, values.units, k, inwards=inwards)
        cuts = _cuts(at, positions, values, k, whole=whole)
        bins = np.searchsorted(cuts, positions, side="right").astype(np.int64)
        rows = np.bincount(values.rank, minlength=len(positions)).astype(np.int64)
        heaped = values.held >= k
        smooth = ~heaped[values.rank]
        held = count_units(bins[values.rank[smooth]], part(values.units, smooth), len(cuts) + 1)
        bare = held < k  # too few to tell anything of: the heaps stand for them
        bare &= np.bincount(bins[heaped], minlength=len(cuts) + 1) > 0
        smooth &= ~bare[bins[values.rank]]
        lows, highs = np.r_[low, np.maximum(cuts, low)], np.r_[np.minimum(cuts, high), high]
        knots = _knots(at[smooth], bins[values.rank[smooth]], part(values.units, smooth), lows, highs, k)
        first = np.searchsorted(bins[heaped], np.arange(len(cuts) + 2)).astype(np.int64)
        knots[bare] = positions[heaped][(first[:-1] + first[1:])[bare] // 2, None]
        return cls(
            cuts=cuts, knots=_short(knots, whole=whole), heaps=values.distinct[heaped], heap_rows=rows[heaped],
            smooth=np.bincount(bins[values.rank[smooth]], minlength=len(cuts) + 1).astype(np.int64), first_heap=first,
        )  # fmt: skip

    def draw(self, bins: Ints, knots: Floats, rng: np.random.Generator) -> tuple[Floats, Ints, Ints]:
        """A position for each bin, the heaps drawn instead, and where; `knots` are those to use."""
        draws, chance = self._draws, rng.random(len(bins))
        if not len(self.heaps):
            chance *= _STEPS
            return _between(knots, bins, chance), np.empty(0, np.int64), np.empty(0, np.int64)
        share = draws.share.take(bins)
        heaped = np.flatnonzero(chance < share)
        heaps = draws.heap(bins.take(heaped), chance.take(heaped), self.first_heap)
        if len(heaped) == len(bins):
            return chance, heaps, heaped
        chance -= share
        chance *= draws.widen.take(bins)
        return _between(knots, bins, np.maximum(chance, 0.0, out=chance)), heaps, heaped

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        names = ("cuts", "knots", "smooth", "heaps", "heap_rows", "first_heap")
        return {name: getattr(self, name).ravel().tolist() for name in names}

    @classmethod
    def from_json(cls, data: dict[str, Any], *, exact: bool) -> Self:
        """The bins that `to_json` wrote."""
        return cls(
            cuts=np.array(data["cuts"], np.float64),
            knots=np.array(data["knots"], np.float64).reshape(-1, _STEPS + 1),
            smooth=np.array(data["smooth"], np.int64),
            heaps=np.array(data["heaps"], np.int64 if exact else np.float64),
            heap_rows=np.array(data["heap_rows"], np.int64),
            first_heap=np.array(data["first_heap"], np.int64),
        )


@dataclass(frozen=True, slots=True)
class _Draws:
    """Shares summed, for drawing.

    Attributes:
        share: of heaps in each bin.
        widen: what stretches the rest of a chance over the pieces of the quantile function.
        ends: the share of each heap and of those before it in its bin.
        guess: for as many equal stretches of chance as a bin has heaps, the first heap to look at (a guide table: Chen
            and Asau 1974).
        slots: such stretches per unit of chance.
    """

    share: Floats
    widen: Floats
    ends: Floats
    guess: Ints
    slots: Floats

    @classmethod
    def of(cls, of: Ranges) -> Self:
        count = np.diff(of.first_heap)
        owner = np.repeat(np.arange(len(of), dtype=np.int64), count)
        sums = np.r_[0, np.cumsum(of.heap_rows)]
        before = sums[of.first_heap]
        total = of.smooth + np.diff(before)
        ends = (sums[1:] - before[:-1][owner]) / np.maximum(total, 1)[owner]
        share = np.diff(before) / np.maximum(total, 1)
        slot = np.arange(len(owner)) - of.first_heap[:-1][owner]
        below = slot / np.maximum(count, 1)[owner] * share[owner]
        guess = np.searchsorted(owner + ends, owner + below, side="right")
        guess = np.minimum(guess, of.first_heap[1:][owner] - 1)
        widen = _STEPS / np.where(share < 1, 1 - share, 1.0)
        last = of.first_heap[1:][count > 0] - 1
        ends[last] = np.inf  # whatever sums lose to rounding
        return cls(share, widen, ends, guess.astype(np.int64), count / np.where(share > 0, share, 1.0))

    def heap(self, bins: Ints, chance: Floats, first: Ints) -> Ints:
        """The heap that each chance below its bin's share falls on."""
        slot = chance * self.slots.take(bins)
        slot += first.take(bins)
        at = self.guess.take(slot.astype(np.int64), mode="clip")
        late = np.flatnonzero(chance >= self.ends.take(at))
        while len(late):
            at[late] += 1
            late = late[chance[late] >= self.ends[at[late]]]
        return at


def _between(knots: Floats, bins: Ints, where: Floats) -> Floats:
    """The quantile function of each bin at `where`, from 0 to 4, which is used up."""
    left = np.minimum(where.astype(np.int64), _STEPS - 1)
    where -= left
    left += bins * (_STEPS + 1)
    flat = knots.ravel()
    low = flat.take(left)
    left += 1
    high = flat.take(left)
    high -= low
    high *= where
    high += low
    return high


def _ranked(values: Ticks) -> tuple[Ticks, Ints]:
    """Different values, ascending, and which one each row has; counted where they lie close together."""
    if values.dtype == np.int64 and len(values):
        low = int(values.min())
        if int(values.max()) - low < 4 * len(values):
            place = values - low
            there = np.bincount(place) > 0
            return np.flatnonzero(there) + low, (np.cumsum(there) - 1)[place]
    distinct, inverse = np.unique(values, return_inverse=True)
    return distinct, inverse.astype(np.int64)


def _cuts(at: Floats, positions: Floats, values: Sorted, k: int, *, whole: bool) -> Floats:
    """Cuts into bins of equal length and at least k units; each the middle between means over k units."""
    units = values.units
    run = runs(len(at), units, most=MOST_BINS, k=_UNITS * k)
    fine = runs(len(at), units, most=len(at), k=k)
    means = mean_of_units(at, fine, units, int(fine[-1]) + 1)
    before = fine[np.flatnonzero(np.diff(run))]
    cuts = np.unique(_short((means[before] + means[np.minimum(before + 1, len(means) - 1)]) / 2, whole=whole))
    bins = np.searchsorted(cuts, positions, side="right").astype(np.int64)[values.rank]
    joined = merged(bins, units, np.zeros(len(cuts) + 1, np.int64), k=k)
    return np.asarray(cuts[np.diff(joined) > 0])


def _ends(at: Floats, units: Ints | None, k: int, *, inwards: tuple[bool, bool]) -> tuple[float, float]:
    """The means over the k units with the lowest and the highest values; `inwards` takes the next step from there.

    It is asked for where fewer than k units hold the extreme: rounding their mean to the nearest step could make it.
    """
    low, high = _end(at, units, k), _end(at[::-1], None if units is None else units[::-1], k)
    if inwards[1]:
        high = float(np.floor(high))
        low = min(low, high)
    if inwards[0]:
        low = float(np.ceil(low))
        high = max(low, high)
    return low, high


def _end(at: Floats, units: Ints | None, k: int) -> float:
    """The mean over the first value of each of the first k units."""
    if units is None:
        return float(at[:k].mean())
    some = k
    while some < len(units) and len(np.unique(units[:some])) < k:
        some *= 2
    first = np.sort(np.unique(units[:some], return_index=True)[1])
    return float(at[first[:k]].mean())


def _knots(at: Floats, bins: Ints, units: Ints | None, lows: Floats, highs: Floats, k: int) -> Floats:
    """Quantile functions through means over k units, kept within the ends of each bin, shape (bins, 5)."""
    knots = np.repeat(lows[:, None], _STEPS + 1, axis=1)
    rows = np.bincount(bins, minlength=len(lows))
    parts = np.clip(rows // k, 1, _STEPS)
    begins = np.r_[0, np.cumsum(parts)]
    place = np.arange(len(at)) - (np.cumsum(rows) - rows)[bins]
    parents = np.repeat(np.arange(len(lows), dtype=np.int64), parts)
    groups = begins[bins] + place * parts[bins] // rows[bins]
    new = merged(groups, units, parents, k=k)
    means = mean_of_units(at, new[groups], units, int(new[-1]) + 1)
    first = new[begins[:-1]]
    parts = np.diff(np.r_[first, len(means)])
    for count in range(1, _STEPS + 1):
        mine = np.flatnonzero((parts == count) & (rows > 0))
        inside = np.maximum.accumulate(means[first[mine][:, None] + np.arange(count)], axis=1)
        spread = _spread(at, bins, rows)[mine] if count == 1 else None
        knots[mine] = _interpolated(inside, spread) if len(mine) else knots[mine]
    low, high = np.minimum(lows, highs), np.maximum(lows, highs)
    return np.clip(knots, low[:, None], high[:, None])


def _interpolated(means: Floats, spread: Floats | None) -> Floats:
    """Quantile functions at equal steps through `means` of equal parts, shape (bins, parts); `spread` for one part."""
    count = means.shape[1]
    below = spread if spread is not None else (means[:, 1] - means[:, 0]) / 2
    above = spread if spread is not None else (means[:, -1] - means[:, -2]) / 2
    points = np.c_[means[:, 0] - below, means, means[:, -1] + above]
    shares = np.r_[0.0, (np.arange(count) + 0.5) / count, 1.0]
    weights = np.array([np.interp(np.linspace(0, 1, _STEPS + 1), shares, one) for one in np.eye(count + 2)])
    return np.asarray((points[:, :, None] * weights).sum(axis=1))


def _spread(at: Floats, bins: Ints, rows: Ints) -> Floats:
    """Half the width of a uniform distribution with the standard deviation of each bin."""
    means = np.bincount(bins, weights=at, minlength=len(rows)) / np.maximum(rows, 1)
    squares = np.bincount(bins, weights=(at - means[bins]) ** 2, minlength=len(rows)) / np.maximum(rows, 1)
    return np.asarray(np.sqrt(3 * squares))


def _short(positions: Floats, *, whole: bool) -> Floats:
    """Positions without the digits that mean nothing: hundredths of a step, or ten digits."""
    if whole:
        return np.asarray(np.round(positions, 2))
    size = np.abs(positions)
    digits = np.where(size > 0, _DIGITS - 1 - np.floor(np.log10(np.where(size > 0, size, 1.0))), 0)
    power = 10.0 ** np.clip(digits, -300, 300)
    return np.asarray(np.rint(positions * power) / power)
