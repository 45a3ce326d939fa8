"""Stage 5: judge a snapshot by every gate. Suites run on the real tables too: one that they fail is a wrong suite."""

import json
from collections.abc import Iterable

from twinlake.errors import ProjectError, TwinlakeError
from twinlake.expectations.gate import expectations
from twinlake.expectations.suite import Suite, read_suite
from twinlake.progress import Progress
from twinlake.run.attempts import attempt_of, evidence, note_attempt
from twinlake.run.extract import Extract, open_extract
from twinlake.run.gates import REAL_GATES, Case, gate_names, judge_table
from twinlake.run.history import Past
from twinlake.run.job import Job
from twinlake.run.pages import keep_page
from twinlake.run.policy import policy_hash, suites_hash
from twinlake.run.record import Record
from twinlake.run.sample import open_snapshot
from twinlake.run.shadow import shadow_gates, shadows
from twinlake.run.wall import keep, walled
from twinlake.schema import Schema
from twinlake.storage.publish import snapshot_hash
from twinlake.storage.verdicts import Gate, store_verdicts
from twinlake.storage.writing import write_whole
from twinlake.tables import canonical
from twinlake.units import unit_tables
from twinlake.verdict import Verdict, blocking


def judge(job: Job, record: Record, *, workers: int = 1, progress: Progress | None = None) -> list[Verdict]:
    """The verdicts of every gate on every table; kept in the vault under the snapshot's hash.

    A snapshot that is refused gets a page of its own in the vault, with all that was found.
    """
    with walled(job.layout, job.name, "checking"):
        extract, name = open_extract(job, record.need("extract")), record.need("snapshot")
        snapshot = snapshot_hash(job.layout.staging(job.name, name))
        attempt = attempt_of(job, record.date, extract, snapshot)
        case = _case(job, extract, record, attempt)
        units, verdicts = case.units(), judge_real(job, record)
        for done, table in enumerate(extract.schema.names):
            if progress:
                progress(f"check {table}", done, len(extract.schema.tables))
            verdicts += judge_table(case, table, units)
        verdicts += shadows(job, extract.id, date=record.date, workers=workers, progress=progress)
        store_verdicts(
            job.layout, job.name, snapshot, verdicts, expected=expected_gates(job, extract.schema),
            policy=policy_hash(job), secret=job.secret, attempt=attempt,
        )  # fmt: skip
        note_attempt(job, record.date, extract, snapshot, number=attempt, verdicts=verdicts)
        if blocking(verdicts):
            keep_page(job, record, verdicts, evidence(job, record))
        return verdicts


def judge_real(job: Job, record: Record) -> list[Verdict]:
    """Whether the real tables meet their own suites; measured once per extract and suite."""
    with walled(job.layout, job.name, "checking the real tables"):
        extract = open_extract(job, record.need("extract"))
        suites = read_suites(job, extract.schema)
        file = extract.folder / f"suites-{suites_hash(job)}.json"
        if not file.exists():
            verdicts = [
                v for n, s in suites.items() for v in expectations(s, extract.whole(n), extract.schema[n], real=True)
            ]
            write_whole(file, canonical([v.to_json() for v in verdicts]))
        return [Verdict.from_json(v) for v in json.loads(file.read_text(encoding="utf-8"))]


def read_suites(job: Job, schema: Schema) -> dict[str, Suite]:
    """The suite of each table; raises ProjectError with every mistake and every missing file."""
    suites: dict[str, Suite] = {}
    mistakes: list[TwinlakeError] = []
    for table in schema:
        file = job.layout.suite_file(job.name, table.name)
        if not file.exists():
            where = str(file.relative_to(job.layout.root))
            fix = "Draft one with: twinlake init, or write an empty list of expectations"
            mistakes.append(TwinlakeError(f"table {table.name} has no suite", where=where, fix=fix))
            continue
        try:
            suites[table.name] = read_suite(file, table)
        except ProjectError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ProjectError(mistakes)
    return suites


def expected_gates(job: Job, schema: Schema) -> frozenset[tuple[str, str]]:
    """(table, gate) of every verdict that a release needs."""
    private = unit_tables(schema, job.pipeline.unit)
    own = {(t.name, g) for t in schema for g in gate_names(t, suites=True, private=t.name in private)}
    return frozenset(own | {(t.name, g) for t in schema for g in REAL_GATES}) | shadow_gates(job, schema)


def answers(job: Job, record: Record, verdicts: Iterable[Verdict], asked: Iterable[Gate]) -> dict[Gate, Verdict | None]:
    """The verdict on each (table, gate) that is asked for; None where the gate does not apply to the table.

    One that applies and gave no verdict has failed.
    """
    expected = expected_gates(job, open_extract(job, record.need("extract")).schema)
    given = {(v.table, v.gate): v for v in verdicts}
    silent = {(t, g): Verdict.could_not_run(g, t, why="it gave no verdict") for t, g in expected}
    return {gate: given.get(gate, silent.get(gate)) for gate in asked}


def _case(job: Job, extract: Extract, record: Record, attempt: int) -> Case:
    return Case(
        real=extract.learnt,
        holdout=extract.holdout,
        synthetic=open_snapshot(job, record.need("snapshot")),
        unit=job.pipeline.unit,
        gates=job.pipeline.gates,
        suites=read_suites(job, extract.schema),
        seed=job.seed("gates"),
        report=lambda error: keep(job.layout, job.name, error),
        attempt=attempt,
        history=Past(job, record).of,
    )
