"""Extraction: every table of a schema, in one reading, streamed to a folder of Parquet files."""

import shutil
from pathlib import Path

from twinlake.errors import DataError
from twinlake.progress import Progress
from twinlake.schema import Schema, Table, quoted
from twinlake.sources.protocols import Reading, Source
from twinlake.tables import TableWriter, write_schema


def extract(source: Source, schema: Schema, folder: Path, *, progress: Progress | None = None) -> None:
    """Write the rows of every table of `schema` to a new or empty folder, `schema.json` last.

    Rows are collected beside it, in `<folder>.partial`, which is gone whether this succeeds or fails. `progress` is
    told after every batch of `extract people` and its rows.

    Raises:
        DataError: for a table without rows, or a value that doesn't fit its column.
        SourceError: where the source can't be read.
        FileExistsError: where the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        with source.reading() as reading:
            for table in schema:
                _extract_table(reading, table, partial, label=source.label, progress=progress)
        write_schema(partial, schema)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract_table(reading: Reading, table: Table, folder: Path, *, label: str, progress: Progress | None) -> None:
    total = reading.count(f"SELECT count(*) FROM {quoted(table.name)}") if progress else 0
    with TableWriter(folder, table, statistics=False) as writer:
        for batch in reading.batches(table):
            writer.write(batch)
            if progress:
                progress(f"extract {table.name}", writer.rows, total)
    if not writer.rows:
        raise no_rows(table.name, label)


def no_rows(table: str, label: str) -> DataError:
    """The mistake of a table that is empty."""
    return DataError(
        f"table {table} of {label} has no rows",
        allowed="a twin needs rows to learn from",
        fix="Fill it, or leave it out of the pipeline file",
    )
