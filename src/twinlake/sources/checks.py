"""CHECK constraints of a catalog as rules: what DuckDB can't hold rows to, or no longer can, is told and left out.

PostgreSQL writes its constraints in its own SQL. DuckDB reads most of that as it is; the rest is put differently here:
lists as PostgreSQL keeps them (`= ANY (ARRAY[...])`), casts of constants to types that only PostgreSQL has, and NUMERIC
without a scale, which DuckDB would cut to three digits.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from twinlake.errors import DataError
from twinlake.rules import bind, make_rule, reading, tree
from twinlake.schema import Column, Origin, Rule, Table
from twinlake.sql import Node, walk, written
from twinlake.types import ENUM

_ORDERING = frozenset((
    "COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_BETWEEN",
))  # fmt: skip
_SHARED = frozenset((
    "bigint", "boolean", "date", "double", "float", "integer", "interval", "real", "smallint", "text", "time",
    "timestamp", "timestamp with time zone", "timestamptz", "uuid", "varchar",
))  # fmt: skip
_DOUBLE = {"type_name": "DOUBLE", "qualified_name": {"path": ["DOUBLE"]}}


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK constraint as a catalog writes it.

    Attributes:
        subject: the column that `VALUE` stands for, where the constraint is a domain's.
        foreign: whether it is in PostgreSQL's SQL rather than DuckDB's.
        valid: whether the database has held all its rows to it.
    """

    name: str
    sql: str
    subject: str | None = None
    foreign: bool = False
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Lost:
    """A CHECK constraint that is not carried over, and why."""

    table: str
    name: str
    why: str

    def __str__(self) -> str:
        """A sentence with the way out."""
        return (
            f"constraint {self.name} of {self.table} is not carried over: {self.why}. "
            f"What the twin must hold can be written under tables.{self.table}.rules in DuckDB's SQL"
        )


def rules(checks: Iterable[Check], table: Table, without: Collection[str]) -> tuple[tuple[Rule, ...], tuple[Lost, ...]]:
    """The checks of a table as rules, and those that can't be.

    Args:
        checks: in the catalog's order.
        table: with the columns that are taken.
        without: its columns that are left out.
    """
    made: list[Rule] = []
    lost: list[Lost] = []
    for check in checks:
        try:
            made.append(_rule(check, table, without))
        except DataError as error:
            lost.append(Lost(table.name, check.name, _why(error)))
    return tuple(made), tuple(lost)


def _rule(check: Check, table: Table, without: Collection[str]) -> Rule:
    if not check.valid:
        raise DataError("the database itself has not held old rows to it (NOT VALID)")
    root = tree(check.sql)
    for node in walk(root):
        _renamed(node, check)
    for node in list(walk(root)) if check.foreign else ():
        _plain(node, table)
    if gone := [n["column_names"][-1] for n in walk(root) if _is_column(n) and n["column_names"][-1] in without]:
        raise DataError(f"column {gone[0]} is left out")
    rule = make_rule(written(root), table, {}, origin=Origin.CATALOG, name=check.name)
    read = reading(rule, table)
    columns = [table[name] for _, name in read.cells]
    _refuse_order_of_labels(read.root, columns)
    bind(read, [column.type for column in columns])
    return rule


def _is_column(node: Node) -> bool:
    return bool(node["class"] == "COLUMN_REF")


def _renamed(node: Node, check: Check) -> None:
    if check.subject is not None and _is_column(node) and [n.lower() for n in node["column_names"]] == ["value"]:
        node["column_names"] = [check.subject]


def _plain(node: Node, table: Table) -> None:
    """One of PostgreSQL's expressions as DuckDB means it; refuses what DuckDB would understand otherwise."""
    if node["class"] == "FUNCTION" and node["function_name"] == "/":
        raise DataError("PostgreSQL divides whole numbers without a rest, and DuckDB does not")
    if node["class"] != "CAST":
        return
    child, kind = node["child"], str(node["type_expr"]["type_name"]).lower()
    if _is_needless(child, kind, table):
        node.clear()
        node.update(child)
    elif kind in ("decimal", "numeric") and not node["type_expr"]["children"]:
        node["type_expr"].update(_DOUBLE)


def _is_needless(child: Node, kind: str, table: Table) -> bool:
    """Whether a cast says what the value is anyway, or what only PostgreSQL knows."""
    text = kind in ("text", "varchar")
    if child["class"] == "CONSTANT":
        return text or kind not in _SHARED or child["literal"]["kind"] != "STRING"
    names = child["column_names"] if _is_column(child) else [""]
    return text and any(c.name == names[-1] and c.type in (pa.string(), ENUM) for c in table.columns)


def _refuse_order_of_labels(root: Node, columns: Sequence[Column]) -> None:
    """An enum is ordered as it is declared, and its labels here as text."""
    for node in walk(root):
        if node["type"] in _ORDERING:
            named = [int(n["column_names"][0][1:]) for n in walk(node) if _is_column(n)]
            if enums := [columns[i].name for i in named if columns[i].labels is not None]:
                raise DataError(f"it goes by the order of the labels of {enums[0]}")


def _why(error: DataError) -> str:
    """The reason without the rule, which the constraint's name tells."""
    told = error.what.rpartition("can't be used: ")[2]
    return told if len(told) < len(error.what) or "rule" not in told else "DuckDB can't read it"
