"""What tables there are: columns, keys, references. A leaf: plain frozen values that refuse to be wrong.

Names are the source's own, whatever they hold: spaces, quotes, unicode, SQL keywords.
"""

import hashlib
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any, Self

import pyarrow as pa

from twinlake.errors import DataError, listed, nearest
from twinlake.types import is_discrete, parse_type, type_name


class Kind(StrEnum):
    """How a column's values are treated. Keys and references are told from the table, not from here."""

    AUTO = "auto"  # decided from type and values when a generator learns
    NUMBER = "number"  # a quantity, a date or a time: learnt as a distribution
    CATEGORY = "category"  # a label: replayed where enough units hold it
    TEXT = "text"  # free text: only its shape is learnt
    PERSONAL = "personal"  # never learnt, filled by a provider


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, Arrow type, whether null is allowed, and how its values are treated.

    Attributes:
        labels: all labels of an enum in their declared order; part of the schema, hence public.
        provider: what a personal column is filled with (`email`, `full_name` ...); None for the others.
        public: whether every value may be shown, however rare (a declared domain such as country codes).
        native: the source's own name of the type, for people.
    """

    name: str
    type: pa.DataType
    nullable: bool = True
    kind: Kind = Kind.AUTO
    labels: tuple[str, ...] | None = None
    provider: str | None = None
    public: bool = False
    native: str = ""

    def __post_init__(self) -> None:
        """Refuse a provider on a column that is learnt, and a type that can't be carried."""
        if (self.kind is Kind.PERSONAL) != (self.provider is not None):
            raise ValueError(f"column {self.name}: a provider goes with kind personal, and only with it")
        type_name(self.type)

    @property
    def is_discrete(self) -> bool:
        """Whether its values are labels rather than quantities."""
        return self.kind in (Kind.CATEGORY, Kind.TEXT) or (self.kind is not Kind.NUMBER and is_discrete(self.type))


class Orphans(StrEnum):
    """What becomes of real rows that point to a row which is not there."""

    REFUSE = "refuse"  # nothing runs until somebody has decided
    DROP = "drop"  # left out, with all that refer to them
    NULL = "null"  # their reference is emptied
    KEEP = "keep"  # stay as they are; the twin has such rows too


@dataclass(frozen=True, slots=True)
class Reference:
    """Columns that point to the key of a table: `columns -> table(to)`; null in any column points nowhere.

    Attributes:
        orphans: what becomes of rows that point to no row. With `keep`, and only then, a twin has such rows.
    """

    columns: tuple[str, ...]
    table: str
    to: tuple[str, ...]
    orphans: Orphans = Orphans.REFUSE

    def __post_init__(self) -> None:
        """Refuse sides of different length."""
        if not self.columns or len(self.columns) != len(self.to):
            raise ValueError(f"reference {self}: both sides need the same number of columns")

    def __str__(self) -> str:
        """`a, b -> table(x, y)`."""
        return f"{', '.join(self.columns)} -> {self.table}({', '.join(self.to)})"

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        said = {} if self.orphans is Orphans.REFUSE else {"orphans": self.orphans.value}
        return {"columns": list(self.columns), "table": self.table, "to": list(self.to), **said}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The reference that `to_json` wrote."""
        return cls(tuple(data["columns"]), data["table"], tuple(data["to"]), Orphans(data.get("orphans", "refuse")))


class Origin(StrEnum):
    """Where a rule is written."""

    CATALOG = "catalog"  # a CHECK constraint of the source
    FILE = "file"  # the pipeline file


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that no row may make false, in DuckDB's SQL, over a row and the rows it refers to.

    Attributes:
        name: of the constraint; the SQL where it has none.
        columns: of the row: those it looks at, and those of the references it follows; in the table's order.
        parents: (prefix, column) of what it looks at in parents; `rules.prefixes` tells which parent has which prefix.
    """

    name: str
    sql: str
    origin: Origin
    columns: tuple[str, ...] = ()
    parents: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """The SQL, after the constraint's name where it has one."""
        return self.sql if self.name == self.sql else f"{self.name}: {self.sql}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        own = {"name": self.name, "sql": self.sql, "origin": self.origin.value}
        return {**own, "columns": list(self.columns), "parents": [list(p) for p in self.parents]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The rule that `to_json` wrote."""
        parents = tuple((prefix, column) for prefix, column in data["parents"])
        return cls(data["name"], data["sql"], Origin(data["origin"]), tuple(data["columns"]), parents)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns in order, its key (may be empty, may be composite), its references.

    Attributes:
        order_by: the column that orders the rows of one parent, or None.
        public: whether its rows are common knowledge (a lookup list) and are carried over as they are.
        unique: columns, beside the key, that no two rows share; rows with a null among them are no repeats.
        rules: conditions that every row holds.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    order_by: str | None = None
    public: bool = False
    unique: tuple[tuple[str, ...], ...] = ()
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that are used twice or are not there."""
        names = [c.name for c in self.columns]
        if len(set(names)) != len(names):
            raise DataError(f"two columns of table {self.name} have the same name")
        used = [*self.key, *(c for r in self.references for c in r.columns), *filter(None, [self.order_by])]
        used += [*(c for u in self.unique for c in u), *(c for r in self.rules for c in r.columns)]
        for name in used:
            if name not in names:
                raise DataError(
                    f"table {self.name} has no column {name}",
                    allowed=f"it has {listed(names)}",
                    fix=nearest(name, names),
                )

    def __getitem__(self, name: str) -> Column:
        """The column of that name; raises KeyError."""
        return next((c for c in self.columns if c.name == name), None) or _missing(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Columns of the key and of references, in column order; none of them is judged."""
        used = {*self.key, *(c for r in self.references for c in r.columns)}
        return tuple(n for n in self.names if n in used)

    @property
    def personal(self) -> tuple[str, ...]:
        """Personal columns that are no identifiers."""
        return tuple(c.name for c in self.columns if c.kind is Kind.PERSONAL and c.name not in self.identifiers)

    @property
    def learnt(self) -> tuple[str, ...]:
        """Columns that are learnt and judged: neither identifiers nor personal."""
        made = {*self.identifiers, *self.personal}
        return tuple(n for n in self.names if n not in made)

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema: names, types, nullability; no metadata."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    def select(self, names: tuple[str, ...]) -> Self:
        """The same table with only these columns, and the key, references and rules that they still hold."""
        kept = set(names)
        return replace(
            self,
            columns=tuple(c for c in self.columns if c.name in kept),
            key=self.key if kept.issuperset(self.key) else (),
            references=tuple(r for r in self.references if kept.issuperset(r.columns)),
            order_by=self.order_by if self.order_by in kept else None,
            unique=tuple(u for u in self.unique if kept.issuperset(u)),
            rules=tuple(r for r in self.rules if kept.issuperset(r.columns)),
        )


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables by name, in the source's order; every reference points to a table and columns that are there."""

    tables: tuple[Table, ...]

    def __post_init__(self) -> None:
        """Refuse references to what is not there."""
        for table in self.tables:
            for reference in table.references:
                self._check(table, reference)

    def _check(self, table: Table, reference: Reference) -> None:
        where, names = f"reference {table.name}: {reference}", self.names
        if reference.table not in names:
            fix = nearest(reference.table, names)
            raise DataError(
                f"there is no table {reference.table}", where=where, allowed=f"tables are {listed(names)}", fix=fix
            )
        there = self[reference.table].names
        for name in (n for n in reference.to if n not in there):
            fix = nearest(name, there)
            raise DataError(
                f"{reference.table} has no column {name}", where=where, allowed=f"it has {listed(there)}", fix=fix
            )

    def __getitem__(self, name: str) -> Table:
        """The table of that name; raises KeyError."""
        return next((t for t in self.tables if t.name == name), None) or _missing(name)

    def __iter__(self) -> Iterator[Table]:
        """Tables in the source's order."""
        return iter(self.tables)

    @property
    def names(self) -> tuple[str, ...]:
        """Table names in the source's order."""
        return tuple(t.name for t in self.tables)

    def ordered(self) -> tuple[Table, ...]:
        """Tables so that each comes after those it refers to; in a circle, nullable references are cut.

        Raises DataError where a cycle has no nullable reference.
        """
        try:
            return self._sorted({t.name: [r for r in t.references if r.table != t.name] for t in self.tables})
        except CycleError:
            return self._ordered_without_nullable()

    def _ordered_without_nullable(self) -> tuple[Table, ...]:
        firm = {
            t.name: [r for r in t.references if r.table != t.name and not self.is_nullable(t, r)] for t in self.tables
        }
        try:
            return self._sorted(firm)
        except CycleError as error:
            cycle = list(reversed(error.args[1]))  # each table there comes before the one that refers to it
            raise DataError(
                f"tables refer to each other in a circle: {' -> '.join(cycle)}",
                allowed=f"one of these references has to allow null: {listed(_steps(cycle, firm))}",
                fix="Allow null in the source, or leave one of them out of the pipeline file",
            ) from None

    def _sorted(self, references: Mapping[str, list[Reference]]) -> tuple[Table, ...]:
        """Tables after those that their references lead to; raises CycleError."""
        before = {name: dict.fromkeys(r.table for r in found) for name, found in references.items()}  # no set: in order
        return tuple(self[n] for n in TopologicalSorter(before).static_order())

    @staticmethod
    def is_nullable(table: Table, reference: Reference) -> bool:
        """Whether a row of `table` may point nowhere by `reference`."""
        return any(table[c].nullable for c in reference.columns)

    def blanks(self, table: Table, reference: Reference) -> tuple[str, ...]:
        """The columns of a reference that are emptied so that a row points nowhere by it; none where that can't be.

        A column that may not be null, or that others refer to, keeps its value; one that also serves another reference
        keeps it where a column of this one alone can go.
        """
        needed = {*table.key, *(c for t in self for r in t.references if r.table == table.name for c in r.to)}
        free = [c for c in dict.fromkeys(reference.columns) if table[c].nullable and c not in needed]
        shared = {c for r in table.references if r != reference for c in r.columns}
        return tuple(c for c in free if c not in shared) or tuple(free)

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`; types as text."""
        return {"tables": [_table_to_json(t) for t in self.tables]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The schema that `to_json` wrote."""
        return cls(tuple(_table_from_json(t) for t in data["tables"]))


def path_name(name: str) -> str:
    """A table's name as one safe folder name, the same for the same name; plain names stay as they are."""
    quoted = urllib.parse.quote(name, safe=" ")
    quoted = quoted.replace(".", "%2E") if quoted.startswith(".") else quoted
    if len(quoted) <= 120:
        return quoted
    return f"{quoted[:100]}~{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"


def quoted(name: str) -> str:
    """A name as an SQL identifier, for DuckDB and PostgreSQL alike."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal, for DuckDB and PostgreSQL alike."""
    return "'" + text.replace("'", "''") + "'"


def _steps(cycle: list[str], references: Mapping[str, list[Reference]]) -> list[str]:
    """The references of a circle of tables, each after its table's name."""
    return [f"{name}: {r}" for name, to in pairwise(cycle) for r in references[name] if r.table == to]


def _missing(name: str) -> Any:  # noqa: ANN401 - never returns
    raise KeyError(name)


def _table_to_json(table: Table) -> dict[str, Any]:
    laws = {"unique": [list(u) for u in table.unique], "rules": [r.to_json() for r in table.rules]}
    return {
        **{name: law for name, law in laws.items() if law},  # a schema without any is written as it always was
        "name": table.name,
        "key": list(table.key),
        "references": [r.to_json() for r in table.references],
        "order_by": table.order_by,
        "public": table.public,
        "columns": [_column_to_json(c) for c in table.columns],
    }


def _column_to_json(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": type_name(column.type),
        "nullable": column.nullable,
        "kind": column.kind.value,
        "labels": None if column.labels is None else list(column.labels),
        "provider": column.provider,
        "public": column.public,
        "native": column.native,
    }


def _table_from_json(data: Mapping[str, Any]) -> Table:
    return Table(
        name=data["name"],
        key=tuple(data["key"]),
        references=tuple(Reference.from_json(r) for r in data["references"]),
        order_by=data["order_by"],
        public=data["public"],
        columns=tuple(_column_from_json(c) for c in data["columns"]),
        unique=tuple(tuple(u) for u in data.get("unique", ())),
        rules=tuple(Rule.from_json(r) for r in data.get("rules", ())),
    )


def _column_from_json(data: Mapping[str, Any]) -> Column:
    labels = data["labels"]
    return Column(**{**data, "type": parse_type(data["type"]), "kind": Kind(data["kind"]),
                     "labels": None if labels is None else tuple(labels)})  # fmt: skip
