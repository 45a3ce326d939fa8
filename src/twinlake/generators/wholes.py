"""Rules that take a whole written table to hold: what is unique across shards, and rules over references filled last.

As in the second pass over keys, parts are rewritten one by one, whole or not at all.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from twinlake.generators.arrays import emptied, one, replaced
from twinlake.generators.mending import rewrite
from twinlake.generators.rules import broken, distinct, repeats
from twinlake.joining import Places, places
from twinlake.rules import Lookup, Mask, needed, prefixes
from twinlake.schema import Reference, Schema, Table
from twinlake.tables import parts, read_table

Holds = Callable[[Places, Places], Mask]

_RELINKS = 16
_CROWNED = 200  # rows that stay at the top of a tree for want of another


def part_unique(folder: Path, table: Table, rng: np.random.Generator, *, movable: Collection[str] | None = None) -> int:
    """Make what is unique differ between shards too; how many rows had to be left out for it.

    Values move as in `repair`; those that a rule over a parent looks at stay, for parents are not at hand.

    Args:
        folder: of the snapshot; nothing is to do where the table has one part only.
        table: as its parts are written.
        rng: of all choices here.
        movable: the columns that may change; those that are learnt where it is left out.
    """
    if not table.unique or len(parts(folder, table.name)) < 2:
        return 0
    own = tuple(r for r in table.rules if not r.parents)
    names = {c for u in table.unique for c in u} | {c for r in own for c in r.columns}
    narrow = replace(table.select(tuple(names)), rules=own)
    rows = read_table(folder, narrow)
    if not repeats(rows, narrow).any():
        return 0
    tied = {c for r in table.rules if r.parents for c in r.columns}
    done = distinct(rows, narrow, rng, movable=set(table.learnt if movable is None else movable) - tied)
    left = repeats(done, narrow)
    changed = {n: one(done[n]) for n in narrow.names if not done[n].equals(rows[n])}
    rewrite(folder, table, table, changed, kept=~left)
    return int(left.sum())


def hold_late(folder: Path, schema: Schema, table: Table, reference: Reference, rng: np.random.Generator) -> int:
    """Make the rules over a reference or what it points to hold, now that it is filled; how many rows changed.

    A row that breaks one points to where another row points that holds them all; where none is found, nowhere, if null
    is allowed. A table that refers to itself stays a forest. A reference that shares columns is emptied only.

    Args:
        folder: of the snapshot, with every table.
        schema: of all tables, as they are written.
        table: that refers.
        reference: one of its references.
        rng: of all choices here.
    """
    named = prefixes(table)
    prefix = next(p for p, r in named.items() if r == reference)
    rules = tuple(r for r in table.rules if not set(r.columns).isdisjoint(reference.columns))
    own = [c for c in reference.columns if not _serves_others(table, reference, c)]
    if not rules or not own:
        return 0
    narrow = replace(table.select(tuple({*reference.columns, *(c for r in rules for c in r.columns)})), rules=rules)
    rows, asked = read_table(folder, narrow), {prefix: (), **needed(rules)}
    there = {p: _read(folder, schema[named[p].table], (*named[p].to, *columns)) for p, columns in asked.items()}
    beside = {p: Lookup.of(named[p], there[p], asked[p]).beside(rows) for p in asked if p != prefix}
    targets = places(rows, there[prefix], reference)

    whole = len(own) == len(reference.columns)
    loose = [c for c in own if whole or table[c].nullable]

    def cells(name: str, to: Places) -> pa.Array:
        pointed = one(there[prefix][reference.to[reference.columns.index(name)]])
        return pointed.take(pa.array(to, mask=to < 0)).cast(table[name].type)

    def holds(at: Places, to: Places) -> Mask:
        parents = {p: t.take(pa.array(at)) for p, t in beside.items()}
        parents[prefix] = there[prefix].take(pa.array(to, mask=to < 0))
        told = rows.take(pa.array(at))
        for name in loose:
            told = told.set_column(told.column_names.index(name), name, cells(name, to))
        return ~broken(told, narrow, parents)

    new = relinked(targets, holds, rng, tries=_RELINKS if whole else 0, is_own=reference.table == table.name)
    kept = np.where(new < 0, targets, new)  # for columns that can't be emptied
    new = new if any(table[c].nullable for c in own) else kept
    changed = int((new != targets).sum())
    if changed:
        at = np.flatnonzero(new != targets)
        filled = {n: cells(n, (new if table[n].nullable else kept)[at]) for n in loose}
        rewrite(folder, table, table, {n: replaced(one(rows[n]), at, c) for n, c in filled.items()})
    return changed


def blank_repeats(folder: Path, table: Table, columns: Collection[str]) -> int:
    """Empty some columns, now that they are filled, in rows that repeat what is unique; how many rows.

    Args:
        folder: of the snapshot.
        table: as its parts are written.
        columns: that were filled last; those that may be null are emptied.
    """
    changed: dict[str, pa.Array] = {}
    late = [u for u in table.unique if not set(columns).isdisjoint(u)]
    blanked = np.zeros(0, np.bool_)
    for unique in late:
        narrow = replace(table.select(unique), unique=(unique,))
        rows = read_table(folder, narrow)
        for name in (n for n in unique if n in changed):
            rows = rows.set_column(rows.column_names.index(name), name, changed[name])
        repeat = repeats(rows, narrow)
        blanked = repeat | blanked if len(blanked) else repeat
        changed |= {n: emptied(one(rows[n]), repeat) for n in unique if n in columns and table[n].nullable}
    if blanked.any():
        rewrite(folder, table, table, changed)
    return int(blanked.sum())


def relinked(targets: Places, holds: Holds, rng: np.random.Generator, *, tries: int, is_own: bool) -> Places:
    """Where rows point, so that all hold the rules: where other rows do, else nowhere.

    Args:
        targets: the row each row points to, -1 for nowhere, shape (rows,).
        holds: whether rows would hold the rules if they pointed to others, shape (rows asked for,).
        rng: of all choices here.
        tries: how many other targets a row is given.
        is_own: whether they point to rows of their own table, which must not become a circle.
    """
    new = targets.copy()
    for turn in range(tries):
        bad = _breaking(new, holds)
        if not len(bad) or not (new >= 0).any():
            break
        anywhere = is_own and turn >= tries // 2
        other = rng.integers(0, len(new), len(bad)) if anywhere else rng.choice(new[new >= 0], len(bad))
        good = holds(bad, other) & ~(is_own & (other == bad))
        turned = new.copy()
        turned[bad[good]] = other[good]
        new = _uncircled(turned, new, bad) if is_own else turned
    new[_breaking(new, holds)] = -1
    return _crowned(new, holds, rng) if is_own and tries else new


def _crowned(targets: Places, holds: Holds, rng: np.random.Generator) -> Places:
    """A tree whose rows that may not point nowhere point to one that may, which does so from now on."""
    bad = _breaking(targets, holds)
    every = np.arange(len(targets))
    free = np.flatnonzero(holds(every, np.full(len(every), -1))) if len(bad) else bad
    new = targets.copy()
    for row in bad[:_CROWNED] if len(free) else ():
        heads = rng.choice(free, _RELINKS)
        found = heads[holds(np.full(_RELINKS, row), heads)][:1]
        new[found] = -1
        new[[row] * len(found)] = found
    return new


def _breaking(targets: Places, holds: Holds) -> Places:
    """The rows that break a rule with what they point to."""
    return np.flatnonzero(~holds(np.arange(len(targets)), targets)).astype(np.int64)


def _uncircled(turned: Places, before: Places, changed: Places) -> Places:
    """Rows that point elsewhere, but for those that would point in a circle: they stand as they stood."""
    turned = turned.copy()
    for _ in range(_RELINKS):
        ends = _far_up(turned)
        around = changed[np.isin(changed, ends[ends >= 0])]
        if not len(around):
            return turned
        turned[around] = before[around]
    back = changed[_far_up(turned)[changed] >= 0]
    turned[back] = before[back]  # all whose way up has no end: then none is left
    return turned


def _far_up(targets: Places) -> Places:
    """Where the way up from a row is after as many steps as there are rows: in a circle, else -1; shape (rows,)."""
    up = np.where(targets == np.arange(len(targets)), -1, targets)
    for _ in range(len(targets).bit_length()):  # each turn doubles the steps taken
        up = np.where(up >= 0, up[np.maximum(up, 0)], -1)
    return up


def _serves_others(table: Table, reference: Reference, column: str) -> bool:
    """Whether a column belongs to the key or to another reference."""
    return column in table.key or any(column in r.columns for r in table.references if r != reference)


def _read(folder: Path, table: Table, columns: tuple[str, ...]) -> pa.Table:
    return read_table(folder, table.select(columns))
