"""Releases and query results as lines of text for a terminal."""

import io
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.csv as pc
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twinlake.report.words import printable

MOST_ROWS = 200
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def release_lines(releases: Iterable[tuple[str, str, str, Mapping[str, int], str]]) -> Iterator[str]:
    """A line per (pipeline, release, created, rows by table, generator)."""
    told = False
    for pipeline, name, created, rows, generator in releases:
        counts = ", ".join(f"{t} {n:,}" for t, n in rows.items())
        told = True
        yield f"{pipeline}@{name}  {created[:16].replace('T', ' ')}  {generator}  {counts}"
    if not told:
        yield "no releases yet. Make one with: twinlake run NAME"


def look_line(what: str, holds: bool, said: str, *, encoding: str = "utf-8") -> str:
    """A line on one thing that was looked at, in letters that `encoding` can write."""
    mark = ("✓" if holds else "✗") if encoding.lower().startswith("utf") else ("ok" if holds else "NO")
    line = f"{mark}  {what}: {printable(said, most=600)}"
    return line.encode(encoding, "backslashreplace").decode(encoding)


def as_text(rows: pa.Table, *, csv: bool = False, formulas: bool = True) -> str:
    """Rows as a table for people, cut after 200, or all of them as comma-separated values.

    Without `formulas`, texts and names in CSV that a spreadsheet would run begin with an apostrophe (OWASP, "CSV
    Injection"): those whose first sign is one of = + - @, a tab or the end of a line.
    """
    if csv:
        return _csv(rows if formulas else _harmless(rows))
    table = Table(box=box.SIMPLE_HEAD)
    for name in rows.column_names:
        table.add_column(Text(name))
    shown = [column.slice(0, MOST_ROWS).to_pylist() for column in rows.columns]  # names may come twice
    for row in zip(*shown, strict=True):
        table.add_row(*(Text("NULL" if v is None else str(v)) for v in row))
    out = io.StringIO()
    console = Console(file=out, width=max(80, 24 * rows.num_columns), color_system=None)
    console.print(table)
    more = f"\n… {rows.num_rows - MOST_ROWS:,} rows more" if rows.num_rows > MOST_ROWS else ""
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").splitlines()) + more


def _csv(rows: pa.Table) -> str:
    plain = [c if _is_csv(c.type) else _words(c) for c in rows.columns]
    out = io.BytesIO()
    pc.write_csv(pa.table(plain, names=rows.column_names), out)
    return out.getvalue().decode().rstrip("\n")


def _harmless(rows: pa.Table) -> pa.Table:
    """The rows with an apostrophe before each text, and each name, that a spreadsheet would take for a formula."""
    names = [f"'{n}" if n.startswith(_FORMULA) else n for n in rows.column_names]
    return pa.table([c if _is_plain(c.type) else _apostrophes(c) for c in rows.columns], names=names)


def _apostrophes(column: pa.ChunkedArray) -> pa.Array:
    texts = (None if v is None else v if isinstance(v, str) else str(v) for v in column.to_pylist())
    return pa.array([f"'{t}" if t is not None and t.startswith(_FORMULA) else t for t in texts], pa.string())


def _is_plain(type_: pa.DataType) -> bool:
    """Whether cells are numbers, times or booleans, which no spreadsheet runs: -5 stays -5."""
    number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    time = pa.types.is_temporal(type_) and not pa.types.is_interval(type_)
    return bool(number or time or pa.types.is_boolean(type_))


def _words(column: pa.ChunkedArray) -> pa.Array:
    """What CSV has no form for, as the text that Python has for it."""
    return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())


def _is_csv(type_: pa.DataType) -> bool:
    odd = pa.types.is_dictionary(type_) or pa.types.is_nested(type_) or pa.types.is_interval(type_)
    return not (odd or isinstance(type_, pa.BaseExtensionType))
