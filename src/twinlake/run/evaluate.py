"""Judge any generator's tables, also not ours: the same gates as a run's, without suites."""

from collections.abc import Mapping
from dataclasses import dataclass

from twinlake.errors import DataError, listed
from twinlake.project.pipeline import Gates
from twinlake.run.gates import Case, judge_table
from twinlake.tables import Tables
from twinlake.verdict import Verdict, blocking


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The verdicts on one set of synthetic tables."""

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether no gate blocks."""
        return not blocking(self.verdicts)

    def __getitem__(self, gate: str) -> Mapping[str, Verdict]:
        """The verdicts of one gate, by table."""
        return {v.table: v for v in self.verdicts if v.gate == gate}

    def __str__(self) -> str:
        """The scorecard as text."""
        from twinlake.report.scorecard import render_text

        return render_text(self.verdicts, title="Scorecard")


def evaluate(
    real: Tables,
    holdout: Tables,
    synthetic: Tables,
    *,
    unit: str | None = None,
    gates: Gates | None = None,
    seed: int = 0,
) -> Scorecard:
    """Judge `synthetic` against `real`, which it was learnt from, and `holdout`, rows of other units.

    All three hold the same tables with the same columns; raises DataError where they don't.
    """
    holdout, synthetic = (_like(t, real, what) for t, what in ((holdout, "holdout"), (synthetic, "synthetic")))
    case = Case(
        real=real,
        holdout=holdout,
        synthetic=synthetic,
        unit=unit,
        gates=gates or Gates(),
        suites={},
        seed=seed,
        report=_unkept,
    )
    units = case.units()
    return Scorecard(tuple(v for name in real.schema.names for v in judge_table(case, name, units)))


def _unkept(_error: Exception) -> str:
    return "no log: nothing of real rows is written outside a project"


def _like(tables: Tables, real: Tables, what: str) -> Tables:
    """The same tables under the real ones' schema; where each side has one table, its name does not matter."""
    names = dict(zip(real.schema.names, real.schema.names, strict=True))
    if len(real) == len(tables) == 1:
        names = {real.schema.names[0]: tables.schema.names[0]}
    missing = [n for n in names.values() if n not in tables.schema.names]
    if missing:
        raise DataError(f"the {what} tables lack {listed(missing)}", allowed=f"they have {listed(tables.schema.names)}")
    return Tables(real.schema, {name: tables[own] for name, own in names.items()})
