"""Gates `expectations` and `expectations_warning`: do a table's expectations hold?"""

from collections.abc import Sequence

import pyarrow as pa

from twinlake.expectations._gx import Outcome, run_suite
from twinlake.expectations.suite import Suite, Weight
from twinlake.schema import Table
from twinlake.verdict import Severity, Verdict


def expectations(suite: Suite, data: pa.Table, table: Table, *, real: bool) -> tuple[Verdict, ...]:
    """A verdict on the critical expectations and one on the others; value: the share that hold.

    On real data the gates are `real_expectations` and `real_expectations_warning`: what real rows fail is a wrong
    suite. `parts` has 1.0 or 0.0 for each expectation. Raises ProjectError where arguments are wrong.
    """
    outcomes = run_suite(suite, data, table, real=real)
    critical = [o for o in outcomes if o.expectation.severity is Weight.CRITICAL]
    others = [o for o in outcomes if o.expectation.severity is not Weight.CRITICAL]
    return (
        _verdict(suite, critical, data, table, Severity.CRITICAL, real=real),
        _verdict(suite, others, data, table, Severity.WARNING, real=real),
    )


def _verdict(
    suite: Suite, outcomes: Sequence[Outcome], data: pa.Table, table: Table, severity: Severity, *, real: bool
) -> Verdict:
    share = sum(o.held for o in outcomes) / len(outcomes) if outcomes else 1.0
    name = "expectations" if severity is Severity.CRITICAL else "expectations_warning"
    return Verdict(
        gate=f"real_{name}" if real else name, table=table.name, value=share, low=share, high=share,
        n=data.num_rows, limit=1.0, bound="at_least", passed=share == 1.0, severity=severity,
        reason=_reason(suite, outcomes, real=real), parts=_parts(outcomes),
    )  # fmt: skip


def _parts(outcomes: Sequence[Outcome]) -> dict[str, float]:
    parts: dict[str, float] = {}
    for outcome in outcomes:
        name = str(outcome.expectation)
        name = f"{name}, line {outcome.expectation.line}" if name in parts else name
        while name in parts:
            name += " again"
        parts[name] = float(outcome.held)
    return parts


def _reason(suite: Suite, outcomes: Sequence[Outcome], *, real: bool) -> str:
    failed = [o for o in outcomes if not o.held]
    if not outcomes:
        return "the suite has no expectation of this severity"
    if not failed:
        return f"all {len(outcomes)} expectations hold"
    shown = "; ".join(_failure(suite, o) for o in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    head = "the suite is wrong, not the data: real rows fail" if real else f"{len(failed)} of {len(outcomes)} fail:"
    return f"{head} {shown}{more}"


def _failure(suite: Suite, outcome: Outcome) -> str:
    if not outcome.ran:
        said = ", which could not be evaluated on this column"
    else:
        said = "" if outcome.unexpected is None else f" for {outcome.unexpected:.1%} of values"
    return f"{outcome.expectation}{said} at {suite.where(outcome.expectation)}"
