"""Parquet and CSV files as a source: a table per file, or per folder of parts. Files have no keys of their own."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from twinlake.errors import SourceError
from twinlake.schema import Schema, Table, quoted
from twinlake.sources import csv
from twinlake.sources.catalog import Listed, Listing, assemble, choose, uncarried
from twinlake.sources.checks import Lost
from twinlake.sources.duckdb import arrow_type
from twinlake.sources.engine import DuckReading, engine, path_pattern
from twinlake.types import carried, type_name

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


@dataclass(frozen=True, slots=True)
class FilesSource:
    """The tables of some files: `pattern` is a folder, a file or a glob, relative to `root`."""

    label: str
    pattern: str
    root: Path
    scratch: Path | None = None

    @classmethod
    def at(cls, rest: str, *, root: Path, scratch: Path | None = None) -> Self:
        """The source at `folder`, `file.parquet` or `folder/*.csv`: the URL after `files:`."""
        if not rest:
            raise SourceError(
                "a files source needs a folder", where="source", allowed="write files:folder or files:folder/*.parquet"
            )
        return cls(f"files:{rest}", rest, root, scratch)

    def names(self) -> tuple[str, ...]:
        """A name per file or folder of parts, in alphabetical order."""
        return tuple(self._tables())

    def schema(self, tables: Collection[str] | None = None, *, without: Collection[tuple[str, str]] = ()) -> Schema:
        """The schema the Parquet files hold, or that all rows of the CSV files fit; see `protocols.Source`."""
        return assemble(self._listings(tables), without=without, label=self.label)

    def lost_checks(
        self,
        tables: Collection[str] | None = None,  # noqa: ARG002 - as in the protocol
        *,
        without: Collection[tuple[str, str]] = (),  # noqa: ARG002
    ) -> tuple[Lost, ...]:
        """None: files have no constraints."""
        return ()

    def uncarried(self) -> tuple[tuple[str, str], ...]:
        """(table, column) pairs whose type can't be carried."""
        return uncarried(self._listings(None))

    @contextmanager
    def reading(self) -> Iterator["FilesReading"]:
        """One look at the files, which must not change meanwhile."""
        with engine(self.scratch) as connection:
            yield FilesReading(DuckReading(connection, "memory.main", self.label, sorts_keyless=False), self._tables())

    def _listings(self, tables: Collection[str] | None) -> list[Listing]:
        parts = self._tables()
        with engine(self.scratch) as connection:
            chosen = choose(tuple(parts), tables, label=self.label)
            return [_look(connection, name, parts[name], label=self.label).listing for name in chosen]

    def _tables(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self._matched():
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
            if parts := [p for p in inside if _kind(p)]:
                name = path.name if path.is_dir() else _stem(path)
                if clash := next((n for n in found if n.lower() == name.lower()), None):
                    raise SourceError(
                        f"{path.name} and {found[clash][0].name} would both be table {clash}",
                        where=self.label,
                        fix="Rename one of them, or narrow the pattern",
                    )
                found[name] = parts
        if not found:
            raise SourceError(
                "there are no Parquet or CSV files", where=self.label, allowed=f"endings are {', '.join(PARQUET + CSV)}"
            )
        return dict(sorted(found.items()))

    def _matched(self) -> list[Path]:
        whole = self.root / self.pattern
        if whole.is_dir():
            return sorted(whole.iterdir())
        if whole.is_file():
            return [whole]
        base = Path(whole.anchor) if Path(self.pattern).is_absolute() else self.root
        return sorted(base.glob(str(whole.relative_to(base)))) if re.search(r"[*?\[]", self.pattern) else []


@dataclass(frozen=True, slots=True)
class FilesReading:
    """A look at some files; each table is opened when it is first asked for, so that no other file can spoil it."""

    inner: DuckReading
    paths: Mapping[str, Sequence[Path]]
    _opened: set[str] = field(default_factory=set)

    def batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        """Rows ordered by the key, or as they lie in the files; see `protocols.Reading`."""
        self._open(table.name)
        yield from self.inner.batches(table)

    def count(self, sql: str) -> int:
        """The single number an SQL query gives."""
        for name in self.paths:
            if quoted(name) in sql:
                self._open(name)
        return self.inner.count(sql)

    def _open(self, name: str) -> None:
        if name not in self._opened:
            look = _look(self.inner.connection, name, self.paths[name], label=self.inner.label)
            self.inner.connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT * FROM {look.sql}")
            self._opened.add(name)


@dataclass(frozen=True, slots=True)
class _Look:
    """A table as its files show it, and the SQL that reads them in order."""

    listing: Listing
    sql: str


def _look(connection: duckdb.DuckDBPyConnection, name: str, paths: Sequence[Path], *, label: str) -> _Look:
    kinds = {_kind(p) for p in paths}
    if len(kinds) > 1:
        raise SourceError(f"folder {name} holds Parquet and CSV files", where=label, fix="Keep one kind per folder")
    if kinds == {"csv"}:
        files = csv.read_types(connection, paths, label=label)
        natives = {column: type_ or "VARCHAR" for column, type_ in files.types.items()}
        return _Look(Listing(name, tuple(Listed(c, n, arrow_type(n)) for c, n in natives.items())), files.sql)
    listing = Listing(name, _parquet_columns(paths, label=label))
    return _Look(listing, f"read_parquet([{', '.join(path_pattern(p) for p in paths)}], hive_partitioning=false)")


def _parquet_columns(paths: Sequence[Path], *, label: str) -> tuple[Listed, ...]:
    first, *others = (_parquet_schema(p, label=label) for p in paths)
    for path, other in zip(paths[1:], others, strict=True):
        if [(f.name, _text(f.type)) for f in other] != [(f.name, _text(f.type)) for f in first]:
            raise SourceError(
                f"{path.name} has other columns than {paths[0].name} of the same folder{_difference(first, other)}",
                where=label,
                fix="Files of one folder are parts of one table; put other tables into other folders",
            )
    return tuple(Listed(f.name, _text(f.type), _carried(f.type), f.nullable) for f in first)


def _parquet_schema(path: Path, *, label: str) -> pa.Schema:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        raise SourceError(f"{path.name} is no Parquet file, or it is damaged", where=label) from None
    lower = [n.lower() for n in schema.names]  # DuckDB's names know no case
    if twice := sorted({n for n in schema.names if lower.count(n.lower()) > 1}):
        raise SourceError(f"{path.name} has columns whose names differ in case only: {', '.join(twice)}", where=label)
    return schema


def _difference(first: pa.Schema, other: pa.Schema) -> str:
    for name in [*first.names, *other.names]:
        a, b = (_text(s.field(name).type) if name in s.names else "missing" for s in (first, other))
        if a != b:
            return f": {name} is {b} there and {a} here"
    return ": their order differs"


def _carried(type_: pa.DataType) -> pa.DataType | None:
    return pa.string() if pa.types.is_null(type_) else carried(type_)  # an all-null column says nothing of its type


def _text(type_: pa.DataType) -> str:
    made = _carried(type_)
    return str(type_) if made is None else type_name(made)


def _kind(path: Path) -> str | None:
    if path.name.startswith((".", "_")) or not path.is_file():
        return None
    return "parquet" if path.name.endswith(PARQUET) else "csv" if path.name.endswith(CSV) else None


def _stem(path: Path) -> str:
    ending = max((e for e in PARQUET + CSV if path.name.endswith(e)), key=len)
    return path.name.removesuffix(ending)
