"""Releases of one table attacked together: what each alone does not show."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinlake.census import Census
from twinlake.privacy.closeness import closeness
from twinlake.privacy.history import Earlier, Gone, History
from twinlake.privacy.over_time import over_time
from twinlake.privacy.pool import learnt_columns
from twinlake.privacy.relabel import holm, relabel
from twinlake.privacy.together import Real, apart, common, steady, together
from twinlake.project.pipeline import PrivacyGates
from twinlake.random import stream
from twinlake.schema import Column, Schema, Table
from twinlake.tables import Tables
from twinlake.verdict import Outcome

NUMBERS, WORDS = [f"x{i}" for i in range(5)], [f"c{i}" for i in range(3)]
TABLE = Table("people", tuple(Column(n, pa.float64()) for n in NUMBERS) + tuple(Column(n, pa.string()) for n in WORDS))
SCHEMA = Schema((TABLE,))
PRIVACY = PrivacyGates(recipient="internal", membership_tpr=0.1)


def people(n: int, rng: np.random.Generator) -> np.ndarray:
    """Eight quantities that go together."""
    drawn = rng.normal(size=(n, 8))
    drawn[:, 1:] += 0.6 * drawn[:, :1]
    return drawn


def rows(drawn: np.ndarray) -> pa.Table:
    """Five of them as they are, three as one of six words."""
    words = np.array(list("abcdef"))
    data = {n: drawn[:, i] for i, n in enumerate(NUMBERS)}
    data |= {n: words[np.clip((drawn[:, 5 + i] * 1.2 + 3).astype(int), 0, 5)] for i, n in enumerate(WORDS)}
    return pa.table(data, schema=TABLE.arrow)


def snapshot(drawn: np.ndarray) -> Tables:
    return Tables(SCHEMA, {"people": rows(drawn)})


def census(units: np.ndarray, learnt: np.ndarray) -> Census:
    return Census(units, units, learnt)


def nightly(seed: int, *, releases: int, copies: int = 0, noise: float = 0.35) -> tuple[Real, Tables, History]:
    """So many releases of the same 500 learnt people, some rows of each being noisy copies; 300 were held back."""
    rng = stream(seed, "nightly")
    learnt, held = people(500, rng), people(300, rng)
    units = np.arange(800, dtype=np.uint64)
    now = census(units, units < 500)
    drawn = []
    for _ in range(releases):
        night = people(800, rng)
        night[:copies] = learnt[rng.choice(500, copies, replace=False)] + noise * rng.normal(size=(copies, 8))
        drawn.append(snapshot(night))
    retained = tuple(Earlier(f"r{i}", s, now) for i, s in enumerate(drawn[:-1]))
    real = Real(rows(learnt), rows(held), units[:500], units[500:])
    return real, drawn[-1], History(now=now, retained=retained, last=retained[-1], source=500)


def between(seed: int, *, copies: int = 0, left: bool = False) -> tuple[Real, Tables, History]:
    """Two releases between which 40 people came (or left), of whom 28 were learnt; some of these are copied."""
    rng = stream(seed, "between")
    drawn, units = people(440, rng), np.arange(440, dtype=np.uint64)
    learnt = np.where(units < 400, units < 300, units < 428)
    first, second = people(600, rng), people(600, rng)
    second[:copies] = drawn[400 : 400 + copies] + 0.05 * rng.normal(size=(copies, 8))
    few, all_ = census(units[:400], learnt[:400]), census(units, learnt)
    here = units < 400 if left else units >= 0
    real = Real(
        rows(drawn[learnt & here]), rows(drawn[~learnt & here]), units[learnt & here], units[~learnt & here]
    )  # fmt: skip
    before, now = (all_, few) if left else (few, all_)
    last = Earlier("r0", snapshot(second if left else first), before)
    gone = Gone(rows(drawn[400:428]), rows(drawn[428:]), units[400:428], units[428:]) if left else None
    return real, snapshot(first if left else second), History(now=now, retained=(last,), last=last, gone=gone)


def moved(seed: int) -> tuple[Real, Tables, History]:
    """Two releases that copy nobody, between which 3,000 of 5,000 people got a new word; a fifth was held back."""
    rng = stream(seed, "moved")
    before, units = people(5_000, rng), np.arange(5_000, dtype=np.uint64)
    learnt, changed = units % 5 > 0, units < 3_000
    after = before.copy()
    after[changed, 7] = rng.normal(size=3_000)
    one, two = Census(units, units, learnt), Census(units, units + np.uint64(9_000) * changed, learnt)
    last = Earlier("r0", snapshot(people(4_000, rng)), one)
    mine, theirs = learnt & changed, ~learnt & changed
    gone = Gone(rows(before[mine]), rows(before[theirs]), units[mine], units[theirs])
    real = Real(rows(after[learnt]), rows(after[~learnt]), units[learnt], units[~learnt])
    return real, snapshot(people(4_000, rng)), History(now=two, retained=(last,), last=last, gone=gone)


def chances(real: Real, candidate: Tables, history: History) -> dict[str, float]:
    rng = stream(0, "attack")
    found = [together(real, candidate, TABLE, history, rng=rng), *apart(real, candidate, TABLE, history, rng=rng)]
    return holm({name: p for s in found for name, p in relabel(s.families, s.members, rng=rng).items()})


def alone(real: Real, release: Tables) -> float:
    rng = stream(0, "alone")
    found = closeness(real.sides(rng), release["people"], *learnt_columns(TABLE), rng=rng)
    return min(holm(relabel(found.families, found.members, rng=rng)).values())


def test_noisy_copies_that_no_release_shows_alone_show_in_twelve_together():
    real, candidate, history = nightly(3, releases=12, copies=50)
    nights = [candidate, *(e.tables for e in history.retained)]
    assert sum(alone(real, night) < 0.01 for night in nights) <= 2
    assert alone(real, candidate) >= 0.01
    verdict = over_time(
        real, candidate, TABLE, history, privacy=PRIVACY, confidence=0.95, tables=1, rng=stream(0, "gate")
    )
    assert verdict.outcome is Outcome.FAILED
    assert "12 releases together hold copies of learnt units that each alone does not show" in verdict.reason


@pytest.mark.parametrize("seed", [1, 2])
def test_releases_that_leak_nothing_pass_together(seed):
    real, candidate, history = nightly(seed, releases=4)
    verdict = over_time(
        real, candidate, TABLE, history, privacy=PRIVACY, confidence=0.95, tables=1, rng=stream(seed, "gate")
    )
    assert verdict.passed, verdict.reason
    assert verdict.parts["membership together"] < 0.6


def test_people_who_came_since_the_last_release_and_are_copied_are_found():
    found = chances(*between(1, copies=28))
    assert found["came"] < 0.01
    assert found["went"] == 1.0


def test_people_who_were_copied_and_are_gone_since_are_found():
    assert chances(*between(1, copies=28, left=True))["went"] < 0.01


@pytest.mark.parametrize("left", [False, True])
def test_who_came_and_went_without_being_copied_raises_no_alarm(left):
    assert min(chances(*between(2, left=left)).values()) >= 0.01


def test_many_people_who_changed_and_were_not_copied_raise_no_alarm():
    found = chances(*moved(1))
    assert min(found["came"], found["went"]) >= 0.01


def test_one_record_that_came_and_is_copied_is_stopped_before_any_attack():
    real, candidate, history = between(1, copies=1)
    units = np.arange(401, dtype=np.uint64)
    now = census(units, (units < 300) | (units == 400))
    one = replace(history, now=now, ever=[("r0", history.retained[0].census)], source=600)
    verdict = over_time(real, candidate, TABLE, one, privacy=PRIVACY, confidence=0.95, tables=1, rng=stream(0, "gate"))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "only 1 learnt unit was added, removed or changed since r0" in verdict.reason
    assert "together" not in verdict.parts


def test_units_that_a_release_had_on_the_other_side_are_left_out():
    real, _, history = nightly(0, releases=2)
    units = history.now.units
    other = census(units, (units < 400) | (units >= 750))  # 100 learnt now were held back then, 50 the other way round
    kept = steady(real, History(now=history.now, retained=(Earlier("r0", history.retained[0].tables, other),)))
    assert kept.units.tolist() == list(range(400))
    assert kept.held_units.tolist() == list(range(500, 750))


def test_where_too_few_held_back_units_were_never_learnt_it_is_inconclusive():
    real, candidate, history = nightly(0, releases=2)
    units = history.now.units
    other = census(units, units >= 350)  # the split was dealt anew
    switched = replace(history, retained=(Earlier("r0", history.retained[0].tables, other),))
    verdict = over_time(
        real, candidate, TABLE, switched, privacy=PRIVACY, confidence=0.95, tables=1, rng=stream(0, "gate")
    )
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "300 of 300 held-back units were learnt by a release that is still there" in verdict.reason
    assert "0 are left, 100 are needed" in verdict.reason
    assert "Put the split back" in verdict.reason


def test_a_release_of_which_nobody_knows_whom_it_learnt_is_inconclusive():
    real, candidate, history = nightly(0, releases=2)
    stray = Earlier("r9", history.retained[0].tables, None, "the vault's ledger does not know it")
    strange = replace(history, retained=(stray,))
    verdict = over_time(
        real, candidate, TABLE, strange, privacy=PRIVACY, confidence=0.95, tables=1, rng=stream(0, "gate")
    )
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "nobody can tell whom release r9 learnt: the vault's ledger does not know it" in verdict.reason


def test_releases_are_compared_over_the_columns_that_all_have():
    fewer = Schema((TABLE.select(("x0", "c0")),))
    old = Earlier("r0", Tables(fewer, {"people": rows(people(5, stream(0))).select(["x0", "c0"])}), None)
    assert common(TABLE, (old,)).names == ("x0", "c0")


def test_the_mean_counts_a_unit_where_it_stood_with_the_rows_it_has_now():
    real, candidate, history = nightly(0, releases=2)
    units = history.now.units
    changed = Census(units, np.where(units < 250, units + np.uint64(5_000), units), units < 500)
    other = History(now=history.now, retained=(Earlier("r0", history.retained[0].tables, changed),))
    both, one = (together(real, candidate, TABLE, h, rng=stream(0)).families["averaged"] for h in (history, other))
    moved = real.sides(stream(0)).names < 250
    assert all(np.array_equal(both[name][~moved], one[name][~moved]) for name in both)
    assert not np.array_equal(both["record to twin: sparse"][moved], one["record to twin: sparse"][moved])
