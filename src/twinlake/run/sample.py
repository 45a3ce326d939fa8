"""Stage 4: draw a snapshot from a model. Shards may run on any number of workers; the bytes are the same."""

import hashlib
import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from twinlake.errors import LakeError
from twinlake.progress import Progress
from twinlake.project import Rows
from twinlake.run.attempts import next_attempt
from twinlake.run.extract import open_extract
from twinlake.run.job import Job
from twinlake.run.record import Record
from twinlake.run.train import open_model
from twinlake.run.wall import walled
from twinlake.storage.layout import closed
from twinlake.storage.publish import snapshot_hash
from twinlake.tables import Tables, canonical


def sample(job: Job, record: Record, *, workers: int = 1, progress: Progress | None = None) -> Record:
    """Draw the snapshot of the record's model; one that is complete already is kept.

    Where a privacy gate has refused that snapshot, another one is drawn, once; then DataError says what to change.
    """
    with walled(job.layout, job.name, "sampling"), executor(workers) as pool:
        model = open_model(job, record.need("model"))
        scale = Rows.parse(job.pipeline.snapshot.rows).scale(model.rows[model.counted])
        extract = open_extract(job, record.need("extract"))
        seed = _seed(job, record, next_attempt(job, record.date, extract))
        name = _id(record, scale, seed)
        home = job.layout.staging(job.name, name)
        if not _is_whole(home):
            shutil.rmtree(home, ignore_errors=True)
            model.sample(home, scale=scale, seed=seed, executor=pool, progress=progress)
            closed(home)
        return record.save(job.layout, snapshot=name)


def _is_whole(home: Path) -> bool:
    """Whether the snapshot is there with all its files; a disk that filled up may have torn one."""
    try:
        return bool(snapshot_hash(home))
    except LakeError:
        return False


def open_snapshot(job: Job, name: str) -> Tables:
    """The synthetic tables of a snapshot."""
    return Tables.open(job.layout.staging(job.name, name))


@contextmanager
def executor(workers: int) -> Iterator[Executor | None]:
    """A pool of that many processes; None for one worker, which needs no pool."""
    if workers <= 1:
        yield None
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def _seed(job: Job, record: Record, attempt: int) -> int:
    """The same for the same model where the pipeline file sets a seed; without one, each date draws other rows.

    So does a second attempt.
    """
    dated = () if job.pipeline.generator.seed is not None else (record.date,)
    again = () if attempt == 1 else ("attempt", attempt)
    return job.seed("sample", record.need("model"), *dated, *again)


def _id(record: Record, scale: float, seed: int) -> str:
    told = canonical({"model": record.need("model"), "scale": scale, "seed": seed})
    return hashlib.sha256(told.encode()).hexdigest()[:20]
