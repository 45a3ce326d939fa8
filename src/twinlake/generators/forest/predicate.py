"""A condition on the rows of one table as DuckDB reads it: what it asks of each column alone, and which rows hold it.

It is read by DuckDB and never by hand, so it means here what it means in any query.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.errors import GeneratorError, listed, nearest
from twinlake.schema import Table
from twinlake.sql import Node, UnreadableError, connection, operands, parsed, walk, written

_SELECT = "SELECT * FROM drawn WHERE "
_REFUSED = {
    "SUBQUERY": "it asks another query",
    "STAR": "it names columns by a star",
    "PARAMETER": "it has a parameter",
    "WINDOW": "it looks at other rows",
}
_CHANGING = frozenset(("random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "nextval", "setseed", "sleep_ms"))


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition in SQL.

    Attributes:
        text: the SQL.
        table: whose rows it is about.
        root: the condition as DuckDB's tree.
    """

    text: str
    table: Table
    root: Node = field(repr=False, compare=False)

    @classmethod
    def read(cls, text: str, table: Table) -> Self:
        """A predicate from SQL; raises GeneratorError where DuckDB can't read it, or it is more than a condition."""
        if not text.strip():
            raise GeneratorError("the predicate is empty", fix=_FIX)
        try:
            root = parsed(text)
        except UnreadableError as error:
            told = f"can't be read: {error}" if str(error) else "is more than a condition"
            raise GeneratorError(f'the predicate "{text}" {told}', fix=_FIX) from None
        made = cls(text, table, root)
        made._check()
        return made

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at, in the table's order."""
        return self._columns_of(self.root)

    @property
    def parts(self) -> tuple["Predicate", ...]:
        """The conditions that it joins by AND."""
        return tuple(self._part(node) for node in operands(self.root, "CONJUNCTION_AND"))

    def joined(self, others: Sequence["Predicate"]) -> "Predicate":
        """This and others, joined by AND."""
        return self._part(_joined([self.root, *(o.root for o in others)], "CONJUNCTION_AND"))

    def over(self, names: frozenset[str]) -> "Predicate | None":
        """The parts that look at no other columns; None where there are none."""
        mine = [p.root for p in self.parts if names.issuperset(p.columns)]
        return self._part(_joined(mine, "CONJUNCTION_AND")) if mine else None

    def about(self, column: str) -> "Predicate | None":
        """What it asks of one column whatever the others are; None where that is nothing."""
        node = self._about(self.root, column)
        return None if node is None else self._part(node)

    def holds(self, rows: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether each row satisfies it, shape (rows,); raises GeneratorError where it fails on a value."""
        with connection().cursor() as asked:
            asked.register("drawn", rows)
            try:
                found = asked.sql(f"SELECT coalesce(({self.text}\n), false) AS held FROM drawn").to_arrow_table()
            except duckdb.Error as error:
                raise GeneratorError(
                    f'the predicate "{self.text}" fails on some values: {type(error).__name__}',
                    fix="Where it casts, use TRY_CAST",
                ) from None
            finally:
                asked.unregister("drawn")
        return np.asarray(found["held"].to_numpy(), np.bool_)

    def constants(self, column: str) -> pa.Array:
        """The constants it names, and their negatives, as cells of a column, as far as they can be."""
        found = [n["literal"]["text"] for n in walk(self.root) if n["class"] == "CONSTANT" and "literal" in n]
        words = [w for word in found if isinstance(word, str) for w in (word, f"-{word}")]
        empty = self.table.select((column,)).arrow.empty_table()
        with connection().cursor() as asked:
            asked.register("drawn", empty)
            ((_, kind, *_),) = asked.sql("DESCRIBE SELECT * FROM drawn").fetchall()
            asked.register("words", pa.table({"word": pa.array(words, pa.string())}))
            try:
                cells = asked.sql(f"SELECT TRY_CAST(word AS {kind}) AS c FROM words").to_arrow_table()["c"]
                return cells.cast(empty.schema.field(0).type).combine_chunks().drop_null()
            except (duckdb.Error, pa.ArrowException):  # kinds that text is no constant of
                return empty.column(0).combine_chunks()
            finally:
                asked.unregister("drawn")
                asked.unregister("words")

    @property
    def is_plain(self) -> bool:
        """Whether it only compares columns with constants, so that constants are where its answer changes."""
        return all(n["class"] in _PLAIN for n in walk(self.root))

    def __str__(self) -> str:
        """The SQL without what surrounds it."""
        return self.text

    def _check(self) -> None:
        for node in walk(self.root):
            if node["class"] in _REFUSED:
                raise GeneratorError(f'the predicate "{self.text}" can\'t be used: {_REFUSED[node["class"]]}', fix=_FIX)
            if node["class"] == "FUNCTION" and node["function_name"].lower() in _CHANGING:
                told = f"{node['function_name']} gives another answer each time"
                raise GeneratorError(f'the predicate "{self.text}" can\'t be used: {told}')
        try:
            with connection().cursor() as asked:
                asked.register("drawn", _nulls(self.table))
                answer = asked.sql(f"SELECT ({self.text}\n) AS held FROM drawn")
                kind = str(answer.types[0])
                answer.fetchall()
                asked.sql(f"{_SELECT}({self.text}\n)").fetchall()
        except duckdb.Error as error:
            self._check_names()
            told = str(error).splitlines()[0]
            raise GeneratorError(f'the predicate "{self.text}" can\'t be read: {told}') from None
        if kind not in ("BOOLEAN", '"NULL"'):
            raise GeneratorError(f'the predicate "{self.text}" is neither true nor false', fix=_FIX)

    def _check_names(self) -> None:
        for node in walk(self.root):
            if node["class"] == "COLUMN_REF" and self._column(node) is None:
                name = node["column_names"][-1]
                raise GeneratorError(
                    f'the predicate "{self.text}" names a column {name} that table {self.table.name} does not have',
                    allowed=f"its columns are {listed(self.table.names)}",
                    fix=nearest(name, self.table.names) or "Text stands in single quotes",
                ) from None

    def _column(self, node: Node) -> str | None:
        told = {name.lower(): name for name in self.table.names}
        return next((told[n.lower()] for n in reversed(node["column_names"]) if n.lower() in told), None)

    def _columns_of(self, node: Node) -> tuple[str, ...]:
        found = {self._column(n) for n in walk(node) if n["class"] == "COLUMN_REF"}
        return tuple(name for name in self.table.names if name in found)

    def _about(self, node: Node, column: str) -> Node | None:
        """The strictest condition on one column that follows from a node of the tree, and can be had by AND and OR."""
        if self._columns_of(node) == (column,):
            return node
        if node["type"] == "CONJUNCTION_AND":
            found = [n for child in node["children"] if (n := self._about(child, column)) is not None]
            return _joined(found, "CONJUNCTION_AND") if found else None
        if node["type"] == "CONJUNCTION_OR":
            each = [self._about(child, column) for child in node["children"]]
            known = [n for n in each if n is not None]
            return _joined(known, "CONJUNCTION_OR") if len(known) == len(each) else None
        return None

    def _part(self, node: Node) -> "Predicate":
        return Predicate(_sql(node), self.table, node)


_PLAIN = frozenset(("COLUMN_REF", "CONSTANT", "COMPARISON", "BETWEEN", "CONJUNCTION", "CAST", "OPERATOR"))
_FIX = "A predicate is a condition such as \"age < 30 AND city IN ('Bern', 'Basel')\""


def _sql(node: Node) -> str:
    """A condition as SQL, without the brackets that DuckDB writes around it."""
    text = written(node)
    return text[1:-1] if text.startswith("(") and text.endswith(")") and _closes_last(text) else text


def _closes_last(text: str) -> bool:
    """Whether the bracket that opens a text closes at its end."""
    depth, quoted = 0, False
    for at, sign in enumerate(text):
        quoted ^= sign == "'"
        depth += 0 if quoted else (sign == "(") - (sign == ")")
        if depth == 0:
            return at == len(text) - 1
    return False


def _nulls(table: Table) -> pa.Table:
    """One row in which nothing is known: it shows what a predicate that can be read fails on by itself."""
    return pa.table([pa.nulls(1, column.type) for column in table.columns], names=list(table.names))


def _joined(nodes: list[Node], kind: str) -> Node:
    if len(nodes) == 1:
        return nodes[0]
    place = {"query_location": 0, "query_location_length": 0}
    return {"class": "CONJUNCTION", "type": kind, "alias": "", **place, "children": nodes}
