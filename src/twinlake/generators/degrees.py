"""How many children parents have: learnt so that no single parent can be told, drawn to an exact total."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_STEEP = 40.0  # the next count is as good as never taken
_HALVINGS = 50
_FINEST = 4096  # different counts in a bin at most

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Degrees:
    """A histogram of child counts.

    Attributes:
        low: smallest count of each bin, ascending; a bin of several counts goes up to where the next begins, the last
            is open.
        mean: mean count in each bin; the smallest one where all have it.
        parents: how many parents each bin holds, at least k where there are so many in all.
    """

    low: tuple[int, ...]
    mean: tuple[float, ...]
    parents: tuple[int, ...]

    @classmethod
    def learn(cls, counts: Counts, k: int) -> Self:
        """The histogram of `counts`, one for each parent; a count is told exactly where `k` parents have it.

        Counts that fewer have are pooled with those that follow, or at the end with those before: with as few parents
        of a common count as make k.
        """
        bins = list[_Bin]()
        waiting = _Bin(0, 0, 0)
        for value, held in zip(*(a.tolist() for a in np.unique(counts, return_counts=True)), strict=True):
            missing = k - waiting.parents if waiting.parents else 0
            if held - missing >= k:
                bins += [waiting.plus(value, missing)] if missing else []
                bins.append(_Bin(value, held - missing, (held - missing) * value))
                waiting = _Bin(value + 1, 0, 0)
            elif (waiting := waiting.plus(value, held)).parents >= k:
                bins.append(waiting)
                waiting = _Bin(value + 1, 0, 0)
        bins += _last(bins, waiting, k) if waiting.parents else []
        return cls(tuple(b.low for b in bins), tuple(b.mean for b in bins), tuple(b.parents for b in bins))

    @property
    def usual(self) -> float:
        """How many children a parent with any has on average; 0 where none has."""
        with_any = [(m, p) for m, p in zip(self.mean, self.parents, strict=True) if m > 0]
        return sum(m * p for m, p in with_any) / max(sum(p for _, p in with_any), 1)

    def draw(self, parents: int, rng: np.random.Generator) -> Counts:
        """A count for each of so many parents; shape (parents,).

        Within a bin they are spread as widely as its ends and its mean allow (maximum entropy). Shares and sums come
        out as they are but for rounding: counts are even quantiles, in random order.
        """
        if not self.parents:
            return np.zeros(parents, dtype=np.int64)
        ends = np.cumsum(self.parents) / sum(self.parents)
        at = (np.arange(parents) + rng.random()) / max(parents, 1)
        held = np.bincount(np.minimum(np.searchsorted(ends, at, side="right"), len(ends) - 1), minlength=len(ends))
        counts = np.empty(parents, dtype=np.int64)
        for place, (low, mean, stop) in enumerate(zip(self.low, self.mean, np.cumsum(held), strict=True)):
            many = int(held[place])
            width = self.low[place + 1] - low if place + 1 < len(self.low) else None
            counts[stop - many : stop] = low + _spread(mean - low, width, (np.arange(many) + rng.random()) / many)
        return rng.permutation(counts)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"low": list(self.low), "mean": list(self.mean), "parents": list(self.parents)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The histogram that `to_json` wrote."""
        return cls(tuple(data["low"]), tuple(data["mean"]), tuple(data["parents"]))


@dataclass(frozen=True, slots=True)
class _Bin:
    low: int
    parents: int
    children: int

    @property
    def mean(self) -> float:
        return self.children / self.parents

    def plus(self, count: int, parents: int) -> "_Bin":
        return _Bin(self.low, self.parents + parents, self.children + count * parents)


def _last(bins: list[_Bin], waiting: _Bin, k: int) -> list[_Bin]:
    """The open bin, for counts that fewer than k parents have above all others."""
    if not bins:
        return [waiting]
    before = bins.pop()
    missing = k - waiting.parents
    if before.mean > before.low or before.parents - missing < k:
        return [_Bin(before.low, before.parents + waiting.parents, before.children + waiting.children)]
    rest = before.plus(before.low, -missing)
    return [rest, _Bin(before.low, waiting.parents, waiting.children).plus(before.low, missing)]


def _spread(mean: float, width: int | None, quantiles: Floats) -> Counts:
    """Quantiles of the widest spread over 0 to `width` (None: without end) with that mean: exponential, cut off."""
    if mean <= 0 or (width is not None and mean >= width):
        return np.full(len(quantiles), max(mean, 0), dtype=np.int64)
    if width is None:
        return np.asarray(np.floor(np.log1p(-quantiles) / np.log(mean / (1 + mean))), dtype=np.int64)
    steps = np.linspace(0, width, min(width, _FINEST) + 1).round().astype(np.int64)
    slope = _slope(steps, mean)
    ends = np.cumsum(np.exp(slope * steps - max(slope * width, 0.0)))
    return np.asarray(steps[np.minimum(np.searchsorted(ends, quantiles * ends[-1], side="right"), len(steps) - 1)])


def _slope(steps: Counts, mean: float) -> float:
    """The x with which shares that go as exp(x * step) have that mean."""
    low, high = -_STEEP, _STEEP
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        shares = np.exp(middle * steps - max(middle * float(steps[-1]), 0.0))
        low, high = (middle, high) if float(shares @ steps) < mean * float(shares.sum()) else (low, middle)
    return (low + high) / 2


def exactly(counts: Counts, total: int, *, caps: Counts, rng: np.random.Generator) -> Counts:
    """`counts` moved to sum to `total`, none above its cap; parents without children keep none where that is possible.

    Args:
        counts: drawn counts, shape (parents,).
        total: what they must sum to, at most the sum of `caps`.
        caps: the most children each parent can have.
        rng: decides who gains and loses.
    """
    counts = np.minimum(counts, caps).astype(np.int64)
    if (over := int(counts.sum()) - total) > 0:
        return counts - rng.multivariate_hypergeometric(counts, over, method="marginals")
    while (missing := total - int(counts.sum())) > 0:
        room = caps - counts
        weights = np.where(counts > 0, np.minimum(room, counts), 0).astype(np.float64)
        weights = weights if weights.sum() > 0 else room.astype(np.float64)
        more = missing * weights / weights.sum()
        whole = np.floor(more).astype(np.int64)  # so that many times as many children are dealt as they were
        part = more - whole
        whole += rng.multinomial(missing - int(whole.sum()), part / max(part.sum(), 1e-300)) if part.sum() > 0 else 0
        counts = counts + np.minimum(whole, room)
    return counts
