"""Rows of one parent as a sequence: the column that orders them becomes a beginning and steps, repeats become flags.

A step is never below 0, so order never runs backwards where it never did; nor does it leave what a column of the
context bounds, if it never did: visits lie between birth and the last contact. Values of the order column that stand
out, the day 0 of a study, are drawn as such, for steps would miss them. A column of many values that often holds what
the row before it holds gets a flag that says so, for trees hardly tell such a thing one value at a time.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.arrays import one
from twinlake.generators.relations.kinds import gap_type
from twinlake.generators.relations.ruler import Ruler, is_measure
from twinlake.generators.saved import table_from_json, table_to_json
from twinlake.generators.siblings import Siblings
from twinlake.generators.states.census import Ints, K
from twinlake.hashing import hash_values
from twinlake.schema import Column, Kind, Table

Flags = npt.NDArray[np.bool_]
_MANY = 24  # values: a column with fewer is told well enough by what the row before holds
_OFTEN = 0.05  # share of rows that repeat the row before, from which on a flag is worth it
_BEYOND_CHANCE = 2.0
_HARDLY = 0.2  # changes, as a share of those that strangers show, up to which a column of few values has a flag
_STRANGERS = 0.02  # share of strangers' pairs that break a bound, for it to tell anything
_HEAP_SHARE = 0.01  # of rows, for a value of the order column to stand out
_HEAP_NEAR = 20  # values on either side that it is compared with
_HEAP_TIMES = 10  # how much more rows it must hold than they do
HEAP, FIRST, GAP, REPEAT = "heap", "first", "gap", "repeats"


@dataclass(frozen=True)
class Sequence:
    """How rows of a table become rows of a sequence.

    Attributes:
        table: the table; its `order_by` is what was found to be an order.
        decimals: of the order column.
        repeats: columns that have a flag.
        floor: a column of the context that the order column is never below, or None.
        ceiling: one that it is never above, or None.
        heaps: whether the order column has values that stand out, which have a column of their own.
    """

    table: Table
    decimals: int = 0
    repeats: tuple[str, ...] = ()
    floor: str | None = None
    ceiling: str | None = None
    heaps: bool = False

    @classmethod
    def learn(cls, data: pa.Table, table: Table, siblings: Siblings, context: pa.Table | None) -> Self:
        """The order of these rows and its bounds, and which of their columns repeat."""
        ruler = None if table.order_by is None else _ruler(one(data[table.order_by]))
        ruler = ruler if ruler is not None and _ascends(ruler, one(data[table.order_by or ""]), siblings) else None
        repeats = tuple(n for n in table.names if n != table.order_by and _repeats_often(one(data[n]), siblings))
        if ruler is None or table.order_by is None:
            return cls(replace(table, order_by=None), 0, repeats)
        floor, ceiling = _bounds(ruler, one(data[table.order_by]), context, siblings)
        heaps = bool(len(_heaps(ruler.read(one(data[table.order_by])))))
        return cls(table, ruler.decimals, repeats, floor, ceiling, heaps)

    @cached_property
    def names(self) -> dict[tuple[str, str], str]:
        """The columns that are made, by what they are and the column they are of."""
        wanted = [(kind, self.table.order_by or "") for kind in (HEAP, FIRST, GAP)]
        return _fresh([*wanted, *((REPEAT, c) for c in self.repeats)], set(self.table.names))

    @property
    def order(self) -> str | None:
        """The column that orders rows."""
        return self.table.order_by

    @cached_property
    def ruler(self) -> Ruler:
        """How cells of the order column are read; only where there is one."""
        assert self.order is not None
        return Ruler(self.table[self.order].type, self.decimals)

    @cached_property
    def gap_ruler(self) -> Ruler:
        """How steps are read."""
        return Ruler(gap_type(self.ruler.type), self.decimals)

    @cached_property
    def first_ruler(self) -> Ruler:
        """How beginnings are read: as they are, or from the floor on."""
        return self.ruler if self.floor is None else self.gap_ruler

    def bound(self, name: str | None, context: pa.Table | None, *, rows: int) -> Ints:
        """Ticks of a bound in each row, shape (rows,); 0 where there is none."""
        if name is None or context is None:
            return np.zeros(rows, np.int64)
        cells = one(context[name])
        return Ruler(cells.type, self.decimals).read(cells)[0]

    @cached_property
    def unrolled(self) -> Table:
        """The columns that are learnt in place of the table's."""
        columns = list[Column]()
        for column in self.table.columns:
            if column.name == self.order:
                if self.heaps:
                    columns.append(Column(self.names[HEAP, column.name], column.type, kind=Kind.CATEGORY))
                columns.append(Column(self.names[FIRST, column.name], self.first_ruler.type, kind=Kind.NUMBER))
                columns.append(Column(self.names[GAP, column.name], self.gap_ruler.type, kind=Kind.NUMBER))
                continue
            if column.name in self.repeats:
                columns.append(Column(self.names[REPEAT, column.name], pa.bool_()))
            columns.append(column)
        return Table(self.table.name, tuple(columns))

    def unroll(self, data: pa.Table, siblings: Siblings, context: pa.Table | None) -> pa.Table:
        """Rows of the table as rows of `unrolled`."""
        cells = {n: one(data[n]) for n in self.table.names}
        begins = siblings.begins
        if self.order is not None:
            ticks, valid = self.ruler.read(cells[self.order])
            back, known = np.roll(ticks, 1), np.roll(valid, 1)
            if self.heaps:
                there = np.isin(ticks, _heaps((ticks, valid))) & valid
                cells[self.names[HEAP, self.order]] = self.ruler.write(ticks, there)
            low = self.bound(self.floor, context, rows=data.num_rows)
            cells[self.names[FIRST, self.order]] = self.first_ruler.write(ticks - low, valid & begins)
            cells[self.names[GAP, self.order]] = self.gap_ruler.write(ticks - back, valid & known & ~begins)
        for name in self.repeats:
            cells[self.names[REPEAT, name]] = pa.array(_repeating(cells[name], begins))
        return pa.table({n: cells[n] for n in self.unrolled.names})

    def roll(self, drawn: pa.Table, repeated: Mapping[str, Flags], moments: tuple[Ints, Flags]) -> pa.Table:
        """Rows of `unrolled` as rows of the table.

        Args:
            drawn: rows of `unrolled`.
            repeated: for columns with a flag, which rows hold what the row before holds, shape (rows,).
            moments: ticks of the order column and where they are there, both of shape (rows,).
        """
        cells = {n: one(drawn[n]) for n in drawn.column_names}
        if self.order is not None:
            cells[self.order] = self.ruler.write(*moments)
        for name, again in repeated.items():
            origin = np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))
            cells[name] = cells[name].take(pa.array(origin))
        return pa.table({n: cells[n] for n in self.table.names})

    def to_json(self) -> dict[str, Any]:
        """Plain values: names and types."""
        table = table_to_json(self.table)
        return {
            "table": table,
            "order_by": self.order,
            "decimals": self.decimals,
            "repeats": list(self.repeats),
            "floor": self.floor,
            "ceiling": self.ceiling,
            "heaps": self.heaps,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The sequence that `to_json` wrote."""
        table = replace(table_from_json(data["table"]), order_by=data["order_by"])
        repeats = tuple(data["repeats"])
        return cls(table, int(data["decimals"]), repeats, data["floor"], data["ceiling"], bool(data["heaps"]))


@dataclass(frozen=True, slots=True)
class Forced:
    """States that are not drawn: where column `flag` holds `when`, `target` is what column `source` holds.

    Without a source it is `state`; with `unless`, where the flag holds anything else.
    """

    target: int
    flag: int
    when: int
    source: int = -1
    state: int = 0
    unless: bool = False

    def apply(self, codes: npt.NDArray[np.int32]) -> None:
        """Put the states in place; `codes` are rows."""
        there = self.rows(codes)
        codes[there, self.target] = self.state if self.source < 0 else codes[there, self.source]

    def rows(self, codes: npt.NDArray[np.int32]) -> Flags:
        """The rows that are forced, shape (rows,)."""
        return np.asarray((codes[:, self.flag] == self.when) != self.unless)

    def to_json(self) -> dict[str, int]:
        """Plain values."""
        return asdict(self)


def _ruler(cells: pa.Array) -> Ruler | None:
    if not is_measure(cells.type):
        return None
    some = cells.take(pa.array(np.linspace(0, len(cells) - 1, 2_048).astype(np.int64))) if len(cells) else cells
    ruler = Ruler.fitting(some)
    return ruler if ruler is not None and ruler.fits(cells) else None


def _ascends(ruler: Ruler, cells: pa.Array, siblings: Siblings) -> bool:
    """Whether no row of a parent holds less than the one before it."""
    ticks, valid = ruler.read(cells)
    back = valid[1:] & valid[:-1] & (ticks[1:] < ticks[:-1])
    back[siblings.starts[1:-1] - 1] = False
    return not back.any()


def _heaps(order: tuple[Ints, Flags]) -> Ints:
    """Ticks that stand out among their neighbours."""
    ticks, valid = order
    values, counts = np.unique(ticks[valid], return_counts=True)
    often = np.flatnonzero(counts >= max(_HEAP_SHARE * len(ticks), K))
    near = [np.median(counts[max(i - _HEAP_NEAR, 0) : i + _HEAP_NEAR + 1]) for i in often]
    return np.asarray(values[often[counts[often] >= _HEAP_TIMES * np.array(near)]] if len(often) else values[:0])


def _bounds(
    ruler: Ruler, order: pa.Array, context: pa.Table | None, siblings: Siblings
) -> tuple[str | None, str | None]:
    """Columns of the context that the order is never below and never above, of several the closest.

    They are the same for all rows of a parent: what differs among them would bound the row and not the sequence.
    """
    ticks, valid = ruler.read(order)
    begin = np.repeat(siblings.starts[:-1], siblings.sizes)
    best: dict[bool, tuple[float, str]] = {}
    for name in context.column_names if context is not None else ():
        assert context is not None
        bound = _comparable(ruler, one(context[name]))
        if bound is None or (bound != bound[begin]).any():
            continue
        for above in (False, True):
            room = (bound - ticks if above else ticks - bound)[valid]
            strangers = np.roll(bound, len(bound) // 2)[valid] - ticks[valid]
            often = float((strangers < 0 if above else strangers > 0).mean()) if len(room) else 0.0
            if often >= _STRANGERS and room.min() >= 0:
                best[above] = min(best.get(above, (np.inf, "")), (float(np.median(room)), name))
    return best.get(False, (0, None))[1], best.get(True, (0, None))[1]


def _comparable(ruler: Ruler, cells: pa.Array) -> Ints | None:
    """Ticks of a column on the same scale, if it is one and has no nulls."""
    alike = cells.type == ruler.type or (pa.types.is_integer(cells.type) and pa.types.is_integer(ruler.type))
    own = Ruler(cells.type, ruler.decimals)
    return own.read(cells)[0] if alike and not cells.null_count and own.fits(cells) else None


def _repeats_often(cells: pa.Array, siblings: Siblings) -> bool:
    """Whether a column repeats the row before much more often than strangers would.

    One of few values does where it hardly ever changes: each change that is made up would show.
    """
    begins = siblings.begins
    if len(cells) - int(begins.sum()) < K * _MANY:
        return False
    counts = np.unique(hash_values(cells), return_counts=True)[1]
    chance = float(((counts / len(cells)) ** 2).sum())
    again = float(_repeating(cells, begins)[~begins].mean())
    if len(counts) <= _MANY:
        return len(counts) > 1 and 1 - again <= _HARDLY * (1 - chance)
    return again >= max(_OFTEN, _BEYOND_CHANCE * chance)


def _repeating(cells: pa.Array, begins: Flags) -> Flags:
    hashes, valid = hash_values(cells), np.asarray(cells.is_valid().to_numpy(zero_copy_only=False))
    return np.asarray((hashes == np.roll(hashes, 1)) & valid & np.roll(valid, 1) & ~begins)


def _fresh(wanted: list[tuple[str, str]], used: set[str]) -> dict[tuple[str, str], str]:
    found = {}
    for kind, name in wanted:
        fresh = f"{name} {kind}"
        while fresh in used:
            fresh += "'"
        used.add(fresh)
        found[kind, name] = fresh
    return found
