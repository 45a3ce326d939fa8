"""Values moved so that rows hold rules: to where rows that hold them have theirs."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinlake.columns import is_missing
from twinlake.generators.arrays import one
from twinlake.generators.drafts import Draft
from twinlake.generators.grid import Floats, Places, ends_of, grain_of, is_measured, scale_of, ticks, untick
from twinlake.rules import Cell, Mask, Reading, unheld, values
from twinlake.sql import Node, written
from twinlake.types import ENUM

_ROUNDS = 4  # of moves, for one may break what another has mended
_COPIES = 16

_LOWER = {"COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO"}
_UPPER = {"COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO"}
_STRICT = {"COMPARE_GREATERTHAN", "COMPARE_LESSTHAN"}
_MIRRORED = {
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_EQUAL": "COMPARE_EQUAL",
}


def moved(draft: Draft) -> Draft:
    """Values moved to where other rows have them, a part of a rule after the other."""
    for _ in range(_ROUNDS):
        bad = draft.broken()
        if not len(bad):
            return draft
        for read in draft.laws.readings:
            for part in read.parts:
                draft = _mended(draft, read, part, bad)
    return draft


def _mended(draft: Draft, read: Reading, part: Node, bad: Places) -> Draft:
    """With those of the bad rows that make one part of a rule false moved, where a value can be told."""
    cells = read.flat(draft.rows, draft.parents)
    false = unheld([part], cells)[0]
    wrong = bad[false[bad]]
    if not len(wrong):
        return draft
    donors = np.flatnonzero(~false & _known(cells, read, part))
    named = read.named(part)
    if len(named) == 1 and _is_own(named[0], draft) and len(donors):
        name = named[0][1]
        return draft.put(wrong, draft.rows.select([name]).take(pa.array(draft.rng.choice(donors, len(wrong)))))
    for bound in _bounds(read, part):
        if len(wrong) and bound.column in draft.laws.movable and is_measured(draft.rows[bound.column].type):
            draft = _to_bound(draft, bound, wrong, donors)
            wrong = wrong[unheld([part], read.flat(draft.rows, draft.parents))[0][wrong]]
    return _listed(draft, read, part, wrong) if len(wrong) else draft


def _known(cells: pa.Table, read: Reading, part: Node) -> Mask:
    """Rows in which nothing that a part looks at is null."""
    known = np.ones(cells.num_rows, np.bool_)
    for cell in read.named(part):
        known &= ~is_missing(cells[f"c{read.cells.index(cell)}"])
    return known


def _is_own(cell: Cell, draft: Draft) -> bool:
    return not cell[0] and cell[1] in draft.laws.movable


def _listed(draft: Draft, read: Reading, part: Node, wrong: Places) -> Draft:
    """A value of a list, each as likely, where no row shows their shares."""
    if part["type"] != "COMPARE_IN" or (cell := _bare(read, part["children"][0])) is None or not _is_own(cell, draft):
        return draft
    named = part["children"][1:]
    if any(read.named(child) for child in named):
        return draft
    type_ = draft.rows[cell[1]].type
    nothing = read.flat(draft.rows.slice(0, 1), {p: t.slice(0, 1) for p, t in draft.parents.items()})
    column = f"c{read.cells.index(cell)}"
    kind = values([f"typeof({column})"], nothing)[0][0].as_py()
    found = [one(v) for v in values([f"TRY_CAST({written(c)} AS {kind})" for c in named], nothing)]
    words = pa.concat_arrays(found).drop_null()
    if not len(words):
        return draft
    words = words.cast(pa.string()).dictionary_encode().cast(type_) if type_ == ENUM else words.cast(type_)
    return draft.put(wrong, pa.table({cell[1]: words.take(pa.array(draft.rng.integers(0, len(words), len(wrong))))}))


def _bounds_of(draft: Draft, column: str) -> "Iterator[_Bound]":
    """Every bound that a rule sets to a column."""
    for read in draft.laws.readings:
        for part in read.parts:
            yield from (b for b in _bounds(read, part) if b.column == column)


@dataclass(frozen=True, slots=True)
class _Bound:
    """`column <type> other`: what a rule says of one column of the row alone on a side."""

    read: Reading
    column: str
    type: str
    other: Node

    def at(self, draft: Draft, places: Places, scale: float) -> Floats:
        """The bound for the rows at some places, in ticks of the column; NaN where there is none."""
        if not len(places):
            return np.empty(0)
        rows, at = draft.rows, pa.array(places)
        cells = self.read.flat(rows.take(at), {p: t.take(at) for p, t in draft.parents.items()})
        kind = f"typeof(c{self.read.cells.index(('', self.column))})"
        (told,) = values([f"any_value({kind})"], cells)
        (found,) = values([f"TRY(TRY_CAST({written(self.other)} AS {told[0].as_py()}))"], cells)
        return ticks(found, scale)


def _bounds(read: Reading, part: Node) -> list[_Bound]:
    """What a part of a rule says of single columns of the row, the one that stands first before the others."""
    if part["class"] == "BETWEEN" and part["type"] == "COMPARE_BETWEEN":
        sides = [("COMPARE_GREATERTHANOREQUALTO", part["lower"]), ("COMPARE_LESSTHANOREQUALTO", part["upper"])]
        pairs = [(part["input"], type_, other) for type_, other in sides]
    elif part["class"] == "COMPARISON" and part["type"] in _MIRRORED:
        left, right, type_ = part["left"], part["right"], part["type"]
        pairs = [(left, type_, right), (right, _MIRRORED[type_], left)]
    else:
        return []
    found = [(_bare(read, node), type_, other) for node, type_, other in pairs]
    return [
        _Bound(read, cell[1], type_, other)
        for cell, type_, other in found
        if cell is not None and not cell[0] and cell not in read.named(other)
    ]


def _bare(read: Reading, node: Node) -> Cell | None:
    """The column that an expression is; None where it is more."""
    return read.cells[int(node["column_names"][0][1:])] if node["class"] == "COLUMN_REF" else None


def _to_bound(draft: Draft, bound: _Bound, wrong: Places, donors: Places) -> Draft:
    """Values put as far from their bound as those of rows that hold it, and between all bounds of their column."""
    name = bound.column
    column = one(draft.rows[name])
    scale = scale_of(column, donors)
    there = ticks(column.take(pa.array(donors)), scale)
    grain = grain_of(there)
    limit = bound.at(draft, wrong, scale)
    new = limit + _slack(bound, there - bound.at(draft, donors, scale), grain, len(wrong), draft.rng)
    low, high = _range(draft, name, wrong, scale, grain)
    new = np.where((new < low) | (new > high), _inside(low, high, grain, draft.rng), new)
    new = _on_grid(new, there, grain, low, high) if bound.type != "COMPARE_EQUAL" else new
    told = np.flatnonzero(np.isfinite(new) & (low <= high))
    cells = untick(new[told], scale, column.type)
    return draft if cells is None else draft.put(wrong[told], pa.table({name: cells}))


def _slack(bound: _Bound, seen: Floats, grain: float, n: int, rng: np.random.Generator) -> Floats:
    """How far from their bound values lie, as often as in rows that hold it; a grain where no row does."""
    if bound.type == "COMPARE_EQUAL":
        return np.zeros(n)
    seen = seen[np.isfinite(seen)]
    if len(seen):
        return np.asarray(rng.choice(seen, n))
    least = grain if bound.type in _STRICT else 0.0
    return np.full(n, least if bound.type in _LOWER else -least)


def _inside(low: Floats, high: Floats, grain: float, rng: np.random.Generator) -> Floats:
    """Values between two ends, each as likely; the end that there is where the other is not."""
    both = np.isfinite(low) & np.isfinite(high)
    steps = np.floor((np.where(both, high, 0) - np.where(both, low, 0)) / grain)
    up = np.where(both, np.floor(rng.random(len(low)) * (steps + 1)) * grain, 0)
    return np.where(np.isfinite(low), low, high) + up


def _range(draft: Draft, name: str, places: Places, scale: float, grain: float) -> tuple[Floats, Floats]:
    """The least and the largest value of a column that rules leave to the rows at some places, in ticks.

    Where it can be had, one among those drawn, so that no extreme is made up; and there, one that all bounds allow,
    else one within the bounds that can't move themselves, for the others will follow.
    """
    hard, soft = _ends(len(places)), _ends(len(places))
    for bound in _bounds_of(draft, name):
        ends = _between(bound, bound.at(draft, places, scale), grain)
        soft = _within(soft, ends)
        hard = hard if _may_move(draft, bound) else _within(hard, ends)
    least, largest = ends_of(ticks(draft.rows[name], scale))
    among = np.full(len(places), least), np.full(len(places), largest)
    low, high = hard
    for ends in (soft, _within(hard, among), _within(soft, among)):
        there = ends[0] <= ends[1]
        low, high = np.where(there, ends[0], low), np.where(there, ends[1], high)
    return low, high


def _ends(n: int) -> tuple[Floats, Floats]:
    return np.full(n, -np.inf), np.full(n, np.inf)


def _between(bound: _Bound, limit: Floats, grain: float) -> tuple[Floats, Floats]:
    """The ends that one bound sets; what is not known sets none."""
    low, high = _ends(len(limit))
    margin = grain if bound.type in _STRICT else 0.0
    if bound.type in _LOWER or bound.type == "COMPARE_EQUAL":
        low = np.fmax(low, limit + margin)
    if bound.type in _UPPER or bound.type == "COMPARE_EQUAL":
        high = np.fmin(high, limit - margin)
    return low, high


def _within(one_: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    return np.maximum(one_[0], other[0]), np.minimum(one_[1], other[1])


def _may_move(draft: Draft, bound: _Bound) -> bool:
    """Whether a bound lies where a column of the row that may change says."""
    return any(_is_own(cell, draft) for cell in bound.read.named(bound.other))


def _on_grid(new: Floats, seen: Floats, grain: float, low: Floats, high: Floats) -> Floats:
    """Values on the grid of those seen, where the grid has one in their range."""
    if not len(seen):
        return new
    near = seen[0] + np.rint((new - seen[0]) / grain) * grain
    near = np.where(near < low, near + grain, np.where(near > high, near - grain, near))
    return np.where((near >= low) & (near <= high), near, new)


def copied(draft: Draft) -> tuple[Draft, int]:
    """Rows that still break a rule with all values of rows that hold every one, and how many found such values."""
    bad = draft.broken()
    good = np.setdiff1d(np.arange(draft.rows.num_rows), bad)
    names = [n for n in draft.rows.column_names if n in draft.laws.movable]
    waiting, found = bad, 0
    for _ in range(_COPIES):
        if not len(waiting) or not len(good) or not names:
            break
        new = draft.rows.select(names).take(pa.array(draft.rng.choice(good, len(waiting))))
        held = draft.holds(waiting, new)
        draft = draft.put(waiting[held], new.filter(pa.array(held)))
        found += int(held.sum())
        waiting = waiting[~held]
    return draft, found
