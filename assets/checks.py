"""Asset checks: each gate of each table as Dagster shows it. Judging itself is `twinlake.run.judge`, in one op."""

import warnings
from collections.abc import Iterator, Mapping

import dagster as dg

from assets import keys, metadata
from assets.project import Project
from twinlake.card import coarse
from twinlake.project import Pipeline
from twinlake.report.reading import reading
from twinlake.report.words import said
from twinlake.run.attempts import evidence
from twinlake.run.gates import REAL_GATES, declared_gates, inapplicable
from twinlake.run.judge import answers, judge, judge_real
from twinlake.run.pages import refused_page
from twinlake.storage.verdicts import Gate
from twinlake.verdict import Severity, Verdict, blocking

_SEVERITY = {Severity.CRITICAL: dg.AssetCheckSeverity.ERROR, Severity.WARNING: dg.AssetCheckSeverity.WARN}


def real_checks(pipeline: Pipeline, dates: dg.PartitionsDefinition[str]) -> dg.AssetChecksDefinition:
    """Whether each real table meets its own suite."""
    specs = {
        (table, gate): _spec(keys.real(pipeline.name, table), gate, severity, dates)
        for table in pipeline.tables
        for gate, severity in REAL_GATES.items()
    }

    @dg.multi_asset_check(
        name=keys.step(pipeline.name, "real_checks"), specs=list(specs.values()), pool=keys.pool(pipeline.name)
    )
    def real_tables_meet_their_suites(
        context: dg.AssetCheckExecutionContext, project: Project
    ) -> Iterator[dg.AssetCheckResult]:
        with project.stage(context, pipeline.name) as stage:
            verdicts = judge_real(stage.job, stage.record)
            results = _results(specs, answers(stage.job, stage.record, verdicts, specs))
        yield from results

    return real_tables_meet_their_suites


def gates(pipeline: Pipeline, dates: dg.PartitionsDefinition[str]) -> dg.AssetChecksDefinition:
    """Every gate of every synthetic table."""
    specs = {
        (table, gate): _spec(keys.synthetic(pipeline.name, table), gate, severity, dates)
        for table, gate, severity in declared_gates(pipeline)
    }

    @dg.multi_asset_check(
        name=keys.step(pipeline.name, "gates"), specs=list(specs.values()), pool=keys.pool(pipeline.name)
    )
    def synthetic_tables_pass_gates(
        context: dg.AssetCheckExecutionContext, project: Project
    ) -> Iterator[dg.AssetCheckResult]:
        with project.stage(context, pipeline.name) as stage:
            verdicts = judge(stage.job, stage.record, workers=project.workers, progress=stage.progress)
            if blocking(verdicts):
                page = refused_page(stage.job, stage.record.date, evidence(stage.job, stage.record).attempt)
                context.log.info(f"all that was found, for whoever answers for the real rows: {page}")
            results = _results(specs, answers(stage.job, stage.record, verdicts, specs))
        yield from results

    return synthetic_tables_pass_gates


def _spec(asset: dg.AssetKey, gate: str, severity: Severity, dates: dg.PartitionsDefinition[str]) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # a check belongs to the date of what it looks at
        return dg.AssetCheckSpec(
            gate,
            asset=asset,
            description=reading(gate).asks,
            blocking=severity is Severity.CRITICAL,
            partitions_def=dates,
        )


def _results(
    specs: Mapping[Gate, dg.AssetCheckSpec], answered: Mapping[Gate, Verdict | None]
) -> list[dg.AssetCheckResult]:
    return [_result(specs[gate], verdict) for gate, verdict in answered.items()]


def _result(spec: dg.AssetCheckSpec, verdict: Verdict | None) -> dg.AssetCheckResult:
    """A check's result as the card has it; a gate that does not apply has nothing to fail, and says so."""
    shown = coarse(verdict) if verdict else None
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=verdict is None or verdict.passed,
        severity=_SEVERITY[verdict.severity if verdict else Severity.WARNING],
        description=f"{said(shown)}: {shown.reason}" if shown else inapplicable(spec.name),
        metadata=metadata.verdict(shown) if shown else {"applies": False},
    )
