"""Conditions in SQL as DuckDB's trees, and back: read by DuckDB and never by hand, so they mean what a query means."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

Node = dict[str, Any]

_SELECT = "SELECT * FROM cells WHERE "


class UnreadableError(ValueError):
    """A text that is no condition; its message is DuckDB's, empty where the text is more than a condition."""


def parsed(text: str) -> Node:
    """A condition as DuckDB's tree; raises UnreadableError for anything else."""
    answer = _asked(f"{_SELECT}(\n{text}\n)")
    if answer["error"] or len(answer["statements"]) != 1:
        raise UnreadableError(str(answer.get("error_message", "it is more than one statement")))
    root: Node | None = answer["statements"][0]["node"].get("where_clause")
    if root is None or _without_condition(answer) != _without_condition(json.loads(_frame())):
        raise UnreadableError
    return root


def written(root: Node) -> str:
    """A tree as SQL, as DuckDB writes it."""
    whole = json.loads(_frame())
    whole["statements"][0]["node"]["where_clause"] = root
    with connection().cursor() as asked:
        ((text,),) = asked.execute("SELECT json_deserialize_sql(?)", [json.dumps(whole)]).fetchall()
    return str(text).removeprefix(_SELECT)


def walk(value: object) -> Iterator[Node]:
    """Every expression within a tree, as it stands there."""
    if isinstance(value, dict):
        if "class" in value:
            yield value
        for child in value.values():
            yield from walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from walk(child)


def operands(node: Node, kind: str) -> list[Node]:
    """A node's operands, those of operands of the same kind in their place."""
    if node["type"] != kind:
        return [node]
    return [n for child in node["children"] for n in operands(child, kind)]


@lru_cache(maxsize=1)
def connection() -> "duckdb.DuckDBPyConnection":
    """A database of its own that reads no files; one thread, so that rows keep their order."""
    import duckdb

    made = duckdb.connect(config={
        "enable_external_access": "false",
        "temp_directory": "",  # real rows pass through: nothing is spilt to the folder somebody happens to be in
        "threads": 1,
        "arrow_lossless_conversion": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    })  # fmt: skip
    made.execute("SET GLOBAL TimeZone = 'UTC'")
    return made


@lru_cache(maxsize=1)
def _frame() -> str:
    return json.dumps(_asked(f"{_SELECT}true"))


def _asked(text: str) -> Node:
    with connection().cursor() as asked:
        ((found,),) = asked.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    answer: Node = json.loads(found)
    return answer


def _without_condition(answer: Node) -> Node:
    statement = answer["statements"][0]
    return {**statement, "named_param_map": None, "node": {**statement["node"], "where_clause": None}}
