"""Which gates a table goes through, and how each is run: one that can't run has failed."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from twinlake.card import confidence
from twinlake.errors import TwinlakeError
from twinlake.expectations.gate import expectations
from twinlake.expectations.rules import rules
from twinlake.expectations.structure import structure
from twinlake.expectations.suite import Suite
from twinlake.fidelity.cardinality import cardinality
from twinlake.fidelity.databases import Databases
from twinlake.fidelity.parents import parent_trend
from twinlake.fidelity.shape import column_shape
from twinlake.fidelity.siblings import sibling_trend
from twinlake.fidelity.trend import pair_trend
from twinlake.hashing import Hashes
from twinlake.privacy.history import History
from twinlake.privacy.over_time import over_time
from twinlake.privacy.replay import replay
from twinlake.privacy.together import Real
from twinlake.project.pipeline import GateLimit, Gates, Pipeline, TableChoice
from twinlake.random import derive, stream
from twinlake.run.attacks import GATES as ATTACKS
from twinlake.run.attacks import Attacks
from twinlake.schema import Table
from twinlake.tables import Tables
from twinlake.units import Units, assign_units
from twinlake.verdict import Severity, Verdict

REAL_GATES = {"real_expectations": Severity.CRITICAL, "real_expectations_warning": Severity.WARNING}
"""The gates of real tables: their own suites. One that real rows fail is a wrong suite."""


@dataclass(frozen=True)
class Case:
    """A snapshot to judge, beside the real tables it was learnt from and those held back.

    Attributes:
        unit: the root table of the privacy unit, None where each row is one.
        seed: of the gates' own draws (subsamples, bootstraps).
        report: told each exception a gate raised; returns where its text is kept.
        attempt: 1, or 2 where a privacy gate has refused another snapshot of the same rows and settings that day.
        history: what was let out of a table before; None where nobody keeps account, and `over_time` is left out.
        trees: whether boosted trees guess attributes too.
    """

    real: Tables
    holdout: Tables
    synthetic: Tables
    unit: str | None
    gates: Gates
    suites: Mapping[str, Suite]
    seed: int
    report: Callable[[Exception], str]
    attempt: int = 1
    history: Callable[[str], History] | None = None
    trees: bool = True

    @property
    def confidence(self) -> float:
        """What upper bounds of privacy gates hold with: half of α is left for a second attempt."""
        return confidence(self.attempt)

    def units(self) -> Units:
        """The privacy unit of each learnt row."""
        return assign_units(self.real, self.unit)

    @cached_property
    def databases(self) -> Databases:
        """All three sides, for gates that look at several tables."""
        return Databases(self.real, self.holdout, self.synthetic, assign_units(self.holdout, self.unit))


def gate_names(table: Table, *, suites: bool, private: bool) -> tuple[str, ...]:
    """The gates of a table; `private` where its rows belong to privacy units."""
    refers, ordered = bool(table.references), bool(table.references and table.order_by)
    ruled = bool(table.rules or table.unique)
    return _names(public=table.public, suites=suites, private=private, refers=refers, ordered=ordered, ruled=ruled)


def _names(*, public: bool, suites: bool, private: bool, refers: bool, ordered: bool, ruled: bool) -> tuple[str, ...]:
    fitting = ("structure", *(("rules",) if ruled else ()))
    expected = ("expectations", "expectations_warning") if suites else ()
    if public:
        return *fitting, *expected
    return (
        *fitting,
        *expected,
        *("column_shape", "pair_trend"),
        *(("cardinality", "parent_trend") if refers else ()),
        *(("sibling_trend",) if ordered else ()),
        "replay",
        *((*ATTACKS, "over_time") if private else ()),
    )


def declared_gates(pipeline: Pipeline) -> Iterator[tuple[str, str, Severity]]:
    """(table, gate, severity) of every gate that a pipeline's file alone lets expect.

    What a table refers to, and hence whose rows it holds, may stand in the source only; so gates are among them that
    may turn out not to apply.
    """
    fidelity, privacy = pipeline.gates.fidelity, pipeline.gates.privacy
    severity = {
        "expectations_warning": Severity.WARNING,
        "column_shape": fidelity.column_shape.severity,
        "pair_trend": fidelity.pair_trend.severity,
        "cardinality": fidelity.cardinality.severity,
        "parent_trend": fidelity.parent_trend.severity,
        "sibling_trend": fidelity.sibling_trend.severity,
        **{gate: getattr(privacy, gate).severity for gate in ATTACKS},
    }
    for name, choice in pipeline.tables.items():
        refers = _may_refer(pipeline, choice)
        has = {
            "refers": refers,
            "ordered": refers and choice.order_by is not None,
            "ruled": _may_be_ruled(pipeline, choice),
        }
        for gate in _names(public=choice.public, suites=True, private=True, **has):
            yield name, gate, severity.get(gate, Severity.CRITICAL)
        if privacy.shadow_fits and (name == pipeline.unit or not (pipeline.unit or choice.public)):
            yield name, "shadow", privacy.shadow.severity


def _may_refer(pipeline: Pipeline, choice: TableChoice) -> bool:
    """Whether a table may turn out to have references; files hold none of their own."""
    return _has_catalog(pipeline) if choice.references is None else bool(choice.references)


def _may_be_ruled(pipeline: Pipeline, choice: TableChoice) -> bool:
    """Whether a table may turn out to have rules."""
    return bool(choice.rules or choice.unique) or (choice.checks and _has_catalog(pipeline))


def _has_catalog(pipeline: Pipeline) -> bool:
    return not pipeline.source.get_secret_value().startswith("files:")


def inapplicable(gate: str) -> str:
    """Why a gate that a pipeline's file let expect does not apply to a table."""
    if gate == "rules":
        return "not applicable: the table has no rules"
    apart = "the table refers to no other" if gate in ("cardinality", "parent_trend") else "these rows are nobody's"
    return f"not applicable: {'its rows have no order' if gate == 'sibling_trend' else apart}"


def judge_table(case: Case, name: str, units: Units, *, skip: Collection[str] = ()) -> Iterator[Verdict]:
    """The verdicts of every gate on one table but those to `skip`, in the order of `gate_names`."""
    table, gates = case.real.schema[name], case.gates
    names = gate_names(table, suites=name in case.suites, private=units[name] is not None)
    wanted = [n for n in names if n not in skip]
    shape, trend = gates.fidelity.column_shape, gates.fidelity.pair_trend
    rng = stream(case.seed, "gates", name)
    three = (case.real, case.holdout, case.synthetic)

    def measured(measure: Callable[..., Verdict], limit: float) -> Verdict:
        return measure(*(t[name] for t in three), table, limit=limit, rng=rng)

    def related(measure: Callable[..., Verdict], chosen: GateLimit, **more: str | None) -> Verdict:
        own = stream(case.seed, "gates", name, measure.__name__)
        return replace(measure(case.databases, name, limit=chosen.limit, rng=own, **more), severity=chosen.severity)

    calls: dict[str, Callable[[], Verdict]] = {
        "structure": lambda: structure(case.synthetic, case.real.schema, name),
        "rules": lambda: rules(case.synthetic, case.real.schema, name),
        "column_shape": lambda: replace(measured(column_shape, shape.limit), severity=shape.severity),
        "pair_trend": lambda: replace(measured(pair_trend, trend.limit), severity=trend.severity),
        "cardinality": lambda: related(cardinality, gates.fidelity.cardinality),
        "parent_trend": lambda: related(parent_trend, gates.fidelity.parent_trend),
        "sibling_trend": lambda: related(sibling_trend, gates.fidelity.sibling_trend, unit=case.unit),
        "replay": lambda: replay(
            *three, name, units=units[name], held_units=case.databases.units[name], k=gates.privacy.min_units
        ),
    }
    if (mine := units[name]) is not None:
        attacks = _attacks(case, name, mine)
        calls |= {gate: partial(attacks.verdict, gate) for gate in ATTACKS}
    if case.history and (own := units[name]) is not None:
        calls["over_time"] = partial(_over_time, case, name, own, case.history)
    for gate in wanted:
        if gate == "expectations":
            yield from _expected(case, name)
        elif gate in calls:
            yield guarded(calls[gate], gate, name, case.report)


def _attacks(case: Case, name: str, units: Hashes) -> Attacks:
    held = case.databases.units[name]
    assert held is not None  # both sides have the same schema
    private = [t for t, of in case.databases.units.items() if of is not None and case.real.schema[t].learnt]
    return Attacks(
        case.real, case.holdout, case.synthetic, name, units, held, case.unit, case.gates.privacy,
        confidence=case.confidence, tables=max(1, len(private)), seed=derive(case.seed, "gates"), trees=case.trees,
    )  # fmt: skip


def _over_time(case: Case, name: str, units: Hashes, history: Callable[[str], History]) -> Verdict:
    held = case.databases.units[name]
    assert held is not None  # rows that are nobody's have no past
    real = Real(case.real[name], case.holdout[name], units, held)
    rng = stream(case.seed, "gates", name, "over_time")
    table = case.real.schema[name]
    return over_time(
        real, case.synthetic, table, history(name), privacy=case.gates.privacy, confidence=case.confidence,
        tables=sum(u is not None for u in case.databases.units.values()), rng=rng,
    )  # fmt: skip


def _expected(case: Case, name: str) -> tuple[Verdict, ...]:
    try:
        return expectations(case.suites[name], case.synthetic[name], case.real.schema[name], real=False)
    except Exception as error:
        why = _why(error, case.report)
        return (
            Verdict.could_not_run("expectations", name, why=why),
            Verdict.could_not_run("expectations_warning", name, why=why),
        )


def guarded(gate: Callable[[], Verdict], name: str, table: str, report: Callable[[Exception], str]) -> Verdict:
    """The gate's verdict, or a failed one where it could not run."""
    try:
        return gate()
    except Exception as error:
        return Verdict.could_not_run(name, table, why=_why(error, report))


def _why(error: Exception, report: Callable[[Exception], str]) -> str:
    if isinstance(error, TwinlakeError):
        return error.what
    return f"{type(error).__name__}, details in {report(error)}"
