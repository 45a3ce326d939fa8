"""The DuckDB catalog: views over the Parquet files of every release, with the source's names and types.

A schema per pipeline shows its latest release; `"adult@2026-11-22"` shows an older one; `twinlake.releases` lists all.
The file is built beside the one that is served and put in its place in one step.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from twinlake.errors import LakeError
from twinlake.schema import Column, Table, literal, quoted
from twinlake.storage.layout import Layout
from twinlake.storage.lock import short_lock
from twinlake.storage.release import Release, latest, release_folders, releases
from twinlake.tables import parts

Connection = duckdb.DuckDBPyConnection

STORAGE = "v1.0.0"  # DuckDB 2's own format can't be read by 1.x
RESERVED = frozenset(
    {"catalog", "information_schema", "main", "memory", "pg_catalog", "system", "temp", "twinlake"}
)  # each would be taken for one of DuckDB's own or ours


def build_catalog(layout: Layout, *, without: Collection[Path] = ()) -> None:
    """Write the catalog anew from the releases there are and put it in the old one's place in one step.

    Args:
        layout: the project.
        without: folders of releases that are about to go.
    """
    with short_lock(layout, "catalog"):
        found = [r for r in releases(layout) if r.folder not in without]
        beside = layout.catalog.with_name(".catalog.duckdb")
        for left_over in layout.lake.glob(f"{beside.name}*"):
            left_over.unlink()
        layout.lake.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(":memory:") as con:
            con.execute(f"ATTACH {literal(str(beside))} AS catalog (STORAGE_VERSION '{STORAGE}')")
            con.execute("USE catalog")
            con.execute("BEGIN")
            define(con, layout, found, served=latest(found))
            con.execute("COMMIT")
            con.execute("USE memory")
            con.execute("DETACH catalog")
        sync(beside)
        beside.replace(layout.catalog)
        sync(layout.lake)


def define(con: Connection, layout: Layout, found: Iterable[Release], *, served: Mapping[str, Release]) -> None:
    """Make all schemas, views and lists in the connection's current database.

    Args:
        con: where they are made.
        layout: the project.
        found: releases that can be asked for by name.
        served: the release that each pipeline's own schema shows.
    """
    found = list(found)
    wanted = {**served, **{r.id: r for r in found}}
    for schema, (_, release) in zip(distinct(wanted), wanted.items(), strict=True):
        con.execute(f"CREATE SCHEMA {quoted(schema)}")
        tables = release.manifest.schema
        for view, table in zip(distinct(tables.names), tables, strict=True):
            con.execute(view_sql(f"{quoted(schema)}.{quoted(view)}", table, release))
    con.execute("CREATE SCHEMA twinlake")
    con.execute("CREATE TABLE twinlake.lake (root VARCHAR)")
    con.execute("INSERT INTO twinlake.lake VALUES (?)", [str(layout.lake.resolve())])
    con.execute(
        "CREATE TABLE twinlake.releases "
        '(pipeline VARCHAR, "release" VARCHAR, created TIMESTAMP WITH TIME ZONE, "table" VARCHAR, "rows" BIGINT)'
    )
    lines = [
        [r.pipeline, r.name, r.manifest.created, table, rows] for r in found for table, rows in r.manifest.rows.items()
    ]
    if lines:
        con.executemany("INSERT INTO twinlake.releases VALUES (?, ?, ?, ?, ?)", lines)


def view_sql(name: str, table: Table, release: Release) -> str:
    """The statements that make the view of a table, and say on it that its rows are synthetic."""
    files = ", ".join(literal(str(p)) for p in parts(release.folder.resolve(), table.name))
    casts = ", ".join(f"{cast} AS {quoted(column)}" for column, cast in _casts(table).items())
    everything = f"* REPLACE ({casts})" if casts else "*"
    comment = f"Synthetic rows of release {release.id}"
    return (
        f"CREATE VIEW {name} AS SELECT {everything} FROM read_parquet([{files}]); "
        f"COMMENT ON VIEW {name} IS {literal(comment)}"
    )


def is_current(layout: Layout) -> bool:
    """Whether the catalog lists exactly the releases there are, at the place where they are now."""
    if not layout.catalog.exists():
        return False
    try:
        with duckdb.connect(":memory:") as con:
            con.execute(f"ATTACH {literal(str(layout.catalog))} AS catalog (READ_ONLY)")
            root = con.sql("SELECT root FROM catalog.twinlake.lake").fetchall()
            listed = con.sql('SELECT DISTINCT pipeline, "release" FROM catalog.twinlake.releases').fetchall()
    except duckdb.Error:
        return False  # damaged, or no catalog of ours
    there = {(layout.releases(p) / r).resolve() for p, r in listed}
    return root == [(str(layout.lake.resolve()),)] and there == {p.resolve() for p in release_folders(layout)}


def is_ours(layout: Layout) -> bool:
    """Whether the catalog serves what it would, were it built now from the releases there are: nothing else."""
    found = releases(layout)
    try:
        with duckdb.connect(":memory:") as con:
            con.execute(f"ATTACH {literal(str(layout.catalog))} AS served (READ_ONLY)")
            con.execute("ATTACH ':memory:' AS built")
            con.execute("USE built")
            define(con, layout, found, served=latest(found))
            return _served(con, "served") == _served(con, "built")
    except duckdb.Error:
        return False  # damaged, missing, or no catalog of ours


def _served(con: Connection, database: str) -> list[list[tuple[object, ...]]]:
    """All that a database shows: its views and how they are made, its tables, macros, and what our own hold."""
    own = f"WHERE database_name = {literal(database)} AND NOT internal"
    asked = (
        f"SELECT schema_name, view_name, sql, comment FROM duckdb_views() {own}",
        f"SELECT schema_name, table_name, sql FROM duckdb_tables() {own}",
        f"SELECT schema_name, function_name FROM duckdb_functions() {own}",
        f"SELECT * FROM {database}.twinlake.lake",
        f"SELECT * FROM {database}.twinlake.releases",
    )
    return [sorted(con.sql(query).fetchall(), key=repr) for query in asked]


def distinct(names: Iterable[str]) -> list[str]:
    """Names that differ for DuckDB, which is blind to case: `a, A` become `a, A_1`, as it calls columns itself."""
    taken: Counter[str] = Counter()
    given: list[str] = []
    for name in names:
        again = taken[name.lower()]
        taken[name.lower()] += 1
        given.append(f"{name}_{again}" if again else name)
    return given


def check_name(pipeline: str) -> None:
    """Refuse a pipeline's name that a catalog can't serve."""
    if pipeline.lower() in RESERVED or "@" in pipeline:
        raise LakeError(
            f'a pipeline can\'t be named "{pipeline}"', where="the catalog",
            allowed=f"names without @, and none of {', '.join(sorted(RESERVED))}", fix="Rename its file",
        )  # fmt: skip


def sync(path: Path) -> None:
    """Bring a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _casts(table: Table) -> dict[str, str]:
    """What Parquet can't say of a column's type, as SQL on that column."""
    seen = Counter(c.name.lower() for c in table.columns)
    found = {c.name: _cast(c) for c in table.columns if seen[c.name.lower()] == 1}
    return {name: cast for name, cast in found.items() if cast}


def _cast(column: Column) -> str:
    name, type_ = quoted(column.name), column.type
    if column.labels:
        return f"CAST({name} AS ENUM({', '.join(literal(label) for label in column.labels)}))"
    if pa.types.is_timestamp(type_) and type_.tz is None and type_.unit in ("s", "ms"):
        return f"CAST({name} AS TIMESTAMP_{type_.unit.upper()})"
    if pa.types.is_duration(type_):
        return {
            "s": f"to_seconds({name})",
            "ms": f"to_milliseconds({name})",
            "us": f"to_microseconds({name})",
            "ns": f"to_microseconds({name} // 1000)",
        }[type_.unit]
    return ""
