"""What measures of fidelity have in common: the three sides, what can't be compared, the interval, the verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from twinlake.columns import Floats, sampled
from twinlake.schema import Table
from twinlake.verdict import Verdict

REPLICATES = 25


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows to compare: `holdout` with `synthetic`, and for the baseline with `real`.

    Attributes:
        of: how many synthetic rows there were before sampling.
    """

    holdout: pa.Table
    synthetic: pa.Table
    real: pa.Table
    of: int

    @classmethod
    def draw(
        cls,
        real: pa.Table,
        holdout: pa.Table,
        synthetic: pa.Table,
        *,
        columns: tuple[str, ...],
        rows: int,
        rng: np.random.Generator,
    ) -> Self:
        """At most `rows` rows of each side, and no more learnt rows than the twin has, so that chance is alike."""
        held, twin, learnt = (t.select(list(columns)) for t in (holdout, synthetic, real))
        return cls(
            sampled(held, rows, rng),
            sampled(twin, rows, rng),
            sampled(learnt, min(rows, twin.num_rows), rng),
            synthetic.num_rows,
        )

    @property
    def tables(self) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Holdout, twin, learnt rows."""
        return self.holdout, self.synthetic, self.real


def nothing_to_compare(
    gate: str,
    real: pa.Table,
    holdout: pa.Table,
    synthetic: pa.Table,
    table: Table,
    *,
    limit: float,
    columns: tuple[str, ...],
) -> Verdict | None:
    """The verdict where there is nothing to measure, else None. Missing rows fail; missing columns can't be wrong."""
    if not columns or table.public:
        why = "public rows are carried over as they are" if table.public else "no column of this table is learnt"
        return trivial(gate, table, n=synthetic.num_rows, limit=limit, reason=why)
    if not (real.num_rows or holdout.num_rows or synthetic.num_rows):
        return trivial(gate, table, n=0, limit=limit, reason="the real table has no rows, and neither has the twin")
    for rows, what in ((synthetic, "the twin has no rows"), (holdout, "no rows were held back to compare with")):
        if not rows.num_rows:
            return Verdict.could_not_run(gate, table.name, why=what)
    if not real.num_rows:
        return Verdict.could_not_run(gate, table.name, why="there are no learnt rows to compare with")
    return None


def trivial(gate: str, table: Table, *, n: int, limit: float, reason: str) -> Verdict:
    """A pass with the value 1.0, because nothing can differ."""
    return Verdict(
        gate=gate, table=table.name, value=1.0, low=1.0, high=1.0, n=n, limit=limit, bound="at_least",
        passed=True, reason=reason,
    )  # fmt: skip


def spread(measure: Callable[[Floats, Floats], float], sides: Sides, rng: np.random.Generator) -> float:
    """Standard deviation of `measure(weights of holdout rows, weights of twin rows)` over a bootstrap of rows.

    Efron, "Bootstrap methods: another look at the jackknife" (1979). Only the spread is used: the replicates
    themselves are shifted, because resampled rows are further apart than drawn ones.
    """
    n, m = sides.holdout.num_rows, sides.synthetic.num_rows
    values = [measure(_resampled(n, rng), _resampled(m, rng)) for _ in range(REPLICATES)]
    return float(np.std(values, ddof=1))


def _resampled(rows: int, rng: np.random.Generator) -> Floats:
    return np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(np.float64)


def compared(
    gate: str,
    table: Table,
    sides: Sides,
    parts: Mapping[str, float],
    *,
    value: float,
    baseline: float,
    error: float,
    limit: float,
    what: str,
) -> Verdict:
    """The verdict of a likeness: its upper end has to reach the limit, or the baseline where that is lower.

    Numbers are rounded to six decimals, so that the order of additions can't show.
    """
    low, high = max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error)
    floor = min(limit, baseline)
    passed = high >= floor
    return Verdict(
        gate=gate, table=table.name, value=round(value, 6), low=round(low, 6), high=round(high, 6),
        baseline=round(baseline, 6), n=sides.synthetic.num_rows, limit=limit, bound="at_least", passed=passed,
        reason=_reason(parts, sides, passed=passed, baseline=baseline, limit=limit, what=what),
        parts={name: round(score, 6) for name, score in parts.items()},
    )  # fmt: skip


def _reason(parts: Mapping[str, float], sides: Sides, *, passed: bool, baseline: float, limit: float, what: str) -> str:
    worst = sorted(parts, key=lambda name: (parts[name], name))[: 1 if passed else 3]
    names = ", ".join(f"{name} ({parts[name]:.3f})" for name in worst)
    counts = f"{sides.synthetic.num_rows:,}" + (f" of {sides.of:,}" if sides.of > sides.synthetic.num_rows else "")
    lowered = f"; real rows themselves reach {baseline:.3f}, so that is asked for" if baseline < limit else ""
    head = "like the rows held back" if passed else "unlike the rows held back"
    worsts = f"the least alike {what} is {names}" if len(worst) == 1 else f"the least alike {what}s are {names}"
    return f"{counts} rows are {head}; {worsts}{lowered}"
