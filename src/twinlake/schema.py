"""What tables there are: columns, keys, references. A leaf: plain frozen values that refuse to be wrong.

Names are the source's own, whatever they hold: spaces, quotes, unicode, SQL keywords.
"""

import hashlib
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
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


@dataclass(frozen=True, slots=True)
class Reference:
    """Columns that point to the key of a table: `columns -> table(to)`; null in any column points nowhere."""

    columns: tuple[str, ...]
    table: str
    to: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse sides of different length."""
        if not self.columns or len(self.columns) != len(self.to):
            raise ValueError(f"reference {self}: both sides need the same number of columns")

    def __str__(self) -> str:
        """`a, b -> table(x, y)`."""
        return f"{', '.join(self.columns)} -> {self.table}({', '.join(self.to)})"

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return {"columns": list(self.columns), "table": self.table, "to": list(self.to)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The reference that `to_json` wrote."""
        return cls(tuple(data["columns"]), data["table"], tuple(data["to"]))


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns in order, its key (may be empty, may be composite), its references.

    Attributes:
        order_by: the column that orders the rows of one parent, or None.
        public: whether its rows are common knowledge (a lookup list) and are carried over as they are.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    order_by: str | None = None
    public: bool = False

    def __post_init__(self) -> None:
        """Refuse names that are used twice or are not there."""
        names = [c.name for c in self.columns]
        if len(set(names)) != len(names):
            raise DataError(f"two columns of table {self.name} have the same name")
        used = [*self.key, *(c for r in self.references for c in r.columns), *filter(None, [self.order_by])]
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
        """The same table with only these columns, and the key and references that they still hold."""
        kept = set(names)
        return replace(
            self,
            columns=tuple(c for c in self.columns if c.name in kept),
            key=self.key if kept.issuperset(self.key) else (),
            references=tuple(r for r in self.references if kept.issuperset(r.columns)),
            order_by=self.order_by if self.order_by in kept else None,
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
        graph = {t.name: {r.table for r in t.references if r.table != t.name} for t in self.tables}
        try:
            return tuple(self[n] for n in TopologicalSorter(graph).static_order())
        except CycleError:
            return self._ordered_without_nullable()

    def _ordered_without_nullable(self) -> tuple[Table, ...]:
        graph = {
            t.name: {r.table for r in t.references if r.table != t.name and not self.is_nullable(t, r)}
            for t in self.tables
        }
        try:
            return tuple(self[n] for n in TopologicalSorter(graph).static_order())
        except CycleError as error:
            cycle = " -> ".join(error.args[1])
            raise DataError(
                f"tables refer to each other in a circle: {cycle}",
                allowed="a circle needs one reference that may be null",
                fix="Leave one of these references out of the pipeline file",
            ) from None

    @staticmethod
    def is_nullable(table: Table, reference: Reference) -> bool:
        """Whether a row of `table` may point nowhere by `reference`."""
        return any(table[c].nullable for c in reference.columns)

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


def _missing(name: str) -> Any:  # noqa: ANN401 - never returns
    raise KeyError(name)


def _table_to_json(table: Table) -> dict[str, Any]:
    return {
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
    )


def _column_from_json(data: Mapping[str, Any]) -> Column:
    labels = data["labels"]
    return Column(**{**data, "type": parse_type(data["type"]), "kind": Kind(data["kind"]),
                     "labels": None if labels is None else tuple(labels)})  # fmt: skip
