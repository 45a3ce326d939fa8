"""Releases and query results as lines of text for a terminal."""

import io
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.csv as pc
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

MOST_ROWS = 200


def release_lines(releases: Iterable[tuple[str, str, str, Mapping[str, int], str]]) -> Iterator[str]:
    """A line per (pipeline, release, created, rows by table, generator)."""
    told = False
    for pipeline, name, created, rows, generator in releases:
        counts = ", ".join(f"{t} {n:,}" for t, n in rows.items())
        told = True
        yield f"{pipeline}@{name}  {created[:16].replace('T', ' ')}  {generator}  {counts}"
    if not told:
        yield "no releases yet. Make one with: twinlake run NAME"


def as_text(rows: pa.Table, *, csv: bool = False) -> str:
    """Rows as a table for people, cut after 200, or all of them as comma-separated values."""
    if csv:
        return _csv(rows)
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


def _words(column: pa.ChunkedArray) -> pa.Array:
    """What CSV has no form for, as the text that Python has for it."""
    return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())


def _is_csv(type_: pa.DataType) -> bool:
    odd = pa.types.is_dictionary(type_) or pa.types.is_nested(type_) or pa.types.is_interval(type_)
    return not (odd or isinstance(type_, pa.BaseExtensionType))
