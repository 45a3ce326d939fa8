"""From a source's catalog to the lake's: every type, its precision and who may be null, on the whole way."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from postgres import Postgres
from projects import PRIVACY

from twinlake.run.init import init
from twinlake.run.job import Job
from twinlake.run.run import run
from twinlake.sources.registry import open_source
from twinlake.storage.lake import query
from twinlake.storage.layout import Layout
from twinlake.storage.release import releases
from twinlake.tables import Tables

ROWS = 2_000
LOOSE = f"gates: {{fidelity: {{column_shape: 0.6, pair_trend: 0.5}}, privacy: {PRIVACY}}}\n"
TO_THE_LAKE = {"HUGEINT": "DECIMAL(38,0)"}  # Arrow has no wider integer; Parquet's bytes and JSON are DuckDB's own

DUCKDB = f"""
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s, "fine"');
    CREATE TABLE every (
        id BIGINT PRIMARY KEY, i8 TINYINT, i16 SMALLINT NOT NULL, i32 INTEGER, u8 UTINYINT, u16 USMALLINT, u32 UINTEGER,
        u64 UBIGINT, huge HUGEINT, money DECIMAL(12, 2), wide DECIMAL(38, 10), small DECIMAL(4, 1) NOT NULL, r FLOAT,
        f DOUBLE, yes BOOLEAN, day DATE, clock TIME, plain TIMESTAMP, s TIMESTAMP_S, ms TIMESTAMP_MS, ns TIMESTAMP_NS,
        zoned TIMESTAMPTZ NOT NULL, words VARCHAR NOT NULL, mood mood, ident UUID, j JSON, raw BLOB);
    INSERT INTO every SELECT i, n % 100, n, n, n % 200, n, n, n, n, n / 7, n / 3, n % 50, n / 7, sqrt(n), n % 2 = 0,
        DATE '2020-01-01' + n, TIME '08:00' + INTERVAL (n) SECOND, moment, moment, moment, moment, moment,
        'w' || n % 20, CASE WHEN n % 3 = 0 THEN 'sad' ELSE 'it''s, "fine"' END::mood, md5(i::VARCHAR)::UUID,
        json_object('a', n % 5), ('b' || n % 7)::BLOB
    FROM (SELECT i, (hash(i) % 900)::INTEGER AS n, TIMESTAMP '2024-01-01 00:00:00' + INTERVAL (i * 61) SECOND AS moment
          FROM range({ROWS}) AS t (i));
    UPDATE every SET i8 = NULL, i32 = NULL, huge = NULL, money = NULL, r = NULL, yes = NULL, day = NULL, clock = NULL,
        plain = NULL, mood = NULL, ident = NULL, j = NULL, raw = NULL WHERE id % 5 = 0;
"""
POSTGRES = (
    """CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s, "fine"')""",
    """CREATE TABLE every (
        id uuid PRIMARY KEY, small smallint NOT NULL, i int, big bigint, money numeric(12, 2), wide numeric(38, 10),
        r real, f double precision NOT NULL, yes bool, day date NOT NULL, clock time, plain timestamp,
        zoned timestamptz, words text, short varchar(5) NOT NULL, mood mood, ident uuid, j json, jb jsonb,
        raw bytea)""",
    f"""INSERT INTO every SELECT md5('key ' || i)::uuid, n, n, n, n / 7.0, n / 3.0, n / 7.0, sqrt(n), n % 2 = 0,
        DATE '2020-01-01' + n, TIME '08:00' + make_interval(secs => n), at, at, 'w' || n % 20, n % 20,
        (CASE WHEN n % 3 = 0 THEN 'sad' ELSE 'it''s, "fine"' END)::mood, md5('other ' || i)::uuid,
        json_build_object('a', n % 5), jsonb_build_object('a', n % 5), decode('ff00', 'hex')
        FROM (SELECT i, (i * 7919) % 900 AS n, TIMESTAMP '2024-01-01' + make_interval(secs => i * 61) AS at
              FROM generate_series(1, {ROWS}) AS t (i)) AS made""",
    """UPDATE every SET i = NULL, money = NULL, r = NULL, yes = NULL, clock = NULL, plain = NULL, zoned = NULL,
        words = NULL, mood = NULL, ident = NULL, j = NULL, jb = NULL, raw = NULL WHERE big % 5 = 0""",
)
LAKE_OF_POSTGRES = {
    "id": "UUID", "small": "SMALLINT", "i": "INTEGER", "big": "BIGINT", "money": "DECIMAL(12,2)",
    "wide": "DECIMAL(38,10)", "r": "FLOAT", "f": "DOUBLE", "yes": "BOOLEAN", "day": "DATE", "clock": "TIME",
    "plain": "TIMESTAMP", "zoned": "TIMESTAMP WITH TIME ZONE", "words": "VARCHAR", "short": "VARCHAR",
    "mood": "ENUM('sad', 'ok', 'it''s, \"fine\"')", "ident": "UUID", "j": "JSON", "jb": "JSON", "raw": "BLOB",
}  # fmt: skip


def released(url: str, root: Path) -> Layout:
    """A project whose pipeline `all` was drafted from the source and released."""
    layout = Layout(root)
    drafted = init(url, "all", layout=layout)
    text = drafted.pipeline.read_text().replace("{name: forest}", "{name: marginals, seed: 1}")
    drafted.pipeline.write_text(text + LOOSE)
    outcome = run(Job.open("all", start=root), date="2026-11-22")
    assert not outcome.refused, [(v.gate, v.reason) for v in outcome.verdicts if v.blocks]
    return layout


def fits(layout: Layout, url: str) -> None:
    """The twin's Parquet has the catalog's types and nullability, and nulls where they may be."""
    real = open_source(url, root=layout.root).schema()["every"]
    folder = releases(layout, "all")[0].folder
    twin = Tables.open(folder)
    files = [f for part in (folder / "every").glob("*.parquet") for f in pq.read_schema(part)]
    assert [(c.name, c.type, c.labels, c.nullable) for c in twin.schema["every"].columns] == [
        (c.name, c.type, c.labels, c.nullable) for c in real.columns
    ]
    assert [(f.name, f.nullable) for f in files] == [(c.name, c.nullable) for c in real.columns]
    assert twin["every"].schema.types == real.arrow.types
    for column in real.columns:
        assert twin["every"][column.name].null_count == 0 or column.nullable


def described(layout: Layout) -> dict[str, str]:
    """Name and DuckDB type of each column of the lake's view."""
    told: pa.Table = query(layout, 'DESCRIBE SELECT * FROM "all".every')
    return dict(zip(told["column_name"].to_pylist(), told["column_type"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def of_duckdb(tmp_path_factory) -> Layout:
    root = tmp_path_factory.mktemp("duckdb")
    with duckdb.connect(str(root / "s.duckdb")) as connection:
        connection.execute(DUCKDB)
    return released("duckdb:///s.duckdb", root)


def test_every_type_of_duckdb_comes_out_of_the_lake_as_it_was(of_duckdb):
    with duckdb.connect(str(of_duckdb.root / "s.duckdb"), read_only=True) as connection:
        rows = connection.sql("DESCRIBE every").fetchall()
    assert described(of_duckdb) == {name: TO_THE_LAKE.get(type_, type_) for name, type_, *_ in rows}
    fits(of_duckdb, "duckdb:///s.duckdb")


def test_shares_of_null_are_those_of_the_source(of_duckdb):
    told = query(of_duckdb, 'SELECT avg((COLUMNS(*) IS NULL)::INT) FROM "all".every').to_pylist()[0]
    nulls = {name: share for name, share in told.items() if share}
    assert set(nulls) == {
        "i8",
        "i32",
        "huge",
        "money",
        "r",
        "yes",
        "day",
        "clock",
        "plain",
        "mood",
        "ident",
        "j",
        "raw",
    }
    assert all(0.15 < share < 0.25 for share in nulls.values())


def test_every_type_of_postgresql_comes_out_of_the_lake_as_it_was(postgres: Postgres, tmp_path, monkeypatch):
    url = postgres.create("all_types", *POSTGRES)
    monkeypatch.setenv("ALL_PASSWORD", url.split(":")[2].split("@")[0])
    layout = released(url, tmp_path)
    assert described(layout) == LAKE_OF_POSTGRES
    fits(layout, url)
