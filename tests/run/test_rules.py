"""Rules in a project: read, refused where they can't be, held by the twin."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from twinlake.rules import make_rule, parent_columns
from twinlake.run.preflight import preflight
from twinlake.run.rules import contradictions
from twinlake.schema import Column, Origin, Reference, Schema, Table
from twinlake.storage.layout import Layout

ORDERS = Table(
    "orders",
    (
        Column("id", pa.int64(), nullable=False), Column("a", pa.int32()), Column("b", pa.int32()),
        Column("x", pa.float64()), Column("y", pa.float64()), Column("d", pa.date32()), Column("t", pa.timestamp("us")),
        Column("s", pa.string()), Column("parent", pa.int64()),
    ),
    key=("id",),
    references=(Reference(("parent",), "orders", ("id",)),),
)  # fmt: skip


def excluded(*asked: str) -> list[str]:
    parents = parent_columns(Schema((ORDERS,)), ORDERS)
    made = tuple(make_rule(sql, ORDERS, parents, origin=Origin.FILE) for sql in asked)
    table = Table(ORDERS.name, ORDERS.columns, ORDERS.key, ORDERS.references, rules=made)
    return [str(mistake) for mistake in contradictions(Schema((table,)))]


@pytest.mark.parametrize(
    "asked",
    [
        ("a > 5", "a < 3"), ("a > b", "b > a"), ("a >= b", "b > a"), ("x > 1.5", "x <= 1.5"), ("a = 1", "a = 2"),
        ("a > 2", "a < 3"), ("d > '2024-05-01'", "d < DATE '2024-01-01'"),
        ("t > '2024-05-01'", "d > t", "d < '2024-01-01'"),
        ("s = 'x'", "s IN ('y', 'z')"), ("a BETWEEN 3 AND 5", "a > 6"), ("NOT a > 5", "a > 9"),
        ("a > b", "b > parent.a", "parent.a >= a"), ("x > y", "y > 3", "x < 3"), ("a IN (1, 2, 3)", "a >= 4"),
        ("a > 5 AND x > 0", "y > 0 AND a < 3"),
    ],
)  # fmt: skip
def test_rules_that_exclude_each_other_are_named_together(asked: tuple[str, ...]):
    (sentence,) = excluded(*asked, "x <> 77", "s <> 'q'")
    *others, last = (f'"{sql}"' for sql in asked)
    assert sentence == (
        f"rules of orders: the rules {', '.join(others)} and {last} exclude each other: no row can hold all of them. "
        "Take one of them out, or mend it."
    )


@pytest.mark.parametrize(
    "sql", ["a > 5 AND a < 3", "1 > 2", "a > 3 AND false", "false OR 2 < 1", "a BETWEEN 5 AND 3", "a = 2.5", "a > a"]
)
def test_a_rule_that_can_never_be_true_is_named(sql: str):
    assert excluded(sql) == [f'rules of orders: the rule "{sql}" can never be true. Take it out, or mend it.']


@pytest.mark.parametrize(
    "asked",
    [
        ("a > 3", "a < 5"), ("a >= b", "b >= a"), ("a > b", "b > 3", "a < 9"), ("x > 2", "x < 3"), ("a > 5 OR a < 3",),
        ("a >= 5", "a <= 5"), ("d >= '2024-01-01'", "d <= '2024-01-01'"), ("a > parent.a", "b < parent.b"),
        ("s = 'x'", "s IN ('x', 'y')"), ("a = 2.0",), ("a > 1e300 * 1e300", "a < 5"),
    ],
)  # fmt: skip
def test_rules_that_some_row_can_hold_are_let_be(asked: tuple[str, ...]):
    assert excluded(*asked) == []


SHOP = (
    "CREATE TABLE orders AS SELECT i AS id, DATE '2024-01-01' + (i % 90)::INTEGER AS ordered FROM range(400) t (i)",
    """CREATE TABLE parcels (id INTEGER PRIMARY KEY, order_id INTEGER, shipped DATE, price DECIMAL(8, 2), code TEXT,
        CHECK (price > 0), UNIQUE (code))""",
    """INSERT INTO parcels SELECT i, CASE WHEN i % 9 > 0 THEN i % 400 END,
        DATE '2024-01-01' + (i % 400 % 90 + i % 5)::INTEGER, 1 + i % 50, 'p' || i FROM range(1200) t (i)""",
)
PIPELINE = """\
source: duckdb:///shop.duckdb
tables:
  orders: {{key: id}}
  parcels:
    references: ["order_id -> orders"]
    {asks}
generator: {{name: marginals, seed: 3}}
"""


def project(root: Path, asks: str, *more: str) -> Layout:
    layout = Layout(root)
    layout.pipelines.mkdir()
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    layout.pipeline_file("shop").write_text(PIPELINE.format(asks=asks), encoding="utf-8")
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        for statement in (*SHOP, *more):
            connection.execute(statement)
    layout.suites("shop").mkdir(parents=True)
    for name in ("orders", "parcels"):
        layout.suite_file("shop", name).write_text('{"name": "s", "expectations": []}', encoding="utf-8")
    return layout


def checked(layout: Layout) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    return [str(m) for m in preflight("shop", start=layout.root, note=notes.append)], notes


def test_rules_that_the_real_rows_hold_are_no_mistake(tmp_path: Path):
    layout = project(tmp_path, 'rules: ["shipped >= orders.ordered", "price < 60"]\n    unique: [[order_id, code]]')
    assert checked(layout) == ([], [])


RULE = "the twin can't hold a rule that real rows break. Mend the rows, loosen the rule, or take it out."
UNIQUE = "what is unique stands in one row only. Mend the rows, or take it out from under unique:."


def test_a_rule_that_real_rows_break_is_told_with_how_many(tmp_path: Path):
    layout = project(tmp_path, 'rules: ["shipped > orders.ordered", "price < 50"]\n    unique: [price, order_id]')
    mistakes, _ = checked(layout)
    late = sum(1 for i in range(1200) if i % 9 > 0 and i % 5 == 0)
    repeated = sum(1 for i in range(1200) if i % 9 > 0) - len({i % 400 for i in range(1200) if i % 9 > 0})
    assert mistakes == [
        f'rules of parcels: {late} of 1,200 real rows break the rule "shipped > orders.ordered"; {RULE}',
        f'rules of parcels: 24 of 1,200 real rows break the rule "price < 50"; {RULE}',
        f"unique columns of parcels: 1,150 of 1,200 real rows repeat price of an earlier row; {UNIQUE}",
        f"unique columns of parcels: {repeated} of 1,200 real rows repeat order_id of an earlier row; {UNIQUE}",
    ]


def test_all_rules_that_can_not_be_used_are_told_at_once(tmp_path: Path):
    layout = project(tmp_path, 'rules: ["prize > 0", "shipped > order.ordered", "sum(price) > 1"]')
    mistakes, _ = checked(layout)
    assert len(mistakes) == 3
    assert all(m.startswith("shop.yaml, tables.parcels.rules: ") for m in mistakes)
    assert 'Did you mean "price"?' in mistakes[0]


def test_rules_that_exclude_each_other_are_told_and_not_counted(tmp_path: Path):
    layout = project(tmp_path, 'rules: ["price > 55", "price < 3"]')
    (mistake,), _ = checked(layout)
    assert mistake.startswith('rules of parcels: the rules "price > 55" and "price < 3" exclude each other')


def test_what_the_catalog_says_and_can_not_be_carried_is_noted_and_may_be_left_out(tmp_path: Path):
    more = ("ALTER TABLE parcels RENAME TO old", "CREATE TABLE parcels (id INTEGER PRIMARY KEY, order_id INTEGER, "
            "shipped DATE CHECK (shipped < today()), price INTEGER CHECK (price > 0))",
            "INSERT INTO parcels SELECT id, order_id, shipped, price FROM old", "DROP TABLE old")  # fmt: skip
    layout = project(tmp_path, "order_by: shipped", *more)
    mistakes, notes = checked(layout)
    assert mistakes == []
    assert notes == [
        "constraint parcels_shipped_check of parcels is not carried over: today gives another answer each time. What "
        "the twin must hold can be written under tables.parcels.rules in DuckDB's SQL"
    ]
    layout.pipeline_file("shop").write_text(PIPELINE.format(asks="checks: false"), encoding="utf-8")
    assert checked(layout) == ([], [])
