"""Suites as data: what must be true of a table, read from and written to Great Expectations' own JSON. No GX here."""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from twinlake.errors import ProjectError, TwinlakeError, listed, nearest
from twinlake.project.yaml import Document, read_document
from twinlake.schema import Table

NEEDS_SQL = frozenset(
    {"expect_query_results_to_match_comparison", "expect_table_row_count_to_equal_other_table",
     "unexpected_rows_expectation"}
)  # fmt: skip

SUPERSEDED = "expect_multicolumn_values_to_be_unique"  # GX still has the file but no longer registers it


class Weight(StrEnum):
    """Great Expectations' severities: `critical` blocks a release, the others are shown."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that must be true: a type of Great Expectations with its arguments.

    Attributes:
        line: where it stands in its file, from 1; 0 for one that was not read.
    """

    type: str
    kwargs: Mapping[str, Any]
    severity: Weight = Weight.CRITICAL
    meta: Mapping[str, Any] = field(default_factory=dict)
    notes: Any = None
    description: str | None = None
    line: int = field(default=0, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it speaks of."""
        one = [self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs]
        many = [c for key in ("column_list", "column_set") for c in self.kwargs.get(key) or ()]
        return tuple(str(c) for c in (*one, *many))

    def __str__(self) -> str:
        """`expect_column_values_to_be_unique (id)`; columns of the whole table are not listed."""
        about_table = self.type.startswith("expect_table_") or not self.columns
        return self.type if about_table else f"{self.type} ({listed(self.columns)})"


@dataclass(frozen=True, slots=True)
class Suite:
    """Expectations of one table.

    Attributes:
        file: the file it was read from, as shown; empty for one that was not read.
    """

    name: str
    expectations: tuple[Expectation, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    file: str = field(default="", compare=False)

    def where(self, expectation: Expectation) -> str:
        """`clinic/subjects.json:12`, or the suite's name."""
        return f"{self.file}:{expectation.line}" if self.file and expectation.line else self.name


def read_suite(path: Path, table: Table) -> Suite:
    """The suite of a file; raises ProjectError with every mistake found.

    Types, columns and severities are checked here; arguments by `_gx.check_suite`, which has to import GX.
    """
    name = f"{path.parent.name}/{path.name}"
    values, document = _parsed(path, name)
    mistakes = list(_mistakes(values, document, table))
    if mistakes:
        raise ProjectError(mistakes)
    entries = values["expectations"]
    lines = [document.lines.get(("expectations", i), 1) for i in range(len(entries))]
    made = tuple(_expectation(e, line) for e, line in zip(entries, lines, strict=True))
    return Suite(str(values.get("name", path.stem)), made, values.get("meta") or {}, name)


def write_suite(path: Path, suite: Suite) -> None:
    """Write a suite as Great Expectations' JSON; `read_suite` gives it back."""
    data = {"name": suite.name, "expectations": [to_gx(e) for e in suite.expectations], "meta": dict(suite.meta)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def to_gx(expectation: Expectation) -> dict[str, Any]:
    """An expectation as Great Expectations' JSON has it."""
    plain: dict[str, Any] = {"type": expectation.type, "kwargs": dict(expectation.kwargs)}
    plain["severity"] = expectation.severity.value
    optional = {"meta": dict(expectation.meta), "notes": expectation.notes, "description": expectation.description}
    return plain | {key: value for key, value in optional.items() if value}


@cache
def known_types() -> tuple[str, ...]:
    """Types of expectation that the installed Great Expectations has and that files can be held against.

    Read from what its package of expectations imports: importing it takes seconds.
    """
    spec = importlib.util.find_spec("great_expectations")
    homes = [Path(f) / "expectations" / "core" for f in (spec.submodule_search_locations if spec else None) or ()]
    imports = "".join((home / "__init__.py").read_text(encoding="utf-8") for home in homes)
    names = set(re.findall(r"^from \.(expect_\w+) import", imports, re.MULTILINE))
    return tuple(sorted(names - NEEDS_SQL - {SUPERSEDED}))


def _parsed(path: Path, name: str) -> tuple[Any, Document]:
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text)
    except FileNotFoundError:
        fix = "Make one with: twinlake init URL NAME"
        raise ProjectError([TwinlakeError("there is no such suite", where=name, fix=fix)]) from None
    except UnicodeDecodeError:
        raise ProjectError([TwinlakeError("this is no UTF-8 text", where=name)]) from None
    except json.JSONDecodeError as error:
        said = error.msg[0].lower() + error.msg[1:]
        raise ProjectError([TwinlakeError(f"this is no JSON: {said}", where=f"{name}:{error.lineno}")]) from None
    # JSON is YAML but for control characters and tabs; it is read as YAML for the lines alone
    printable = re.sub(r"[^\n\r\x20-\x7E\xA0-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", " ", text)
    return values, read_document(printable, name)


def _mistakes(values: Any, document: Document, table: Table) -> Iterator[TwinlakeError]:  # noqa: ANN401 - any JSON
    if not isinstance(values, dict) or not isinstance(values.get("expectations"), list):
        allowed = 'a suite is {"name": ..., "expectations": [{"type": ..., "kwargs": {...}}]}'
        yield TwinlakeError("this is no suite", where=document.where(()), allowed=allowed)
        return
    for i, entry in enumerate(values["expectations"]):
        at = ("expectations", i)
        kwargs = entry.get("kwargs", {}) if isinstance(entry, dict) else None
        if not isinstance(kwargs, dict) or not isinstance(entry.get("type"), str):
            allowed = 'an expectation is {"type": ..., "kwargs": {...}, "severity": ...}'
            yield TwinlakeError("this is no expectation", where=document.where(at), allowed=allowed)
            continue
        yield from _wrong(entry, document, at, table)


def _wrong(
    entry: Mapping[str, Any], document: Document, at: tuple[str | int, ...], table: Table
) -> Iterator[TwinlakeError]:
    type_, severity = entry["type"], entry.get("severity", Weight.CRITICAL.value)
    if type_ in NEEDS_SQL:
        where = document.where((*at, "type"))
        yield TwinlakeError(f'"{type_}" needs a database, and a twin is files', where=where)
    elif type_ not in known_types():
        yield TwinlakeError(
            f'unknown expectation "{type_}"', where=document.where((*at, "type")),
            allowed="allowed are those of Great Expectations", fix=nearest(type_, known_types()),
        )  # fmt: skip
    if severity not in list(Weight):
        yield TwinlakeError(
            f'unknown severity "{severity}"', where=document.where((*at, "severity")),
            allowed=f"allowed are {listed(Weight)}", fix=nearest(str(severity), Weight),
        )  # fmt: skip
    for column in Expectation(type_, entry.get("kwargs", {})).columns:
        if column not in table.names:
            yield TwinlakeError(
                f'table {table.name} has no column "{column}"', where=document.where((*at, "kwargs")),
                allowed=f"it has {listed(table.names)}", fix=nearest(column, table.names),
            )  # fmt: skip


def _expectation(entry: Mapping[str, Any], line: int) -> Expectation:
    return Expectation(
        entry["type"],
        entry.get("kwargs", {}),
        Weight(entry.get("severity", Weight.CRITICAL)),
        entry.get("meta") or {},
        entry.get("notes"),
        entry.get("description"),
        line,
    )
