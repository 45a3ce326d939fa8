"""PostgreSQL as a source: Arrow batches by ADBC, all tables in one REPEATABLE READ transaction."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import pyarrow as pa

from twinlake.errors import SourceError
from twinlake.schema import Column, Schema, Table, quoted
from twinlake.sources import pg_catalog
from twinlake.sources.carry import Limits, carry
from twinlake.sources.catalog import Listing, assemble, choose, lost_checks, uncarried
from twinlake.sources.checks import Lost
from twinlake.sources.pg_session import Session, session

# 4714-11-24 BC is PostgreSQL's first day; the driver wraps infinities and what is past int64 around to before it
LIMITS = Limits(days=(-2_440_588, 2**31 - 2), ticks=(-210_866_803_200_000_000, 2**63 - 2))


@dataclass(frozen=True, slots=True)
class PostgresSource:
    """The tables of one schema of a PostgreSQL database."""

    label: str
    place: str
    uri: str = field(repr=False)  # holds the password

    @classmethod
    def at(cls, url: str) -> Self:
        """The source at `postgresql://user:password@host:port/database?schema=name`; schema is public by default."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError:
            raise _unescaped() from None
        if "#" in url or url.count("@") > 1 or "@" in parts.path + parts.query:
            raise _unescaped()
        place = options.pop("schema", "public")
        label = f"postgresql://{host}{f':{port}' if port else ''}{unquote(parts.path)}"
        query = urlencode({"connect_timeout": "10", **options}, quote_via=quote)  # libpq reads no + as a space
        uri = urlunsplit(("postgresql", parts.netloc, parts.path, query, ""))
        return cls(label if place == "public" else f"{label}?schema={place}", place, uri)

    def names(self) -> tuple[str, ...]:
        """Base and partitioned tables that the user may read, in alphabetical order."""
        with self._open() as opened:
            return self._chosen(opened, None)

    def schema(self, tables: Collection[str] | None = None, *, without: Collection[tuple[str, str]] = ()) -> Schema:
        """The schema from pg_catalog; see `protocols.Source`, and `pg_catalog.measure` for NUMERIC without a scale."""
        return assemble(self._listings(tables, without), without=without, label=self.label)

    def lost_checks(
        self, tables: Collection[str] | None = None, *, without: Collection[tuple[str, str]] = ()
    ) -> tuple[Lost, ...]:
        """CHECK constraints that `schema` does not hold; see `protocols.Source`."""
        return lost_checks(self._listings(tables, without), without=without, label=self.label)

    def uncarried(self) -> tuple[tuple[str, str], ...]:
        """(table, column) pairs whose type can't be carried, or that this user may not read."""
        with self._open() as opened:
            chosen = self._chosen(opened, None)
            closed = pg_catalog.unreadable(opened, self.place, chosen)
            odd = uncarried(pg_catalog.listings(opened, self.place, chosen, without=closed))
        return tuple(dict.fromkeys([*closed, *odd]))

    @contextmanager
    def reading(self) -> Iterator["PostgresReading"]:
        """One REPEATABLE READ, READ ONLY transaction over all tables."""
        with self._open() as opened:
            yield PostgresReading(opened, self.place)

    def _listings(self, tables: Collection[str] | None, without: Collection[tuple[str, str]]) -> list[Listing]:
        with self._open() as opened:
            return pg_catalog.listings(opened, self.place, self._chosen(opened, tables), without=without)

    def _chosen(self, opened: Session, tables: Collection[str] | None) -> tuple[str, ...]:
        there = pg_catalog.names(opened, self.place)
        readable = [name for name, may_read in there.items() if may_read or tables is not None]
        return choose(readable, tables, label=self.label)

    @contextmanager
    def _open(self) -> Iterator[Session]:
        with session(self.uri, place=self.place, label=self.label) as opened:
            yield opened


@dataclass(frozen=True, slots=True)
class PostgresReading:
    """A look at the tables of one schema; see `protocols.Reading`."""

    session: Session
    place: str

    def batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        """Rows ordered by the key, or by all columns."""
        columns = ", ".join(_expression(c) for c in table.columns)
        order = ", ".join(_sorted(table[name]) for name in table.key or table.names)
        sql = f"SELECT {columns} FROM {quoted(self.place)}.{quoted(table.name)} ORDER BY {order}"
        for batch in self.session.stream(sql):
            yield carry(batch, table, limits=LIMITS)

    def count(self, sql: str) -> int:
        """The single number an SQL query gives."""
        return int(next(iter(self.session.rows(sql)[0].values())))


def _expression(column: Column) -> str:
    """The column as it is asked for, so that the driver knows its type."""
    name = quoted(column.name)
    if pa.types.is_decimal(column.type) and not column.native.startswith("numeric("):
        return f"trim_scale({name})"  # digits after the point that are all zero need no room
    if column.type == pa.float64() and column.native != "double precision":
        return f"{name}::float8"
    if column.type == pa.string():
        return f"{name}::text" if not column.native.startswith("character(") else name
    return name


def _sorted(column: Column) -> str:
    """The column in an order that depends on no locale and tells apart all that differ."""
    name = quoted(column.name)
    if column.type == pa.json_():
        return f'{name}::text COLLATE "C"'
    if column.type == pa.string():
        plain = column.native == "text" or column.native.startswith("character")
        return f'{name} COLLATE "C"' if plain else f'{name}::text COLLATE "C"'
    return name


def _unescaped() -> SourceError:
    return SourceError(
        "the URL can't be read",
        where="source",
        allowed="write postgresql://user:password@host:5432/database",
        fix="Signs such as @ / : ? # in the user or the password are written %40 %2F %3A %3F %23",
    )
