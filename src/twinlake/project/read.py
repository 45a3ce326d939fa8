"""Reading a pipeline file: every mistake at once, each with file, line, what is allowed and the nearest right word."""

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from twinlake.errors import ProjectError, TwinlakeError, listed, nearest
from twinlake.project.pipeline import Pipeline
from twinlake.project.yaml import Document, fill_environment, read_document


def read_pipeline(path: Path, *, environment: bool = True) -> Pipeline:
    """The pipeline of a file, `${ENV}` filled in; raises ProjectError with every mistake found.

    With `environment=False` a variable that is not set is no mistake: enough to know what a pipeline is made of.
    """
    pipeline, mistakes = understand(path, environment=environment)
    if pipeline is None or mistakes:
        raise ProjectError(mistakes)
    return pipeline


def understand(path: Path, *, environment: bool = True) -> tuple[Pipeline | None, list[TwinlakeError]]:
    """What can be made of a file, and its mistakes: what is wrong is left out, so that the rest can be looked at too.

    None where too little is left. Raises ProjectError for what is no file or no YAML.
    """
    document = read_document(_text(path), path.name)
    values, unset = fill_environment(document)
    mistakes = [*unset] if environment else []
    if not isinstance(values, dict):
        nothing = TwinlakeError("the file holds no settings", where=document.where(()), allowed=_allowed(Pipeline))
        return None, [nothing]
    pipeline: Pipeline | None
    try:
        pipeline = Pipeline.model_validate({**values, "name": path.stem})
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True, include_input=True)
        mistakes += _sentences(details, document)
        left = _without(values, [_path(d, document) for d in details])
        pipeline = _validated(left, path.stem)
    if pipeline and pipeline.unit not in (None, *pipeline.tables):
        mistakes.append(_unlisted(pipeline, document))
    return (None if unset and environment else pipeline), sorted(mistakes, key=_line)


def _validated(values: dict[str, Any], name: str) -> Pipeline | None:
    try:
        return Pipeline.model_validate({**values, "name": name})
    except ValidationError:
        return None


def _without(values: dict[str, Any], paths: Iterable[tuple[str | int, ...]]) -> dict[str, Any]:
    """A copy of the values without what stands at these places."""
    left = copy.deepcopy(values)
    for path in filter(None, paths):
        inner: Any = left
        for step in path[:-1]:
            inner = inner.get(step, {}) if isinstance(inner, dict) else {}
        if isinstance(inner, dict):
            inner.pop(path[-1], None)
    return left


def _line(mistake: TwinlakeError) -> int:
    return int(mistake.where.rpartition(":")[2] or 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        there = sorted(p.stem for p in path.parent.glob("*.yaml"))
        fix = nearest(path.stem, there) or "Make one with: twinlake init URL NAME"
        allowed = f"there are {listed(there)}" if there else ""
        raise ProjectError([TwinlakeError(f"there is no pipeline {path.stem}", allowed=allowed, fix=fix)]) from None
    except UnicodeDecodeError:
        raise ProjectError([TwinlakeError(f"{path.name} is no UTF-8 text")]) from None


def _unlisted(pipeline: Pipeline, document: Document) -> TwinlakeError:
    names = list(pipeline.tables)
    return TwinlakeError(
        f'unit "{pipeline.unit}" is not under tables:', where=document.where(("unit",)),
        allowed=f"it has {listed(names)}", fix=nearest(pipeline.unit or "", names),
    )  # fmt: skip


def _sentences(details: Iterable[ErrorDetails], document: Document) -> list[TwinlakeError]:
    return [_sentence(d, document.where(_path(d, document))) for d in details]


def _path(detail: ErrorDetails, document: Document) -> tuple[str | int, ...]:
    """The location without the steps that pydantic adds for unions."""
    path: tuple[str | int, ...] = ()
    for step in detail["loc"]:
        path = (*path, step) if (*path, step) in document.lines else path
    return path


def _sentence(detail: ErrorDetails, where: str) -> TwinlakeError:
    key, model = _key(detail["loc"]), _model_at(detail["loc"][:-1])
    allowed = _allowed(model) if model else ""
    if detail["type"] == "extra_forbidden":
        return TwinlakeError(
            f'unknown key "{key}"', where=where, allowed=allowed, fix=nearest(key, _keys(model) if model else ())
        )
    if detail["type"] == "missing":
        return TwinlakeError(f'key "{key}" is missing', where=where, allowed=allowed)
    message = detail["msg"].removeprefix("Value error, ")
    fix = nearest(str(detail["input"]), re.findall(r"'(\w+)'", message))
    return TwinlakeError(f"{key}: {message[0].lower()}{message[1:]}", where=where, fix=fix)


def _key(path: tuple[str | int, ...]) -> str:
    return next((s for s in reversed(path) if isinstance(s, str)), "")


def _model_at(path: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model whose keys stand at a place of the file."""
    schema: Any = Pipeline.model_fields
    model: type[BaseModel] | None = Pipeline
    for step in path:
        field = next((f for n, f in schema.items() if step in (n, f.alias)), None)
        inner = _models(field.annotation) if field else []
        if inner:
            model = inner[0]
            schema = model.model_fields
    return model


def _models(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for a in getattr(annotation, "__args__", ()) for m in _models(a)]


def _keys(model: type[BaseModel]) -> list[str]:
    return [f.alias or n for n, f in model.model_fields.items() if not (model is Pipeline and n == "name")]


def _allowed(model: type[BaseModel]) -> str:
    return f"allowed are {listed(_keys(model), most=20)}"
