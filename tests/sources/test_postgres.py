"""PostgreSQL as a source, against a real server."""

import datetime as dt
import math
import uuid
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from postgres import PASSWORD, Postgres

from twinlake.errors import DataError, SourceError
from twinlake.schema import Reference
from twinlake.sources.registry import open_source
from twinlake.types import ENUM

HERE = Path()

EVERY_TYPE = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s, \"fine\"')",
    "CREATE DOMAIN money_amount AS numeric(12, 2) NOT NULL",
    "CREATE DOMAIN feeling AS mood",
    """CREATE TABLE every (
        id int PRIMARY KEY, small smallint, big bigint, money numeric(12, 2), wide numeric(38, 10),
        hundreds numeric(3, -2), tiny numeric(2, 4),
        amount money_amount, real4 real, real8 double precision, yes bool, day date, clock time,
        plain timestamp, zoned timestamptz, words text, short varchar(5), padded char(5), mood mood, feeling feeling,
        ident uuid, j json, jb jsonb, raw bytea)""",
    """INSERT INTO every VALUES
        (1, -32768, -9223372036854775808, -1234567890.12, 1234567890123456789012345678.0123456789, 12300, 0.0099, 1.5,
         'NaN', 'NaN', true, '4713-01-01 BC', '23:59:59.999999', '0001-01-01', '9999-12-31 23:59:59.999999+00', '',
         'ä€😀', 'a', 'sad', 'it''s, "fine"', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a":  1}', '{"a":  1}',
         '\\x00ff'),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, NULL, NULL),
        (3, 32767, 9223372036854775807, 0.00, -0.0000000001, -100, -0.0001, -0.01, 'Infinity', '-Infinity', false,
         '5874897-12-31', '00:00', '1677-01-01 00:00:00.000001', '1066-10-14 12:00:00+02', 'x', '', '', 'ok', 'ok',
         '00000000-0000-0000-0000-000000000000', 'null', '[]', '')""",
)
EXPECTED = {
    "id": pa.int32(), "small": pa.int16(), "big": pa.int64(), "money": pa.decimal128(12, 2),
    "wide": pa.decimal128(38, 10), "hundreds": pa.decimal128(5, 0), "tiny": pa.decimal128(4, 4),
    "amount": pa.decimal128(12, 2), "real4": pa.float32(), "real8": pa.float64(), "yes": pa.bool_(),
    "day": pa.date32(), "clock": pa.time64("us"), "plain": pa.timestamp("us"), "zoned": pa.timestamp("us", "UTC"),
    "words": pa.string(), "short": pa.string(), "padded": pa.string(), "mood": ENUM, "feeling": ENUM,
    "ident": pa.uuid(), "j": pa.json_(), "jb": pa.json_(), "raw": pa.binary(),
}  # fmt: skip


def source(url):
    return open_source(url, root=HERE)


def rows(url, table, **more):
    opened = source(url)
    schema = opened.schema([table], **more)
    with opened.reading() as reading:
        return pa.Table.from_batches(list(reading.batches(schema[table])), schema[table].arrow)


@pytest.fixture(scope="module")
def every(postgres: Postgres) -> str:
    return postgres.create("every", *EVERY_TYPE)


def test_every_type_of_the_catalog_is_carried_exactly(every):
    schema = source(every).schema()
    assert {c.name: c.type for c in schema["every"].columns} == EXPECTED
    assert rows(every, "every").schema.equals(schema["every"].arrow)


def test_every_value_arrives_as_it_is_null_and_extremes_included(postgres, every):
    got = rows(every, "every")
    assert got["small"].to_pylist() == [-32768, None, 32767]
    assert got["big"].to_pylist() == [-(2**63), None, 2**63 - 1]
    assert got["money"].to_pylist() == [Decimal("-1234567890.12"), None, Decimal("0.00")]
    assert got["wide"].to_pylist() == [
        Decimal("1234567890123456789012345678.0123456789"), None, Decimal("-0.0000000001")
    ]  # fmt: skip
    assert got["hundreds"].to_pylist() == [12300, None, -100]
    assert got["tiny"].to_pylist() == [Decimal("0.0099"), None, Decimal("-0.0001")]
    assert got["yes"].to_pylist() == [True, None, False]
    days = "SELECT day - date '1970-01-01' AS days FROM every ORDER BY id"
    told = postgres.query(days, database="every")["days"].to_pylist()  # the server counts for itself
    assert got["day"].cast(pa.int32()).to_pylist() == told
    assert got["clock"].to_pylist() == [dt.time(23, 59, 59, 999999), None, dt.time(0)]
    assert got["plain"].to_pylist() == [dt.datetime(1, 1, 1), None, dt.datetime(1677, 1, 1, 0, 0, 0, 1)]
    assert got["zoned"].to_pylist()[2] == dt.datetime(1066, 10, 14, 10, tzinfo=dt.UTC)
    assert got["padded"].to_pylist() == ["a    ", None, "     "]
    assert got["mood"].to_pylist() == ["sad", None, "ok"]
    assert got["ident"].to_pylist() == [uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), None, uuid.UUID(int=0)]
    assert got["j"].to_pylist() == ['{"a":  1}', None, "null"]
    assert got["jb"].to_pylist() == ['{"a": 1}', None, "[]"]
    assert got["raw"].to_pylist() == [b"\x00\xff", None, b""]


def test_empty_text_is_not_null_and_nan_is_not_null(every):
    got = rows(every, "every")
    assert got["words"].to_pylist() == ["", None, "x"]
    assert got["short"].to_pylist() == ["ä€😀", None, ""]
    for name in ("real4", "real8"):
        first, second, _ = got[name].to_pylist()
        assert math.isnan(first)
        assert second is None
        assert got[name].null_count == 1


def test_nullability_comes_from_columns_domains_and_keys_and_labels_in_declared_order(every):
    table = source(every).schema()["every"]
    assert [c.name for c in table.columns if not c.nullable] == ["id", "amount"]
    assert table["feeling"].labels == ("sad", "ok", 'it\'s, "fine"')
    assert table["money"].native == "numeric(12,2)"


def test_numeric_without_a_scale_gets_the_smallest_scale_that_holds_all_its_values(postgres):
    url = postgres.create(
        "loose",
        "CREATE TABLE t (id numeric PRIMARY KEY, money numeric, third numeric, huge numeric, nan numeric,"
        " none numeric)",
        "INSERT INTO t VALUES (12345678901234567890, 1.500, 1.0/3, 1e40, 'NaN', NULL), (7, -2.25, 0, 1, 1, NULL)",
    )
    types = {c.name: c.type for c in source(url).schema()["t"].columns}
    assert types == {
        "id": pa.decimal128(38, 0), "money": pa.decimal128(38, 2), "third": pa.decimal128(38, 24),
        "huge": pa.float64(), "nan": pa.float64(), "none": pa.decimal128(38, 0),
    }  # fmt: skip
    got = rows(url, "t")
    assert got["id"].to_pylist() == [7, 12345678901234567890]
    assert got["money"].to_pylist() == [Decimal("-2.25"), Decimal("1.50")]
    assert got["third"].to_pylist() == [0, Decimal("0.333333333333333333330000")]
    assert got["huge"].to_pylist() == [1.0, 1e40]


def test_all_columns_that_cannot_be_carried_are_named_at_once_unless_left_out(postgres):
    url = postgres.create(
        "odd",
        "CREATE TYPE pair AS (a int, b int)",
        "CREATE TABLE a (id int, span interval, many int[], pair pair)",
        "CREATE TABLE b (wide numeric(50, 3), net inet, at timetz)",
    )
    with pytest.raises(DataError) as caught:
        source(url).schema()
    said = str(caught.value)
    for part in ("a.span (interval)", "a.many (integer[])", "a.pair (pair)", "b.wide (numeric(50,3))", "b.net (inet)",
                 "b.at (time with time zone)", "a.span: {drop: true}, a.many: {drop: true}"):  # fmt: skip
        assert part in said
    left_out = [("a", "span"), ("a", "many"), ("a", "pair")]
    assert source(url).uncarried() == (*left_out, ("b", "wide"), ("b", "net"), ("b", "at"))
    assert source(url).schema(["a"], without=left_out)["a"].names == ("id",)


@pytest.fixture(scope="module")
def related(postgres: Postgres) -> str:
    return postgres.create(
        "related",
        "CREATE TABLE wards (ward text, site smallint, beds int, PRIMARY KEY (site, ward))",
        "CREATE TABLE people (id int PRIMARY KEY, badge text UNIQUE, mentor int REFERENCES people)",
        """CREATE TABLE visits (id int REFERENCES people(id), no int, w text, s smallint,
            badge text REFERENCES people(badge), PRIMARY KEY (id, no),
            FOREIGN KEY (s, w) REFERENCES wards(site, ward))""",
        "CREATE VIEW seen AS SELECT * FROM visits",
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM visits",
        "CREATE TABLE log (day date, what text) PARTITION BY RANGE (day)",
        "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
        "CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
        "INSERT INTO log VALUES ('2021-05-05', 'b'), ('2020-05-05', 'a'), ('2021-05-05', 'a')",
        "INSERT INTO people VALUES (1, 'x', NULL), (2, 'y', 1)",
        "INSERT INTO visits VALUES (2, 1, NULL, NULL, 'x')",
    )


def test_views_are_left_out_and_partitioned_tables_are_there_once(related):
    assert source(related).names() == ("log", "people", "visits", "wards")
    assert rows(related, "log").to_pylist() == [
        {"day": dt.date(2020, 5, 5), "what": "a"}, {"day": dt.date(2021, 5, 5), "what": "a"},
        {"day": dt.date(2021, 5, 5), "what": "b"},
    ]  # fmt: skip


def test_composite_self_and_cross_references_come_from_the_catalog(related):
    schema = source(related).schema()
    assert schema["wards"].key == ("site", "ward")
    assert schema["people"].references == (Reference(("mentor",), "people", ("id",)),)
    assert set(schema["visits"].references) == {
        Reference(("id",), "people", ("id",)),
        Reference(("s", "w"), "wards", ("site", "ward")),
        Reference(("badge",), "people", ("badge",)),
    }


def test_references_to_tables_and_columns_left_out_are_left_out(related):
    schema = source(related).schema(["visits", "people"], without=[("people", "badge"), ("visits", "no")])
    assert schema["visits"].key == ()
    assert schema["visits"].references == (Reference(("id",), "people", ("id",)),)


def test_unknown_tables_and_columns_are_named_with_the_nearest(related):
    with pytest.raises(DataError, match=r'there is no table peeple.*[Dd]id you mean "people"\?'):
        source(related).schema(["peeple"])
    with pytest.raises(DataError, match=r'there is no column people.bagde.*[Dd]id you mean "badge"\?'):
        source(related).schema(without=[("people", "bagde")])


def test_a_concurrent_delete_is_invisible_in_one_reading(postgres):
    url = postgres.create(
        "moving", "CREATE TABLE a (x int)", "CREATE TABLE b (x int)",
        "INSERT INTO a SELECT generate_series(1, 50)", "INSERT INTO b SELECT generate_series(1, 50)",
    )  # fmt: skip
    opened = source(url)
    schema = opened.schema()
    with opened.reading() as reading:
        assert sum(b.num_rows for b in reading.batches(schema["a"])) == 50
        postgres.execute("DELETE FROM a", "DELETE FROM b", "DROP TABLE IF EXISTS c", database="moving")
        assert sum(b.num_rows for b in reading.batches(schema["b"])) == 50
        assert reading.count('SELECT count(*) FROM "a"') == 50
    with opened.reading() as reading:
        assert reading.count('SELECT count(*) FROM "b"') == 0


def test_a_reading_cannot_write(postgres):
    url = postgres.create("closed", "CREATE TABLE a (x int)")
    with source(url).reading() as reading, pytest.raises(SourceError, match="25006"):
        reading.count("WITH gone AS (DELETE FROM a RETURNING x) SELECT count(*) FROM gone")


def test_rows_come_ordered_by_key_in_an_order_of_no_locale(postgres):
    url = postgres.create(
        "sorted",
        "CREATE TABLE k (id text PRIMARY KEY, x int)",
        "INSERT INTO k VALUES ('b', 1), ('A', 2), ('a', 3), ('é', 4), ('Z', 5)",
        "UPDATE k SET x = 9 WHERE id = 'A'",
        "CREATE TABLE loose (j json, b jsonb, x int)",
        """INSERT INTO loose VALUES ('{"a":2}', '2', 1), ('{"a":1}', '1', 2), (NULL, NULL, 0), ('{"a":1}', '1', 1)""",
    )
    assert rows(url, "k")["id"].to_pylist() == ["A", "Z", "a", "b", "é"]
    assert rows(url, "loose")["x"].to_pylist() == [1, 2, 1, 0]


def test_a_large_table_streams_in_many_batches(postgres):
    url = postgres.create(
        "large", "CREATE TABLE t (id int PRIMARY KEY, s text)",
        "INSERT INTO t SELECT i, repeat('x', 400) FROM generate_series(1, 60000) i",
    )  # fmt: skip
    opened = source(url)
    table = opened.schema()["t"]
    with opened.reading() as reading:
        sizes = [b.num_rows for b in reading.batches(table)]
    assert sum(sizes) == 60000
    assert len(sizes) >= 3


def test_a_stream_nobody_finishes_closes_with_its_reading(every):
    opened = source(every)
    table = opened.schema()["every"]
    with opened.reading() as reading:
        stream = reading.batches(table)
        assert next(stream).num_rows == 3


ODD = ["two words", 'a "quoted" one', "Größe 😀", "select", "semi;colon--", "%s {0} $1", "back\\slash", "it's"]


def test_odd_names_work_everywhere(postgres):
    def q(name):
        return '"' + name.replace('"', '""') + '"'

    columns = ", ".join(f"{q(n)} text" for n in ODD)
    url = postgres.create(
        'od"d name',
        f"CREATE SCHEMA {q(ODD[1])}",
        *[f"CREATE TABLE {q(ODD[1])}.{q(n)} (id int PRIMARY KEY, {columns})" for n in ODD],
        *[f"INSERT INTO {q(ODD[1])}.{q(n)} VALUES (1{', NULL' * len(ODD)})" for n in ODD],
    )
    opened = source(url + "?schema=a%20%22quoted%22%20one")
    schema = opened.schema()
    assert sorted(schema.names) == sorted(ODD)
    with opened.reading() as reading:
        for table in schema:
            assert table.names == ("id", *ODD)
            assert sum(b.num_rows for b in reading.batches(table)) == 1


def test_infinite_dates_and_decimal_nan_are_refused_without_quoting(postgres):
    url = postgres.create(
        "endless",
        "CREATE TABLE d (id int, until date)", "INSERT INTO d VALUES (1, 'infinity'), (2, '2020-01-01')",
        "CREATE TABLE t (id int, until timestamptz)", "INSERT INTO t VALUES (1, '-infinity')",
        "CREATE TABLE n (id int, money numeric(9, 2))", "INSERT INTO n VALUES (1, 'NaN')",
    )  # fmt: skip
    for table, said in (("d", "d.until holds infinity"), ("t", "t.until holds infinity"), ("n", "column n.money")):
        with pytest.raises(DataError, match=said):
            rows(url, table)


def said_by(url, action=lambda s: s.schema()):
    with pytest.raises(SourceError) as caught:
        action(source(url))
    text = str(caught.value) + repr(caught.value) + repr(caught.value.__cause__) + repr(source(url))
    assert PASSWORD not in text
    assert "p%40ss" not in text
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_goes_wrong_when_connecting_is_one_sentence_without_the_password(postgres):
    assert "refused the user or the password" in said_by(postgres.url(password=PASSWORD + "x"))
    assert "refused the user or the password" in said_by(postgres.url(user="nobody"))
    assert "no such database" in said_by(postgres.url("nowhere"))
    assert "no PostgreSQL server answers" in said_by(postgres.url().replace(f":{postgres.port}", ":1"))
    assert "there is no schema nowhere; schemas are public" in said_by(postgres.url() + "?schema=nowhere")


def test_a_user_without_permission_is_told_which_tables_and_columns(postgres):
    url = postgres.create(
        "shut", "CREATE TABLE open (id int)", "CREATE TABLE shut (id int)", "CREATE TABLE part (id int, secret text)",
        "CREATE SCHEMA hidden", "CREATE TABLE hidden.t (id int)",
        "DROP ROLE IF EXISTS guest", f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'",
        "GRANT SELECT ON open TO guest", "GRANT SELECT (id) ON part TO guest", "INSERT INTO part VALUES (1, 'x')",
    )  # fmt: skip
    url = postgres.url("shut", user="guest")
    assert source(url).names() == ("open", "part")
    assert "this user may not read part.secret." in said_by(url)
    assert "this user may not read part.secret, shut." in said_by(url, lambda s: s.schema(["part", "shut"]))
    assert source(url).uncarried() == (("part", "secret"),)
    assert "may not use schema hidden" in said_by(url + "?schema=hidden")
    assert rows(url, "part", without=[("part", "secret")]).to_pylist() == [{"id": 1}]

    def count(opened):
        with opened.reading() as reading:
            reading.count('SELECT count(*) FROM "shut"')

    assert "GRANT SELECT" in said_by(url, count)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:canary@x@host/db", "postgresql://u:can/ary@host/db", "postgresql://u:can#ary@host/db",
     "postgresql://u:can?ary@host/db", "postgresql://u:12/canary@host/db", "postgresql://u:canary@host:port/db"],
)  # fmt: skip
def test_a_password_that_is_not_escaped_is_never_repeated(url):
    with pytest.raises(SourceError, match="%40") as caught:
        source(url)
    assert "ary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_label_shows_host_and_database_only(postgres):
    opened = source(f"postgresql://u:{'canary'}@db.example:5433/clinic?schema=a b&password=canary2&sslmode=require")
    assert opened.label == "postgresql://db.example:5433/clinic?schema=a b"
    assert "canary" not in repr(opened)


def test_three_hundred_columns_are_read(postgres):
    columns = ", ".join(f"c{i} int" for i in range(300))
    url = postgres.create("broad", f"CREATE TABLE t ({columns})", "INSERT INTO t (c0, c299) VALUES (1, 2)")
    got = rows(url, "t")
    assert got.num_columns == 300
    assert pc.sum(got["c299"]).as_py() == 2
