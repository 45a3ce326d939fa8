"""Rules that no twin can hold: those that exclude each other, and those that the real rows break."""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from twinlake.errors import DataError, TwinlakeError
from twinlake.expectations.rules import Batches, Breaches, breaches
from twinlake.rules import Cell, Reading, prefixes, reading, unheld, values
from twinlake.schema import Origin, Rule, Schema, Table
from twinlake.sql import Node, written

_MIRRORED = {
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHAN",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHAN",
}
"""What is left of a comparison that NOT stands before."""

_NO_CELLS = pa.table({"rows": pa.nulls(1, pa.bool_())})


def contradictions(schema: Schema) -> list[TwinlakeError]:
    """Rules of each table that no row can hold together, one sentence for those that exclude each other."""
    return [mistake for table in schema for mistake in _excluding(schema, table)]


def broken_rules(schema: Schema, batches: Batches) -> list[TwinlakeError]:
    """Rules that real rows break, each with how many; tables whose rules exclude each other are left out."""
    asked = [t for t in schema if (t.rules or t.unique) and not _excluding(schema, t)]
    return [mistake for t in asked for mistake in _broken(t, breaches(schema, t, batches))]


def _broken(table: Table, found: Breaches) -> Iterator[TwinlakeError]:
    for rule, rows in found.rules.items():
        if rows:
            fix = "Mend the rows, loosen the rule, or take it out"
            if rule.origin is Origin.CATALOG:
                fix = (
                    "The database reads it otherwise than DuckDB does: leave the catalog's constraints out with "
                    f"checks: false under tables.{table.name}, and write those that hold under rules:"
                )
            yield DataError(
                f'{_real(rows, found.rows)} break the rule "{rule}"',
                where=f"rules of {table.name}", allowed="the twin can't hold a rule that real rows break", fix=fix,
            )  # fmt: skip
    for columns, rows in found.unique.items():
        if rows:
            yield DataError(
                f"{_real(rows, found.rows)} repeat {', '.join(columns)} of an earlier row",
                where=f"unique columns of {table.name}", allowed="what is unique stands in one row only",
                fix="Mend the rows, or take it out from under unique:",
            )  # fmt: skip


def _real(rows: int, of: int) -> str:
    return f"{rows:,} of {of:,} real rows"


# --- rules that exclude each other


@dataclass(frozen=True, slots=True)
class _Constant:
    """A constant, as what it is compared with is measured: a number, a time in microseconds, or a text."""

    value: float | str

    def exceeds(self, other: "_Constant") -> bool:
        """Whether it is more than another of its kind."""
        if isinstance(self.value, float) and isinstance(other.value, float):
            return self.value > other.value
        return isinstance(self.value, str) and isinstance(other.value, str) and self.value > other.value


Point = Cell | _Constant
"""What rules compare."""


@dataclass(frozen=True, slots=True)
class _Edge:
    """A rule says that one thing is at least another, or more."""

    above: Point
    below: Point
    strict: bool
    rule: Rule | None


def _excluding(schema: Schema, table: Table) -> list[TwinlakeError]:
    types = _types(schema, table)
    never, edges = [], list[_Edge]()
    for rule in table.rules:
        read = reading(rule, table)
        if any(_is_false(read, part) for part in read.parts):
            never.append(rule)
        else:
            edges += [e for part in read.parts for e in _edges(rule, read, part, types)]
    found: list[tuple[Rule, ...]] = [(rule,) for rule in never]
    while cycle := _shortest(edges):
        found.append(tuple(r for r in table.rules if r in cycle))
        edges = [e for e in edges if e.rule != found[-1][-1]]
    return [_sentence(table, rules) for rules in found]


def _sentence(table: Table, rules: Sequence[Rule]) -> TwinlakeError:
    where = f"rules of {table.name}"
    if len(rules) == 1:
        return DataError(f'the rule "{rules[0]}" can never be true', where=where, fix="Take it out, or mend it")
    *others, last = (f'"{rule}"' for rule in rules)
    told = f"the rules {', '.join(others)} and {last} exclude each other: no row can hold all of them"
    return DataError(told, where=where, fix="Take one of them out, or mend it")


def _types(schema: Schema, table: Table) -> Mapping[Cell, pa.DataType]:
    own = {("", c.name): c.type for c in table.columns}
    return own | {(p, c.name): c.type for p, r in prefixes(table).items() for c in schema[r.table].columns}


def _is_false(read: Reading, node: Node) -> bool:
    """Whether a condition is false whatever the columns hold, as far as constants tell."""
    if not read.named(node):
        return bool(unheld([node], _NO_CELLS)[0][0])
    if node["type"] == "CONJUNCTION_AND":
        return any(_is_false(read, child) for child in node["children"])
    return node["type"] == "CONJUNCTION_OR" and all(_is_false(read, child) for child in node["children"])


def _edges(rule: Rule, read: Reading, part: Node, types: Mapping[Cell, pa.DataType]) -> Iterator[_Edge]:
    """What a part of a rule says of the order of columns and constants."""
    if part["type"] == "COMPARE_IN":
        yield from _listed(rule, read, part["children"], types)
    for type_, left, right in _comparisons(part):
        cells = [cell for node in (left, right) if (cell := _cell(read, node))]
        if not cells:
            continue
        above, below = (_cell(read, node) or _constant(read, node, types[cells[0]]) for node in (left, right))
        if above is None or below is None:
            continue
        whole = pa.types.is_integer(types[cells[0]])
        if type_.startswith("COMPARE_LESSTHAN"):
            above, below = below, above
        yield _tightened(_Edge(above, below, type_ in ("COMPARE_GREATERTHAN", "COMPARE_LESSTHAN"), rule), whole=whole)
        if type_ == "COMPARE_EQUAL":
            yield _tightened(_Edge(below, above, strict=False, rule=rule), whole=whole)


def _listed(rule: Rule, read: Reading, nodes: Sequence[Node], types: Mapping[Cell, pa.DataType]) -> Iterator[_Edge]:
    """A value of a list is no less than its least and no more than its largest."""
    cell = _cell(read, nodes[0])
    named = [_constant(read, node, types[cell]) for node in nodes[1:]] if cell else []
    known = [c for c in named if c is not None]
    if cell and known and len(known) == len(named):
        least = next(c for c in known if not any(c.exceeds(d) for d in known))
        largest = next(c for c in known if not any(d.exceeds(c) for d in known))
        yield _Edge(cell, least, strict=False, rule=rule)
        yield _Edge(largest, cell, strict=False, rule=rule)


def _comparisons(part: Node) -> Iterator[tuple[str, Node, Node]]:
    """A condition as comparisons that all hold where it does."""
    if part["type"] == "OPERATOR_NOT" and part["children"][0]["type"] in _MIRRORED:
        inner = part["children"][0]
        yield _MIRRORED[inner["type"]], inner["left"], inner["right"]
    elif part["class"] == "COMPARISON" and (part["type"] in _MIRRORED or part["type"] == "COMPARE_EQUAL"):
        yield part["type"], part["left"], part["right"]
    elif part["class"] == "BETWEEN" and part["type"] == "COMPARE_BETWEEN":
        yield "COMPARE_GREATERTHANOREQUALTO", part["input"], part["lower"]
        yield "COMPARE_LESSTHANOREQUALTO", part["input"], part["upper"]


def _cell(read: Reading, node: Node) -> Cell | None:
    """The column that an expression is; None where it is more."""
    return read.cells[int(node["column_names"][0][1:])] if node["class"] == "COLUMN_REF" else None


def _constant(read: Reading, node: Node, type_: pa.DataType) -> _Constant | None:
    """The constant that an expression is beside a column of that type; None where it is none, or of no such kind."""
    kind = _kind(type_)
    if read.named(node) or not kind:
        return None
    asked = {
        "number": f"TRY_CAST({written(node)} AS DOUBLE)",
        "time": f"epoch_us(TRY_CAST({written(node)} AS TIMESTAMP))::DOUBLE",
        "text": f"TRY_CAST({written(node)} AS VARCHAR)",
    }[kind]
    value = values([f"TRY({asked})"], _NO_CELLS)[0][0].as_py()
    usable = isinstance(value, str) or (value is not None and math.isfinite(value))
    return _Constant(value) if usable else None


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        return "time"
    return "text" if type_ == pa.string() else ""


def _tightened(edge: _Edge, *, whole: bool) -> _Edge:
    """More than 2 is at least 3 among whole numbers."""
    above, below = edge.above, edge.below
    if whole and isinstance(below, _Constant) and isinstance(below.value, float):
        least = math.floor(below.value) + 1 if edge.strict else math.ceil(below.value)
        return _Edge(above, _Constant(float(least)), strict=False, rule=edge.rule)
    if whole and isinstance(above, _Constant) and isinstance(above.value, float):
        most = math.ceil(above.value) - 1 if edge.strict else math.floor(above.value)
        return _Edge(_Constant(float(most)), below, strict=False, rule=edge.rule)
    return edge


def _shortest(edges: Sequence[_Edge]) -> tuple[Rule, ...]:
    """The fewest rules that say that something is more than itself; none where no rules do."""
    points = list(dict.fromkeys(p for e in edges for p in (e.above, e.below)))
    constants = [p for p in points if isinstance(p, _Constant)]
    known = [_Edge(a, b, strict=True, rule=None) for a in constants for b in constants if a.exceeds(b)]
    down: dict[Point, list[_Edge]] = {p: [e for e in (*edges, *known) if e.above == p] for p in points}
    found = [cycle for p in points if (cycle := _around(p, down))]
    return min(found, key=len, default=())


def _around(start: Point, down: Mapping[Point, list[_Edge]]) -> tuple[Rule, ...]:
    """The rules on a shortest way from a thing down to itself by which it is less than itself."""
    waiting: deque[tuple[Point, bool, tuple[Rule, ...]]] = deque([(start, False, ())])
    seen = {(start, False)}
    while waiting:
        point, strict, rules = waiting.popleft()
        for edge in down[point]:
            less = strict or edge.strict
            on_way = rules if edge.rule is None or edge.rule in rules else (*rules, edge.rule)
            if edge.below == start and less:
                return on_way
            if (edge.below, less) not in seen:
                seen.add((edge.below, less))
                waiting.append((edge.below, less, on_way))
    return ()
