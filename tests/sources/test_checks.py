"""CHECK and UNIQUE constraints of databases become rules that DuckDB holds rows to."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from postgres import Postgres

from twinlake.rules import reading
from twinlake.schema import Origin
from twinlake.sources.registry import open_source

HERE = Path()

PARCELS = (
    "CREATE TYPE state AS ENUM ('new', 'sent', 'lost')",
    "CREATE DOMAIN share AS double precision CHECK (VALUE >= 0 AND VALUE <= 1)",
    "CREATE DOMAIN short AS text CONSTRAINT is_short CHECK (char_length(VALUE) <= 8)",
    "CREATE DOMAIN shorter AS short CONSTRAINT is_word CHECK (VALUE ~ '^[a-z]+$')",
    """CREATE TABLE parcels (
        id int PRIMARY KEY, price numeric(10, 2) CONSTRAINT price_is_positive CHECK (price > 0),
        paid numeric CONSTRAINT paid_enough CHECK (paid >= price::numeric * 1.5 OR paid = 0),
        kind varchar(9) CONSTRAINT known_kind CHECK (kind IN ('box', 'tube')),
        other text CONSTRAINT no_kind CHECK (other NOT IN ('box', 'tube')),
        state state CONSTRAINT not_lost CHECK (state <> 'lost'),
        sides state CONSTRAINT two CHECK (sides IN ('new', 'sent')),
        ordered date CONSTRAINT recent CHECK (ordered >= '2020-01-01'), shipped timestamp, at timestamptz,
        code text CONSTRAINT coded CHECK (code LIKE 'A%' AND code NOT LIKE '%z'),
        full_share share, word shorter, grams int CONSTRAINT grams_between CHECK (grams BETWEEN 1 AND 900),
        "Odd name" int CONSTRAINT odd CHECK ("Odd name" IS NULL OR "Odd name" % 2 = 1),
        born date CONSTRAINT in_century CHECK (EXTRACT(year FROM born) BETWEEN 1900 AND 1999),
        CONSTRAINT in_order CHECK (shipped >= ordered),
        CONSTRAINT somehow CHECK (price IS NOT NULL OR paid IS NOT NULL),
        UNIQUE (kind, grams), UNIQUE (code))""",
    "CREATE UNIQUE INDEX by_word ON parcels (word)",
    "CREATE UNIQUE INDEX partly ON parcels (grams) WHERE grams > 5",
    "CREATE UNIQUE INDEX lowered ON parcels (lower(other))",
)
"""What PostgreSQL writes back as `= ANY (ARRAY[...])`, `~~`, `(0)::numeric` and casts to types of its own."""

GOOD = {
    "id": 1, "price": 2, "paid": 4, "kind": "box", "other": "x", "state": "new", "sides": "sent",
    "ordered": "2020-01-02", "shipped": "2020-01-03 10:00", "at": "2020-01-03 10:00+00", "code": "Ab",
    "full_share": 0.5, "word": "ab", "grams": 5, "Odd name": 3, "born": "1970-01-01",
}  # fmt: skip
BROKEN = {
    "price_is_positive": {"price": 0}, "paid_enough": {"paid": 2}, "known_kind": {"kind": "bag"},
    "no_kind": {"other": "tube"}, "not_lost": {"state": "lost"}, "two": {"sides": "lost"},
    "recent": {"ordered": "2019-12-31"}, "coded": {"code": "Abz"}, "share_check": {"full_share": 1.5},
    "is_short": {"word": "abcdefghi"}, "is_word": {"word": "A"}, "grams_between": {"grams": 901},
    "odd": {"Odd name": 2}, "in_century": {"born": "2000-01-01"}, "in_order": {"shipped": "2020-01-01 23:00"},
    "somehow": {"price": None, "paid": None},
}  # fmt: skip


@pytest.fixture(scope="module")
def parcels(postgres: Postgres):
    url = postgres.create("parcels", *PARCELS)
    return open_source(url, root=HERE).schema(["parcels"])["parcels"]


def row(table, **changed):
    values = {**GOOD, **changed}
    columns = [pa.array([values[c.name]]) for c in table.columns]
    with duckdb.connect() as connection:
        connection.register("one", pa.table(columns, names=list(table.names)))
        kinds = {c.name: "VARCHAR" if c.labels else _kind(c.type) for c in table.columns}
        casts = ", ".join(f'"{n}"::{k} AS "{n}"' for n, k in kinds.items())
        return connection.sql(f"SELECT {casts} FROM one").to_arrow_table()


def _kind(type_):
    names = {pa.int32(): "INTEGER", pa.date32(): "DATE", pa.timestamp("us"): "TIMESTAMP", pa.float64(): "DOUBLE"}
    names |= {pa.timestamp("us", "UTC"): "TIMESTAMPTZ", pa.string(): "VARCHAR"}
    return names.get(type_) or f"DECIMAL({type_.precision}, {type_.scale})"


def test_every_usual_check_of_postgres_becomes_a_rule(parcels):
    assert {r.name for r in parcels.rules} == set(BROKEN)
    assert {r.origin for r in parcels.rules} == {Origin.CATALOG}


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_from_postgres_holds_and_breaks_where_the_check_does(parcels, name):
    rule = next(r for r in parcels.rules if r.name == name)
    assert not reading(rule, parcels).broken(row(parcels), {}).any()
    assert reading(rule, parcels).broken(row(parcels, **BROKEN[name]), {}).all()


def test_unique_constraints_and_whole_unique_indexes_are_read(parcels):
    assert set(parcels.unique) == {("kind", "grams"), ("code",), ("word",)}


def test_what_postgres_alone_can_check_is_told_with_the_way_out(postgres: Postgres):
    url = postgres.create(
        "odd_checks",
        "CREATE TYPE size AS ENUM ('s', 'm', 'l')",
        """CREATE TABLE odd (a int, b int, size size, born date, gone int,
            CONSTRAINT one_of CHECK (num_nonnulls(a, b) = 1), CONSTRAINT halves CHECK (a / 2 > b),
            CONSTRAINT large CHECK (size >= 'm'), CONSTRAINT past CHECK (born <= CURRENT_DATE),
            CONSTRAINT there CHECK (gone > 0), CONSTRAINT fine CHECK (a > b))""",
        "ALTER TABLE odd ADD CONSTRAINT later CHECK (b > 7) NOT VALID",
    )
    source = open_source(url, root=HERE)
    lost = {found.name: str(found) for found in source.lost_checks(["odd"], without=[("odd", "gone")])}
    assert [r.name for r in source.schema(["odd"], without=[("odd", "gone")])["odd"].rules] == ["fine"]
    assert set(lost) == {"one_of", "halves", "large", "past", "there", "later"}
    assert lost["halves"] == (
        "constraint halves of odd is not carried over: PostgreSQL divides whole numbers without a rest, and DuckDB "
        "does not. What the twin must hold can be written under tables.odd.rules in DuckDB's SQL"
    )
    assert "num_nonnulls" in lost["one_of"]
    assert "the order of the labels of size" in lost["large"]
    assert "gives another answer each time" in lost["past"]
    assert "column gone is left out" in lost["there"]
    assert "NOT VALID" in lost["later"]


def test_duckdb_s_own_constraints_are_read(tmp_path: Path):
    with duckdb.connect(tmp_path / "shop.duckdb") as connection:
        connection.execute(
            "CREATE TABLE t (id INT PRIMARY KEY, a INT UNIQUE CHECK (a > 0), b INT, d DATE, "
            "c VARCHAR CHECK (c IN ('x')), UNIQUE (a, b), CHECK (a < b AND d >= DATE '2020-01-01'), "
            "gone INT CHECK (gone > a))"
        )
    source = open_source("duckdb:///shop.duckdb", root=tmp_path)
    table = source.schema(without=[("t", "gone")])["t"]
    assert table.unique == (("a",), ("a", "b"))
    assert [r.columns for r in table.rules] == [("a",), ("c",), ("a", "b", "d")]
    assert [found.name for found in source.lost_checks(without=[("t", "gone")])] == ["t_gone_a_check"]
    assert source.schema()["t"].rules[-1].columns == ("a", "gone")


def test_files_have_no_constraints(tmp_path: Path):
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    assert open_source("files:a.csv", root=tmp_path).lost_checks() == ()
