"""Gate `over_time`: what all releases of a table give away together, and what comparing two of them does."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from twinlake.privacy.closeness import Closeness
from twinlake.privacy.history import History, releases_left
from twinlake.privacy.membership import AUC, EPSILON, EVERYBODY, TPR, WORDS, groups_of, guesses, measured
from twinlake.privacy.relabel import DRAWS, holm, relabel
from twinlake.privacy.together import Real, apart, common, steady, together
from twinlake.project.pipeline import PrivacyGates
from twinlake.schema import Table
from twinlake.tables import Tables
from twinlake.verdict import Outcome, Verdict

GATE = "over_time"
CHANGED = "learnt units that changed"
FEWEST = 20  # units of a side
IN_ALL = "rows in all, of the source's"
SAYS = {
    "together": "{count} releases together hold copies of learnt units that each alone does not show",
    "averaged": "the mean over {count} releases tells learnt units from those held back",
    "came": "comparing it with the last release tells which of the units that came since were learnt",
    "went": "comparing it with the last release tells which of the units that went since had been learnt",
}
MEND = "Use larger leaves, or let out fewer releases; the last one stays served"
WAIT = "Wait until more have changed: the last release stays served"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one of the gate's questions found: a number by name, its outcome, and a sentence."""

    part: str
    value: float
    outcome: Outcome
    sentence: str


def over_time(
    real: Real, synthetic: Tables, table: Table, history: History, *, privacy: PrivacyGates, confidence: float,
    tables: int, rng: np.random.Generator,
) -> Verdict:  # fmt: skip
    """Whether a candidate adds too much to what was let out of its table before; the value counts what it breaks.

    The *cohort*: learnt units that changed since any earlier release are none or at least `min_units`. *In all*: the
    rows of all releases together stay within `total_rows` times the source's. *Together*: the candidate and all
    releases that are still there are attacked as one, and by the mean over them. *Came* and *went*: what changed
    between the last release and the candidate is attacked (see `together`). P-values are held against `copying`
    after Holm's correction and for the number of tables.

    Args:
        real: the rows behind the candidate, of both sides.
        synthetic: the candidate.
        table: which table.
        history: what was let out before, and who stood behind it.
        privacy: limits.
        confidence: of upper ends, one-sided.
        tables: how many tables are judged beside: each has its part of `copying`.
        rng: draws units, rows and labels.
    """
    rows = synthetic.rows(table.name)
    findings = [cohort(history, k=privacy.min_units), total(history, rows=rows, limit=privacy.total_rows)]
    findings += [*unknown(history), *split(real, history, needed=privacy.holdout_units)]
    refused = any(f.outcome is not Outcome.PASSED for f in findings)
    kept = steady(real, history)
    if (
        rows and attackable(kept, table, history) and not refused
    ):  # attacks take long, and could not let it out any more
        findings += attacked(
            kept, synthetic, table, history, privacy=privacy, confidence=confidence, tables=tables, rng=rng
        )
    return verdict(findings, table, n=rows)


def attacked(
    real: Real, synthetic: Tables, table: Table, history: History, *, privacy: PrivacyGates, confidence: float,
    tables: int, rng: np.random.Generator,
) -> Iterator[Finding]:  # fmt: skip
    """A finding per attack: its p-value after corrections; and how well all together tell learnt units apart."""
    seen, alpha = together(real, synthetic, table, history, rng=rng), privacy.copying.limit
    draws = DRAWS * max(1, tables // 2)
    chances = relabel(seen.families, seen.members, rng=rng, draws=draws)
    for one in apart(real, synthetic, table, history, rng=rng):
        chances |= relabel(one.families, one.members, rng=rng, draws=draws)
    count = 1 + len(history.retained)
    for attack, alone in holm(chances).items():
        p = min(1.0, alone * tables)
        if p >= alpha:
            yield Finding(attack, p, Outcome.PASSED, f"{attack}: p {p:.3f}")
            continue
        said = f"{SAYS[attack].format(count=count)} (p {p:.4f}; {alpha:g} and more is let pass)"
        yield Finding(attack, p, Outcome.FAILED, f"{said}. {MEND}")
    yield from told_apart(seen, count, privacy=privacy, confidence=confidence, rng=rng)


def told_apart(
    seen: Closeness, count: int, *, privacy: PrivacyGates, confidence: float, rng: np.random.Generator
) -> Iterator[Finding]:
    """How well an attacker who learns from all scores tells who was learnt, by the recipient's limits of membership.

    The upper end over all units is at most the limit; any group that is told apart beyond chance and beyond the limit
    fails. Where fewer units are held back than `holdout_units`, the candidate's own gates speak of that.
    """
    believed, groups = guesses(seen, rng=rng), groups_of(seen, {})
    limits = {
        AUC: privacy.membership.limit,
        TPR: privacy.membership_tpr.limit,
        EPSILON: privacy.membership_epsilon.limit,
    }
    for gate, limit in limits.items():
        told = measured(gate, believed, seen.members, groups, limit=limit, confidence=confidence)
        whole = told[EVERYBODY]
        failed = [t for t in told.values() if t.evidence and t.high > limit]
        unsure = whole.high > limit and whole.held >= privacy.holdout_units
        worst = max(failed, key=lambda t: t.high, default=whole)
        said = f"{count} releases together: {WORDS[gate].format(value=worst.value, high=worst.high)}"
        if failed or unsure:
            outcome = Outcome.FAILED if failed else Outcome.INCONCLUSIVE
            yield Finding(f"{gate} together", worst.high, outcome, f"{said}; the limit is {limit:g}. {MEND}")
        else:
            yield Finding(f"{gate} together", whole.high, Outcome.PASSED, said)


def attackable(real: Real, table: Table, history: History) -> bool:
    """Whether there is anything to attack: earlier releases, columns that all of them have, and units to look for.

    Where there are hardly any units, the candidate's own gates say that they are too few to clear it.
    """
    sides = min(len(np.unique(real.units)), len(np.unique(real.held_units)))
    return bool(history.retained and common(table, history.retained).learnt and sides >= FEWEST)


def split(real: Real, history: History, *, needed: int) -> Iterator[Finding]:
    """Whether enough units are held back that no release which is still there has learnt."""
    held = len(np.unique(real.held_units))
    left = len(np.unique(steady(real, history).held_units))
    if left < held and left < needed:
        yield Finding(
            "held-back units on another side", float(held - left), Outcome.INCONCLUSIVE,
            f"the split was changed (unit, holdout or seed), so {held - left:,} of {held:,} held-back units were "
            f"learnt by a release that is still there: {left:,} are left, {needed:,} are needed. Put the split back, "
            "or take the releases before the change out of the lake",
        )  # fmt: skip


def unknown(history: History) -> Iterator[Finding]:
    """Releases of which nobody can tell who stood behind them."""
    for release in history.retained:
        if release.census is None:
            yield Finding(
                f"unknown release {release.name}", 1.0, Outcome.INCONCLUSIVE,
                f"nobody can tell whom release {release.name} learnt: {release.unknown}. Take its folder out of the "
                "lake, or bring back what it was made with",
            )  # fmt: skip


def verdict(findings: Iterable[Finding], table: Table, *, n: int) -> Verdict:
    """One verdict of all findings: how many did not pass, at most none; one that failed outweighs what can't tell."""
    found = list(findings)
    broken = [f for f in found if f.outcome is not Outcome.PASSED]
    failed = any(f.outcome is Outcome.FAILED for f in found)
    reason = "; ".join(f.sentence for f in (broken or found)) or "nothing was let out before"
    return Verdict(
        gate=GATE, table=table.name, value=float(len(broken)), low=float(len(broken)), high=float(len(broken)), n=n,
        limit=0.0, bound="at_most", passed=not broken, inconclusive=bool(broken) and not failed, reason=reason,
        parts={f.part: f.value for f in found},
    )  # fmt: skip


def cohort(history: History, *, k: int) -> Finding:
    """Learnt units that were added, removed or changed since an earlier release: none, or at least `k`.

    Whoever holds two releases compares them, and what differs speaks of the units that changed. So it has to be held
    against every release ever let out, not the last alone: ten units that come one night and go the next, with a
    single new one, would show that one.
    """
    changed = {name: history.now.changed(before) for name, before in history.ever}
    few = {name: n for name, n in changed.items() if 0 < n < k}
    if not few:
        n = list(changed.values())[-1] if changed else 0
        return Finding(CHANGED, n, Outcome.PASSED, f"{n:,} learnt units changed since the last release")
    since, n = list(few.items())[-1]
    units = "1 learnt unit was" if n == 1 else f"{n} learnt units were"
    return Finding(
        CHANGED, n, Outcome.INCONCLUSIVE,
        f"only {units} added, removed or changed since {since}; at least {k} are needed, or comparing the two releases "
        f"tells of these few. {WAIT}",
    )  # fmt: skip


def total(history: History, *, rows: int, limit: float) -> Finding:
    """Rows of all releases together, this one included, at most `limit` times the source's.

    The more synthetic rows an attacker holds, the better single records are rebuilt from linear statistics of them
    (Annamalai, Gadotti and Rocher, A Linear Reconstruction Approach for Attribute Inference Attacks against Synthetic
    Data, USENIX Security 2024).
    """
    together, source = history.rows + rows, max(1, history.source)
    times = together / source
    told = f"{together:,} rows in all, {times:,.4g} times the source's"
    if times > limit:
        fix = "Raise gates.privacy.total_rows only if you accept that; the last release stays served"
        return Finding(IN_ALL, times, Outcome.FAILED, f"it would be {told}, over the limit of {limit:g}. {fix}")
    more = releases_left(together, rows, limit * source)
    return Finding(IN_ALL, times, Outcome.PASSED, f"{told}; the limit of {limit:g} allows {more:,} more like this one")
