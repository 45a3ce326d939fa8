"""DuckDB files as a source."""

import datetime as dt
import math
import struct
import subprocess
import sys
import uuid
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from twinlake.errors import DataError, SourceError
from twinlake.schema import Reference
from twinlake.sources.registry import open_source
from twinlake.types import ENUM

EVERY_TYPE = """
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s, "fine"');
    CREATE TABLE every (
        id INTEGER PRIMARY KEY, i8 TINYINT, i16 SMALLINT, i64 BIGINT, u8 UTINYINT, u16 USMALLINT, u32 UINTEGER,
        u64 UBIGINT, huge HUGEINT, money DECIMAL(12, 2), wide DECIMAL(38, 10), small DECIMAL(4, 1), real4 FLOAT,
        real8 DOUBLE, yes BOOLEAN, day DATE, clock TIME, plain TIMESTAMP, s TIMESTAMP_S, ms TIMESTAMP_MS,
        ns TIMESTAMP_NS, zoned TIMESTAMPTZ, words VARCHAR NOT NULL, mood mood, ident UUID, j JSON, raw BLOB);
    INSERT INTO every VALUES
        (1, -128, -32768, -9223372036854775808, 255, 65535, 4294967295, 18446744073709551615,
         -12345678901234567890123456789012345678, -1234567890.12, 1234567890123456789012345678.0123456789, -0.1, 'NaN',
         'NaN', true, '5877642-06-25 (BC)', '23:59:59.999999', '0001-01-01', '0001-01-01', '1677-01-01', '2020-01-01',
         '9999-12-31 23:59:59.999999+00', '', 'it''s, "fine"', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a":  1}',
         '\\x00\\xFF'::BLOB),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, 'x', NULL, NULL, NULL, NULL);
"""
EXPECTED = {
    "id": pa.int32(), "i8": pa.int8(), "i16": pa.int16(), "i64": pa.int64(), "u8": pa.uint8(), "u16": pa.uint16(),
    "u32": pa.uint32(), "u64": pa.uint64(), "huge": pa.decimal128(38, 0), "money": pa.decimal128(12, 2),
    "wide": pa.decimal128(38, 10), "small": pa.decimal128(4, 1), "real4": pa.float32(), "real8": pa.float64(),
    "yes": pa.bool_(), "day": pa.date32(), "clock": pa.time64("us"), "plain": pa.timestamp("us"),
    "s": pa.timestamp("s"), "ms": pa.timestamp("ms"), "ns": pa.timestamp("ns"), "zoned": pa.timestamp("us", "UTC"),
    "words": pa.string(), "mood": ENUM, "ident": pa.uuid(), "j": pa.json_(), "raw": pa.binary(),
}  # fmt: skip


def made(folder, *statements, name="source.duckdb"):
    with duckdb.connect(str(folder / name)) as connection:
        for statement in statements:
            connection.execute(statement)
    return open_source(f"duckdb:///{name}", root=folder)


def rows(opened, table):
    schema = opened.schema([table])
    with opened.reading() as reading:
        return pa.Table.from_batches(list(reading.batches(schema[table])), schema[table].arrow)


def test_every_type_and_value_of_the_catalog_is_carried_exactly(tmp_path):
    opened = made(tmp_path, EVERY_TYPE)
    table = opened.schema()["every"]
    assert {c.name: c.type for c in table.columns} == EXPECTED
    assert [c.name for c in table.columns if not c.nullable] == ["id", "words"]
    assert table["mood"].labels == ("sad", "ok", 'it\'s, "fine"')
    got = rows(opened, "every")
    first, second = got.drop_columns(["day"]).to_pylist()
    assert [v for k, v in second.items() if k not in ("id", "words")] == [None] * 24
    assert second["words"] == "x"
    assert math.isnan(first.pop("real4"))
    assert math.isnan(first.pop("real8"))
    assert got["day"].cast(pa.int32()).to_pylist() == [-2147483646, None]
    assert list(first.values()) == [
        1, -128, -32768, -(2**63), 255, 65535, 2**32 - 1, 2**64 - 1, Decimal(-12345678901234567890123456789012345678),
        Decimal("-1234567890.12"), Decimal("1234567890123456789012345678.0123456789"), Decimal("-0.1"), True,
        dt.time(23, 59, 59, 999999), dt.datetime(1, 1, 1), dt.datetime(1, 1, 1), dt.datetime(1677, 1, 1),
        dt.datetime(2020, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC), "", 'it\'s, "fine"',
        uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), '{"a":  1}', b"\x00\xff",
    ]  # fmt: skip


def test_all_columns_that_cannot_be_carried_are_named_at_once_unless_left_out(tmp_path):
    opened = made(tmp_path, "CREATE TABLE a (id INT, span INTERVAL, many INT[])", "CREATE TABLE b (s STRUCT(x INT))")
    with pytest.raises(DataError) as caught:
        opened.schema()
    for part in ("a.span (INTERVAL)", "a.many (INTEGER[])", "b.s (STRUCT(x INTEGER))", "b.s: {drop: true}"):
        assert part in str(caught.value)
    assert opened.schema(["a"], without=[("a", "span"), ("a", "many")])["a"].names == ("id",)
    with pytest.raises(DataError, match="no column is left of b"):
        opened.schema(without=[("b", "s"), ("a", "span"), ("a", "many")])


def test_views_are_left_out_and_keys_and_references_come_from_the_catalog(tmp_path):
    opened = made(
        tmp_path,
        "CREATE TABLE wards (ward TEXT, site SMALLINT, PRIMARY KEY (ward, site))",
        "CREATE TABLE people (id INT PRIMARY KEY, badge TEXT UNIQUE, mentor INT REFERENCES people(id))",
        """CREATE TABLE visits (id INT REFERENCES people(id), no INT, w TEXT, s SMALLINT,
           badge TEXT REFERENCES people(badge), PRIMARY KEY (id, no),
           FOREIGN KEY (w, s) REFERENCES wards(ward, site))""",
        "CREATE VIEW seen AS SELECT * FROM visits",
    )
    schema = opened.schema()
    assert opened.names() == schema.names == ("people", "visits", "wards")
    assert schema["visits"].key == ("id", "no")
    assert schema["people"].references == (Reference(("mentor",), "people", ("id",)),)
    assert set(schema["visits"].references) == {
        Reference(("id",), "people", ("id",)),
        Reference(("w", "s"), "wards", ("ward", "site")),
        Reference(("badge",), "people", ("badge",)),
    }
    assert opened.schema(["visits", "people"]).names == ("people", "visits")
    assert len(opened.schema(["visits"])["visits"].references) == 0


ODD = ["two words", 'a "quoted" one', "Größe 😀", "select", "semi;colon--", "%s {0} $1", "back\\slash", "it's"]


def test_odd_names_work_everywhere(tmp_path):
    def q(name):
        return '"' + name.replace('"', '""') + '"'

    columns = ", ".join(f"{q(n)} INT" for n in ODD)
    opened = made(tmp_path, *[f"CREATE TABLE {q(n)} ({columns})" for n in ODD], name="it's odd 😀.duckdb")
    with opened.reading() as reading:
        for table in opened.schema():
            assert table.names == tuple(ODD)
            assert sum(b.num_rows for b in reading.batches(table)) == 0
    assert sorted(opened.names()) == sorted(ODD)


def test_rows_come_ordered_by_key_or_by_all_columns(tmp_path):
    opened = made(
        tmp_path,
        "CREATE TABLE k (x INT, id TEXT PRIMARY KEY)", "INSERT INTO k VALUES (1, 'b'), (2, 'A'), (3, 'a'), (4, 'é')",
        "CREATE TABLE n (a INT, b INT)", "INSERT INTO n VALUES (2, 1), (1, 2), (NULL, 0), (1, 1)",
    )  # fmt: skip
    assert rows(opened, "k")["id"].to_pylist() == ["A", "a", "b", "é"]
    assert rows(opened, "n").to_pylist() == [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": None, "b": 0}]


def test_another_schema_of_the_file_is_read_when_asked_for(tmp_path):
    made(tmp_path, "CREATE SCHEMA other", "CREATE TABLE other.t AS SELECT 7 AS x")
    opened = open_source("duckdb:///source.duckdb?schema=other", root=tmp_path)
    assert rows(opened, "t").to_pylist() == [{"x": 7}]
    with opened.reading() as reading:
        assert reading.count('SELECT count(*) FROM "t"') == 1
    with pytest.raises(SourceError, match="there is no schema nowhere; schemas are main, other"):
        open_source("duckdb:///source.duckdb?schema=nowhere", root=tmp_path).names()


def test_a_missing_file_is_a_sentence_and_is_not_created(tmp_path):
    with pytest.raises(SourceError, match=r"duckdb:///nowhere\.duckdb: there is no such file"):
        open_source("duckdb:///nowhere.duckdb", root=tmp_path).names()
    assert list(tmp_path.iterdir()) == []


def checksum(block):
    """DuckDB's checksum of a header block: xor of its 64-bit words times a constant."""
    total = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        total ^= (word * 0xBF58476D1CE4E5B9) % 2**64
    return struct.pack("<Q", total)


def test_a_file_of_a_newer_duckdb_is_a_sentence(tmp_path):
    opened = made(tmp_path, "CREATE TABLE t (x INT)")
    content = bytearray((tmp_path / "source.duckdb").read_bytes())
    assert content[:8] == checksum(content[8:4096])
    content[12:14] = b"\xfa\x03"
    content[:8] = checksum(content[8:4096])
    (tmp_path / "source.duckdb").write_bytes(content)
    with pytest.raises(SourceError, match="written by another version of DuckDB"):
        opened.schema()


def test_a_file_that_is_no_database_is_a_sentence(tmp_path):
    (tmp_path / "source.duckdb").write_bytes(b"canary" * 1000)
    with pytest.raises(SourceError, match="no DuckDB database") as caught:
        open_source("duckdb:///source.duckdb", root=tmp_path).names()
    assert "canary" not in str(caught.value)


def test_a_file_that_another_process_writes_is_a_sentence(tmp_path):
    opened = made(tmp_path, "CREATE TABLE t (x INT)")
    path = str(tmp_path / "source.duckdb")
    hold = f"import duckdb, sys; c = duckdb.connect({path!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(SourceError, match="another process has the file open for writing"):
            opened.names()
        other.stdin.close()
    assert opened.names() == ("t",)


def test_a_file_this_process_writes_is_a_sentence_and_two_readings_are_fine(tmp_path):
    opened = made(tmp_path, "CREATE TABLE t AS SELECT 1 AS x")
    with duckdb.connect(str(tmp_path / "source.duckdb")), pytest.raises(SourceError, match="this process has the file"):
        opened.names()
    with opened.reading() as one, opened.reading() as two:
        assert one.count('SELECT count(*) FROM "t"') == two.count('SELECT count(*) FROM "t"') == 1


def test_nothing_can_be_written(tmp_path):
    opened = made(tmp_path, "CREATE TABLE t AS SELECT 1 AS x")
    with opened.reading() as reading, pytest.raises(SourceError):
        reading.count("INSERT INTO t VALUES (2) RETURNING x")


def test_infinite_dates_and_numbers_too_wide_are_refused_without_quoting(tmp_path):
    opened = made(
        tmp_path,
        "CREATE TABLE d AS SELECT DATE 'infinity' AS until",
        "CREATE TABLE s AS SELECT 'infinity'::TIMESTAMP AS t",
        "CREATE TABLE h AS SELECT 170141183460469231731687303715884105727::HUGEINT AS n",
    )
    with pytest.raises(DataError, match=r"d\.until holds infinity"):
        rows(opened, "d")
    with pytest.raises(DataError, match=r"s\.t holds infinity"):
        rows(opened, "s")
    with pytest.raises(SourceError, match="h can't be read") as caught:
        rows(opened, "h")
    assert "170141" not in str(caught.value)


def test_the_sort_spills_only_to_the_scratch_folder_and_leaves_nothing(tmp_path):
    made(tmp_path, "CREATE TABLE t AS SELECT hash(i) AS id, repeat('x', 20) AS s FROM range(200000) r(i)")
    opened = open_source("duckdb:///source.duckdb", root=tmp_path, scratch=tmp_path / "vault" / "sort")
    got = rows(opened, "t")["id"].to_pylist()
    assert got == sorted(got)
    assert list((tmp_path / "vault" / "sort").iterdir()) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source.duckdb", "vault"]


@pytest.mark.parametrize("url", ["duckdb:clinic.duckdb", "duckdb://clinic.duckdb", "duckdb:///"])
def test_too_few_slashes_are_answered_with_the_form(tmp_path, url):
    with pytest.raises(SourceError, match=r"duckdb:///relative\.duckdb"):
        open_source(url, root=tmp_path)
