import datetime as dt
import subprocess
import sys
import uuid
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from lakes import project, released
from scenario import clinic

from twinlake.schema import Column, Schema, Table
from twinlake.storage.catalog import build_catalog, distinct, is_current
from twinlake.storage.lake import query
from twinlake.tables import Tables
from twinlake.types import ENUM


@pytest.fixture
def layout(tmp_path):
    return project(tmp_path)


def plain(layout, sql):
    """What DuckDB itself reads from the catalog, without Twinlake, in another folder."""
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql(sys.argv[2]).fetchall())"
    command = [sys.executable, "-c", code, str(layout.catalog), sql]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.strip()


def world(*columns: tuple[Column, list]) -> Tables:
    """One table `subjects`, and an empty `visits` that the gates of these tests also judge."""
    own = Table("subjects", tuple(c for c, _ in columns))
    visits = Table("visits", (Column("id", pa.int64()),))
    rows = pa.table({c.name: pa.array(v, c.type) for c, v in columns}, schema=own.arrow)
    return Tables(Schema((own, visits)), {"subjects": rows, "visits": visits.arrow.empty_table()})


def test_the_catalog_needs_no_twinlake_and_no_folder(layout):
    released(layout, "2026-11-22")
    assert plain(layout, "SELECT count(*) FROM clinic.subjects") == "[(20,)]"
    assert plain(layout, 'SELECT "the ""score"" ü" IS NULL FROM clinic.visits LIMIT 1') == "[(False,)]"


def test_every_type_of_the_source_is_served(layout):
    stamp = dt.datetime(2026, 11, 22, 3, 4, 5)
    released(layout, "2026-11-22", tables=world(
        (Column("tiny", pa.int8()), [1]),
        (Column("big", pa.uint64()), [2**64 - 1]),
        (Column("single", pa.float32()), [0.5]),
        (Column("money", pa.decimal128(12, 2)), [Decimal("1.20")]),
        (Column("flag", pa.bool_()), [True]),
        (Column("day", pa.date32()), [stamp.date()]),
        (Column("clock", pa.time64("us")), [stamp.time()]),
        (Column("seconds", pa.timestamp("s")), [stamp]),
        (Column("millis", pa.timestamp("ms")), [stamp]),
        (Column("micros", pa.timestamp("us")), [stamp]),
        (Column("nanos", pa.timestamp("ns")), [stamp]),
        (Column("zoned", pa.timestamp("us", "Europe/Zurich")), [stamp]),
        (Column("took", pa.duration("us")), [dt.timedelta(seconds=90)]),
        (Column("text", pa.string()), ["it's"]),
        (Column("label", ENUM, labels=("a'b", 'c"d', "ü")), ["ü"]),
        (Column("id", pa.uuid()), [uuid.UUID(int=7).bytes]),
        (Column("doc", pa.json_()), ['{"a": 1}']),
        (Column("raw", pa.binary()), [b"\x00\xff"]),
    ))  # fmt: skip
    described = query(layout, "DESCRIBE clinic.subjects").to_pylist()
    assert {row["column_name"]: row["column_type"] for row in described} == {
        "tiny": "TINYINT", "big": "UBIGINT", "single": "FLOAT", "money": "DECIMAL(12,2)", "flag": "BOOLEAN",
        "day": "DATE", "clock": "TIME", "seconds": "TIMESTAMP_S", "millis": "TIMESTAMP_MS", "micros": "TIMESTAMP",
        "nanos": "TIMESTAMP_NS", "zoned": "TIMESTAMP WITH TIME ZONE", "took": "INTERVAL", "text": "VARCHAR",
        "label": "ENUM('a''b', 'c\"d', 'ü')", "id": "UUID", "doc": "JSON", "raw": "BLOB",
    }  # fmt: skip
    assert plain(layout, "SELECT money, label, took, id FROM clinic.subjects") == (
        "[(Decimal('1.20'), 'ü', datetime.timedelta(seconds=90), UUID('00000000-0000-0000-0000-000000000007'))]"
    )


@pytest.mark.parametrize("name", ["my shop", 'a "b"', "it's", "Büro", "select", "order", "2026", "a.b", "x" * 300])
def test_any_name_is_served_as_it_is(layout, name):
    table = Table(name, (Column(name, pa.int64()),))
    own = Tables(
        Schema((*clinic(5).schema.tables, table)), {**clinic(5), name: pa.table({name: [7]}, schema=table.arrow)}
    )
    pipeline = name if len(name) < 100 else "clinic"
    released(layout, "2026-11-22", pipeline=pipeline, tables=own)
    quoted = '"' + name.replace('"', '""') + '"'
    schema = '"' + pipeline.replace('"', '""') + '"'
    assert query(layout, f"SELECT {quoted} AS n FROM {schema}.{quoted}").to_pylist() == [{"n": 7}]


def test_names_that_differ_in_case_only_are_all_served(layout):
    released(layout, "2026-11-22", tables=world(
        (Column("A", pa.int64()), [1]),
        (Column("a", ENUM, labels=("x",)), ["x"]),
        (Column("b", ENUM, labels=("y",)), ["y"]),
    ))  # fmt: skip
    assert query(layout, "FROM clinic.subjects").to_pylist() == [{"A": 1, "a_1": "x", "b": "y"}]
    assert distinct(["People", "people", "PEOPLE", "x"]) == ["People", "people_1", "PEOPLE_2", "x"]


def test_older_releases_are_served_under_their_own_name(layout):
    released(layout, "2026-11-21")
    released(layout, "2026-11-22", tables=clinic(30))
    assert plain(layout, 'SELECT count(*) FROM "clinic@2026-11-21".subjects') == "[(20,)]"
    assert plain(layout, "SELECT count(*) FROM clinic.subjects") == "[(30,)]"


def test_the_catalog_lists_every_release_and_says_that_rows_are_synthetic(layout):
    released(layout, "2026-11-21")
    released(layout, "2026-11-22", seed=1)
    lines = plain(layout, 'SELECT "release", "rows" FROM twinlake.releases WHERE "table" = \'subjects\' ORDER BY ALL')
    assert lines == "[('2026-11-21', 20), ('2026-11-22', 20)]"
    comments = plain(layout, "SELECT DISTINCT comment FROM duckdb_views() WHERE schema_name = 'clinic'")
    assert comments == "[('Synthetic rows of release clinic@2026-11-22',)]"


def test_older_duckdb_can_read_the_catalog(layout):
    released(layout, "2026-11-22")
    with duckdb.connect(":memory:") as con:
        con.execute(f"ATTACH '{layout.catalog}' AS c (READ_ONLY)")
        tags = con.sql("SELECT tags FROM duckdb_databases() WHERE database_name = 'c'").fetchall()
    assert "v1.0.0" in str(tags)


def test_a_reader_keeps_its_catalog_while_a_new_one_takes_its_place(layout):
    released(layout, "2026-11-21")
    with duckdb.connect(str(layout.catalog), read_only=True) as reader:
        before = layout.catalog.stat().st_ino
        released(layout, "2026-11-22", tables=clinic(30))
        assert layout.catalog.stat().st_ino != before
        assert reader.sql("SELECT count(*) FROM clinic.subjects").fetchall() == [(20,)]
    assert plain(layout, "SELECT count(*) FROM clinic.subjects") == "[(30,)]"


def test_a_lake_that_was_moved_is_served_from_where_it_is(layout, tmp_path_factory):
    released(layout, "2026-11-22")
    root = tmp_path_factory.mktemp("elsewhere [1] it's") / "project"
    layout.root.rename(root)
    moved = type(layout)(root)
    assert not is_current(moved)
    assert query(moved, "SELECT count(*) AS n FROM clinic.subjects").to_pylist() == [{"n": 20}]
    assert is_current(moved)
    assert plain(moved, "SELECT count(*) FROM clinic.subjects") == "[(20,)]"


@pytest.mark.parametrize("damage", [b"", b"no catalog", None])
def test_a_damaged_or_missing_catalog_is_built_anew(layout, damage):
    released(layout, "2026-11-22")
    layout.catalog.unlink()
    if damage is not None:
        layout.catalog.write_bytes(damage)
    assert query(layout, "SELECT count(*) AS n FROM clinic.subjects").to_pylist() == [{"n": 20}]


def test_what_a_killed_builder_left_is_cleared(layout):
    released(layout, "2026-11-22")
    (layout.lake / ".catalog.duckdb").write_bytes(b"half")
    (layout.lake / ".catalog.duckdb.wal").write_bytes(b"half")
    build_catalog(layout)
    assert {p.name for p in layout.lake.iterdir()} == {"catalog.duckdb", "clinic", ".building"}
