"""What measures of fidelity have in common: the three sides, what can't be compared, the interval, the verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from twinlake.columns import Floats, sampled
from twinlake.schema import Table
from twinlake.verdict import Verdict

REPLICATES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How a verdict on a likeness says what it found.

    Attributes:
        passed: what holds where the likeness suffices.
        failed: what holds where it does not.
        part: what a part is.
    """

    passed: str
    failed: str
    part: str


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
    def counted(self) -> str:
        """How many synthetic rows are compared, in words."""
        used = self.synthetic.num_rows
        return f"{used:,} of {self.of:,} rows" if self.of > used else f"{used:,} rows"

    def words(self, part: str) -> Words:
        """What is said of rows that are compared."""
        alike, unlike = (f"{self.counted} are {w} the rows held back" for w in ("like", "unlike"))
        return Words(passed=alike, failed=unlike, part=part)

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


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike holdout and twin are, 1.0 where they are the same.

    Attributes:
        baseline: how alike two sets of real rows are.
        error: standard deviation of `value`.
        apart: standard deviation of the difference between `value` and `baseline`; None takes the baseline for exact.
    """

    value: float
    baseline: float
    error: float
    apart: float | None = None

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return max(0.0, self.value - 1.96 * self.error)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return min(1.0, self.value + 1.96 * self.error)

    def margin(self, limit: float) -> float:
        """By how much the upper end exceeds the limit, or what chance allows exceeds the baseline; the larger one."""
        reached = min(1.0, self.value + 1.96 * (self.error if self.apart is None else self.apart))
        return max(self.high - limit, reached - self.baseline)


def compared(
    gate: str,
    table: Table,
    found: Likeness,
    parts: Mapping[str, float],
    *,
    limit: float,
    n: int,
    words: Words,
    worst: Mapping[str, float] | None = None,
) -> Verdict:
    """The verdict of a likeness: its upper end has to reach the limit, or the baseline where that is lower.

    The reason names the first of the `worst` parts, or else those of the lowest value. Numbers are rounded to six
    decimals, so that the order of additions can't show.
    """
    passed = found.margin(limit) >= 0
    named = list((worst or dict(sorted(parts.items(), key=lambda p: (p[1], p[0])))).items())[: 1 if passed else 3]
    lowered = f"; real rows themselves reach {found.baseline:.3f}, so that is asked for"
    reason = f"{words.passed if passed else words.failed}; {_least(named, words.part)}"
    return Verdict(
        gate=gate, table=table.name, value=round(found.value, 6), low=round(found.low, 6), high=round(found.high, 6),
        baseline=round(found.baseline, 6), n=n, limit=limit, bound="at_least", passed=passed,
        reason=reason + (lowered if found.baseline < limit else ""),
        parts={name: round(score, 6) for name, score in parts.items()},
    )  # fmt: skip


def _least(named: Sequence[tuple[str, float]], part: str) -> str:
    names = ", ".join(f"{name} ({score:.3f})" for name, score in named)
    return f"the least alike {part} is {names}" if len(named) == 1 else f"the least alike {part}s are {names}"
