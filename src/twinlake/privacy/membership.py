"""Membership: how well an attacker who saw some answers tells who was learnt. Gates of AUC, hits at few alarms, and ε.

The attacker knows for four fifths of the units whether they were learnt, weighs the scores of all attacks by how well
they told there, and guesses the last fifth; so for each fifth. Nobody outside has such answers: it is stronger than
they are.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinlake.columns import Codes, Floats
from twinlake.privacy.closeness import Closeness, normal_scores
from twinlake.privacy.pool import Members
from twinlake.verdict import Verdict

AUC, TPR, EPSILON = "membership", "membership_tpr", "membership_epsilon"
FOLDS = 5
ISOLATED = 0.1  # share of units that stand out most
FEWEST, MOST = 1_000, 0.4  # held-back ones that are to be among them, and what share of all those they are at most
LEAST = 7  # units of either side without which a group is not attacked on its own: of fewer nothing is evidence
BEFORE = 2.0  # standard errors by which a score is believed to tell before anything was seen
ALARMS = 0.01
GUESSES = (10, 20, 50, 100, 200, 500, 1_000, 2_000)
EVIDENCE = 0.01
EVERYBODY = "all units"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Told:
    """A measure of one group of units.

    Attributes:
        value: the measure.
        high: upper end of its one-sided interval.
        held: held-back units in the group.
        evidence: whether the value is beyond chance.
        needed: how many held-back units of the group would tell, were the value as it is; infinite for none.
    """

    value: float
    high: float
    held: int
    evidence: bool
    needed: float


def guesses(close: Closeness, *, rng: np.random.Generator) -> Floats:
    """How much an attacker believes each unit to be learnt, who did not know that one's answer; shape (units,).

    A linear discriminant (Fisher 1936) whose covariance is shrunk halfway to none. Means differ as much as they are
    seen to, and by two standard errors more: every score is made so that learnt units have more of it, and who starts
    from nothing takes chance for knowledge, which tells less and alarms more often where nothing leaks.
    """
    members = close.members
    places = normal_scores(np.nan_to_num(close.features, neginf=-1e9))
    shrunk = places.T @ places / len(places) + np.eye(places.shape[1])
    fold = np.empty(len(members), np.intp)
    for side in (members, ~members):  # each fifth has its share of both sides
        fold[side] = rng.permutation(int(side.sum())) % FOLDS
    believed = np.zeros(len(members))
    for out in range(FOLDS):
        asked = fold == out
        told = _told(places[(fold != out) & members], places[(fold != out) & ~members])
        believed[asked] = _middle(places[asked] @ np.linalg.solve(shrunk, told + BEFORE))
    return believed


def groups_of(close: Closeness, subgroups: Mapping[str, Mask]) -> dict[str, Mask]:
    """The groups that are attacked on their own: all units, the most isolated, and those that were declared.

    The most isolated are the tenth of units whose rows are furthest from their 5 nearest (Meeus et al., Achilles'
    Heels, 2023), or as many as it takes to have 1,000 held-back ones among them, at most four tenths: of fewer, nobody
    could tell how well they are hidden.
    """
    order = np.argsort(-close.lonely, kind="stable")
    held = np.cumsum(~close.members[order])
    enough = int(np.searchsorted(held, min(FEWEST, MOST * held[-1]))) + 1
    isolated = np.zeros(len(order), np.bool_)
    isolated[order[: max(round(ISOLATED * len(order)), enough)]] = True
    return {EVERYBODY: np.ones(len(order), np.bool_), "most isolated": isolated, **subgroups}


def auc(believed: Floats, members: Members, *, limit: float, confidence: float, tests: int) -> Told:
    """Area under the ROC curve, with the upper end of DeLong's interval (1988); 0.5 is chance."""
    from scipy.stats import norm, rankdata

    mine, theirs = believed[members], believed[~members]
    ranks = rankdata(np.concatenate([mine, theirs]))
    above = (ranks[: len(mine)] - rankdata(mine)) / len(theirs)
    below = 1 - (ranks[len(mine) :] - rankdata(theirs)) / len(mine)
    value = float(above.mean())
    spread = math.sqrt(above.var(ddof=1) / len(mine) + below.var(ddof=1) / len(theirs))
    one_sided = float(norm.ppf(confidence))
    room = limit - max(value, 0.5)
    needed = len(theirs) * (one_sided * spread / room) ** 2 if room > 0 else math.inf
    by_chance = math.sqrt((len(mine) + len(theirs) + 1) / (12 * len(mine) * len(theirs)))  # Mann and Whitney, 1947
    evidence = value - 0.5 > float(norm.ppf(1 - EVIDENCE / tests)) * max(spread, by_chance)
    return Told(value, min(1.0, value + one_sided * spread), len(theirs), evidence, needed)


def tpr(believed: Floats, members: Members, *, limit: float, confidence: float, tests: int) -> Told:
    """Share of learnt units found where 1 % of those held back are mistaken for learnt (Carlini et al., 2022).

    The upper end is that of Clopper and Pearson (1934), which takes the threshold as given; what is beyond chance is
    exact with any threshold.
    """
    from scipy.stats import beta, hypergeom

    mine, theirs = believed[members], np.sort(believed[~members])[::-1]
    allowed = int(ALARMS * len(theirs))
    hits = int((mine > theirs[allowed]).sum())
    value, n = hits / len(mine), len(mine)
    high = float(beta.ppf(confidence, hits + 1, n - hits)) if hits < n else 1.0
    # dealt anew, so few held-back units are among so many of the highest as seldom as this
    p = float(hypergeom.cdf(allowed, n + len(theirs), len(theirs), hits + allowed)) if hits else 1.0
    evidence = p < EVIDENCE / tests
    room = limit - max(value, ALARMS)
    needed = len(theirs) * max(1.2, ((high - value) / room) ** 2) if room > 0 else math.inf
    return Told(value, high if allowed else 1.0, len(theirs), evidence, needed if allowed else 1 / ALARMS)


def epsilon(
    believed: Floats,
    members: Members,
    *,
    limit: float,
    confidence: float,
    tests: int,  # noqa: ARG001 - as the other measures; what counts as evidence here is the lower bound alone
) -> Told:
    """Lower bound of ε from one run (Steinke, Nasr and Jagielski, 2023): the value, and its upper end too.

    As many learnt units as held-back ones are guessed on, the surest first, learnt and held back alike; the bound is
    the best over 10, 20, 50 ... guesses, each at its part of the confidence.
    """
    from scipy.stats import beta

    own, back = np.flatnonzero(members), np.flatnonzero(~members)
    size = min(len(own), len(back))
    own = own[np.linspace(0, len(own) - 1, size).astype(np.intp)]  # spread evenly over an order that says nothing
    back = back[:size]
    asked = np.sort(np.concatenate([own, back]))  # the units' own order, which knows no side, breaks ties
    truth = members[asked[np.argsort(-believed[asked], kind="stable")]]
    cuts = [g for g in GUESSES if g <= size]
    best = 0.0
    for g in cuts:
        correct = int(truth[:g].sum() + (~truth[-g:]).sum())
        low = float(beta.ppf((1 - confidence) / len(cuts), correct, 2 * g - correct + 1)) if correct else 0.0
        best = max(best, math.log(low / (1 - low)) if low > 0.5 else 0.0)
    return Told(best, best, size, evidence=best > limit, needed=math.inf)


Measure = Callable[..., Told]
MEASURES: Mapping[str, Measure] = {AUC: auc, TPR: tpr, EPSILON: epsilon}
CHANCE = {AUC: 0.5, TPR: ALARMS, EPSILON: 0.0}
WORDS = {
    AUC: "an attacker tells learnt units from held-back ones with an AUC of {value:.3f}, {high:.3f} at most",
    TPR: "an attacker finds {value:.1%} of the learnt units, {high:.1%} at most, at 1 % false alarms",
    EPSILON: "guessing who was learnt shows an ε of at least {value:.2f}",
}


def measured(
    gate: str, believed: Floats, members: Members, groups: Mapping[str, Mask], *, limit: float, confidence: float
) -> dict[str, Told]:
    """A gate's measure of each group that is large enough.

    The three gates, which look at the same beliefs, share the significance; half of it is for all units together.
    """
    asked = {g: at for g, at in groups.items() if min(members[at].sum(), (~members[at]).sum()) >= LEAST}
    tests = {g: len(MEASURES) * 2 * (1 if g == EVERYBODY else len(asked) - 1) for g in asked}
    return {
        g: MEASURES[gate](believed[at], members[at], limit=limit, confidence=confidence, tests=tests[g])
        for g, at in asked.items()
    }


def membership(
    gate: str, table: str, believed: Floats, members: Members, groups: Mapping[str, Mask], *, limit: float,
    confidence: float, held_units: int, n: int,
) -> Verdict:  # fmt: skip
    """One of the three gates: the group with the highest upper end decides; at most `limit`.

    Args:
        gate: `membership`, `membership_tpr` or `membership_epsilon`.
        table: which table.
        believed: from `guesses`, shape (units,).
        members: whether each unit was learnt.
        groups: units that are attacked on their own.
        limit: of the upper end.
        confidence: of the upper end, one-sided.
        held_units: how many held-back units it takes to clear a table.
        n: rows of the twin.
    """
    found = measured(gate, believed, members, groups, limit=limit, confidence=confidence)
    worst = max(found, key=lambda g: (found[g].high, g))
    told = found[worst]
    enough = found[EVERYBODY].held >= held_units
    passed = told.high <= limit and enough
    failed = any(t.evidence and t.high > limit for t in found.values())
    reason = f"{worst}: {WORDS[gate].format(value=told.value, high=told.high)}; {CHANCE[gate]:g} is chance"
    if len(found) < len(groups):
        reason += f"; groups too small to be attacked on their own: {len(groups) - len(found)}"
    if failed:
        reason += ". The generator follows single units: use larger leaves, or more and smaller samples of units"
    elif not passed:
        reason += f". {_too_few(told, found[EVERYBODY].held, held_units)}"
    return Verdict(
        gate=gate, table=table, value=round(told.value, 6), low=None, high=round(told.high, 6),
        baseline=CHANCE[gate], n=n, limit=limit, bound="at_most", passed=passed,
        inconclusive=not passed and not failed, reason=reason, parts={g: round(t.high, 6) for g, t in found.items()},
    )  # fmt: skip


def _too_few(told: Told, held: int, held_units: int) -> str:
    """How many units would tell."""
    if not math.isfinite(told.needed) and held >= held_units:
        return "That is over the limit, though it may be chance: more held-back units would tell"
    factor = told.needed / told.held if math.isfinite(told.needed) else 1.0
    needed = max(held_units, math.ceil(held * max(1.0, factor)))
    return f"{held:,} held-back units are too few to tell; about {needed:,} are needed: hold back more of the units"


def _told(mine: Floats, theirs: Floats) -> Floats:
    """By how many standard errors each score is higher for learnt units."""
    return np.asarray((mine.mean(axis=0) - theirs.mean(axis=0)) / math.sqrt(1 / len(mine) + 1 / len(theirs)))


def _middle(values: Floats) -> Floats:
    """Values of one fifth, comparable with another's."""
    return np.asarray((values - values.mean()) / max(float(values.std()), 1e-12))


def subgroups(columns: Mapping[str, Codes], *, fewest: int) -> dict[str, Mask]:
    """A group per value of each declared column that at least `fewest` units hold; the others are one group together.

    Groups are numbered by size, not named: what is shown of them names no value.
    """
    found: dict[str, Mask] = {}
    for column, codes in columns.items():
        values, counts = np.unique(codes, return_counts=True)
        order = values[np.argsort(-counts, kind="stable")]
        large = [v for v in order if (codes == v).sum() >= fewest]
        found |= {f"{column}, group {i}": codes == v for i, v in enumerate(large, 1)}
        rest = ~np.isin(codes, large)
        if rest.any():
            found[f"{column}, small groups"] = rest
    return found
