"""How many children parents have: learnt so that no single parent can be told, drawn to an exact total."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Degrees:
    """A histogram of child counts.

    Attributes:
        low: smallest count of each bin, ascending; a bin ends before the next begins, the last is open.
        mean: mean count in each bin.
        parents: how many parents each bin holds, at least k where there are so many in all.
    """

    low: tuple[int, ...]
    mean: tuple[float, ...]
    parents: tuple[int, ...]

    @classmethod
    def learn(cls, counts: Counts, k: int) -> Self:
        """The histogram of `counts`, one for each parent; a count is told exactly where `k` parents have it."""
        values, parents = np.unique(counts, return_counts=True)
        bins: list[list[int]] = []  # places of the values in each bin
        waiting: list[int] = []
        for place in range(len(values)):
            waiting.append(place)
            if sum(int(parents[p]) for p in waiting) >= k:
                bins.append(waiting)
                waiting = []
        if waiting and bins:
            bins[-1] += waiting
        elif waiting:
            bins.append(waiting)
        sizes = [int(parents[b].sum()) for b in bins]
        means = [float((values[b] * parents[b]).sum() / s) for b, s in zip(bins, sizes, strict=True)]
        alone = [len(b) == 1 and s >= k for b, s in zip(bins, sizes, strict=True)]
        lows = [int(values[b[0]]) if a else 0 for a, b in zip(alone, bins, strict=True)]
        for i in range(1, len(bins)):  # a bin of several values begins where the one before it ends
            lows[i] = lows[i] if alone[i] else (lows[i - 1] if alone[i - 1] else int(values[bins[i - 1][-1]])) + 1
        return cls(tuple(lows), tuple(means), tuple(sizes))

    @property
    def usual(self) -> float:
        """How many children a parent with any has on average; 0 where none has."""
        with_any = [(m, p) for m, p in zip(self.mean, self.parents, strict=True) if m > 0]
        return sum(m * p for m, p in with_any) / max(sum(p for _, p in with_any), 1)

    def draw(self, parents: int, rng: np.random.Generator) -> Counts:
        """A count for each of so many parents; shape (parents,)."""
        if not self.parents:
            return np.zeros(parents, dtype=np.int64)
        shares = np.cumsum(self.parents) / sum(self.parents)
        at = (np.arange(parents) + rng.random()) / max(parents, 1)  # evenly spaced: shares come out as they are
        chosen = rng.permutation(np.minimum(np.searchsorted(shares, at, side="right"), len(shares) - 1))
        low = np.array(self.low, dtype=np.int64)
        last = np.maximum(np.append(low[1:], np.iinfo(np.int64).max) - 1, low)
        more = np.maximum(np.array(self.mean) - low, 0.0)
        spread = rng.geometric(1.0 / (1.0 + more[chosen])) - 1
        counts: Counts = np.minimum(low[chosen] + spread, last[chosen])
        return counts

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"low": list(self.low), "mean": list(self.mean), "parents": list(self.parents)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The histogram that `to_json` wrote."""
        return cls(tuple(data["low"]), tuple(data["mean"]), tuple(data["parents"]))


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
        counts = counts + np.minimum(rng.multinomial(missing, weights / weights.sum()), room)
    return counts
