"""What the graph works on: the project as a resource that hands out plain domain objects. Environments differ here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from twinlake.errors import BusyError, TwinlakeError
from twinlake.progress import Progress
from twinlake.run.job import Job
from twinlake.run.record import Record
from twinlake.run.wall import walled
from twinlake.storage.lock import pipeline_lock

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.OpExecutionContext


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage of `twinlake.run` takes: a job, the record of the run's date, and whom to tell of progress."""

    job: Job
    record: Record
    progress: Progress


class Project(dg.ConfigurableResource["Project"]):
    """A Twinlake project on disk.

    Attributes:
        root: its folder.
        workers: processes that a snapshot is drawn with; the bytes are the same.
    """

    root: str
    workers: int = 1

    @contextmanager
    def stage(self, context: Context, pipeline: str) -> Iterator[Stage]:
        """Hold a pipeline for one stage of the partition's date; what goes wrong leaves as a sentence."""
        try:
            job = Job.open(pipeline, start=Path(self.root))
            with pipeline_lock(job.layout, pipeline), walled(job.layout, pipeline, "reporting to Dagster"):
                yield Stage(job, Record.load(job.layout, pipeline, context.partition_key), _told(context))
        except TwinlakeError as error:
            raise dg.Failure(str(error), allow_retries=isinstance(error, BusyError)) from None


def _told(context: Context) -> Progress:
    """Progress as lines of the run's log: when something begins, and at each further quarter of it."""
    seen: dict[str, int] = {}

    def told(what: str, done: int, total: int) -> None:
        quarter = 4 * done // max(total, 1)
        if quarter > seen.get(what, -1):
            seen[what] = quarter
            context.log.info(f"{what}: {done:,} of {total:,}")

    return told
