"""Rules that take a whole written table to hold: what is unique across shards, and rules over references filled last.

As in the second pass over keys, parts are rewritten one by one, whole or not at all.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from twinlake.generators.arrays import emptied, one
from twinlake.generators.mending import rewrite
from twinlake.generators.rules import broken, distinct, repeats
from twinlake.joining import Places, places
from twinlake.rules import Lookup, Mask, needed, prefixes
from twinlake.schema import Reference, Schema, Table
from twinlake.tables import parts, read_table

Holds = Callable[[Places, Places], Mask]

_RELINKS = 16
_DEEPEST = 1000  # of a chain of references that is climbed


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
        rewrite(folder, table, table, {n: cells(n, new if table[n].nullable else kept) for n in loose})
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
    for _ in range(tries):
        bad = _breaking(new, holds)
        if not len(bad) or not (new >= 0).any():
            break
        other = rng.choice(new[new >= 0], len(bad))
        good = holds(bad, other) & ~(_climbs_to(new, other, bad) if is_own else np.zeros(len(bad), np.bool_))
        new[bad[good]] = other[good]
    new[_breaking(new, holds)] = -1
    return new


def _breaking(targets: Places, holds: Holds) -> Places:
    """The rows that break a rule with what they point to."""
    return np.flatnonzero(~holds(np.arange(len(targets)), targets)).astype(np.int64)


def _climbs_to(targets: Places, start: Places, goals: Places) -> Mask:
    """Whether the way up from each start leads to any of some rows, shape (starts,); a circle is such a way."""
    marked = np.zeros(len(targets), np.bool_)
    marked[goals] = True
    at, found = start.copy(), marked[start]
    for _ in range(_DEEPEST):
        going = (at >= 0) & ~found
        if not going.any():
            return found
        at[going] = targets[at[going]]
        found |= (at >= 0) & marked[np.maximum(at, 0)]
    return found | (at >= 0)


def _serves_others(table: Table, reference: Reference, column: str) -> bool:
    """Whether a column belongs to the key or to another reference."""
    return column in table.key or any(column in r.columns for r in table.references if r != reference)


def _read(folder: Path, table: Table, columns: tuple[str, ...]) -> pa.Table:
    return read_table(folder, table.select(columns))
