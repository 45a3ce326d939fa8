import json

import pytest

from twinlake.verdict import Severity, Verdict, blocking


def verdict(**changes):
    plain = {
        "gate": "g",
        "table": "t",
        "value": 0.9,
        "n": 5,
        "limit": 0.8,
        "bound": "at_least",
        "passed": True,
        "reason": "fine",
    }
    return Verdict(**{**plain, **changes})


def test_a_verdict_survives_json():
    one = verdict(low=0.8, high=1.0, parts={"age": 0.5}, severity=Severity.WARNING)
    assert Verdict.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_a_gate_that_could_not_run_has_failed():
    failed = Verdict.could_not_run("g", "t", why="no memory")
    assert not failed.passed
    assert failed.blocks


@pytest.mark.parametrize("value", [None, float("nan")])
def test_nothing_passes_without_a_value(value):
    with pytest.raises(ValueError, match="without a value"):
        verdict(value=value)


def test_only_critical_failures_block():
    warned, failed = verdict(passed=False, severity=Severity.WARNING), verdict(passed=False)
    assert blocking([verdict(), warned, failed]) == [failed]
