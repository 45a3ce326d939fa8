"""Rows that hold the rules of their table: drawn again, then moved, then copied, else left out.

Only drawn rows are looked at. A row that breaks a rule is drawn again, which keeps the law of the model under the rule
(rejection sampling); what still breaks one after a fixed number of draws is moved as little as other rows suggest: a
value that a constant forbids is exchanged for one of a row that holds the rule, so by its share, and a value that
another column or a parent bounds is put as far from the bound as in some row that holds. At last a row takes all its
values from a row that holds the rules beside its own parents. What breaks one even then is left out.

Rows that repeat what is unique are drawn again too, then moved to the next free value, then emptied where null is
allowed, else left out.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import is_missing
from twinlake.generators.arrays import one, replaced
from twinlake.generators.keys import from_numbers
from twinlake.hashing import hash_rows
from twinlake.rules import Cell, Mask, Node, Reading, reading, unheld, values, write
from twinlake.schema import Table
from twinlake.types import ENUM, as_int64, is_discrete

Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Parents = Mapping[str, pa.Table]
Redraw = Callable[[Places], pa.Table]

_REDRAWS = 8  # a third of rows breaking a rule leave one in ten thousand
_ROUNDS = 4  # of moves, for one may break what another has mended
_COPIES = 16
_DOUBLINGS = 12  # twice each, of the distance at which a free value is looked for
_DECIMALS = 9
_ALPHABETS = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

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


@dataclass(frozen=True, slots=True, eq=False)
class Repaired:
    """Rows that hold every rule, and what was done for it.

    Attributes:
        rows: those that are left, in their order.
        kept: their places among the rows that came, ascending, shape (rows,).
        redrawn: how many broke a rule or repeated another row when they came.
        moved: how many still did after the last draw.
        copied: how many of these took all their values from another row.
    """

    rows: pa.Table
    kept: Places
    redrawn: int = 0
    moved: int = 0
    copied: int = 0


def broken(rows: pa.Table, table: Table, parents: Parents) -> Mask:
    """Which rows break a rule of their table, shape (rows,).

    Args:
        rows: of the table, with the columns its rules look at.
        table: with its rules.
        parents: by prefix (`twinlake.rules.prefixes`), the row each row refers to, all null where it refers to none;
            only the columns of `twinlake.rules.needed(table.rules)` are looked at.
    """
    return _broken([reading(rule, table) for rule in table.rules], rows, parents)


def repeats(rows: pa.Table, table: Table) -> Mask:
    """Which rows have what is unique in common with an earlier row, shape (rows,); nulls are never alike."""
    found = np.zeros(rows.num_rows, np.bool_)
    for columns in table.unique:
        found |= _repeated(rows, columns)
    return found


def repair(
    rows: pa.Table,
    table: Table,
    parents: Parents,
    redraw: Redraw,
    rng: np.random.Generator,
    *,
    movable: Collection[str] | None = None,
) -> Repaired:
    """Rows that all hold the rules of their table and share nothing that is unique; the same for the same `rng`.

    Args:
        rows: as drawn, shape (rows, columns).
        table: their schema, with rules and unique columns.
        parents: as for `broken`; rules over others, whose references are filled last, are left to `wholes.hold_late`.
        redraw: fresh values for the rows at some places, in their order; of columns that may change, or of more.
        rng: of all choices here.
        movable: the columns that may change; those that are learnt where it is left out.
    """
    if not table.rules and not table.unique:
        return Repaired(rows, np.arange(rows.num_rows))
    work = _Work(_Laws.of(table, rows.column_names, movable, parents), rows, parents, rng)
    first = work.bad()
    for _ in range(_REDRAWS):
        places = work.bad()
        if not len(places):
            break
        work = work.put(places, redraw(places))
    left = work.bad()
    work = _parted(_moved(work))
    work, copied = _copied(work)
    work = _parted(work) if copied else work
    kept = np.setdiff1d(np.arange(rows.num_rows), work.bad())
    held = work.rows.take(pa.array(kept)) if len(kept) < rows.num_rows else work.rows
    return Repaired(held, kept, redrawn=len(first), moved=len(left), copied=copied)


def parted(
    rows: pa.Table, table: Table, rng: np.random.Generator, *, movable: Collection[str] | None = None
) -> pa.Table:
    """Rows with repeats of what is unique moved or emptied, where rules over the row alone let them.

    Those that can't be stay repeats. The arguments are those of `repair`.
    """
    return _parted(_Work(_Laws.of(table, rows.column_names, movable, {}), rows, {}, rng)).rows


@dataclass(frozen=True, slots=True)
class _Laws:
    """What rows must hold, and which of their columns may change for it."""

    table: Table
    readings: tuple[Reading, ...]
    movable: frozenset[str]

    @classmethod
    def of(cls, table: Table, there: Collection[str], movable: Collection[str] | None, parents: Parents) -> Self:
        wanted = table.learnt if movable is None else movable
        rules = (rule for rule in table.rules if parents.keys() >= {prefix for prefix, _ in rule.parents})
        return cls(table, tuple(reading(rule, table) for rule in rules), frozenset(wanted) & set(there))

    def bounds(self, column: str) -> "Iterator[_Bound]":
        """Every bound that a rule sets to a column."""
        for read in self.readings:
            for part in read.parts:
                yield from (b for b in _bounds(read, part) if b.column == column)


@dataclass(frozen=True, slots=True)
class _Work:
    """Rows on their way."""

    laws: _Laws
    rows: pa.Table
    parents: Parents
    rng: np.random.Generator = field(repr=False)

    def bad(self) -> Places:
        """The places of rows that break a rule or repeat an earlier row."""
        wrong = _broken(self.laws.readings, self.rows, self.parents) | repeats(self.rows, self.laws.table)
        return np.flatnonzero(wrong).astype(np.int64)

    def broken(self) -> Places:
        """The places of rows that break a rule."""
        return np.flatnonzero(_broken(self.laws.readings, self.rows, self.parents)).astype(np.int64)

    def holds(self, places: Places, new: pa.Table) -> Mask:
        """Whether rows at some places would hold all rules with other values; shape (places,)."""
        at = pa.array(places)
        there = self.rows.take(at)
        for name in (n for n in new.column_names if n in there.column_names):
            there = there.set_column(there.column_names.index(name), name, new[name])
        needs = {prefix: parent.take(at) for prefix, parent in self.parents.items()}
        return ~_broken(self.laws.readings, there, needs)

    def put(self, places: Places, new: pa.Table) -> Self:
        """With the values of `new` at these places, in the columns that may change."""
        rows = self.rows
        for name in (n for n in new.column_names if n in self.laws.movable):
            rows = rows.set_column(rows.column_names.index(name), name, _replaced(rows[name], places, new[name]))
        return type(self)(self.laws, rows, self.parents, self.rng)


def _broken(readings: Iterable[Reading], rows: pa.Table, parents: Parents) -> Mask:
    found = np.zeros(rows.num_rows, np.bool_)
    for read in readings:
        found |= read.broken(rows, parents)
    return found


def _replaced(column: pa.ChunkedArray, places: Places, new: pa.ChunkedArray) -> pa.Array:
    old, fresh = one(column), one(new)
    if old.type != fresh.type:  # words as such beside words in a dictionary
        old, fresh = (a.dictionary_decode() if pa.types.is_dictionary(a.type) else a for a in (old, fresh))
    return replaced(old, places, fresh.cast(old.type))


# --- rules


def _moved(work: _Work) -> _Work:
    """Values moved to where other rows have them, a part of a rule after the other."""
    for _ in range(_ROUNDS):
        bad = work.broken()
        if not len(bad):
            return work
        for read in work.laws.readings:
            for part in read.parts:
                work = _mended(work, read, part, bad)
    return work


def _mended(work: _Work, read: Reading, part: Node, bad: Places) -> _Work:
    """With those of the bad rows that make one part of a rule false moved, where a value can be told."""
    cells = read.flat(work.rows, work.parents)
    false = unheld([part], cells)[0]
    wrong = bad[false[bad]]
    if not len(wrong):
        return work
    donors = np.flatnonzero(~false & _known(cells, read, part))
    named = read.named(part)
    if len(named) == 1 and _is_own(named[0], work) and len(donors):
        name = named[0][1]
        return work.put(wrong, work.rows.select([name]).take(pa.array(work.rng.choice(donors, len(wrong)))))
    for bound in _bounds(read, part):
        if len(wrong) and bound.column in work.laws.movable and _is_measured(work.rows[bound.column].type):
            work = _to_bound(work, bound, wrong, donors)
            wrong = wrong[unheld([part], read.flat(work.rows, work.parents))[0][wrong]]
    return _listed(work, read, part, wrong) if len(wrong) else work


def _known(cells: pa.Table, read: Reading, part: Node) -> Mask:
    """Rows in which nothing that a part looks at is null."""
    known = np.ones(cells.num_rows, np.bool_)
    for cell in read.named(part):
        known &= ~is_missing(cells[f"c{read.cells.index(cell)}"])
    return known


def _is_own(cell: Cell, work: _Work) -> bool:
    return not cell[0] and cell[1] in work.laws.movable


def _listed(work: _Work, read: Reading, part: Node, wrong: Places) -> _Work:
    """A value of a list, each as likely, where no row shows their shares."""
    if part["type"] != "COMPARE_IN" or (cell := _bare(read, part["children"][0])) is None or not _is_own(cell, work):
        return work
    named = part["children"][1:]
    if any(read.named(child) for child in named):
        return work
    type_ = work.rows[cell[1]].type
    nothing = read.flat(work.rows.slice(0, 1), {p: t.slice(0, 1) for p, t in work.parents.items()})
    column = f"c{read.cells.index(cell)}"
    kind = values([f"typeof({column})"], nothing)[0][0].as_py()
    found = [one(v) for v in values([f"TRY_CAST({write(c)} AS {kind})" for c in named], nothing)]
    words = pa.concat_arrays(found).drop_null()
    if not len(words):
        return work
    words = words.cast(pa.string()).dictionary_encode().cast(type_) if type_ == ENUM else words.cast(type_)
    return work.put(wrong, pa.table({cell[1]: words.take(pa.array(work.rng.integers(0, len(words), len(wrong))))}))


@dataclass(frozen=True, slots=True)
class _Bound:
    """`column <type> other`: what a rule says of one column of the row alone on a side."""

    read: Reading
    column: str
    type: str
    other: Node

    def at(self, work: _Work, places: Places, scale: float) -> Floats:
        """The bound for the rows at some places, in ticks of the column; NaN where there is none."""
        if not len(places):
            return np.empty(0)
        rows, at = work.rows, pa.array(places)
        cells = self.read.flat(rows.take(at), {p: t.take(at) for p, t in work.parents.items()})
        kind = f"typeof(c{self.read.cells.index(('', self.column))})"
        (told,) = values([f"any_value({kind})"], cells)
        (found,) = values([f"TRY(TRY_CAST({write(self.other)} AS {told[0].as_py()}))"], cells)
        return _ticks(found, scale)


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


def _to_bound(work: _Work, bound: _Bound, wrong: Places, donors: Places) -> _Work:
    """Values put as far from their bound as those of rows that hold it, and between all bounds of their column."""
    name = bound.column
    column = one(work.rows[name])
    scale = _scale(column, donors)
    there = _ticks(column.take(pa.array(donors)), scale)
    grain = _grain(there)
    limit = bound.at(work, wrong, scale)
    slack = _slack(bound, there - bound.at(work, donors, scale), grain, len(wrong), work.rng)
    new = limit + slack
    low, high = _range(work, name, wrong, scale, grain)
    new = np.where((new < low) | (new > high), _inside(low, high, grain, work.rng), new)
    new = _on_grid(new, there, grain, low, high) if bound.type != "COMPARE_EQUAL" else new
    told = np.flatnonzero(np.isfinite(new) & (low <= high))
    cells = _untick(new[told], scale, column.type)
    return work if cells is None else work.put(wrong[told], pa.table({name: cells}))


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
    return np.where(np.isfinite(low), low, high) + np.where(
        both, np.floor(rng.random(len(low)) * (steps + 1)) * grain, 0
    )


def _range(work: _Work, name: str, places: Places, scale: float, grain: float) -> tuple[Floats, Floats]:
    """The least and the largest value that all bounds of a column leave to the rows at some places, in ticks."""
    low, high = np.full(len(places), -np.inf), np.full(len(places), np.inf)
    for bound in work.laws.bounds(name):
        limit = bound.at(work, places, scale)
        margin = grain if bound.type in _STRICT else 0.0
        if bound.type in _LOWER or bound.type == "COMPARE_EQUAL":
            low = np.fmax(low, limit + margin)
        if bound.type in _UPPER or bound.type == "COMPARE_EQUAL":
            high = np.fmin(high, limit - margin)
    return low, high


def _on_grid(new: Floats, seen: Floats, grain: float, low: Floats, high: Floats) -> Floats:
    """Values on the grid of those seen, where the grid has one in their range."""
    if not len(seen):
        return new
    near = seen[0] + np.rint((new - seen[0]) / grain) * grain
    near = np.where(near < low, near + grain, np.where(near > high, near - grain, near))
    return np.where((near >= low) & (near <= high), near, new)


def _is_measured(type_: pa.DataType) -> bool:
    return not is_discrete(type_) and not pa.types.is_dictionary(type_)


def _scale(column: pa.Array, donors: Places) -> float:
    """Ticks per unit: of a decimal its digits, of floats the digits that all of them have."""
    if pa.types.is_decimal(column.type):
        return float(10**column.type.scale)
    if not pa.types.is_floating(column.type):
        return 1.0
    seen = np.asarray(column.take(pa.array(donors)).to_numpy(zero_copy_only=False), np.float64)
    exact = (10.0**d for d in range(_DECIMALS + 1) if np.array_equal(np.round(seen, d), seen))
    return next(exact, 10.0**_DECIMALS)


def _ticks(column: pa.Array | pa.ChunkedArray, scale: float) -> Floats:
    """Quantities as numbers of ticks, NaN where null; shape (rows,)."""
    array = one(column)
    if pa.types.is_temporal(array.type):
        array = as_int64(array)
    null = is_missing(array)
    found = pc.fill_null(array.cast(pa.float64(), safe=False), 0.0).to_numpy(zero_copy_only=False) * scale
    found = found if scale == 1.0 else np.rint(found)
    return np.where(null, np.nan, found)


def _untick(ticks: Floats, scale: float, type_: pa.DataType) -> pa.Array | None:
    """Numbers of ticks as cells; None where the type has no room for one of them."""
    if pa.types.is_floating(type_):
        return pa.array(ticks / scale).cast(type_)
    if np.abs(ticks).max(initial=0.0) >= 2.0**62:
        return None
    try:
        return from_numbers(np.rint(ticks).astype(np.int64), type_)
    except pa.ArrowInvalid:
        return None


def _grain(ticks: Floats) -> float:
    """What all differences are multiples of; 1 where nothing tells it."""
    known = np.unique(ticks[np.isfinite(ticks)])
    if len(known) < 3 or np.abs(known).max() >= 2.0**53 or not np.array_equal(np.rint(known), known):
        return 1.0
    return float(np.gcd.reduce(np.diff(known.astype(np.int64))))


def _copied(work: _Work) -> tuple[_Work, int]:
    """Rows that still break a rule with all values of rows that hold every one, and how many found such values."""
    bad = work.broken()
    good = np.setdiff1d(np.arange(work.rows.num_rows), bad)
    names = [n for n in work.rows.column_names if n in work.laws.movable]
    waiting, found = bad, 0
    for _ in range(_COPIES):
        if not len(waiting) or not len(good) or not names:
            break
        new = work.rows.select(names).take(pa.array(work.rng.choice(good, len(waiting))))
        held = work.holds(waiting, new)
        work = work.put(waiting[held], new.filter(pa.array(held)))
        found += int(held.sum())
        waiting = waiting[~held]
    return work, found


# --- unique columns


def _repeated(rows: pa.Table, columns: Sequence[str]) -> Mask:
    """Whether an earlier row has the same values and no null among them; shape (rows,)."""
    null = np.zeros(rows.num_rows, np.bool_)
    for name in columns:
        null |= np.asarray(one(rows[name]).is_null())
    found = np.zeros(rows.num_rows, np.bool_)
    there = np.flatnonzero(~null)
    hashes = hash_rows(rows.select(list(columns)))
    found[there] = pd.Series(hashes[there]).duplicated().to_numpy()
    return found


def _parted(work: _Work) -> _Work:
    """Repeats moved to the next free value, else emptied."""
    for columns in work.laws.table.unique:
        for name in (c for c in reversed(columns) if c in work.laws.movable):
            work = _beside(work, columns, name)
        for name in (c for c in reversed(columns) if c in work.laws.movable and work.laws.table[c].nullable):
            places = np.flatnonzero(_repeated(work.rows, columns)).astype(np.int64)
            work = _tried(work, columns, places, name, pa.nulls(len(places), work.rows[name].type))
    return work


def _beside(work: _Work, columns: Sequence[str], name: str) -> _Work:
    """Repeats moved to either side, in each round at most twice as far as in the last, then beyond all others."""
    column = one(work.rows[name])
    measured = _is_measured(column.type)
    if not measured and pa.string() not in (column.type, getattr(column.type, "value_type", None)):
        return work
    scale = _scale(column, np.flatnonzero(~is_missing(column))) if measured else 1.0
    grain = _grain(_ticks(column, scale)) if measured else 1.0
    for doubling in range(_DOUBLINGS):
        places = np.flatnonzero(_repeated(work.rows, columns)).astype(np.int64)
        if not len(places):
            return work
        steps = work.rng.integers(1, 4**doubling, len(places), endpoint=True) * work.rng.choice([-1, 1], len(places))
        there = one(work.rows[name]).take(pa.array(places))
        if measured:
            moved = _untick(_ticks(there, scale) + steps * grain, scale, column.type)
        else:
            moved = _counted_on(there, steps)
        work = work if moved is None else _tried(work, columns, places, name, moved)
    return _beyond(work, columns, name, scale, grain) if measured else work


def _beyond(work: _Work, columns: Sequence[str], name: str, scale: float, grain: float) -> _Work:
    places = np.flatnonzero(_repeated(work.rows, columns)).astype(np.int64)
    if not len(places):
        return work
    last = np.nanmax(_ticks(work.rows[name], scale))
    moved = _untick(last + grain * np.arange(1, len(places) + 1), scale, work.rows[name].type)
    return work if moved is None else _tried(work, columns, places, name, moved)


def _tried(work: _Work, columns: Sequence[str], places: Places, name: str, new: pa.Array) -> _Work:
    """With those new values that nobody has yet and that break no rule."""
    if not len(places):
        return work
    cells = pa.table({name: new})
    changed = work.put(places, cells)
    good = ~_taken(changed.rows, columns, places) & work.holds(places, cells)
    return work.put(places[good], cells.filter(pa.array(good)))


def _taken(rows: pa.Table, columns: Sequence[str], places: Places) -> Mask:
    """Whether another row has the values of the rows at some places, of which the first may keep them."""
    order = np.concatenate([np.setdiff1d(np.arange(rows.num_rows), places), places])
    return _repeated(rows.take(pa.array(order)), columns)[-len(places) :] if len(places) else np.zeros(0, np.bool_)


def _counted_on(cells: pa.Array, steps: npt.NDArray[np.int64]) -> pa.Array:
    """Texts counted on by so many steps, as wide as before."""
    texts = zip(cells.cast(pa.string()).to_pylist(), steps.tolist(), strict=True)
    made = pa.array([None if t is None else _counted(t, n) for t, n in texts], pa.string())
    return made.dictionary_encode().cast(cells.type) if pa.types.is_dictionary(cells.type) else made.cast(cells.type)


def _counted(text: str, step: int) -> str:
    """`AB-129` after one step is `AB-130`: digits and plain letters count on, all other signs stay."""
    signs = list(text)
    for at in reversed(range(len(signs))):
        alphabet = next((a for a in _ALPHABETS if signs[at] in a), None)
        if alphabet:
            step, place = divmod(alphabet.index(signs[at]) + step, len(alphabet))
            signs[at] = alphabet[place]
    return "".join(signs)
