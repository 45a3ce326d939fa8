"""The shadow game: does the generator, with its settings, keep single units?

Played on a schedule, and when a snapshot is judged and no outcome of the same settings holds any more.
"""

import datetime as dt
import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from twinlake.errors import DataError
from twinlake.generators.relational import RelationalGenerator
from twinlake.privacy.shadow import FEWEST, GATE, UNITS, Game, nothing_learnt, shadow, unable
from twinlake.privacy.signals import Floats
from twinlake.progress import Progress
from twinlake.run.extract import Extract, extract, open_extract
from twinlake.run.gates import guarded
from twinlake.run.job import Job
from twinlake.run.record import Record, today
from twinlake.run.sample import executor
from twinlake.run.train import generator
from twinlake.run.wall import keep
from twinlake.schema import Schema
from twinlake.storage.games import Played, read_game, store_game
from twinlake.storage.lock import pipeline_lock
from twinlake.tables import Tables, canonical
from twinlake.units import assign_units
from twinlake.verdict import Verdict
from twinlake.version import VERSION

UNITS_IN_ALL = 6_000  # of all games of a pipeline, where each of many tables has one of its own
LEAST_UNITS = 300  # of a game, however many there are
Gate = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Shadow:
    """Learns tables as the pipeline learns them, and draws as many units; what it writes stays in the vault."""

    generator: RelationalGenerator
    unit: str | None
    scratch: Path

    def __call__(self, tables: Tables, seed: int) -> Tables:
        """Tables of a generator that has learnt these."""
        own = {n: g for n, g in self.generator.per_table.items() if n in tables.schema.names}
        units = assign_units(tables, self.unit)
        model = replace(self.generator, per_table=own).fit(tables, units=units, seed=seed, unit=self.unit)
        folder = Path(mkdtemp(dir=self.scratch))
        try:
            drawn = model.sample(folder, scale=1.0, seed=seed)
            return Tables(drawn.schema, dict(drawn))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def played_tables(job: Job, schema: Schema) -> tuple[str, ...]:
    """The tables that a game is played for: the unit's root table; without a unit, each that is private."""
    return (job.pipeline.unit,) if job.pipeline.unit else tuple(t.name for t in schema if not t.public)


def shadow_gates(job: Job, schema: Schema) -> frozenset[Gate]:
    """(table, gate) of every verdict on the generator that a release needs: none where no fits are asked for."""
    asked = job.pipeline.gates.privacy.shadow_fits > 0
    return frozenset((name, GATE) for name in played_tables(job, schema) if asked)


def shadows(job: Job, name: str, *, date: str, workers: int = 1, progress: Progress | None = None) -> Iterator[Verdict]:
    """The verdict on the generator for each table: of a game that holds on that date, or of one that is played now."""
    made, gates = open_extract(job, name), job.pipeline.gates.privacy
    for table in played_tables(job, made.schema) if gates.shadow_fits else ():
        held = read_game(job.layout, job.name, _settings(job, made, table, gates.shadow_fits), secret=job.secret)
        if held is None or not 0 <= _days(held.date, date) < gates.shadow_days:
            yield _guarded(job, made, table, date=date, fits=gates.shadow_fits, workers=workers, progress=progress)
        else:
            yield replace(held.verdict, severity=gates.shadow.severity, reason=_dated(held))


def play_today(
    job: Job, *, fits: int | None = None, workers: int = 1, progress: Progress | None = None
) -> list[Verdict]:
    """`play` with nobody else at work on the pipeline; raises BusyError where a run is under way."""
    with pipeline_lock(job.layout, job.name):
        date = today(job.pipeline.snapshot.timezone)
        return play(job, date=date, fits=fits, workers=workers, progress=progress)


def play(
    job: Job, *, date: str, fits: int | None = None, workers: int = 1, progress: Progress | None = None
) -> list[Verdict]:
    """Play the game for each table now, on the rows that the source has now; the outcomes hold from that date on.

    With another number of fits than the pipeline file's, the outcome does not count for releases.

    Raises DataError where neither the file nor `fits` asks for a game.
    """
    asked = job.pipeline.gates.privacy.shadow_fits if fits is None else fits
    if not asked:
        raise DataError(
            "gates.privacy.shadow_fits is 0, so no shadow game is played", where=f"{job.name}.yaml",
            fix="Set it to 60, or give --fits",
        )  # fmt: skip
    made = open_extract(job, extract(job, Record(job.name, "shadow"), progress=progress).need("extract"))
    return [
        _guarded(job, made, table, date=date, fits=asked, workers=workers, progress=progress)
        for table in played_tables(job, made.schema)
    ]


def _guarded(
    job: Job, made: Extract, table: str, *, date: str, fits: int, workers: int, progress: Progress | None
) -> Verdict:
    severity = job.pipeline.gates.privacy.shadow.severity

    def game() -> Verdict:
        verdict = _play(job, made, table, date=date, fits=fits, workers=workers, progress=progress)
        outcome = Played(_settings(job, made, table, fits), date, verdict)
        store_game(job.layout, job.name, outcome, secret=job.secret)
        return replace(verdict, reason=_dated(outcome))

    verdict = guarded(game, GATE, table, lambda error: keep(job.layout, job.name, error))
    return replace(verdict, severity=severity)


def _play(
    job: Job, made: Extract, table: str, *, date: str, fits: int, workers: int, progress: Progress | None
) -> Verdict:
    """Both learnt and held-back units are in the game: whoever it is, the generator shall not keep them."""
    limit, unit = job.pipeline.gates.privacy.shadow.limit, job.pipeline.unit
    real = Tables(made.schema, {n: made.whole(n) for n in made.schema.names})
    if (verdict := nothing_learnt(real, table, unit, limit=limit)) is not None:
        return verdict
    if real.rows(table) < FEWEST:
        why = f"{real.rows(table)} units are too few for a game; {FEWEST} are needed"
        return unable(table, limit=limit, why=why)
    most = min(UNITS, max(LEAST_UNITS, UNITS_IN_ALL // len(played_tables(job, made.schema))))
    game = Game.lay_out(real, table, unit=unit, fits=fits, seed=job.seed("shadow", table, date), units=most)
    with job.layout.scratch(job.name) as scratch, executor(workers) as pool:
        draw = Shadow(generator(job), unit, scratch)
        seen = _seen(partial(_signals, game, draw), table, fits=fits, pool=pool, progress=progress)
        return shadow(game, seen, limit=limit)


def _signals(game: Game, draw: Shadow, fit: int) -> Floats:
    return game.signals(fit, draw)


def _seen(
    signals: "partial[Floats]", table: str, *, fits: int, pool: Executor | None, progress: Progress | None
) -> Floats:
    """What all fits show, in their order, whoever ran them."""
    found: list[Floats] = []
    for one in pool.map(signals, range(fits), chunksize=4) if pool else map(signals, range(fits)):
        if progress:
            progress(f"shadow game {table}", len(found), fits)
        found.append(one)
    return np.array(found)


def _settings(job: Job, made: Extract, table: str, fits: int) -> str:
    """Hash of all that the outcome is about: the generator with its settings, and the game. No seed and no row."""
    choices = [job.pipeline.generator, *(t.generator for t in job.pipeline.tables.values())]
    told = canonical({
        "generators": [None if c is None else c.model_dump(mode="json", exclude={"seed"}) for c in choices],
        "game": [table, job.pipeline.unit, fits, job.pipeline.gates.privacy.shadow.limit],
        "locale": job.pipeline.snapshot.locale,
        "min_units": job.pipeline.gates.privacy.min_units,
        "schema": made.schema.to_json(),
        "version": VERSION,
    })  # fmt: skip
    return hashlib.sha256(told.encode()).hexdigest()[:20]


def _days(earlier: str, later: str) -> int:
    return (dt.date.fromisoformat(later) - dt.date.fromisoformat(earlier)).days


def _dated(played: Played) -> str:
    return f"{played.verdict.reason}. Played on {played.date}"
