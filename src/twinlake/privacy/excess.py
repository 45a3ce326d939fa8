"""Does a twin hit what learnt units hold more often than what held-back units hold?"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from twinlake.hashing import Hashes, mix
from twinlake.privacy.holders import ABSENT, found
from twinlake.units import Counts, holders


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The rare hashes of all real units, and which unit holds which; which of them were learnt decides nothing.

    Attributes:
        rare: hashes that fewer than k real units hold, learnt or held back; sorted.
        at: the place in `rare` of each (hash, unit) pair, shape (pairs,).
        units: the unit of each pair, numbered with the learnt ones first, shape (pairs,).
        learnt: how many learnt units hold a rare hash.
        holdout: how many held-back ones do.
    """

    rare: Hashes
    at: Counts
    units: Counts
    learnt: int
    holdout: int

    @classmethod
    def of(cls, learnt: Hashes, units: Hashes, holdout: Hashes, held: Hashes | None, *, k: int) -> Self:
        """The two sides; `ABSENT` is nobody's. Held-back rows are units of their own where `held` is None."""
        held = np.arange(len(holdout), dtype=np.uint64) if held is None else held
        hashes = np.concatenate([learnt, holdout])
        owners = np.concatenate([units, mix(held ^ np.uint64(0xA5A5A5A5))])  # a unit of one side is none of the other
        mine = np.arange(len(hashes)) < len(learnt)
        there = hashes != ABSENT
        rare = uncommon(hashes[there], owners[there], k=k)
        at, kept = found(hashes, rare)
        kept &= there
        numbers = np.unique(owners[kept], return_inverse=True)[1].astype(np.intp)
        is_learnt = np.zeros(numbers.max(initial=-1) + 1, bool)
        is_learnt[numbers[mine[kept]]] = True
        order = np.argsort(~is_learnt, kind="stable")
        place = np.empty(len(order), np.intp)
        place[order] = np.arange(len(order))
        return cls(rare, at[kept], place[numbers], int(is_learnt.sum()), int((~is_learnt).sum()))

    def hits(self, seen: npt.NDArray[np.bool_]) -> tuple[int, int]:
        """How many learnt and held-back units hold a hash that the twin holds too; `seen` has shape (rare,)."""
        hit = np.unique(self.units[seen[self.at]])
        return int((hit < self.learnt).sum()), int((hit >= self.learnt).sum())

    def p_value(self, learnt: int, holdout: int, *, lean: float = 1.0) -> float:
        """Chance of at least so many learnt units among those hit, were they hit at most `lean` times as often."""
        if lean == 1.0:
            return beyond(learnt, holdout, of_learnt=self.learnt, of_holdout=self.holdout)
        from scipy.stats import binom

        share = lean * self.learnt / max(1.0, lean * self.learnt + self.holdout)
        return float(binom.sf(learnt - 1, learnt + holdout, share)) if learnt else 1.0

    def excess(self, learnt: int, holdout: int) -> int:
        """How many learnt units are hit beyond chance, at least one."""
        share = self.learnt / max(1, self.learnt + self.holdout)
        return max(1, round(learnt - share * (learnt + holdout)))


def beyond(learnt: int, holdout: int, *, of_learnt: int, of_holdout: int) -> float:
    """Chance of at least so many learnt units among all that are hit: Fisher's exact test, one-sided."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(learnt - 1, of_learnt + of_holdout, of_learnt, learnt + holdout)) if learnt else 1.0


def uncommon(hashes: Hashes, units: Hashes, *, k: int) -> Hashes:
    """The hashes that fewer than `k` units hold, sorted; as `units.rare`, quicker where most are held once."""
    values, counts = np.unique(hashes, return_counts=True)
    many = values[counts >= k]
    mine = found(hashes, many)[1]
    often, held = holders(hashes[mine], units[mine])
    return np.asarray(np.union1d(values[counts < k], often[held < k]), dtype=np.uint64)
