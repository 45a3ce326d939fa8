"""The small notations inside a pipeline file: `a, b -> table(x, y)` and `table.column`."""

import re
from collections.abc import Collection

_NAME = r'(?:"(?:[^"]|"")*"|[^,()"]+?)'
_NAMES = rf"{_NAME}(?:\s*,\s*{_NAME})*"
_REFERENCE = re.compile(rf"\s*(?P<columns>{_NAMES})\s*->\s*(?P<table>{_NAME})\s*(?:\(\s*(?P<to>{_NAMES})\s*\))?\s*")


def parse_reference(text: str) -> tuple[tuple[str, ...], str, tuple[str, ...] | None]:
    """Columns, table and columns there (None: its key) of `a, b -> table(x, y)`; raises ValueError."""
    found = _REFERENCE.fullmatch(text)
    if not found:
        raise ValueError(f'reference "{text}" can\'t be read; write it like "id -> subjects" or "a, b -> wards(x, y)"')
    to = _split(found["to"]) if found["to"] else None
    return _split(found["columns"]), _plain(found["table"]), to


def parse_pointer(text: str) -> tuple[tuple[str, ...], str | None, tuple[str, ...] | None]:
    """What names a reference of a table: its columns, `a, b`, or the whole of it; raises ValueError."""
    if re.fullmatch(rf"\s*{_NAMES}\s*", text) and not _REFERENCE.fullmatch(text):
        return _split(text), None, None
    return parse_reference(text)


def write_columns(columns: Collection[str]) -> str:
    """Columns as they stand in front of `->`."""
    return _join(columns)


def write_reference(columns: Collection[str], table: str, to: Collection[str]) -> str:
    """The text that `parse_reference` reads."""
    return f"{_join(columns)} -> {_quote(table)}({_join(to)})"


def write_column(table: str, column: str) -> str:
    """`table.column`, the table in double quotes where its name has a dot or a quote."""
    return f"{_quote(table, '.')}.{column}"


def split_column(text: str, tables: Collection[str]) -> tuple[str, str]:
    """Table and column of `table.column`; a table whose name has a dot may be quoted. Raises ValueError."""
    if text.startswith('"') and (found := re.fullmatch(r'("(?:[^"]|"")*")\.(.+)', text)):
        return _plain(found[1]), found[2]
    options = [(text[:i], text[i + 1 :]) for i, c in enumerate(text) if c == "."]
    if not options:
        raise ValueError(f'"{text}" names no column; write it like table.column')
    return next((o for o in options if o[0] in tables), options[0])


def _split(text: str) -> tuple[str, ...]:
    return tuple(_plain(m[0]) for m in re.finditer(_NAME + r"(?=\s*(?:,|$))", text) if m[0].strip())


def _plain(name: str) -> str:
    name = name.strip()
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _join(names: Collection[str]) -> str:
    return ", ".join(_quote(n) for n in names)


def _quote(name: str, also: str = "") -> str:
    odd = any(c in name for c in ',()"' + also) or "->" in name or name != name.strip()
    return '"' + name.replace('"', '""') + '"' if odd else name
