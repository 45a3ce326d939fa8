"""The relabelling test: do high scores fall on learnt units more often than a coin would have it? Exact.

A pipeline holds units back by a coin that looks at nothing. A twin that depends on no single unit would be what it is
had the coin fallen otherwise, so every way of dealing the labels is as likely as the real one (Fisher's randomisation
test, 1935). Any score that was computed without the labels can be tested so, whatever its distribution.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from twinlake.columns import Floats
from twinlake.privacy.pool import Members

DRAWS = 1_999
LOOK = 399  # draws after which what is plainly no evidence is left alone
PLAIN = 0.2
CUTS = np.array([5, 7, 10, 14, 20, 30, 50, 80, 120, 200, 400])  # how far all units lean is for `membership` to say
CELLS = 40_000_000  # labels at a time

Statistics = npt.NDArray[np.float64]


def relabel(
    families: Mapping[str, Mapping[str, Floats]], members: Members, *, rng: np.random.Generator, draws: int = DRAWS
) -> dict[str, float]:
    """The p-value of each family of scores: chance of so many learnt units among the highest, were labels dealt anew.

    The statistic of a score is the largest, over the 5, 7, 10 ... 400 highest units, of how many standard deviations
    more of them were learnt than the coin gives; a family's is the largest of its scores'. One deal of labels serves
    all families, and choosing the largest is part of what is dealt anew, so each p-value is exact (Phipson and Smyth
    2010: the real labels count as one of the deals). Ties are broken by a coin.

    Args:
        families: scores by family and name, each of shape (units,), high where a unit looks learnt.
        members: whether each unit was learnt.
        rng: deals labels.
        draws: how often, unless a first look of 399 finds nothing near significance.
    """
    if not members.any() or members.all():
        return dict.fromkeys(families, 1.0)
    order = {
        (family, name): np.lexsort((rng.random(len(members)), -scores))
        for family, own in families.items()
        for name, scores in own.items()
    }
    real = _statistics(order, members[None, :])
    beyond, dealt = dict.fromkeys(families, 0), 0
    for size in (min(LOOK, draws), draws - min(LOOK, draws)):
        for labels in _deals(members, size, rng):
            for family, values in _statistics(order, labels).items():
                beyond[family] += int((values >= real[family][0] - 1e-9).sum())
        dealt += size
        if min(beyond.values(), default=0) > PLAIN * dealt:
            break
    return {family: (1 + count) / (1 + dealt) for family, count in beyond.items()}


def holm(values: Mapping[str, float], shares: Mapping[str, float] | None = None) -> dict[str, float]:
    """P-values corrected for how many there are, by Holm's step-down (1979).

    Args:
        values: p-values by name.
        shares: the weight of each test in the significance, any positive numbers; equal where not given.
    """
    weight = dict.fromkeys(values, 1.0) if shares is None else {name: shares[name] for name in values}
    found, worst, left = {}, 0.0, sum(weight.values())
    for name in sorted(values, key=lambda n: (values[n] / weight[n], n)):
        worst = max(worst, min(1.0, values[name] * left / weight[name]))
        found[name] = worst
        left -= weight[name]
    return {name: found[name] for name in values}


def _deals(members: Members, draws: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.bool_]]:
    """Labels dealt anew, shape (some draws, units) each."""
    size = max(1, CELLS // len(members))
    for start in range(0, draws, size):
        yield rng.permuted(np.broadcast_to(members, (min(size, draws - start), len(members))), axis=1)


def _statistics(
    order: Mapping[tuple[str, str], npt.NDArray[np.intp]], labels: npt.NDArray[np.bool_]
) -> dict[str, Statistics]:
    """The statistic of each family for each deal of labels, shape (deals,)."""
    units = labels.shape[1]
    share = labels[0].mean()
    cuts = CUTS[units // 2 >= CUTS]
    cuts = cuts if len(cuts) else np.array([max(1, units // 2)])
    expected, spread = cuts * share, np.sqrt(cuts * share * (1 - share) * (units - cuts) / max(1, units - 1))
    found: dict[str, Statistics] = {}
    for (family, _), ranked in order.items():
        counts = np.cumsum(labels[:, ranked[: cuts[-1]]], axis=1, dtype=np.int32)[:, cuts - 1]
        largest = ((counts - expected) / np.maximum(spread, 1e-12)).max(axis=1)
        found[family] = np.maximum(found.get(family, -np.inf), largest)
    return found
