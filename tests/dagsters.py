"""What tests of the Dagster layer share: running a project's jobs in process, and reading what an instance was told."""

import base64
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from pipelines.definitions import build
from twinlake.storage.layout import Layout

DATE, NEXT, LATER = "2025-03-01", "2025-03-02", "2025-03-03"  # past ones, so that they are among the partitions


def launch(
    layout: Layout,
    instance: dg.DagsterInstance,
    *,
    job: str = "clinic",
    date: str = DATE,
    only: list[str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job of a project for a date; `only` these assets, as `clinic/release`."""
    recorded = layout.record("clinic", "2025-01-01")
    recorded.parent.mkdir(parents=True, exist_ok=True)
    recorded.write_text('{"pipeline": "clinic", "date": "2025-01-01"}')  # partitions begin with the first record
    return (
        build(layout.root)
        .resolve_job_def(job)
        .execute_in_process(
            partition_key=date,
            instance=instance,
            raise_on_error=False,
            asset_selection=[dg.AssetKey.from_user_string(k) for k in only] if only else None,
        )
    )


def ended(result: dg.ExecuteInProcessResult, how: str) -> list[str]:
    """The stages that ended so: SUCCESS, FAILURE or SKIPPED."""
    steps = [e.step_key or "" for e in result.all_events if e.event_type_value == f"STEP_{how}"]
    return [s.removeprefix("clinic__") for s in steps]


def sentence(result: dg.ExecuteInProcessResult) -> str:
    """Why the first stage that failed did."""
    failed = next(e for e in result.all_events if e.event_type_value == "STEP_FAILURE")
    data = failed.step_failure_data
    return (data.user_failure_data and data.user_failure_data.description) or str(data.error)


def told(home: Path) -> Iterator[str]:
    """Every text that an instance has kept, pictures decoded."""
    for file in home.rglob("*"):
        if file.is_file() and file.suffix != ".db":
            yield file.read_text("utf-8", "replace")
    for file in home.rglob("*.db"):
        with sqlite3.connect(file) as connection:
            for text in connection.iterdump():
                yield text
                for picture in re.findall(r"base64,([A-Za-z0-9+/=]+)", text):
                    yield base64.b64decode(picture).decode()
