"""Locks between processes. The kernel frees them when their holder ends, however it ends."""

import datetime as dt
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from twinlake.errors import BusyError
from twinlake.storage.layout import Layout, private
from twinlake.storage.writing import write_whole


@contextmanager
def pipeline_lock(layout: Layout, pipeline: str) -> Iterator[None]:
    """Hold a pipeline for one run; raises BusyError at once where another run holds it."""
    path = layout.run_lock(pipeline)
    private(layout.vault)
    private(path.parent)
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BusyError(
            f"another run holds it{_holder(path)}", where=f"pipeline {pipeline}",
            fix="Wait until it ends and run again; if it hangs, stop that process, which frees the pipeline",
        ) from None  # fmt: skip
    try:
        holder = {"pid": os.getpid(), "since": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
        write_whole(path.with_suffix(".json"), json.dumps(holder))
        yield
    finally:
        path.with_suffix(".json").unlink(missing_ok=True)
        lock.release()


@contextmanager
def short_lock(layout: Layout, name: str, *, patience: float = 120.0) -> Iterator[None]:
    """Hold something that others hold only for moments, waiting up to `patience` seconds; then BusyError."""
    layout.locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(layout.locks / f"{name}.lock", fallback_to_soft=False)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise BusyError(
            f"waited {patience:.0f} s for another process", where=name, fix="Run again when that process has ended"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return f" (process {told['pid']}, since {told['since']})"
    except (OSError, ValueError, KeyError):
        return ""  # it has only just begun, or is about to end
