"""A DuckDB of our own, in memory and with a limit: reads DuckDB files and Parquet and CSV files alike.

DuckDB's messages quote cells, so none of them is passed on.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from twinlake.errors import SourceError
from twinlake.schema import Table, literal, quoted
from twinlake.sources.carry import Limits, carry
from twinlake.tables import ROWS_PER_GROUP

MEMORY = "1GB"  # sorting spills to disk beyond this
LIMITS = Limits(days=(-(2**31) + 2, 2**31 - 2), ticks=(-(2**63) + 2, 2**63 - 2))  # the ends are DuckDB's infinities


@contextmanager
def engine(scratch: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory that spills to a folder under `scratch`, which is deleted at the end."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="twinlake-sort-", dir=scratch) as spill:
        connection = duckdb.connect(":memory:", config={
            "memory_limit": MEMORY,
            "threads": threads(1),
            "temp_directory": spill,
            "arrow_lossless_conversion": True,  # uuid and json as such
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        })  # fmt: skip
        try:
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class DuckReading:
    """A look at the tables of one DuckDB; `place` is the quoted `database.schema` they live in."""

    connection: duckdb.DuckDBPyConnection
    place: str
    label: str
    sorts_keyless: bool

    def batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        """Rows ordered by the key; see `protocols.Reading`."""
        with self._asking(table.name) as cursor:
            cursor.execute(f"SET threads = {threads(len(table.columns))}")
            for batch in cursor.sql(self._select(table)).to_arrow_reader(ROWS_PER_GROUP):
                yield carry(batch, table, limits=LIMITS)

    def count(self, sql: str) -> int:
        """The single number an SQL query gives."""
        with self._asking("its tables") as cursor:
            found = cursor.execute(sql).fetchone()
        return int(found[0]) if found else 0

    @contextmanager
    def _asking(self, what: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.connection.cursor() as cursor, plain_errors(self.label, what):
            cursor.execute(f"USE {self.place}")
            yield cursor

    def _select(self, table: Table) -> str:
        columns = ", ".join(_expression(c.name, c.native) for c in table.columns)
        keys = table.key or (table.names if self.sorts_keyless else ())
        order = f" ORDER BY {', '.join(map(quoted, keys))}" if keys else ""
        return f"SELECT {columns} FROM {quoted(table.name)}{order}"


def threads(columns: int) -> int:
    """How many threads read a table: fewer for a wide one, as each holds a row group of all columns."""
    return max(1, min(4, os.cpu_count() or 1, 200 // max(columns, 1)))


@contextmanager
def plain_errors(label: str, what: str) -> Iterator[None]:
    """Turn what DuckDB and Arrow raise into one sentence about reading `what`, with the line of a file at most."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise SourceError(f"{what} needs more than {MEMORY} of memory or the disk is full", where=label) from None
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, FileNotFoundError):
            raise  # a full disk and the like speak for themselves and quote no row
        line = re.search(r"CSV Error on Line: (\d+)", str(error))
        at = f", line {line[1]}" if line else ""
        raise SourceError(f"{what} can't be read{at} ({type(error).__name__})", where=label) from None


def _expression(name: str, native: str) -> str:
    return f"CAST({quoted(name)} AS DECIMAL(38, 0))" if native == "HUGEINT" else quoted(name)


def struct(values: dict[str, str]) -> str:
    """Texts by name as an SQL struct."""
    return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in values.items()) + "}"


def path_pattern(path: Path) -> str:
    """A path as an SQL literal that matches only itself where DuckDB expects a glob."""
    return literal(re.sub(r"([\[*?])", r"[\1]", str(path)))
