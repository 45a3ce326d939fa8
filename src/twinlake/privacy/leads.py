"""By how much an attack succeeds more often on learnt units than on held-back ones, and how sure that is."""

import math
from dataclasses import dataclass

from twinlake.columns import Floats
from twinlake.privacy.pool import Members


@dataclass(frozen=True, slots=True)
class Lead:
    """What learnt units are ahead by, as a share of what is left to gain.

    Attributes:
        value: (rate of learnt - rate of held back) / (1 - rate of held back).
        high: upper end of its one-sided interval.
    """

    value: float
    high: float

    def needed(self, held: int, limit: float) -> int:
        """How many held-back units would tell, were the value as it is; four times as many where none would."""
        room = limit - max(self.value, 0.0)
        factor = ((self.high - self.value) / room) ** 2 if room > 0 else 4.0
        return math.ceil(held * max(1.0, factor))


def lead(right: Floats, usual: Floats, members: Members, *, confidence: float) -> Lead:
    """The lead of learnt units over held-back ones, with the upper end of its normal interval.

    How easily a unit usually falls to an attack tells nothing of its side, so what that explains is taken off (a
    control variate; Deng et al., CUPED, 2013): the lead is the same in the mean, and its interval is shorter.

    Args:
        right: how often the attack was right about each unit, shape (units,); the mean of a side is its rate.
        usual: how often it would be by what knows no side, shape (units,).
        members: whether each unit was learnt, shape (units,).
        confidence: of the upper end, one-sided.
    """
    from scipy.stats import norm

    scores = right / max(1e-9, 1 - float(right[~members].mean()))
    usual = usual - usual.mean()
    scores = scores - usual * float((scores * usual).sum()) / max(float((usual**2).sum()), 1e-9)
    mine, theirs = scores[members], scores[~members]
    value = float(mine.mean() - theirs.mean())
    spread = math.sqrt(mine.var(ddof=1) / len(mine) + theirs.var(ddof=1) / len(theirs))
    return Lead(value, value + float(norm.ppf(confidence)) * spread)
