"""DuckDB files as a source: opened read-only, types and constraints from DuckDB's own catalog."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

import duckdb
import pyarrow as pa

from twinlake.errors import SourceError
from twinlake.schema import Reference, Schema, literal, quoted
from twinlake.sources.catalog import Listed, Listing, assemble, choose, lost_checks, uncarried
from twinlake.sources.checks import Check, Lost
from twinlake.sources.engine import DuckReading, engine
from twinlake.types import ENUM

TYPES: dict[str, pa.DataType] = {
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(),
    "HUGEINT": pa.decimal128(38, 0),  # what sum() gives; a value of 39 digits is refused when read
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP_S": pa.timestamp("s"),
    "TIMESTAMP_MS": pa.timestamp("ms"),
    "TIMESTAMP_NS": pa.timestamp("ns"),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
    "VARCHAR": pa.string(),
    "UUID": pa.uuid(),
    "JSON": pa.json_(),
    "BLOB": pa.binary(),
}


@dataclass(frozen=True, slots=True)
class DuckDBSource:
    """The tables of one schema of a DuckDB file."""

    label: str
    path: Path
    place: str = "main"
    scratch: Path | None = None

    @classmethod
    def at(cls, rest: str, *, root: Path, scratch: Path | None = None) -> Self:
        """The source at `///relative.duckdb[?schema=name]` or `////absolute.duckdb`: the URL after `duckdb:`."""
        address, _, query = rest.partition("?")
        if not address.startswith("///") or address == "///":
            raise SourceError(
                "a DuckDB source needs three slashes and a file",
                where="source",
                allowed="write duckdb:///relative.duckdb or duckdb:////absolute.duckdb",
            )
        place = parse_qs(query).get("schema", ["main"])[0]
        return cls(f"duckdb:{address}", root / address[3:], place, scratch)

    def names(self) -> tuple[str, ...]:
        """Base tables, in alphabetical order."""
        with self._open() as connection:
            return self._names(connection)

    def schema(self, tables: Collection[str] | None = None, *, without: Collection[tuple[str, str]] = ()) -> Schema:
        """The schema from DuckDB's catalog; see `protocols.Source`."""
        return assemble(self._listings(tables), without=without, label=self.label)

    def lost_checks(
        self, tables: Collection[str] | None = None, *, without: Collection[tuple[str, str]] = ()
    ) -> tuple[Lost, ...]:
        """CHECK constraints that `schema` does not hold; see `protocols.Source`."""
        return lost_checks(self._listings(tables), without=without, label=self.label)

    def uncarried(self) -> tuple[tuple[str, str], ...]:
        """(table, column) pairs whose type can't be carried."""
        return uncarried(self._listings(None))

    @contextmanager
    def reading(self) -> Iterator[DuckReading]:
        """One look: no other process can write the file while it is open here."""
        with self._open() as connection:
            yield DuckReading(connection, f"source.{quoted(self.place)}", self.label, sorts_keyless=True)

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.path.is_file():
            raise SourceError("there is no such file", where=self.label, fix="Check the path; nothing was created")
        with engine(self.scratch) as connection:
            try:
                connection.execute(f"ATTACH {literal(str(self.path))} AS source (TYPE duckdb, READ_ONLY)")
            except duckdb.Error as error:
                raise SourceError(_reason(str(error)), where=self.label) from None
            places = connection.execute(
                "SELECT schema_name FROM duckdb_schemas() WHERE database_name = 'source' "
                "AND schema_name NOT IN ('information_schema', 'pg_catalog') ORDER BY ALL"
            ).fetchall()
            if self.place not in (known := [p for (p,) in places]):
                raise SourceError(
                    f"there is no schema {self.place}", where=self.label, allowed=f"schemas are {', '.join(known)}"
                )
            yield connection

    def _names(self, connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
        found = self._catalog(connection, "SELECT table_name FROM duckdb_tables() WHERE {here} ORDER BY ALL")
        return tuple(name for (name,) in found)

    def _listings(self, tables: Collection[str] | None) -> list[Listing]:
        with self._open() as connection:
            chosen = choose(self._names(connection), tables, label=self.label)
            return [self._listing(connection, name) for name in chosen]

    def _listing(self, connection: duckdb.DuckDBPyConnection, table: str) -> Listing:
        sql = f"SELECT * FROM source.{quoted(self.place)}.{quoted(table)} LIMIT 0"
        types = dict(zip((r := connection.sql(sql)).columns, r.types, strict=True))
        columns = self._catalog(
            connection,
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE {here} AND table_name = ? "
            "ORDER BY column_index",
            table,
        )
        constraints = self._catalog(
            connection,
            "SELECT constraint_type, constraint_column_names, referenced_table, referenced_column_names, "
            "constraint_name, expression FROM duckdb_constraints() WHERE {here} AND table_name = ? "
            "ORDER BY constraint_index",
            table,
        )
        return Listing(
            table,
            tuple(listed_column(name, native, types[name], nullable=null) for name, native, null in columns),
            next((tuple(names) for kind, names, *_ in constraints if kind == "PRIMARY KEY"), ()),
            tuple(Reference(tuple(a), t, tuple(b)) for kind, a, t, b, *_ in constraints if kind == "FOREIGN KEY"),
            tuple(tuple(names) for kind, names, *_ in constraints if kind == "UNIQUE"),
            tuple(Check(name, sql) for kind, *_, name, sql in constraints if kind == "CHECK"),
        )

    def _catalog(self, connection: duckdb.DuckDBPyConnection, sql: str, *values: str) -> list[tuple[Any, ...]]:
        here = sql.format(here="database_name = 'source' AND schema_name = ?")
        return connection.execute(here, [self.place, *values]).fetchall()


def listed_column(name: str, native: str, type_: Any, *, nullable: bool) -> Listed:  # noqa: ANN401 - DuckDB's own
    """A column by DuckDB's name of its type; the labels of an enum are the type's."""
    if native.startswith("ENUM("):
        labels = tuple(str(label) for label in dict(type_.children)["values"])
        return Listed(name, "ENUM", ENUM, nullable, labels)
    return Listed(name, native, arrow_type(native), nullable)


def arrow_type(native: str) -> pa.DataType | None:
    """The Arrow type of a DuckDB type by its name; None where none carries it."""
    if found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", native):
        return pa.decimal128(int(found[1]), int(found[2]))
    return TYPES.get(native)


def _reason(text: str) -> str:
    if "newer version" in text or "version number" in text:
        return f"the file was written by another version of DuckDB than {duckdb.__version__} can read"
    if "lock" in text.lower():
        return "another process has the file open for writing; try again when it has closed it"
    if "already attached" in text:
        return "this process has the file open for writing; close that connection first"
    if "not a valid DuckDB" in text or "Corrupt" in text:
        return "the file is no DuckDB database, or it is damaged"
    return "DuckDB can't open the file"
