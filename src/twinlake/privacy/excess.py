"""Does a twin hit what only learnt units hold more often than what only held-back units hold?"""

from dataclasses import dataclass

import numpy as np

from twinlake.hashing import Hashes, mix, uniform
from twinlake.privacy.holders import ABSENT
from twinlake.units import holders


@dataclass(frozen=True, slots=True)
class Fair:
    """Rare hashes of either side, fit to be compared: as many rows on both sides, no hash on both.

    Attributes:
        learnt: hashes that only learnt units hold, fewer than k of them; sorted.
        holdout: hashes that only held-back units hold; sorted.
    """

    learnt: Hashes
    holdout: Hashes

    @property
    def chance(self) -> float:
        """The share of hits that fall on the learnt side by chance."""
        both = len(self.learnt) + len(self.holdout)
        return len(self.learnt) / both if both else 0.0

    def p_value(self, *, hit_learnt: int, hit_holdout: int) -> float:
        """Chance of at least so many hits on the learnt side, were a hit not told by the side: exact binomial test."""
        from scipy.stats import binomtest

        trials = hit_learnt + hit_holdout
        return float(binomtest(hit_learnt, trials, self.chance, alternative="greater").pvalue) if trials else 1.0

    def excess(self, *, hit_learnt: int, hit_holdout: int) -> int:
        """How many hits on the learnt side go beyond chance, at least one."""
        return max(1, round(hit_learnt - self.chance * (hit_learnt + hit_holdout)))


def fair(learnt: Hashes, units: Hashes, holdout: Hashes, *, k: int) -> Fair:
    """Rare hashes that only one side holds, the sides being made exchangeable first.

    A hash that is found in a large sample and not in a small one is commoner than one found the other way round, and
    commoner hashes are hit more often without any leak. So learnt units are thinned, by a coin that depends on
    nothing but the unit, until both sides have about as many rows; the rest of the learnt rows counts against both.
    """
    learnt, units = learnt[learnt != ABSENT], units[learnt != ABSENT]
    holdout = holdout[holdout != ABSENT]
    share = min(1.0, len(holdout) / max(1, len(learnt)))
    mine = uniform(mix(units ^ np.uint64(0xA5A5A5A5))) < share
    rest, rest_units = learnt[~mine], units[~mine]
    own = _rare_with(learnt[mine], units[mine], rest, rest_units, k=k)
    other = _rare_with(holdout, np.arange(len(holdout), dtype=np.uint64), rest, rest_units, k=k)
    return Fair(np.setdiff1d(own, holdout), np.setdiff1d(other, learnt[mine]))


def _rare_with(side: Hashes, units: Hashes, rest: Hashes, rest_units: Hashes, *, k: int) -> Hashes:
    """Hashes of a side that fewer than `k` units of the side and the rest hold."""
    values, counts = holders(np.concatenate([side, rest]), np.concatenate([units, mix(rest_units)]))
    return np.asarray(np.intersect1d(values[counts < k], side), dtype=np.uint64)
