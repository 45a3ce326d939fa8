"""What may be claimed of a snapshot."""

import re
from pathlib import Path

import pytest

from twinlake.card import Evidence, coarse
from twinlake.report.claim import claim
from twinlake.report.reading import UNTESTED, reading
from twinlake.verdict import Severity, Verdict

EVIDENCE = Evidence(recipient="public", policy="ab" * 10, version="1.0")
ROOT = Path(__file__).parents[2]
GATES = (
    "copying", "membership", "membership_tpr", "membership_epsilon", "singling_out", "linkability",
    "attribute_inference", "over_time", "shadow", "replay",
)  # fmt: skip


def verdict(gate: str, high: float, limit: float, **changes) -> Verdict:
    told = {"value": high - 0.01, "high": high, "n": 400, "bound": "at_most", "passed": high <= limit, "reason": "so"}
    return Verdict(gate=gate, table="people", limit=limit, **(told | changes))


ALL = [
    verdict("membership", 0.52, 0.55), verdict("membership_tpr", 0.025, 0.03),
    verdict("attribute_inference", 0.04, 0.05), verdict("replay", 0.0, 0.0, value=0.0),
    verdict("column_shape", 0.9, 0.95, bound="at_least", passed=True),
]  # fmt: skip


def test_a_pass_is_told_for_whom_how_sure_against_what_and_what_was_not_tested():
    said = str(claim([v for v in ALL if v.passed], EVIDENCE))
    assert said.startswith(
        "Passed the policy for PUBLIC recipients. An attacker's advantage is at most 0.05 with 95 % "
    )
    assert "telling whether a person is among the real rows" in said
    assert "Within their limits, too: finding real records" in said
    assert "Not tested: Singling out; Linkability; Several releases together" in said
    assert all(text.split(":")[0] in said for text in UNTESTED)


def test_a_second_attempt_is_sure_to_97_5_percent():
    assert "97.5 % confidence" in str(claim(ALL, Evidence(recipient="partner", policy="", version="", attempt=2)))


def test_the_claim_is_the_same_from_the_card():
    assert claim(ALL, EVIDENCE) == claim([coarse(v) for v in ALL], EVIDENCE)


def test_a_refusal_tells_apart_what_failed_and_what_could_not_tell():
    unsure = verdict("attribute_inference", 0.2, 0.05, inconclusive=True)
    said = str(claim([verdict("membership", 0.7, 0.55), unsure], EVIDENCE))
    assert said.startswith("Did not pass the policy for PUBLIC recipients. Failed: Membership of people. ")
    assert "Too little data to tell: Attribute inference of people." in said
    assert "advantage" not in said


def test_no_advantage_is_told_where_any_attack_got_through():
    said = str(claim([*ALL[1:], verdict("membership", 0.7, 0.55, severity=Severity.WARNING)], EVIDENCE))
    assert "advantage" not in said
    assert "Within their limits: telling it of the few" in said


def test_an_attack_that_one_table_did_not_hold_is_not_claimed():
    lost = verdict("membership", 0.7, 0.55, severity=Severity.WARNING)
    said = str(claim([*ALL[:1], lost], EVIDENCE))
    assert "advantage" not in said
    assert "Not within its limit, though the pipeline file lets it pass: Membership of people." in said


@pytest.mark.parametrize("gate", GATES)
def test_every_privacy_gate_is_explained_and_names_its_attack(gate):
    assert reading(gate).attack
    assert "held against the limit beside it" not in reading(gate).asks


def test_nowhere_are_the_data_called_what_nobody_can_prove():
    claimed = re.compile(r"\banonymous\b|\banonymi[sz]ed\b|\bcompliant\b|\bGDPR\b|\bHIPAA\b", re.IGNORECASE)
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("src/**/*.j2"), *ROOT.glob("assets/*.py"), *ROOT.glob("*.md")]
    found = {f"{f.name}: {m[0]}" for f in [*files, *ROOT.glob("docs/**/*.md")] for m in claimed.finditer(f.read_text())}
    assert not found
