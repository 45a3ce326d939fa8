"""What a source is: two Protocols, one for what is there and one for a consistent look at it."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import pyarrow as pa

from twinlake.schema import Schema, Table
from twinlake.sources.checks import Lost


class Reading(Protocol):
    """One consistent look at all tables of a source; one stream at a time."""

    def batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        """The rows of a table as batches typed exactly as `table.arrow`, in bounded memory.

        They come ordered by the key; where there is none by all columns (databases) or as they lie (files).

        Raises:
            DataError: where a value doesn't fit the type the catalog declares.
            SourceError: where the source stops answering.
        """
        ...

    def count(self, sql: str) -> int:
        """The single number an SQL query gives.

        The query is one that DuckDB and PostgreSQL both understand; names are quoted with `schema.quoted`.
        """
        ...


@runtime_checkable
class Source(Protocol):
    """A database or files that hold real tables; opening one connects to nothing yet."""

    @property
    def label(self) -> str:
        """What may be shown of where it is: never a password."""
        ...

    def names(self) -> tuple[str, ...]:
        """Base tables that are there and may be read, in alphabetical order; views are none."""
        ...

    def schema(self, tables: Collection[str] | None = None, *, without: Collection[tuple[str, str]] = ()) -> Schema:
        """Types, nullability, keys, references, unique columns and rules as the catalog tells them.

        Args:
            tables: those asked for; None asks for all. References to other tables are left out.
            without: (table, column) pairs left out, with the keys and references they belong to.

        Raises:
            DataError: naming every table or column that is not there, or every column whose type can't be carried.
            SourceError: where the source can't be read.
        """
        ...

    def lost_checks(
        self, tables: Collection[str] | None = None, *, without: Collection[tuple[str, str]] = ()
    ) -> tuple[Lost, ...]:
        """The CHECK constraints that `schema`, asked likewise, does not hold, and why."""
        ...

    def uncarried(self) -> tuple[tuple[str, str], ...]:
        """(table, column) pairs `schema` refuses unless left out: no type carries them, or they may not be read."""
        ...

    def reading(self) -> AbstractContextManager[Reading]:
        """One consistent look at all tables: what others change meanwhile is not seen."""
        ...
