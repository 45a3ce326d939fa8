"""Rows that point to no row, in tables that are extracted: left out, emptied or counted, as the schema says.

The columns that keys and references are made of go through a DuckDB that spills to the disk; whole rows stream past.
"""

import shutil
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from twinlake.errors import DataError
from twinlake.schema import Orphans, Reference, Schema, Table, path_name
from twinlake.sources.engine import engine, plain_errors
from twinlake.tables import ROWS_PER_GROUP, Tables, TableWriter, parts

Mask = npt.NDArray[np.bool_]
Pointer = tuple[Table, Reference]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the rows of a table that point to no row by one reference, and how many there were."""

    table: str
    reference: str
    handling: Orphans
    rows: int


def settle(folder: Path, schema: Schema, *, scratch: Path) -> tuple[Settled, ...]:
    """Handle the orphans of a folder of tables as the schema says, in place, in bounded memory.

    Rows that are dropped take along those that refer to them, and so on. Where such a reference says `null` or `keep`,
    its rows stay, and are handled so instead. What nobody allowed for is not looked at here: `problems` refuses it.

    Args:
        folder: tables with their schema, as `extract` writes them.
        schema: theirs.
        scratch: a folder for what doesn't fit into memory.

    Returns:
        What was done and to how many rows, in the schema's order; a row that is dropped counts once.

    Raises:
        DataError: where no row of a table is left.
    """
    looked_at = _looked_at(schema)
    if not looked_at:
        return ()
    with engine(scratch) as connection, plain_errors("the extracted tables", "a reference"):
        desk = _Desk.load(connection, folder, schema, looked_at)
        dropped = desk.drop()
        others = [_counted(desk, table, reference) for table, reference in looked_at]
        for table in schema:
            _settle_table(desk, folder, table, [r for t, r in looked_at if t.name == table.name])
    return tuple(s for s in (*dropped, *others) if s.rows)


def _looked_at(schema: Schema) -> list[Pointer]:
    """References whose orphans are handled, and those by which rows follow others that are dropped."""
    thinned = {t.name for t in schema for r in t.references if r.orphans is Orphans.DROP}
    while grown := {
        t.name for t in schema for r in t.references if r.table in thinned and r.orphans is Orphans.REFUSE
    } - thinned:  # fmt: skip
        thinned |= grown
    every = [(t, r) for t in schema for r in dict.fromkeys(t.references)]
    return [(t, r) for t, r in every if r.orphans is not Orphans.REFUSE or r.table in thinned]


@dataclass(frozen=True, slots=True)
class _Desk:
    """Identifying columns of tables in a DuckDB, each row with its number; a row that is dropped is deleted there."""

    connection: duckdb.DuckDBPyConnection
    schema: Schema
    pointers: tuple[Pointer, ...]
    rows: Mapping[str, int]

    @classmethod
    def load(
        cls, connection: duckdb.DuckDBPyConnection, folder: Path, schema: Schema, pointers: list[Pointer]
    ) -> "_Desk":
        """The tables that these references touch."""
        columns: dict[str, dict[str, None]] = {}
        for table, reference in pointers:
            columns.setdefault(table.name, {}).update(dict.fromkeys(reference.columns))
            columns.setdefault(reference.table, {}).update(dict.fromkeys(reference.to))
        rows = {name: Tables.open(folder).rows(name) for name in columns}
        desk = cls(connection, schema, tuple(pointers), rows)
        for name, wanted in columns.items():
            connection.register("incoming", _numbered(folder, schema[name], tuple(wanted)))
            connection.execute(f"CREATE TABLE {desk.place(name)} AS SELECT * FROM incoming")
            connection.unregister("incoming")
            empty = f"SELECT 0 AS turn, * FROM {desk.place(name)} LIMIT 0"
            connection.execute(f"CREATE TABLE gone_{desk.place(name)} AS {empty}")
        return desk

    def place(self, table: str) -> str:
        """What a table is called here."""
        return f"t{self.schema.names.index(table)}"

    def drop(self) -> list[Settled]:
        """Delete what is to be dropped, and what follows it, until nothing does."""
        counts = dict.fromkeys(((t.name, r) for t, r in self.pointers), 0)
        waiting = deque((p, self.dangling(p)) for p in self.pointers if p[1].orphans is Orphans.DROP)
        for turn in count():
            if not waiting:
                break
            (table, reference), sql = waiting.popleft()
            if rows := self._delete(table.name, sql, turn):
                counts[table.name, reference] += rows
                waiting += [(p, self._pointing(p, turn)) for p in self.pointers if _follows(p, table)]
        return [Settled(name, str(reference), Orphans.DROP, rows) for (name, reference), rows in counts.items()]

    def dangling(self, pointer: Pointer) -> str:
        """The rows that point to none, as SQL."""
        table, reference = pointer
        present = " AND ".join(f"c.{_column(table, n)} IS NOT NULL" for n in reference.columns)
        parent = self.place(reference.table)
        found = f"SELECT 1 FROM {parent} AS p WHERE {self._equal(pointer)}"
        return f"SELECT c.* FROM {self.place(table.name)} AS c WHERE {present} AND NOT EXISTS ({found})"

    def mask(self, sql: str, rows: int) -> Mask:
        """Which of so many rows a query names by their numbers, shape (rows,)."""
        found = np.zeros(rows, dtype=np.bool_)
        for batch in self.connection.sql(sql).to_arrow_reader(ROWS_PER_GROUP):
            found[batch.column(0).to_numpy()] = True
        return found

    def number(self, sql: str) -> int:
        """How many rows a query gives."""
        return int(self.connection.execute(f"SELECT count(*) FROM ({sql})").fetchall()[0][0])

    def _pointing(self, pointer: Pointer, turn: int) -> str:
        """The rows that point to those deleted in a turn, as SQL."""
        table, reference = pointer
        found = f"SELECT 1 FROM gone_{self.place(reference.table)} AS p WHERE turn = {turn} AND {self._equal(pointer)}"
        return f"SELECT c.* FROM {self.place(table.name)} AS c WHERE EXISTS ({found})"

    def _equal(self, pointer: Pointer) -> str:
        table, reference = pointer
        parent, pairs = self.schema[reference.table], zip(reference.columns, reference.to, strict=True)
        return " AND ".join(f"p.{_column(parent, to)} = c.{_column(table, name)}" for name, to in pairs)

    def _delete(self, table: str, sql: str, turn: int) -> int:
        """Delete the rows that a query gives, keeping them as those of a turn; how many they are."""
        place = self.place(table)
        told = self.connection.execute(f"INSERT INTO gone_{place} SELECT {turn}, * FROM ({sql})").fetchall()
        if rows := int(told[0][0]):
            gone = f"SELECT number FROM gone_{place} WHERE turn = {turn}"
            self.connection.execute(f"DELETE FROM {place} WHERE number IN ({gone})")
        return rows


def _follows(pointer: Pointer, table: Table) -> bool:
    """Whether rows that refer to dropped ones of a table by this reference are dropped too."""
    return pointer[1].table == table.name and pointer[1].orphans in (Orphans.DROP, Orphans.REFUSE)


def _counted(desk: _Desk, table: Table, reference: Reference) -> Settled:
    """Orphans of a reference that stay in their table; those that were dropped are gone by now."""
    stay = reference.orphans in (Orphans.NULL, Orphans.KEEP)
    rows = desk.number(desk.dangling((table, reference))) if stay else 0
    return Settled(table.name, str(reference), reference.orphans, rows)


def _numbered(folder: Path, table: Table, columns: tuple[str, ...]) -> pa.RecordBatchReader:
    """Some columns of a table under plain names, and the number of each row."""
    types = [_plain_type(table[name].type) for name in columns]
    fields = zip((_column(table, n) for n in columns), types, strict=True)
    schema = pa.schema([("number", pa.int64()), *fields])

    def batches() -> Iterator[pa.RecordBatch]:
        start = 0
        for part in parts(folder, table.name):
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=ROWS_PER_GROUP, columns=list(columns)):
                    numbers = pa.array(np.arange(start, start + batch.num_rows))
                    cells = [_plain(batch[n], t) for n, t in zip(columns, types, strict=True)]
                    yield pa.RecordBatch.from_arrays([numbers, *cells], schema=schema)
                    start += batch.num_rows

    return pa.RecordBatchReader.from_batches(schema, batches())


def _column(table: Table, name: str) -> str:
    return f"c{table.names.index(name)}"


def _plain_type(type_: pa.DataType) -> pa.DataType:
    if isinstance(type_, pa.BaseExtensionType):
        return type_.storage_type
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _plain(cells: pa.Array, type_: pa.DataType) -> pa.Array:
    return (cells.storage if isinstance(cells, pa.ExtensionArray) else cells).cast(type_)


def _settle_table(desk: _Desk, folder: Path, table: Table, references: list[Reference]) -> None:
    """Write a table again where rows were dropped or cells are emptied."""
    if table.name not in desk.rows:
        return
    rows, place = desk.rows[table.name], desk.place(table.name)
    left = desk.number(f"FROM {place}")
    if rows and not left:
        raise DataError(
            f"no row of table {table.name} is left without those that point to no row",
            allowed="a twin needs rows to learn from",
            fix="Mend the rows, or write null or keep under orphans: in the pipeline file",
        )
    emptied: dict[str, Mask] = {}
    for reference in (r for r in references if r.orphans is Orphans.NULL):
        dangling = desk.mask(f"SELECT number FROM ({desk.dangling((table, reference))})", rows)
        for name in desk.schema.blanks(table, reference) if dangling.any() else ():
            emptied[name] = emptied.get(name, False) | dangling
    if left < rows or emptied:
        kept = desk.mask(f"SELECT number FROM {place}", rows) if left < rows else np.ones(rows, dtype=np.bool_)
        _rewrite(folder, table, kept, emptied)


def _rewrite(folder: Path, table: Table, kept: Mask, emptied: Mapping[str, Mask]) -> None:
    beside, start = folder / ".settling", 0
    with TableWriter(beside, table, statistics=False) as writer:
        for batch in Tables.open(folder).batches(table.name):
            rows = slice(start, start + batch.num_rows)
            for name, mask in emptied.items():
                at = pa.array(np.arange(batch.num_rows), mask=mask[rows])
                batch = batch.set_column(batch.column_names.index(name), name, batch[name].take(at))
            writer.write(batch.filter(pa.array(kept[rows])))
            start += batch.num_rows
    shutil.rmtree(folder / path_name(table.name))
    writer.path.parent.rename(folder / path_name(table.name))
    beside.rmdir()
