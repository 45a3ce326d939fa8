"""CSV files read exactly: one fixed dialect, types from every row, and the line of what is wrong but never a cell.

The first line names the columns. The separator is a comma, semicolon, tab or bar: the one the first line has most of.
Quotes are double, a quote within is doubled; an empty cell is null, a quoted empty one is empty text.
"""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from twinlake.errors import SourceError
from twinlake.schema import literal, quoted
from twinlake.sources.engine import path_pattern, plain_errors, struct

SEPARATORS = (",", ";", "\t", "|")
_WIDER = ("BIGINT", "HUGEINT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class CsvFiles:
    """Files of the same columns: DuckDB's name of each column's type, and how dates and timestamps are written."""

    paths: tuple[Path, ...]
    separator: str
    types: dict[str, str | None]  # None: all cells are empty
    formats: dict[str, str]

    @property
    def sql(self) -> str:
        """The table function that reads them, in order."""
        columns = struct({name: type_ or "VARCHAR" for name, type_ in self.types.items()})
        paths = ", ".join(path_pattern(p) for p in self.paths)
        formats = "".join(f", {name}={literal(text)}" for name, text in self.formats.items())
        return f"read_csv([{paths}], auto_detect=false, columns={columns}, {_dialect(self.separator)}{formats})"


def read_types(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], *, label: str) -> CsvFiles:
    """The columns of some files with types that all rows of all files fit.

    Raises:
        SourceError: naming file and line where a row has too many or too few cells or is not UTF-8, or the file whose
            columns are not those of the first.
    """
    first, *others = (_one(connection, path, label=label) for path in paths)
    for other in others:
        if list(other.types) != list(first.types) or other.separator != first.separator:
            raise SourceError(
                f"{other.paths[0].name} has other columns than {first.paths[0].name} of the same folder",
                where=label,
                fix="Files of one folder are parts of one table; put other tables into other folders",
            )
        first = _joined(first, other)
    return first


def _one(connection: duckdb.DuckDBPyConnection, path: Path, *, label: str) -> CsvFiles:
    separator, names = _header(path, label=label)
    plain = CsvFiles((path,), separator, dict.fromkeys(names), {})
    counts = ", ".join(f"count({quoted(name)})" for name in names)
    sniff = f"sniff_csv({literal(str(path))}, sample_size=-1, {_dialect(separator)})"
    with plain_errors(label, path.name):
        filled = connection.execute(f"SELECT {counts} FROM {plain.sql}").fetchone()
        sniffed = connection.execute(f"SELECT Columns, DateFormat, TimestampFormat FROM {sniff}").fetchone()
    assert filled is not None  # an aggregate and the sniffer give one row each
    assert sniffed is not None
    types = {n: c["type"] if f else None for n, c, f in zip(names, sniffed[0], filled, strict=True)}
    formats = {"dateformat": sniffed[1], "timestampformat": sniffed[2]}
    kept = {name: "VARCHAR" if type_ == "BIGNUM" else type_ for name, type_ in types.items()}
    return replace(plain, types=kept, formats={k: f for k, f in formats.items() if f})


def _joined(first: CsvFiles, other: CsvFiles) -> CsvFiles:
    same = first.formats == other.formats
    types = {n: _common(type_, other.types[n], same_formats=same) for n, type_ in first.types.items()}
    return CsvFiles((*first.paths, *other.paths), first.separator, types, first.formats if same else {})


def _common(a: str | None, b: str | None, *, same_formats: bool) -> str | None:
    if a is None or b is None:
        return a or b
    if a in _WIDER and b in _WIDER:
        return max(a, b, key=_WIDER.index)
    dated = a.startswith(("DATE", "TIME"))
    return a if a == b and (same_formats or not dated) else "VARCHAR"


def _header(path: Path, *, label: str) -> tuple[str, list[str]]:
    where = f"{label}, {path.name}, line 1"
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            line = file.readline()
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError):
        raise SourceError("the file is not UTF-8 text", where=where, fix="Save it as UTF-8") from None
    separator = max(SEPARATORS, key=line.count)
    names = next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])
    lower = [name.lower() for name in names]  # DuckDB's names know no case
    if not names or not all(names) or len(set(lower)) != len(lower):
        raise SourceError("the first line must name the columns", where=where, allowed="each name once, none empty")
    return separator, names


def _dialect(separator: str) -> str:
    return (
        f"delim={literal(separator)}, quote='\"', escape='\"', comment='', skip=0, header=true, "
        "allow_quoted_nulls=false, strict_mode=true, null_padding=false"
    )
