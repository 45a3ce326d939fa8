"""Who was learnt can't be told: AUC, hits at few alarms and ε, of all units and of groups, each with its upper end."""

import math
from dataclasses import replace

import numpy as np
import pytest
from dealt import LABELS, QUANTITIES, dealt, learnt, people, with_copies
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from twinlake.privacy import membership
from twinlake.privacy.closeness import Closeness, closeness
from twinlake.privacy.membership import AUC, EPSILON, FEWEST, LEAST, MOST, TPR, groups_of, guesses, subgroups
from twinlake.random import stream

LIMITS = {AUC: 0.6, TPR: 0.05, EPSILON: 1.0}
TESTS = {"confidence": 0.95, "tests": 2}


def judged(gate, believed, members, groups=None, held_units=100, limit=None):
    everyone = {"all units": np.ones(len(members), np.bool_)}
    return membership.membership(
        gate, "people", believed, members, everyone | (groups or {}), limit=limit or LIMITS[gate], confidence=0.95,
        held_units=held_units, n=1000,
    )  # fmt: skip


def coin(n: int, seed: int, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Beliefs that know nothing, and who was learnt."""
    rng = stream(seed, "believed")
    return rng.normal(size=n), rng.random(n) < share


@pytest.mark.parametrize("gate", LIMITS)
def test_beliefs_that_know_nothing_pass(gate):
    verdict = judged(gate, *coin(4000, 0))
    assert verdict.passed, verdict.reason
    assert verdict.value <= verdict.high <= LIMITS[gate]


@pytest.mark.parametrize("gate", LIMITS)
def test_beliefs_that_know_fail(gate):
    believed, members = coin(4000, 1)
    verdict = judged(gate, np.where(members, believed + 2, believed), members)
    assert (verdict.passed, verdict.inconclusive) == (False, False)
    assert "follows single units" in verdict.reason


@pytest.mark.parametrize("gate", LIMITS)
def test_too_few_units_are_inconclusive_and_it_is_said_how_many_are_needed(gate):
    verdict = judged(gate, *coin(120, 2, 0.8), held_units=500)
    assert verdict.inconclusive
    assert "held-back units are too few to tell; about" in verdict.reason
    needed = int(verdict.reason.split("about ")[1].split(" ")[0].replace(",", ""))
    assert needed >= 500


@pytest.mark.parametrize("gate", [AUC, TPR])
def test_as_many_units_as_were_said_to_be_needed_are_enough_where_nothing_leaks(gate):
    verdict = judged(gate, *coin(160, 3), held_units=20)
    assert verdict.inconclusive
    needed = int(verdict.reason.split("about ")[1].split(" ")[0].replace(",", ""))
    assert 80 < needed < 3000
    assert judged(gate, *coin(4 * needed, 4), held_units=20).passed


def test_an_auc_is_the_area_and_its_interval_holds_it():
    rng, held = stream(5, "auc"), 0
    for _ in range(200):
        members = rng.random(300) < 0.6
        believed = np.round(rng.normal(size=300) + members * 0.5, 1)  # with ties
        told = membership.auc(believed, members, limit=0.6, **TESTS)
        assert told.value == pytest.approx(roc_auc_score(members, believed))
        held += told.high >= 0.6382  # of normal beliefs half a standard deviation apart
    assert held >= binom.ppf(1e-3, 200, 0.95)


@pytest.mark.parametrize("gate", LIMITS)
@pytest.mark.parametrize("held", [12, 30, 120, 600])
def test_evidence_is_as_rare_as_promised_where_beliefs_know_nothing(gate, held):
    runs, found = 300, 0
    for seed in range(runs):
        believed = stream(seed, "chance").normal(size=held * 3)
        told = membership.MEASURES[gate](believed, np.arange(held * 3) >= held, limit=0.0, confidence=0.99, tests=1)
        found += told.evidence
    assert found <= binom.ppf(1 - 1e-3, runs, 0.015), found


def test_hits_are_counted_above_one_alarm_in_a_hundred():
    members = np.arange(2000) < 1000
    believed = np.r_[np.full(40, 9.0), np.zeros(960), np.full(10, 10.0), np.full(990, -1.0)]
    told = membership.tpr(believed, members, limit=0.05, **TESTS)
    assert told.value == 1.0  # ten held-back ones are the alarms that are allowed
    believed[1010] = 0.5
    told = membership.tpr(believed, members, limit=0.05, **TESTS)
    assert told.value == 0.04
    assert 0.05 < told.high < 0.06
    assert told.evidence


def test_fewer_than_a_hundred_held_back_units_clear_nobody_of_hits():
    told = membership.tpr(*coin(160, 6), limit=0.05, **TESTS)
    assert (told.high, told.needed) == (1.0, 100)


def test_a_bound_of_epsilon_stays_below_what_was_let_out():
    sure, beyond = math.log(3), 0  # each guess is right three times in four: randomised response
    rng = stream(7, "epsilon")
    for _ in range(200):
        members = np.arange(1000) < 500
        answers = np.where(rng.random(1000) < 0.75, members, ~members)
        told = membership.epsilon(answers + 0.1 * rng.random(1000), members, limit=0.5, **TESTS)
        beyond += told.value > sure
        assert told.value > 0.5
    assert beyond <= binom.ppf(1 - 1e-3, 200, 0.05)


def test_beliefs_that_are_all_alike_tell_nothing():
    _, members = coin(1000, 12)
    for gate in LIMITS:
        verdict = judged(gate, np.zeros(1000), members)
        assert verdict.passed, verdict.reason


def test_an_epsilon_of_guesses_that_are_all_right_grows_with_their_number():
    few, many = (
        membership.epsilon(np.arange(n) * 1.0, np.arange(n) >= n // 2, limit=1.0, **TESTS).value for n in (40, 2000)
    )
    assert 0.5 < few < many


def test_a_leak_of_a_subgroup_alone_is_found_through_the_subgroup():
    believed, members = coin(8000, 8)
    few = np.arange(8000) < 240
    believed[few & members] += 2.5
    assert judged(AUC, believed, members).passed
    verdict = judged(AUC, believed, members, {"region, group 6": few})
    assert not verdict.passed
    assert not verdict.inconclusive
    assert verdict.reason.startswith("region, group 6: ")
    assert verdict.parts["all units"] < 0.6 < verdict.parts["region, group 6"]


def test_subgroups_are_numbered_by_size_and_name_no_value():
    codes = np.repeat([4, 1, 2, -1, 3], [600, 900, 3, 2, 700])
    found = subgroups({"region": codes}, fewest=500)
    assert list(found) == ["region, group 1", "region, group 2", "region, group 3", "region, small groups"]
    assert [int(at.sum()) for at in found.values()] == [900, 700, 600, 5]


def test_of_a_group_of_fewer_than_seven_on_a_side_nothing_is_shown():
    believed, members = coin(2000, 9)
    few = np.zeros(2000, np.bool_)
    few[np.flatnonzero(~members)[: LEAST - 1]] = few[np.flatnonzero(members)[:50]] = True
    verdict = judged(AUC, believed, members, {"region, small groups": few})
    assert list(verdict.parts) == ["all units"]
    assert "groups too small to be attacked on their own: 1" in verdict.reason
    few[np.flatnonzero(~members)[LEAST - 1]] = True
    assert len(judged(AUC, believed, members, {"region, small groups": few}).parts) == 2


def test_the_most_isolated_are_a_tenth_or_what_it_takes_to_tell():
    close = closeness(dealt(1200, 0), people(300, 1), QUANTITIES, LABELS, rng=stream(0, "closeness"))
    groups = groups_of(close, {})
    assert list(groups) == ["all units", "most isolated"]
    isolated = groups["most isolated"]
    held = (~close.members).sum()
    assert (~close.members[isolated]).sum() == round(MOST * held) < FEWEST
    assert close.lonely[isolated].min() >= close.lonely[~isolated].max()


def test_an_attacker_who_saw_other_answers_tells_copied_units():
    side = dealt(800, 10)
    twin = people(800, 11)
    clean, leak = (
        closeness(side, t, QUANTITIES, LABELS, rng=stream(0, "closeness"))
        for t in (twin, with_copies(twin, learnt(side, 200)))
    )
    believed = [guesses(close, rng=stream(0, "guesses")) for close in (clean, leak)]
    assert 0.44 < roc_auc_score(side.members, believed[0]) < 0.56
    assert roc_auc_score(side.members, believed[1]) > 0.65
    assert not judged(AUC, believed[1], side.members).passed


def test_no_guess_is_made_of_a_unit_whose_own_answer_was_seen():
    found = []
    for seed in range(12):  # an attacker who fits noise and looks at what it was fitted to is right too often
        close = closeness(dealt(150, 20 + seed), people(100, 50 + seed), QUANTITIES, LABELS, rng=stream(0, "c"))
        found.append(roc_auc_score(close.members, guesses(close, rng=stream(seed, "guesses"))))
    assert np.mean(found) < 0.53


def faint(seed: int, *, lean: float, units: int = 600) -> Closeness:
    """Scores that know nothing but that learnt units have `lean` standard deviations more of each."""
    rng, members = stream(seed, "faint"), np.arange(units) % 2 == 0
    families = {f"{i}": {"score": rng.normal(size=units) + lean * members} for i in range(8)}
    crowd = {"crowd": rng.normal(size=units) + lean * members}
    return Closeness(members, families, crowd, 1.0, np.zeros(units))


def errors(seed: int, *, lean: float) -> float:
    """By how many of Mann and Whitney's standard errors the guesses tell who was learnt."""
    close = faint(seed, lean=lean)
    area = roc_auc_score(close.members, guesses(close, rng=stream(seed, "folds")))
    return (area - 0.5) / math.sqrt(601 / (12 * 300 * 300))


def test_an_attacker_takes_no_chance_for_knowledge():
    assert 0.8 < np.std([errors(seed, lean=0.0) for seed in range(100)]) < 1.2


def test_what_each_score_tells_too_faintly_all_tell_together():
    found = [errors(seed, lean=0.1) for seed in range(40)]
    assert np.mean(found) > 3  # of one score it is 1.2


def test_the_crowd_alone_tells():
    close = faint(0, lean=0.0)
    told = replace(close, crowd={"crowd": close.members + stream(1, "crowd").normal(size=600)})
    assert roc_auc_score(close.members, guesses(told, rng=stream(0, "folds"))) > 0.6


def test_half_of_the_significance_is_for_all_units():
    members = np.arange(40) % 2 == 0
    groups = {"all units": np.ones(40, np.bool_), **{f"{i}": np.arange(40) // 2 % 2 == i % 2 for i in range(4)}}
    asked: dict[str, list[int]] = {}

    def spied(_believed, _members, *, tests, **_):
        asked.setdefault("tests", []).append(tests)
        return membership.Told(0.5, 0.5, 20, evidence=False, needed=0.0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(membership, "MEASURES", dict.fromkeys(LIMITS, spied))
        membership.measured(AUC, np.zeros(40), members, groups, limit=0.5, confidence=0.95)
    assert asked["tests"] == [6, 24, 24, 24, 24]
    assert sum(1 / t for t in asked["tests"]) == pytest.approx(1 / len(LIMITS))
