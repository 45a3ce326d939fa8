"""The lake as its readers see it: releases, and SQL over them. Nothing here can change a release."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from twinlake.errors import LakeError, TwinlakeError, listed, nearest
from twinlake.schema import literal
from twinlake.storage.catalog import Connection, build_catalog, define, is_current
from twinlake.storage.layout import Layout
from twinlake.storage.release import Release, choose, empty, find_release, latest, releases
from twinlake.tables import parts

_SEALED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,  # a table's name never means a variable of ours
}
SMALLER = "Ask for fewer rows, or for sums of them"
_WRITES = ("COPY", "BATCH_COPY", "INSERT", "BATCH_INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ATTACH", "EXPORT")
ROWS_PER_BATCH = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take: seconds, bytes of memory (the answer held whole included), threads, bytes of disk."""

    seconds: float = 60
    memory: int = 2 << 30
    threads: int = 2
    disk: int = 10 << 30


LIMITS = Limits()


def query(layout: Layout, sql: str, *, at: str | None = None, limits: Limits = LIMITS) -> pa.Table:
    """The answer to one SELECT over the lake, whole.

    Args:
        layout: the project.
        sql: one statement that reads; tables are `pipeline.table`, or `"adult@2026-11-22".people` for a release.
        at: a release (`adult@2026-11-22`), its name or a date (`2026-11-22`: the latest by then of every pipeline);
            left out, each pipeline's latest.
        limits: what it may take. A single value of some gigabytes is made before anybody can look at its size: for
            statements of strangers there is `twinlake.run.ask`, which asks in a process of its own.

    Raises:
        LakeError: for anything else than one reading statement, wrong SQL, a release or table that is not there, or
            an answer that takes more than it may.
    """
    with reader(layout, sql, at=at, limits=limits) as batches:
        return pa.Table.from_batches(_within(batches, limits.memory), batches.schema)


@contextmanager
def reader(
    layout: Layout, sql: str, *, at: str | None = None, limits: Limits = LIMITS
) -> Iterator[pa.RecordBatchReader]:
    """The answer to one SELECT as a stream of batches, in bounded memory; arguments and errors are `query`'s."""
    with open_catalog(layout, at=at, limits=limits) as con:
        try:
            statement = _only_reads(con, sql)
            yield con.sql(statement).to_arrow_reader(ROWS_PER_BATCH)
        except (duckdb.Error, pa.ArrowException, OSError) as error:  # Arrow passes on what DuckDB says while streaming
            raise _sentence(con, error) from None


@contextmanager
def open_catalog(layout: Layout, *, at: str | None = None, limits: Limits = LIMITS) -> Iterator[Connection]:
    """A connection that reads the lake's Parquet files and nothing else of this machine.

    A catalog that is missing, stale, or was built where the lake no longer is, is built anew first; where the lake
    can't be written to, in memory. DuckDB lets even some SELECTs write (`WITH t AS (COPY ...)`), so statements of
    others go through `query`.
    """
    found = releases(layout)
    if not found:
        raise empty(layout)
    with duckdb.connect(":memory:", config=_SEALED) as con:
        if at is None and _on_disk(layout):
            con.execute(f"ATTACH {literal(str(layout.catalog))} AS catalog (READ_ONLY)")
        else:
            con.execute("ATTACH ':memory:' AS catalog")
            con.execute("USE catalog")
            define(con, layout, found, served=latest(found) if at is None else _served(layout, found, at))
        con.execute("USE catalog")
        _seal(con, layout, found, limits)
        yield con


def _on_disk(layout: Layout) -> bool:
    if is_current(layout):
        return True
    try:
        build_catalog(layout)
    except (OSError, duckdb.IOException, TwinlakeError):
        return False
    except duckdb.Error:
        raise LakeError(
            "a file of a release can't be read", where="the lake",
            fix="Bring it back with: dvc checkout, or remove that release's folder",
        ) from None  # fmt: skip
    return True


def _served(layout: Layout, found: list[Release], at: str) -> dict[str, Release]:
    if "@" in at:
        one = find_release(layout, at)
        return latest(found) | {one.pipeline: one}
    by_pipeline = {p: [r for r in found if r.pipeline == p] for p in latest(found)}
    served = {p: chosen for p, own in by_pipeline.items() if (chosen := choose(own, at))}
    if not served:
        names = sorted({r.name for r in found})
        raise LakeError(
            f'there is no release "{at}", nor any before it', where="the lake",
            allowed=f"name a release or a date from {names[0]} on; there are {listed(names[::-1])}",
            fix=nearest(at, names),
        )  # fmt: skip
    return served


def _within(batches: pa.RecordBatchReader, most: int) -> Iterator[pa.RecordBatch]:
    taken = 0
    for batch in batches:
        taken += batch.nbytes
        if taken > most:
            raise LakeError(f"the answer is larger than {_size(most)}", where="SQL", fix=SMALLER)
        yield batch


def _seal(con: Connection, layout: Layout, found: list[Release], limits: Limits) -> None:
    files = [str(p) for r in found for t in r.manifest.schema.names for p in parts(r.folder.resolve(), t)]
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"SET allowed_paths = [{', '.join(literal(f) for f in files)}]")
    con.execute(f"SET temp_directory = {literal(str(layout.spill))}")
    con.execute(f"SET max_temp_directory_size = '{limits.disk}B'")
    con.execute(f"SET memory_limit = '{limits.memory}B'")
    con.execute(f"SET threads = {limits.threads}")
    con.execute(f"SET max_execution_time = {max(1, round(limits.seconds * 1000))}")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def _only_reads(con: Connection, sql: str) -> str:
    """The statement itself; raises LakeError unless it is one SELECT whose plan holds no operator that writes."""
    statements = con.extract_statements(sql)
    if len(statements) != 1:
        raise LakeError(f"{len(statements)} statements" if statements else "no statement", allowed="ask one at a time")
    statement = statements[0]
    if statement.type == duckdb.StatementType.SELECT:
        plan = con.execute(f"EXPLAIN (FORMAT json) {statement.query}").fetchall()[0][1]
        if not any(name.startswith(_WRITES) for name in _operators(json.loads(plan))):
            return str(statement.query)
    raise LakeError("the lake is read-only", allowed="only SELECT, FROM, DESCRIBE, SHOW and SUMMARIZE are answered")


def _operators(plan: list[dict[str, Any]]) -> Iterator[str]:
    for node in plan:
        yield node["name"].upper()
        yield from _operators(node["children"])


def _sentence(con: Connection, error: Exception) -> LakeError:
    """What DuckDB says, in one sentence. It may quote values: those of the lake, which are synthetic."""
    said, _, candidates = str(error).split("\n\nLINE")[0].split("\nDid you mean")[0].partition("\nCandidate bindings: ")
    said = " ".join(said.split())
    if isinstance(error, duckdb.InterruptException) or "INTERRUPT" in said:
        return LakeError("the query took longer than it may", where="SQL", fix=SMALLER)
    if isinstance(error, duckdb.OutOfMemoryException) or said.startswith("Out of Memory"):
        return LakeError("the query needs more memory than it may take", where="SQL", fix=SMALLER)
    if isinstance(error, duckdb.PermissionException) or "disabled by configuration" in said:
        return LakeError("a query reads the lake's tables and no file, folder or address", where="SQL")
    if isinstance(error, duckdb.CatalogException) and said.startswith("Catalog Error: Table with name"):
        missing = said.removeprefix("Catalog Error: Table with name ").split(" does not exist")[0].strip('"')
        there = _tables(con)
        return LakeError(
            f'the lake has no table "{missing}"', where="SQL", allowed=f"there are {listed(there)}",
            fix=_nearest_table(missing, there),
        )  # fmt: skip
    return LakeError(said.rstrip(".!"), where="SQL", allowed=f"there are {candidates}" if candidates else "")


def _size(bytes_: int) -> str:
    return f"{bytes_ / 2**30:.3g} GiB"


def _tables(con: Connection) -> list[str]:
    return [
        f"{schema}.{name}"
        for schema, name in con.execute(
            "SELECT schema_name, view_name FROM duckdb_views() "
            "WHERE NOT internal AND NOT contains(schema_name, '@') ORDER BY ALL"
        ).fetchall()
    ]


def _nearest_table(missing: str, there: list[str]) -> str:
    by_name = {t.split(".", 1)[1]: t for t in reversed(there)}
    last = missing.rpartition(".")[2]
    return f"Did you mean {by_name[last]}?" if last in by_name else nearest(missing, there)
