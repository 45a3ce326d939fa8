"""What would go wrong: reads everything, connects, asks the source; runs nothing."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from twinlake.errors import DataError, ProjectError, TwinlakeError
from twinlake.generators.providers import check_locale, check_provider
from twinlake.project.declare import dropped
from twinlake.project.read import understand
from twinlake.run.extract import mistakes
from twinlake.run.job import Job
from twinlake.run.judge import read_suites
from twinlake.run.rules import broken_rules
from twinlake.run.train import generator
from twinlake.run.wall import walled
from twinlake.schema import Schema
from twinlake.sources.problems import Note
from twinlake.storage.catalog import check_name
from twinlake.storage.tracked import refuse_tracked


def preflight(name: str, *, start: Path | None = None, note: Note | None = None) -> list[TwinlakeError]:
    """Every mistake of a pipeline: its file, its source, its suites, its generators.

    `note` is told, a sentence each, what is no mistake and yet good to know: rows that point to no row, by reference,
    and what becomes of them.
    """
    try:
        layout, file = Job.locate(name, start=start)
        pipeline, found = understand(file)
    except TwinlakeError as error:
        return _each(error)
    return [*found, *(_found(Job(pipeline, layout), note) if pipeline else ())]


def _found(job: Job, note: Note | None) -> Iterator[TwinlakeError]:
    for look in (_generators, partial(_source, note=note)):
        try:
            with walled(job.layout, job.name, "looking at the source"):
                yield from look(job)
        except TwinlakeError as error:
            yield from _each(error)


def _generators(job: Job) -> Iterator[TwinlakeError]:
    made_up = {text: c.provider for text, c in job.pipeline.columns.items() if c.provider}
    looks: list[Callable[[], object]] = [
        lambda: check_name(job.name),
        lambda: refuse_tracked(job.layout),
        lambda: generator(job),
        lambda: check_locale(job.pipeline.snapshot.locale),
        *(partial(check_provider, p, where=f"{job.name}.yaml, columns.{text}") for text, p in made_up.items()),
    ]
    for look in looks:
        try:
            look()
        except TwinlakeError as error:
            yield error


def _source(job: Job, *, note: Note | None) -> list[TwinlakeError]:
    schema = job.schema()
    found = [*mistakes(job, schema, note=note), *_rules(job, schema)]
    if note is not None:
        _tell_lost(job, note)
    try:
        read_suites(job, schema)
    except TwinlakeError as error:
        found += _each(error)
    return found


def _rules(job: Job, schema: Schema) -> list[TwinlakeError]:
    """Rules that real rows break; none where a row is not as declared, which is told when it is extracted."""
    try:
        with job.source.reading() as reading:
            return broken_rules(schema, reading.batches)
    except DataError:
        return []


def _tell_lost(job: Job, note: Note) -> None:
    """Tell which constraints of the catalog are not carried over."""
    tables = tuple(name for name, choice in job.pipeline.tables.items() if choice.checks)
    without = [pair for pair in dropped(job.pipeline) if pair[0] in tables]
    for lost in job.source.lost_checks(tables, without=without):
        note(str(lost))


def _each(error: TwinlakeError) -> list[TwinlakeError]:
    return list(error.mistakes) if isinstance(error, ProjectError) else [error]
