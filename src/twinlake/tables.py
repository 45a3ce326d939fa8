"""Tables: named Arrow tables with their schema, immutable; kept in memory or read from a folder when asked for.

A folder of tables is `schema.json` and one folder of Parquet parts per table: `people/part-00000.parquet`.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twinlake.errors import DataError
from twinlake.schema import Schema, Table, path_name

ROWS_PER_GROUP = 65_536  # fixed, so that equal rows give equal bytes however they arrive
_DICTIONARY_BYTES = 1 << 20  # Parquet gives up on a larger dictionary, halfway through
_SOME = 4_096


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
    """Streams rows of one table to one Parquet part, in row groups of fixed size: same rows, same bytes.

    Text and bytes may come as dictionaries and are written as such; files still read back as plain text.
    """

    def __init__(self, folder: Path, table: Table, *, part: int = 0, statistics: bool = True) -> None:
        """Write `folder/<table>/part-<part>.parquet`. `statistics=False` for real rows: footers would hold extremes."""
        self.path = folder / path_name(table.name) / f"part-{part:05d}.parquet"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._table, self._statistics = table, statistics
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left and close the file."""
        self.close()

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add rows; names and order of columns must be the table's."""
        rows = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        self._waiting.append(conform(rows, self._table, compact=True))
        self.rows += rows.num_rows
        while sum(w.num_rows for w in self._waiting) >= ROWS_PER_GROUP:
            self._flush(ROWS_PER_GROUP)

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._writer is None or any(w.num_rows for w in self._waiting):
            self._flush(sum(w.num_rows for w in self._waiting))
        if self._writer is not None:
            self._writer.close()

    def _flush(self, rows: int) -> None:
        group = {c.name: _group([w[c.name] for w in self._waiting], c.type, rows) for c in self._table.columns}
        if self._writer is None:
            self._writer = self._opened(group)
        columns = [_as_written(group[f.name], f.type) for f in self._writer.schema]
        whole = pa.Table.from_arrays(columns, schema=self._writer.schema)
        self._writer.write_table(whole, row_group_size=ROWS_PER_GROUP)
        self._waiting = [w for w in _after(self._waiting, rows) if w.num_rows]

    def _opened(self, group: Mapping[str, pa.Array]) -> pq.ParquetWriter:
        """A file laid out as its first row group asks for, so that its bytes depend on its rows only."""
        types = {name: _written_type(cells) for name, cells in group.items()}
        plain = [n for n, t in types.items() if not pa.types.is_dictionary(t)]
        writer = pq.ParquetWriter(
            self.path,
            pa.schema([pa.field(f.name, types[f.name], f.nullable) for f in self._table.arrow]),
            compression="zstd",
            use_dictionary=[n for n in types if n not in plain or _repeats(_as_written(group[n], types[n]))],
            write_statistics=plain if self._statistics else False,  # of words in a dictionary they'd cost half the time
            store_schema=False,
        )
        declared = base64.b64encode(self._table.arrow.serialize()).decode()
        writer.add_key_value_metadata({"ARROW:schema": declared})  # what it is read back as
        return writer


def _group(pieces: list[pa.ChunkedArray], type_: pa.DataType, rows: int) -> pa.Array:
    """The first `rows` cells of a column, as one array; a dictionary where any piece has one."""
    chunks, missing = list[pa.Array](), rows
    for chunk in (c for p in pieces for c in p.chunks):
        if missing > 0 and len(chunk):
            chunks.append(chunk.slice(0, missing))
            missing -= len(chunks[-1])
    if any(pa.types.is_dictionary(c.type) for c in chunks):
        chunks = [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in chunks]
        return _in_order(pa.chunked_array(chunks).unify_dictionaries().combine_chunks())
    return pa.concat_arrays(chunks) if chunks else pa.array([], type_)


def _after(pieces: list[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The pieces without their first `rows` rows."""
    for piece in pieces:
        yield piece.slice(min(rows, piece.num_rows))
        rows = max(0, rows - piece.num_rows)


def _in_order(cells: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same cells over the words that occur, each once, by first appearance: whatever dictionary they came with."""
    words, at = cells.dictionary, cells.indices
    if words.null_count:
        return cells.cast(words.type).dictionary_encode()
    used = at.slice(0, _SOME).unique().drop_null()
    if len(used) < len(words):  # else the first cells have told already
        used = at.unique().drop_null()
    once = words.take(used).dictionary_encode()
    place = np.zeros(len(words), np.int32)
    place[np.asarray(used)] = np.asarray(once.indices)
    if len(once.dictionary) < len(words) or np.any(np.diff(place) != 1):
        at = pa.array(place).take(at)
    return pa.DictionaryArray.from_arrays(at, once.dictionary, safe=False)


def _written_type(cells: pa.Array) -> pa.DataType:
    """How a column is written: words that repeat as a dictionary, everything else as it is."""
    if pa.types.is_dictionary(cells.type):
        words = cells.dictionary
    elif cells.type in (pa.string(), pa.binary()):
        words = cells.unique().drop_null()
    else:
        return cells.type
    spelt = 4 * len(words) + (pc.sum(pc.binary_length(words)).as_py() or 0)
    return pa.dictionary(pa.int32(), words.type) if spelt < _DICTIONARY_BYTES else words.type


def _as_written(cells: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(type_) and not pa.types.is_dictionary(cells.type):
        return cells.dictionary_encode()
    return cells if cells.type == type_ else cells.cast(type_)


def _repeats(cells: pa.Array) -> bool:
    """Whether values repeat so much that a dictionary of them saves room; the first ones tell."""
    some = cells.slice(0, _SOME)
    some = some.storage if isinstance(some, pa.ExtensionArray) else some
    return bool(len(some.unique()) <= len(some) / 2)


def conform(data: pa.Table, table: Table, *, compact: bool = False) -> pa.Table:
    """`data` with exactly the columns, order and types of `table`; raises DataError where it can't be.

    Where it may be `compact`, text and bytes that come as dictionaries stay so.
    """
    if data.schema.equals(table.arrow):
        return data
    missing = [n for n in table.names if n not in data.column_names]
    if missing:
        raise DataError(f"table {table.name} lacks column {missing[0]}")
    data = data.select(list(table.names))
    fields = [_compacted(f, data.schema.field(f.name).type) if compact else f for f in table.arrow]
    try:
        return data.cast(pa.schema(fields))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
        wrong = next((c for c in table.columns if data[c.name].type != c.type or not c.nullable), table.columns[0])
        got = data[wrong.name].type
        # from None: Arrow's own text quotes the offending value
        raise DataError(f"column {table.name}.{wrong.name} is {got} and can't be read as {wrong.type}") from None


def _compacted(field: pa.Field, comes: pa.DataType) -> pa.Field:
    words = field.type in (pa.string(), pa.binary())
    kept = words and pa.types.is_dictionary(comes) and comes.value_type == field.type
    return field.with_type(pa.dictionary(pa.int32(), field.type)) if kept else field


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
