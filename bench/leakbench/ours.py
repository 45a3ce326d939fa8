"""Twinlake's privacy gates as LeakBench calls them: every gate that the library runs, by name, without fidelity.

A gate alarms where it has failed; one that had too little data to tell blocks a release too, but is counted apart.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from bench.leakbench.sides import Planted
from bench.leakbench.worlds import World
from twinlake.census import take_census
from twinlake.privacy.history import Earlier, History
from twinlake.privacy.shadow import Game, shadow
from twinlake.project.pipeline import Gates, PrivacyGates
from twinlake.random import stream
from twinlake.run.gates import Case, judge_table
from twinlake.tables import Tables
from twinlake.verdict import Outcome, Verdict

SKIPPED = frozenset({
    "structure", "rules", "expectations", "expectations_warning", "column_shape", "pair_trend", "cardinality",
    "parent_trend", "sibling_trend",
})  # fmt: skip
FITS = 60  # of a shadow game


@dataclass(frozen=True, slots=True)
class Said:
    """What a gate says of a case, all tables together: outcome, a figure that is higher where it is worse, cost."""

    outcome: Outcome
    figure: float
    could_run: bool = True
    cpu: float = 0.0

    def to_json(self) -> list[Any]:
        """Four plain values."""
        return [self.outcome.value, self.figure if math.isfinite(self.figure) else None, self.could_run, self.cpu]


def judge(world: World, planted: Planted, seed: int) -> dict[str, Said]:
    """What every gate says, by name."""
    told: dict[str, Said] = {}
    start = time.process_time()
    for verdict in _verdicts(world, planted, seed):
        said = replace(_said(verdict), cpu=time.process_time() - start)
        start = time.process_time()
        told[verdict.gate] = _worse(told[verdict.gate], said) if verdict.gate in told else said
    return told


def _verdicts(world: World, planted: Planted, seed: int) -> Iterator[Verdict]:
    yield from _release(world, planted, seed)
    if planted.generator is not None:
        yield _shadow(world, planted, seed)


def gates(world: World) -> Gates:
    """As a pipeline file for the public would declare them: the smallest group's column is looked at by itself."""
    column = f"{world.root}.{world.minority[0]}"
    return Gates(privacy=PrivacyGates(subgroups=(column,), secrets=(f"{world.root}.{world.secret}",)))


def _release(world: World, planted: Planted, seed: int) -> Iterator[Verdict]:
    case = Case(
        real=world.tables(planted.learnt), holdout=world.tables(planted.held), synthetic=world.tables(planted.twin),
        unit=_unit(world), gates=gates(world), suites={}, seed=seed, report=_unkept,
        history=_history(world, planted) if len(planted.snapshots) > 1 else None,
    )  # fmt: skip
    units = case.units()
    for name in case.real.schema.names:
        yield from judge_table(case, name, units, skip=SKIPPED)


def _unit(world: World) -> str | None:
    return world.root if world.child else None


def _history(world: World, planted: Planted) -> Callable[[str], History]:
    """What was let out before the twin, and who stood behind it."""
    unit, held, earlier = _unit(world), world.tables(planted.held), planted.snapshots[:-1]
    now = take_census(world.tables(planted.learnt), held, unit)
    behind = planted.learnt_before or (planted.learnt,) * len(earlier)
    beside = planted.held_before or (planted.held,) * len(earlier)
    censuses = [take_census(world.tables(a), world.tables(b), unit) for a, b in zip(behind, beside, strict=True)]
    released = [world.tables(side) for side in earlier]

    def of(table: str) -> History:
        names = [f"release {i}" for i in range(len(earlier))]
        return History(
            now=now[table],
            retained=tuple(Earlier(n, t, c[table]) for n, t, c in zip(names, released, censuses, strict=True)),
            ever=[(n, c[table]) for n, c in zip(names, censuses, strict=True)],
            rows=sum(t.rows(table) for t in released),
            source=world.tables(planted.learnt).rows(table) + held.rows(table),
        )

    return of


def _shadow(world: World, planted: Planted, seed: int) -> Verdict:
    """The game on all real units, played with the generator that is on trial."""
    learnt, held = world.tables(planted.learnt), world.tables(planted.held)
    real = Tables(learnt.schema, {n: pa.concat_tables([learnt[n], held[n]]) for n in learnt.schema.names})
    game = Game.lay_out(real, world.root, unit=_unit(world), fits=FITS, seed=seed)

    def draw(lesson: Tables, fit: int) -> Tables:
        assert planted.generator is not None
        return world.tables(planted.generator(world.side(lesson), stream(fit, "draw")))

    signals = np.stack([game.signals(fit, draw) for fit in range(FITS)])
    return shadow(game, signals, limit=gates(world).privacy.shadow.limit)


def _said(verdict: Verdict) -> Said:
    if verdict.value is None or math.isnan(verdict.value):
        return Said(verdict.outcome, math.nan, could_run=verdict.inconclusive)
    return Said(verdict.outcome, verdict.value if verdict.bound == "at_most" else -verdict.value)


_RANK: Mapping[Outcome, int] = {Outcome.PASSED: 0, Outcome.INCONCLUSIVE: 1, Outcome.FAILED: 2}


def _worse(one: Said, two: Said) -> Said:
    worst = max(one, two, key=lambda s: _RANK[s.outcome])
    known = [s.figure for s in (one, two) if not math.isnan(s.figure)]
    return Said(worst.outcome, max(known, default=math.nan), one.could_run and two.could_run, one.cpu + two.cpu)


def _unkept(error: Exception) -> str:
    """Where a gate's mistake is told: a bench has no vault, and its rows are public."""
    return f"{error!r}"[:300]
