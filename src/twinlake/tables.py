"""Tables: named Arrow tables with their schema, immutable; kept in memory or read from a folder when asked for.

A folder of tables is `schema.json` and one folder of Parquet parts per table: `people/part-00000.parquet`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from twinlake.errors import DataError
from twinlake.schema import Schema, Table, path_name

ROWS_PER_GROUP = 65_536  # fixed, so that equal rows give equal bytes however they arrive


class Tables(Mapping[str, pa.Table]):
    """Named Arrow tables whose columns are exactly those of their schema."""

    def __init__(self, schema: Schema, data: Mapping[str, pa.Table]) -> None:
        """Hold `data`; raises DataError where names or types differ from the schema."""
        self.schema = schema
        self._folder: Path | None = None
        self._data = {t.name: conform(data[t.name], t) for t in schema}

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The tables of a folder that `save` or a `TableWriter` wrote; each is read when it is asked for."""
        self = cls.__new__(cls)
        self.schema = read_schema(folder)
        self._folder, self._data = folder, {}
        return self

    def __getitem__(self, name: str) -> pa.Table:
        """The rows of a table."""
        if name not in self._data and self._folder is not None:
            self._data[name] = read_table(self._folder, self.schema[name])
        return self._data[name]

    def __iter__(self) -> Iterator[str]:
        """Table names in the schema's order."""
        return iter(self.schema.names)

    def __len__(self) -> int:
        """How many tables."""
        return len(self.schema.tables)

    def columns(self, name: str, columns: Iterable[str]) -> pa.Table:
        """Some columns of a table, in the order asked for; from a folder, only these are read."""
        names = list(columns)
        if name in self._data or self._folder is None:
            return self[name].select(names)
        return read_table(self._folder, self.schema[name].select(tuple(names))).select(names)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """The rows of a table a row group at a time; from a folder, in bounded memory."""
        if name in self._data or self._folder is None:
            yield from self[name].to_batches(max_chunksize=ROWS_PER_GROUP)
            return
        for part in parts(self._folder, name):
            with pq.ParquetFile(part) as file:
                yield from file.iter_batches(batch_size=ROWS_PER_GROUP)

    def rows(self, name: str) -> int:
        """How many rows a table has; from a folder, the Parquet footers tell."""
        if name in self._data or self._folder is None:
            return int(self[name].num_rows)
        return sum(int(pq.read_metadata(p).num_rows) for p in parts(self._folder, name))

    def save(self, folder: Path) -> None:
        """Write every table and the schema to a new or empty folder."""
        write_schema(folder, self.schema)
        for table in self.schema:
            with TableWriter(folder, table) as writer:
                for batch in self.batches(table.name):
                    writer.write(batch)


class TableWriter:
    """Streams rows of one table to one Parquet part, in row groups of fixed size: same rows, same bytes."""

    def __init__(self, folder: Path, table: Table, *, part: int = 0, statistics: bool = True) -> None:
        """Open `folder/<table>/part-<part>.parquet`. `statistics=False` for real rows: footers would hold extremes."""
        self.path = folder / path_name(table.name) / f"part-{part:05d}.parquet"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._table = table
        self._writer = pq.ParquetWriter(self.path, table.arrow, compression="zstd", write_statistics=statistics)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self.rows = 0

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left and close the file."""
        self.close()

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add rows; names and order of columns must be the table's."""
        whole = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        for piece in conform(whole, self._table).to_batches():
            self._waiting.append(piece)
            self._rows += piece.num_rows
            self.rows += piece.num_rows
        while self._rows >= ROWS_PER_GROUP:
            self._flush(ROWS_PER_GROUP)

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._rows or not self.rows:
            self._flush(self._rows)
        self._writer.close()

    def _flush(self, rows: int) -> None:
        waiting = pa.Table.from_batches(self._waiting, self._table.arrow)
        group = _encoded_afresh(waiting.slice(0, rows).combine_chunks())
        self._writer.write_table(group, row_group_size=ROWS_PER_GROUP)
        self._waiting = waiting.slice(rows).to_batches()
        self._rows -= rows


def _encoded_afresh(group: pa.Table) -> pa.Table:
    """`group` with its dictionaries in order of first appearance, whatever batches the rows came in."""
    for i, field in enumerate(group.schema):
        if pa.types.is_dictionary(field.type):
            words = group.column(i).cast(field.type.value_type).combine_chunks()
            group = group.set_column(i, field, words.dictionary_encode())
    return group


def conform(data: pa.Table, table: Table) -> pa.Table:
    """`data` with exactly the columns, order and types of `table`; raises DataError where it can't be."""
    if data.schema.equals(table.arrow):
        return data
    missing = [n for n in table.names if n not in data.column_names]
    if missing:
        raise DataError(f"table {table.name} lacks column {missing[0]}")
    try:
        return data.select(list(table.names)).cast(table.arrow)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
        wrong = next((c for c in table.columns if data[c.name].type != c.type or not c.nullable), table.columns[0])
        got = data[wrong.name].type
        # from None: Arrow's own text quotes the offending value
        raise DataError(f"column {table.name}.{wrong.name} is {got} and can't be read as {wrong.type}") from None


def read_table(folder: Path, table: Table) -> pa.Table:
    """The rows of a table of a folder, all parts in order."""
    read = [pq.read_table(p, columns=list(table.names)) for p in parts(folder, table.name)]
    return conform(pa.concat_tables(read), table) if read else table.arrow.empty_table()


def parts(folder: Path, name: str) -> list[Path]:
    """The Parquet files of a table in a folder, in order."""
    return sorted((folder / path_name(name)).glob("*.parquet"))


def read_schema(folder: Path) -> Schema:
    """The schema of a folder of tables."""
    return Schema.from_json(json.loads((folder / "schema.json").read_text(encoding="utf-8")))


def write_schema(folder: Path, schema: Schema) -> None:
    """Write `schema.json` into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schema.json").write_text(canonical(schema.to_json()) + "\n", encoding="utf-8")


def fingerprint(folder: Path) -> str:
    """SHA-256 over the schema and all rows of a folder of tables: the data version; 64 hexadecimal digits."""
    digest = hashlib.sha256((folder / "schema.json").read_bytes())
    for name in read_schema(folder).names:
        for part in parts(folder, name):
            digest.update(f"\x00{part.parent.name}/{part.name}\x00{file_hash(part)}".encode())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes; 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical(data: Any) -> str:  # noqa: ANN401 - any JSON value
    """JSON text that is the same for equal values: sorted keys, two-space indent."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
