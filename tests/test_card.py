"""What of a verdict may be shown to whom."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scenario import SCHEMA, clinic

from twinlake.card import OF_LIKENESS, coarse, confidence, is_private, overridden, rounded, share_of_limit
from twinlake.run.evaluate import evaluate
from twinlake.tables import Tables
from twinlake.verdict import Outcome, Severity, Verdict


def verdict(gate: str = "membership", **changes) -> Verdict:
    told = {
        "table": "people", "value": 0.5123, "low": 0.4987, "high": 0.5312, "baseline": 0.4999, "n": 12_345,
        "limit": 0.55, "bound": "at_most", "passed": True, "reason": "0.5123 of 1,234 people",
        "parts": {"isolated": 0.5312},
    }  # fmt: skip
    return Verdict(gate=gate, **(told | changes))


LIKENESS = {"value": 0.96789, "low": 0.96111, "high": 0.97222, "limit": 0.95, "bound": "at_least"}
LIKENESS |= {"parts": {"age": 0.91919}, "reason": "the least alike column is age (0.919)"}


def test_of_an_attack_leave_the_outcome_the_limit_and_a_bin():
    shown = coarse(verdict())
    assert (shown.value, shown.limit, shown.outcome, shown.n) == (0.55, 0.55, Outcome.PASSED, 12_000)
    assert (shown.low, shown.high, shown.baseline, dict(shown.parts)) == (None, None, None, {})
    assert shown.reason == "within the limit"


def test_a_gate_that_nobody_has_told_of_is_one_of_privacy():
    assert is_private("some_new_gate")
    assert coarse(verdict("some_new_gate", limit=1.0)).value == 1.0
    assert not any(is_private(g) for g in ("structure", "pair_trend", "real_expectations"))


@pytest.mark.parametrize(("high", "shown"), [(0.51, 0.525), (0.525, 0.525), (0.5251, 0.55), (0.55, 0.55)])
def test_bins_of_a_pass_end_on_the_side_of_harm_and_within_the_limit(high: float, shown: float):
    assert coarse(verdict(high=high, value=0.5)).value == shown


@pytest.mark.parametrize(("high", "shown"), [(0.551, 0.6), (0.59, 0.6), (0.61, 0.7), (0.89, 0.9), (0.97, 1.0)])
def test_bins_over_the_limit_double(high: float, shown: float):
    assert coarse(verdict(high=high, passed=False)).value == pytest.approx(shown)


def test_counts_that_shall_be_none_are_told_in_powers_of_ten():
    def replayed(n: float) -> float | None:
        return coarse(verdict("replay", value=n, low=n, high=n, limit=0.0, passed=n == 0)).value

    assert [replayed(n) for n in (0.0, 1.0, 3.0, 10.0, 11.0, 4711.0)] == [0, 1, 10, 10, 100, 10_000]


def test_a_probability_is_told_as_within_or_not():
    p = {"bound": "at_least", "limit": 0.01, "low": None, "high": None}
    assert coarse(verdict("copying", value=0.4711, **p)).value == 0.01
    assert coarse(verdict("copying", value=0.0013, passed=False, **p)).value == 0.0


def test_where_the_lower_end_decides_a_pass_is_not_shown_over_its_limit():
    assert coarse(verdict("shadow", low=0.45, value=0.55, high=0.75, limit=0.6)).value == 0.55


def test_three_outcomes_stay_apart_on_the_card():
    unsure = coarse(verdict(passed=False, inconclusive=True, reason="37 units held back, 512 are needed"))
    assert unsure.outcome is Outcome.INCONCLUSIVE
    assert "too little data to tell, which blocks" in unsure.reason
    assert not any(c.isdigit() for c in unsure.reason)
    assert "over the limit" in coarse(verdict(passed=False)).reason


def test_what_could_not_run_says_so_and_no_more():
    shown = coarse(Verdict.could_not_run("membership", "people", why="ValueError, details in a log"))
    assert (shown.value, shown.passed) == (None, False)
    assert shown.reason == "could not run; the vault has why"


def test_likeness_is_told_with_two_decimals_parts_too():
    shown = coarse(verdict("column_shape", **LIKENESS))
    assert (shown.value, shown.low, shown.high) == (0.96, 0.96, 0.97)
    assert shown.parts == {"age": 0.91}
    assert shown.reason == "the least alike column is age (0.91)"


def test_gates_of_synthetic_rows_alone_are_told_as_they_are():
    plain = verdict("rules", **LIKENESS)
    assert coarse(plain) is plain
    assert rounded(plain) is plain


def test_a_terminal_tells_why_with_two_digits():
    shown = rounded(verdict(reason="67.34 % of 1,234 units in col_2021x; 1,511 are needed", value=0.5511, passed=False))
    assert shown.reason == "68 % of 1,300 units in col_2021x; 1,600 are needed"
    assert (shown.value, shown.parts) == (0.56, {"isolated": 0.54})


def test_a_date_is_no_measure_and_stays_as_it_is():
    shown = rounded(verdict(reason="only 1,234 units changed since 2026-11-22.2, and 2026-10-31", passed=False))
    assert shown.reason == "only 1,300 units changed since 2026-11-22.2, and 2026-10-31"


@pytest.mark.parametrize("show", [coarse, rounded])
def test_showing_again_changes_nothing(show):
    rng = np.random.default_rng(0)
    for _ in range(2000):
        gate = str(rng.choice(["membership", "membership_epsilon", "replay", "copying", "column_shape", "new"]))
        value = float(rng.choice([0.0, 1.0, rng.random(), rng.random() * 40, 10 ** rng.uniform(-6, 3)]))
        changes = {
            "value": value, "low": value * 0.9, "high": value * 1.1, "limit": float(rng.choice([0, 0.01, 0.55, 1, 2])),
            "bound": str(rng.choice(["at_most", "at_least"])), "passed": bool(rng.integers(2)),
            "n": int(rng.integers(10**6)),
        }  # fmt: skip
        once = show(verdict(gate, **changes))
        assert show(once) == once
        assert once.value is not None
        assert math.isfinite(once.value)
        assert once.outcome is verdict(gate, **changes).outcome


def test_neighbouring_real_tables_have_the_same_card():
    real, holdout, synthetic = clinic(600), clinic(300, seed=1), clinic(600, seed=2)
    outlier = {**real["subjects"].to_pylist()[0], "id": 10**9, "city": "Soglio", "bmi": 4711.08}
    subjects = pa.concat_tables([real["subjects"], pa.Table.from_pylist([outlier], schema=real["subjects"].schema)])
    neighbour = Tables(SCHEMA, {**real, "subjects": subjects})
    full, other = (evaluate(r, holdout, synthetic, unit="subjects").verdicts for r in (real, neighbour))
    assert full != other  # the numbers themselves do tell the two apart
    for mine, theirs in zip(map(coarse, full), map(coarse, other), strict=True):
        if mine.gate in OF_LIKENESS:  # subsamples are drawn anew, so the last digit may move; two hundredths at most
            assert abs((mine.value or 0) - (theirs.value or 0)) <= 0.021
            assert mine.outcome is theirs.outcome
        else:
            assert mine == theirs


def test_a_privacy_gate_that_warns_is_an_override_and_no_other_is():
    assert overridden(verdict(severity=Severity.WARNING))
    assert not overridden(verdict())
    assert not overridden(verdict("pair_trend", severity=Severity.WARNING))


def test_a_second_attempt_has_half_of_alpha():
    assert (confidence(1), confidence(2)) == (0.95, 0.975)


def test_an_attack_lies_between_guessing_and_its_limit():
    assert share_of_limit(verdict(high=0.525)) == pytest.approx(0.5)
    assert share_of_limit(verdict("replay", value=0.0, low=0.0, high=0.0, limit=0.0)) == 0
    assert share_of_limit(verdict("copying", bound="at_least", limit=0.01)) is None
