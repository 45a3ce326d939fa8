"""What a gate says about a snapshot: one value with its interval, baseline, n and limit, and whether it passed."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self


class Severity(StrEnum):
    """`critical` blocks a release, `warning` is shown; the same two words from the file to the UI."""

    CRITICAL = "critical"
    WARNING = "warning"


class Outcome(StrEnum):
    """A gate is passed, failed on evidence, or had too little data to tell; only the first lets a snapshot out."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of one gate on one table.

    Attributes:
        gate: the gate's name, for example `column_shape`.
        table: the table it judged.
        value: the measure, or None where the gate could not run.
        low: lower end of the 95 % interval of `value`; equal to `value` where the measure is exact.
        high: upper end of that interval.
        baseline: the same measure between two sets of real rows (or what chance gives), None where there is none.
        n: how many synthetic rows were judged.
        limit: the bound that `low`/`high` is held against.
        bound: whether `limit` is a floor (`at_least`) or a ceiling (`at_most`).
        passed: whether the snapshot may go out as far as this gate is concerned.
        inconclusive: whether there was too little data to tell; such a gate has not passed, and blocks as a failed one.
        severity: whether failing blocks the release.
        reason: one sentence a person can act on. Never a value of a real row.
        parts: the same measure of single columns (`age`) or pairs (`age × sex`), where it has parts.
    """

    gate: str
    table: str
    value: float | None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    n: int
    limit: float
    bound: Literal["at_least", "at_most"]
    passed: bool
    severity: Severity = Severity.CRITICAL
    reason: str
    parts: Mapping[str, float] = field(default_factory=dict)
    inconclusive: bool = False

    def __post_init__(self) -> None:
        """Refuse a pass that measured nothing, or that could not tell."""
        if self.passed and (self.value is None or math.isnan(self.value)):
            raise ValueError(f"gate {self.gate} passed {self.table} without a value")
        if self.passed and self.inconclusive:
            raise ValueError(f"gate {self.gate} passed {self.table} though it could not tell")

    @property
    def outcome(self) -> Outcome:
        """Which of the three this is."""
        if self.passed:
            return Outcome.PASSED
        return Outcome.INCONCLUSIVE if self.inconclusive else Outcome.FAILED

    @property
    def blocks(self) -> bool:
        """Whether this verdict keeps the snapshot from being released."""
        return not self.passed and self.severity is Severity.CRITICAL

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return asdict(self) | {"severity": self.severity.value, "parts": dict(self.parts)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The verdict that `to_json` wrote."""
        return cls(**{**data, "severity": Severity(data["severity"])})

    @classmethod
    def could_not_run(cls, gate: str, table: str, *, why: str, severity: Severity = Severity.CRITICAL) -> Self:
        """The verdict of a gate that could not run: it failed."""
        return cls(
            gate=gate, table=table, value=None, n=0, limit=0.0, bound="at_least",
            passed=False, severity=severity, reason=f"could not run: {why}",
        )  # fmt: skip


def blocking(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts that keep a snapshot from being released."""
    return [v for v in verdicts if v.blocks]
