"""YAML as plain values together with the line of every key, so that a mistake can be pointed at."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from twinlake.errors import ProjectError, TwinlakeError

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a YAML file, and the line (from 1) of each key by its path."""

    name: str
    values: Any
    lines: Mapping[Path, int]

    def where(self, path: Path) -> str:
        """`file:line` of the innermost key of `path` that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


def read_document(text: str, name: str) -> Document:
    """Parse YAML; raises ProjectError with the line for what is no YAML and for a key written twice."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ProjectError([TwinlakeError(f"this is no YAML: {error.problem}", where=f"{name}:{line}")]) from None
    lines: dict[Path, int] = {(): 1}
    twice: list[TwinlakeError] = []
    if node is not None:
        _walk(node, (), lines, twice, name)
    if twice:
        raise ProjectError(twice)
    return Document(name, values, lines)


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], twice: list[TwinlakeError], name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            line = key.start_mark.line + 1
            if here in lines:
                twice.append(TwinlakeError(f'key "{key.value}" is written twice', where=f"{name}:{line}"))
            lines[here] = line
            _walk(value, here, lines, twice, name)
    if isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            lines[(*path, i)] = value.start_mark.line + 1
            _walk(value, (*path, i), lines, twice, name)


def fill_text(text: str) -> tuple[str, list[str]]:
    """A text with each `${NAME}` replaced from the environment, and the names that are not set."""
    names = re.findall(r"\$\{(\w+)\}", text)
    return re.sub(r"\$\{(\w+)\}", lambda m: os.environ.get(m[1], ""), text), [n for n in names if n not in os.environ]


def fill_environment(document: Document) -> tuple[Any, list[TwinlakeError]]:
    """The document's values with each `${NAME}` replaced, and a mistake for each variable that is not set."""
    mistakes: list[TwinlakeError] = []

    def fill(value: Any, path: Path) -> Any:  # noqa: ANN401 - any YAML value
        if isinstance(value, dict):
            return {str(k): fill(v, (*path, str(k))) for k, v in value.items()}
        if isinstance(value, list):
            return [fill(v, (*path, i)) for i, v in enumerate(value)]
        return look_up(value, path) if isinstance(value, str) else value

    def look_up(text: str, path: Path) -> str:
        filled, unset = fill_text(text)
        for name in unset:
            fix = f"Set it, for example with: export {name}=..."
            mistakes.append(
                TwinlakeError(f"environment variable {name} is not set", where=document.where(path), fix=fix)
            )
        return filled

    return fill(document.values, ()), mistakes
