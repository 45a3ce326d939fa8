"""Business rules in SQL: what a rule looks at, and which rows break it.

DuckDB reads them, here and everywhere, so a rule means what it means in a query. As with SQL's own CHECK constraints,
a row breaks a rule where it is false; where nulls make it null, the row holds it. Where a rule can't be worked out on
a row, as a cast that fails, the row breaks it.

A rule looks at one row and at its parents: `shipped >= orders.ordered`. How rows come to hold rules is not told here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.errors import DataError, listed, nearest
from twinlake.joining import Keys
from twinlake.schema import Origin, Reference, Rule, Schema, Table, quoted
from twinlake.sql import Node, UnreadableError, connection, operands, parsed, walk, written

if TYPE_CHECKING:
    import duckdb

Cell = tuple[str, str]
"""A column as a rule names it: the prefix of the parent, empty for the row itself, and the column."""

Mask = npt.NDArray[np.bool_]

_PLACE = {"query_location": 0, "query_location_length": 0}
_REFUSED = {
    "SUBQUERY": "it asks another query",
    "STAR": "it names columns by a star",
    "PARAMETER": "it has a parameter",
    "WINDOW": "it looks at other rows",
    "LAMBDA": "it has a function of its own",
}
_CLOCKS = frozenset(("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"))
_FIX = 'A rule is a condition on one row, such as "age >= 18" or "shipped >= orders.ordered"'


@dataclass(frozen=True, slots=True)
class Reading:
    """A rule as DuckDB reads it.

    Attributes:
        sql: as it was written.
        cells: the columns it looks at, by first appearance.
        root: the condition as DuckDB's tree, in which `c0` stands for the first of the cells, and so on.
    """

    sql: str
    cells: tuple[Cell, ...]
    root: Node = field(repr=False, compare=False)

    @property
    def parts(self) -> tuple[Node, ...]:
        """The conditions that it joins by AND."""
        return tuple(operands(self.root, "CONJUNCTION_AND"))

    def named(self, node: Node) -> tuple[Cell, ...]:
        """The columns a part of the tree looks at, by first appearance."""
        places = [int(n["column_names"][0][1:]) for n in walk(node) if n["class"] == "COLUMN_REF"]
        return tuple(self.cells[i] for i in dict.fromkeys(places))

    def flat(self, rows: pa.Table, parents: Mapping[str, pa.Table]) -> pa.Table:
        """Its cells as columns `c0`, `c1` …, one row for each of `rows`."""
        columns = [(parents[prefix] if prefix else rows)[name] for prefix, name in self.cells]
        return _lettered(columns, rows.num_rows)

    def broken(self, rows: pa.Table, parents: Mapping[str, pa.Table]) -> Mask:
        """Which rows break it, shape (rows,); `parents` has, for each prefix, a row for each of `rows`."""
        return unheld([self.root], self.flat(rows, parents))[0]


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """The rows that a reference points to.

    Attributes:
        keys: how they are found.
        cells: the columns asked for, a row for each row of the parent table.
    """

    keys: Keys
    cells: pa.Table

    @classmethod
    def of(cls, reference: Reference, parents: pa.Table, columns: Sequence[str]) -> Self:
        """Some columns of all rows of a table that a reference points to."""
        return cls(Keys.of(parents, reference), parents.select(list(columns)))

    def beside(self, rows: pa.Table) -> pa.Table:
        """The row that each row points to, all null where it points to none; one for each of `rows`."""
        at = self.keys.find(rows)
        return self.cells.take(pa.array(at, mask=at < 0))


def prefixes(table: Table) -> dict[str, Reference]:
    """How a rule of this table names the rows it refers to, and by which reference.

    A parent goes by its table's name; where several references lead to it, or to the table itself, each goes by its
    first column, or by all of them (`"a, b"`) where that is not enough.
    """
    found: dict[str, Reference] = {}
    for reference in table.references:
        alike = [r for r in table.references if r.table == reference.table]
        firsts = [r for r in alike if r.columns[0] == reference.columns[0]]
        by_name = len(alike) == 1 and reference.table != table.name
        own = reference.columns[0] if len(firsts) == 1 else ", ".join(reference.columns)
        found.setdefault(reference.table if by_name else own, reference)
    return found


def make_rule(sql: str, table: Table, parents: Mapping[str, Sequence[str]], *, origin: Origin, name: str = "") -> Rule:
    """A rule of a table from SQL.

    Args:
        sql: the condition.
        table: whose rows it is about.
        parents: the columns of the parents, by prefix.
        origin: where it is written.
        name: of the constraint; the SQL where it has none.

    Raises:
        DataError: where DuckDB can't read it, it is more than a condition on a row and its parents, or names what is
            not there.
    """
    cells = read_rule(sql, table.name, table.names, tuple((p, tuple(c)) for p, c in parents.items())).cells
    references = prefixes(table)
    used = [c for p, n in cells for c in ((n,) if not p else references[p].columns)]
    columns = tuple(n for n in table.names if n in used)
    return Rule(name or sql, sql, origin, columns, tuple(dict.fromkeys(c for c in cells if c[0])))


def reading(rule: Rule, table: Table) -> Reading:
    """A table's rule as DuckDB reads it."""
    parents = needed([rule])
    return read_rule(rule.sql, table.name, table.names, tuple(parents.items()))


def needed(rules: Iterable[Rule]) -> dict[str, tuple[str, ...]]:
    """The columns of parents that rules look at, by prefix."""
    found: dict[str, dict[str, None]] = {}
    for prefix, column in (cell for rule in rules for cell in rule.parents):
        found.setdefault(prefix, {})[column] = None
    return {prefix: tuple(columns) for prefix, columns in found.items()}


def parent_columns(schema: Schema, table: Table) -> dict[str, tuple[str, ...]]:
    """The columns of the parents of a table's rows, by prefix."""
    return {prefix: schema[reference.table].names for prefix, reference in prefixes(table).items()}


def check_types(rule: Rule, schema: Schema, table: Table) -> None:
    """Raise DataError where a rule does not suit the types of its columns, or is no condition."""
    read, references = reading(rule, table), prefixes(table)
    types = [(schema[references[p].table] if p else table)[name].type for p, name in read.cells]
    bind(read, types)


def bind(read: Reading, types: Sequence[pa.DataType]) -> None:
    """Raise DataError where a rule can't be worked out on cells of these types, or gives no truth value."""
    import duckdb

    one = _lettered([pa.nulls(1, t) for t in types], 1)
    try:
        with _registered(one) as connection:
            answer = connection.sql(f"SELECT ({written(read.root)}) AS held FROM cells")
            kind = str(answer.types[0])
            answer.fetchall()
    except duckdb.Error as error:
        told = _readable(str(error), read)
        raise DataError(f'the rule "{read.sql}" can\'t be used: {told}', fix=_FIX) from None
    if kind not in ("BOOLEAN", '"NULL"'):
        raise DataError(f'the rule "{read.sql}" is neither true nor false', fix=_FIX)


@lru_cache(maxsize=4096)
def read_rule(sql: str, table: str, own: tuple[str, ...], parents: tuple[tuple[str, tuple[str, ...]], ...]) -> Reading:
    """A rule of a table with these columns, whose parents have those; raises DataError, see `make_rule`."""
    root = parse(sql)
    scope = dict(parents)
    cells: dict[Cell, int] = {}
    for node in walk(root):
        if node["class"] == "COLUMN_REF":
            cell = _cell(node["column_names"], sql, table, own, scope)
            node["column_names"] = [f"c{cells.setdefault(cell, len(cells))}"]
    return Reading(sql, tuple(cells), root)


def parse(sql: str) -> Node:
    """A condition as DuckDB's tree; raises DataError where it can't be read or looks at more than a row."""
    root = tree(sql)
    for node in walk(root):
        if why := _refusal(node):
            raise DataError(f'the rule "{sql}" can\'t be used: {why}', fix=_FIX)
    return root


def tree(sql: str) -> Node:
    """Any condition as DuckDB's tree, `= ANY (ARRAY[...])` as the list it is; raises DataError for anything else."""
    if not sql.strip():
        raise DataError("a rule is empty", fix=_FIX)
    try:
        root = parsed(sql)
    except UnreadableError as error:
        if not (told := str(error)):
            raise DataError(f'the rule "{sql}" is more than a condition', fix=_FIX) from None
        fix = f"{_FIX}; names that are words of SQL stand in double quotes"
        raise DataError(f'the rule "{sql}" can\'t be read: {told.splitlines()[0]}', fix=fix) from None
    for node in list(walk(root)):
        if (members := _members(node)) is not None:
            listing = [node["child"], *members]
            node.clear()
            node.update({"class": "OPERATOR", "type": "COMPARE_IN", "alias": "", **_PLACE, "children": listing})
    return root


def unheld(conditions: Sequence[Node], cells: pa.Table) -> list[Mask]:
    """For each condition, which rows of `cells` make it false or fail; a mask of shape (rows,) each."""
    asked = [f"coalesce(TRY(({written(c)}) IS NOT FALSE), false)" for c in conditions]
    return [~np.asarray(held.to_numpy(), np.bool_) for held in values(asked, cells)]


def values(expressions: Sequence[str], cells: pa.Table) -> list[pa.ChunkedArray]:
    """What SQL expressions give on each row of `cells`, in the order of the rows."""
    listing = ", ".join(f"{e} AS {quoted(str(i))}" for i, e in enumerate(expressions))
    with _registered(cells) as connection:
        found = connection.sql(f"SELECT {listing} FROM cells").to_arrow_table()
    return [found[str(i)] for i in range(len(expressions))]


def _members(node: Node) -> list[Node] | None:
    """What is in the list of `x = ANY (ARRAY[...])`; None for any other expression."""
    if node["class"] != "SUBQUERY" or node["subquery_type"] != "ANY" or node["comparison_type"] != "COMPARE_EQUAL":
        return None
    select = node["subquery"]["node"]
    (chosen, *others) = select["select_list"]
    if others or select["from_table"]["type"] != "EMPTY" or chosen.get("function_name") != "unnest":
        return None
    array = chosen["arguments"][0]["expression"]
    array = array["child"] if array["class"] == "CAST" else array
    return list(array["children"]) if array["type"] == "ARRAY_CONSTRUCTOR" else None


class _registered:  # noqa: N801 - read as a verb in `with`
    """A connection on which `cells` is a table."""

    def __init__(self, cells: pa.Table) -> None:
        self._cells = cells
        self._connection = connection().cursor()

    def __enter__(self) -> "duckdb.DuckDBPyConnection":
        self._connection.register("cells", self._cells)
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


@lru_cache(maxsize=1)
def _functions() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """The kinds and stabilities of DuckDB's functions, by name."""
    sql = "SELECT lower(function_name), list(DISTINCT function_type), list(DISTINCT stability) FROM duckdb_functions()"
    with connection().cursor() as asked:
        found = asked.execute(f"{sql} GROUP BY ALL").fetchall()
    return {name: (frozenset(kinds), frozenset(s or "" for s in stable)) for name, kinds, stable in found}


def _refusal(node: Node) -> str:
    """Why an expression can't stand in a rule; empty where it can."""
    if node["class"] in _REFUSED:
        return _REFUSED[node["class"]]
    if node["class"] != "FUNCTION":
        return ""
    name = node["function_name"].lower()
    kinds, stable = _functions().get(name, (frozenset(), frozenset()))
    if kinds and kinds <= {"aggregate", "window"}:
        return f"{name} looks at other rows"
    if "VOLATILE" in stable or "CONSISTENT_WITHIN_QUERY" in stable:
        return f"{name} gives another answer each time"
    return ""


def _cell(names: list[str], sql: str, table: str, own: tuple[str, ...], scope: Mapping[str, tuple[str, ...]]) -> Cell:
    """The column that a rule names."""
    prefix, name = names[-2] if len(names) > 1 else "", names[-1]
    if not prefix and name.lower() in _CLOCKS and not _like(name, own):
        raise DataError(f'the rule "{sql}" can\'t be used: {name} gives another answer each time', fix=_FIX)
    parent = _like(prefix, scope) if prefix else None
    if prefix and parent is None and prefix.lower() != table.lower():
        known = [table, *scope]
        raise DataError(
            f'the rule "{sql}" names {prefix}.{name}, and {prefix} is no parent of {table}',
            allowed=f"columns of the row stand alone, those of parents after {listed(scope)}" if scope
            else f"{table} has no references, so a rule looks at its own columns",
            fix=nearest(prefix, known),
        )  # fmt: skip
    columns = own if parent is None else scope[parent]
    found = _like(name, columns)
    if found is None:
        whose = f"table {table}" if parent is None else f"{parent}"
        raise DataError(
            f'the rule "{sql}" names a column {name} that {whose} does not have',
            allowed=f"its columns are {listed(columns)}",
            fix=nearest(name, columns) or "Text stands in single quotes",
        )
    return parent or "", found


def _like(name: str, names: Iterable[str]) -> str | None:
    """The name that is meant: the same, else the same but for its case, as in SQL."""
    known = list(names)
    return name if name in known else next((n for n in known if n.lower() == name.lower()), None)


def _lettered(columns: Sequence[pa.ChunkedArray | pa.Array], rows: int) -> pa.Table:
    named = {f"c{i}": column for i, column in enumerate(columns)}
    return pa.table({"rows": pa.nulls(rows, pa.bool_()), **named})  # a rule may look at no column at all


def _readable(text: str, read: Reading) -> str:
    """The first line of DuckDB's sentence, with columns as the rule names them."""
    told = text.splitlines()[0]
    for i, (prefix, name) in reversed(list(enumerate(read.cells))):
        told = told.replace(f'"c{i}"', f"{prefix}.{name}" if prefix else name)
    return told
