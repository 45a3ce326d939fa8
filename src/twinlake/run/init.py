"""A first pipeline file and first suites for a source: read once, drafted from its catalog and safe aggregates."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import yaml

from twinlake.errors import ProjectError, TwinlakeError
from twinlake.expectations.draft import draft_suite
from twinlake.expectations.suite import write_suite
from twinlake.generators.personal import detect
from twinlake.hashing import Hashes
from twinlake.progress import Progress
from twinlake.project.notation import write_column, write_reference
from twinlake.project.yaml import fill_text
from twinlake.run.run import SMALL
from twinlake.run.wall import walled
from twinlake.schema import Kind, Schema, Table, quoted
from twinlake.sources.extract import extract as read_source
from twinlake.sources.protocols import Source
from twinlake.sources.registry import open_source
from twinlake.storage.catalog import check_name
from twinlake.storage.layout import Layout
from twinlake.storage.tracked import refuse_tracked
from twinlake.storage.versions import add_pipeline
from twinlake.tables import Tables
from twinlake.units import assign_units, unit_tables

LOOKED_AT = 5_000  # values of a column that are looked at to tell whether it is personal


@dataclass(frozen=True, slots=True)
class Draft:
    """What was written: the pipeline file, the suites, and what a person should look at."""

    pipeline: Path
    suites: tuple[Path, ...]
    personal: tuple[str, ...]
    hints: tuple[str, ...]


def init(url: str, name: str, *, layout: Layout, progress: Progress | None = None) -> Draft:
    """Write `pipelines/NAME.yaml` and `expectations/NAME/*.json`; refuses to overwrite a pipeline."""
    file = layout.pipeline_file(name)
    _check_name(name, file)
    source = open_source(_filled(url), root=layout.root)
    with walled(layout, name, "looking at the source"), layout.scratch(name) as scratch:
        refuse_tracked(layout)
        skipped = source.uncarried()
        schema = source.schema(without=skipped)
        empty = _empty(source, schema)
        filled = _without(schema, empty)
        read_source(source, filled, scratch / "all", progress=progress)
        tables = Tables.open(scratch / "all")
        personal = _personal(tables)
        rows = {n: tables.rows(n) for n in filled.names}
        unit = guess_unit(filled, {t for t, _ in personal})
        units = assign_units(tables, unit)
        suites = tuple(_write_suite(layout, name, _marked(t, personal), tables, units[t.name]) for t in filled)
    add_pipeline(layout, name)  # first, for it may refuse
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_text(url, name, filled, personal, rows, unit, empty, skipped), encoding="utf-8")
    named = tuple(f"{write_column(t, c)} ({p})" for (t, c), p in personal.items())
    return Draft(file, suites, named, _hints(url, name, rows, filled, unit))


def _filled(url: str) -> str:
    filled, unset = fill_text(url)
    if unset:
        fix = f"Set it, for example with: export {unset[0]}=..."
        raise TwinlakeError(f"environment variable {unset[0]} is not set", where="URL", fix=fix)
    return filled


def guess_unit(schema: Schema, personal: set[str]) -> str | None:
    """The one root table that holds personal columns and that other tables refer to; None where it isn't clear."""
    referred = {r.table for t in schema for r in t.references if r.table != t.name}
    roots = [t.name for t in schema if all(r.table == t.name for r in t.references)]
    found = [n for n in roots if n in personal and n in referred]
    return found[0] if len(found) == 1 else None


def _check_name(name: str, file: Path) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        what = f'"{name}" can\'t name a pipeline'
        raise ProjectError(
            [TwinlakeError(what, allowed="letters, digits and _, a letter first", fix="Give another NAME")]
        )
    check_name(name)
    if file.exists():
        fix = "Give another NAME, or remove that file first"
        raise ProjectError(
            [TwinlakeError(f"there is a pipeline {name} already", where=f"pipelines/{file.name}", fix=fix)]
        )


def _empty(source: Source, schema: Schema) -> list[str]:
    with source.reading() as reading:
        return [t.name for t in schema if reading.count(f"SELECT count(*) FROM {quoted(t.name)}") == 0]


def _without(schema: Schema, empty: list[str]) -> Schema:
    kept = [t for t in schema if t.name not in empty]
    if not kept:
        raise TwinlakeError("no table of the source has rows", fix="Fill the source first")
    return Schema(tuple(replace(t, references=tuple(r for r in t.references if r.table not in empty)) for t in kept))


def _personal(tables: Tables) -> dict[tuple[str, str], str]:
    found = {}
    for table in tables.schema:
        for name in (n for n in table.names if n not in table.identifiers):
            values = tables.columns(table.name, [name])[name].slice(0, LOOKED_AT).combine_chunks()
            if provider := detect(name, values, table=table.name):
                found[table.name, name] = provider
    return found


def _marked(table: Table, personal: Mapping[tuple[str, str], str]) -> Table:
    columns = (
        replace(c, kind=Kind.PERSONAL, provider=personal[table.name, c.name]) if (table.name, c.name) in personal else c
        for c in table.columns
    )
    return replace(table, columns=tuple(columns))


def _write_suite(layout: Layout, name: str, table: Table, tables: Tables, units: Hashes | None) -> Path:
    file = layout.suite_file(name, table.name)
    if not file.exists():  # one that somebody has edited stays
        file.parent.mkdir(parents=True, exist_ok=True)
        write_suite(file, draft_suite(table, tables[table.name], units=units))
    return file


def _hints(url: str, name: str, rows: Mapping[str, int], schema: Schema, unit: str | None) -> tuple[str, ...]:
    small = [t for t, n in rows.items() if n < SMALL]
    reached = unit_tables(schema, unit)
    lost = [t for t in rows if t not in reached and t not in small]
    variable, asked = password_variable(name), without_password(url, name) != url
    return (
        *((f"set the password: export {variable}=...",) if asked and variable not in os.environ else ()),
        *((f"small tables, public if they are lookup lists anyone may see: {', '.join(small)}",) if small else ()),
        *((f"tables that {unit} does not reach, public or in need of a reference: {', '.join(lost)}",) if lost else ()),
        *(("unit: name the table whose rows are people, if one is",) if unit is None and len(rows) > 1 else ()),
    )


def password_variable(name: str) -> str:
    """The environment variable that a drafted pipeline file takes its password from."""
    return f"{name.upper()}_PASSWORD"


def without_password(url: str, name: str) -> str:
    """The URL with its password, wherever it stands, replaced by `${NAME_PASSWORD}`."""
    variable = f"${{{password_variable(name)}}}"
    parts = urlsplit(url)
    query = re.sub(r"(^|&)(password=)(?!\$\{)[^&]+", rf"\g<1>\g<2>{variable}", parts.query)
    user, _, host = parts.netloc.rpartition("@")
    if not parts.password or parts.password.startswith("${"):
        return url if query == parts.query else urlunsplit(parts._replace(query=query))
    return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}:{variable}@{host}", query=query))


def _text(
    url: str, name: str, schema: Schema, personal: Mapping[tuple[str, str], str], rows: Mapping[str, int],
    unit: str | None, empty: list[str], skipped: Sequence[tuple[str, str]],
) -> str:  # fmt: skip
    lines = [
        "# yaml-language-server: $schema=pipeline.schema.json",
        "# Drafted from the source's catalog. Read it once: what is personal, whose rows these are, what may be seen.",
        f"source: {_scalar(without_password(url, name))}",
        f"unit: {_scalar(unit)}"
        if unit
        else "# unit: TABLE     # the table whose rows, with all that refers to them, are one person's",
        "holdout: 0.2",
        "tables:",
        *(_table_line(t, rows[t.name]) for t in schema),
        *(f"  # {_scalar(n)}:     # no rows yet" for n in empty),
        *_column_lines(personal, skipped),
        "generator: {name: forest}",
        'snapshot: {rows: 1.0x, every: "0 3 * * *"}',
        "release: {keep: 10}",
    ]
    return "\n".join(lines) + "\n"


def _table_line(table: Table, rows: int) -> str:
    parts = [f"key: {_names(table.key)}"] if table.key else []
    if table.references:
        texts = [_scalar(write_reference(r.columns, r.table, r.to)) for r in table.references]
        parts.append(f"references: [{', '.join(texts)}]")
    hint = "     # a lookup list that anyone may see? Then add public: true" if rows < SMALL else ""
    body = f" {{{', '.join(parts)}}}" if parts else ""
    return f"  {_scalar(table.name)}:{body}{hint}"


def _column_lines(personal: Mapping[tuple[str, str], str], skipped: Sequence[tuple[str, str]]) -> list[str]:
    made = [f"  {_scalar(write_column(t, c))}: {{kind: personal, as: {p}}}" for (t, c), p in personal.items()]
    left = [
        f"  {_scalar(write_column(t, c))}: {{drop: true}}     # its type can't be carried" for t, c in sorted(skipped)
    ]
    return ["columns:", *made, *left] if made or left else []


def _names(names: tuple[str, ...]) -> str:
    return _scalar(names[0]) if len(names) == 1 else f"[{', '.join(_scalar(n) for n in names)}]"


def _scalar(text: str) -> str:
    """A text as a YAML scalar that is safe inside `{...}` and `[...]`."""
    plain = yaml.safe_dump([text], default_flow_style=True, width=10**6, allow_unicode=True).strip()
    return plain[1:-1]


def name_for(url: str) -> str:
    """A pipeline's name from what a URL ends with: its database, file or folder."""
    parts = [p for p in re.split(r"[/:*]", url.split("?")[0]) if p and not p.startswith(".")]
    word = re.sub(r"\W", "_", Path(parts[-1]).stem) if parts else ""
    return word.lower() if re.match(r"[A-Za-z]", word) else f"p_{word}".lower()
