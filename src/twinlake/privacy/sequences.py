"""The rows of one parent in their order: whether a twin has a learnt one's, whole or in part, or with its parent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import is_quantity, measurable
from twinlake.hashing import Hashes, hash_rows, hash_values, mix
from twinlake.joining import places
from twinlake.privacy.excess import Sides, beyond
from twinlake.privacy.grams import Places, Rolling, grams
from twinlake.privacy.holders import found
from twinlake.schema import Reference, Schema, Table
from twinlake.tables import Tables

LENGTHS = (4, 8, 16, 32)
"""Rows in a row that are looked for; the next length where chance brings about the one before."""

ALPHA = 0.01
_WITH_PARENT = (2, 4, 8)
_ALONE = 3  # columns that are looked at by themselves: those with the most different values
_FIRST = np.uint64(0xA0761D6478BD642F)  # what the distance to the row before is where there is none


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of a table that have a parent, those of one parent together and in their order.

    Attributes:
        parent: the parent of each row, ascending, shape (rows,).
        owners: a hash of the privacy unit of each row, shape (rows,).
        rank: the place of each row in its order, shape (rows,); 0 where the table has none.
        cells: the hash of each value by column; `gap` is how far it is from the row before in its order.
        above: the hash of what is learnt of the parent, shape (rows,).
    """

    parent: Places
    owners: Hashes
    rank: Places
    cells: Mapping[str, Hashes]
    above: Hashes

    @classmethod
    def of(cls, tables: Tables, table: Table, reference: Reference, owners: Hashes | None) -> Self:
        """The rows of one side; where `owners` is None a parent's rows are one unit's."""
        data = tables.columns(table.name, dict.fromkeys([*reference.columns, *table.learnt]))
        up = tables.schema[reference.table]
        parents = tables.columns(up.name, dict.fromkeys([*reference.to, *up.learnt]))
        at = places(data.select(list(dict.fromkeys(reference.columns))), parents, reference)
        own = np.flatnonzero(at >= 0)
        rank = _rank(data, table)[own]
        order = own[np.lexsort((rank, at[own]))]
        data, at = data.take(pa.array(order)), at[order]
        cells = {c: hash_values(data[c]) for c in table.learnt}
        if table.order_by in table.learnt and is_quantity(table[str(table.order_by)]):
            cells["gap"] = _gaps(data[str(table.order_by)], at)
        rank = _rank(data, table)
        above = hash_rows(parents.select(list(up.learnt)))[at] if up.learnt else np.zeros(len(at), np.uint64)
        unit = mix(at.astype(np.uint64)) if owners is None else owners[order]
        return cls(at.astype(np.intp), unit, rank, cells, above)

    def grams(self, columns: tuple[str, ...], length: int, *, with_parent: bool = False) -> tuple[Hashes, Hashes]:
        """The hash of each `length` rows in a row over some columns, and whose they are; 0 is a parent's rows whole.

        Rows of the same rank have no order among them, nor have those of a table without one. Whole are at least four.
        """
        symbols = np.zeros(len(self.parent), np.uint64)
        for column in columns:
            symbols = mix(symbols ^ self.cells[column])
        order = np.lexsort((symbols, self.rank, self.parent))
        symbols = symbols[order]
        if with_parent:
            symbols = mix(symbols ^ self.above)
        if length:
            hashes, parents = grams(symbols, self.parent, length)
            return hashes, self.owners[np.searchsorted(self.parent, parents)]
        starts = np.flatnonzero(np.diff(self.parent, prepend=-1))
        sizes = np.diff(np.append(starts, len(self.parent)))
        long = sizes >= LENGTHS[0]
        hashes = Rolling.of(symbols).at(starts[long], sizes[long])
        return mix(hashes ^ sizes[long].astype(np.uint64)), self.owners[starts[long]]


@dataclass(frozen=True, slots=True)
class Met:
    """How many units of each side hold rows in a row that the twin has too, and of how many."""

    learnt: int
    holdout: int
    of_learnt: int
    of_holdout: int

    @property
    def p_value(self) -> float:
        """Chance of at least so many learnt units, were what is met not told by the side."""
        return beyond(self.learnt, self.holdout, of_learnt=self.of_learnt, of_holdout=self.of_holdout)


@dataclass(frozen=True, slots=True)
class Finding:
    """Learnt units that are met: by chance not at all where `p_value` is None."""

    part: str
    units: float
    p_value: float | None


def copied_sequences(
    real: Tables, holdout: Tables, twin: Tables, name: str, *, units: Hashes | None, held: Hashes | None, k: int
) -> dict[str, float]:
    """Learnt units of which the twin has rows in a row that fewer than `k` real units hold; see `replay`.

    Args:
        real: the learnt rows.
        holdout: the rows held back.
        twin: whose rows are told apart by the parents they refer to.
        name: the table.
        units: of learnt rows, shape (rows,); None for nobody's, which have no sequences.
        held: of held-back rows; None where the rows of a parent are one unit's.
        k: how many units make rows in a row common.
    """
    table, findings = real.schema[name], list[Finding]()
    for reference in _family(real.schema, table) if units is not None and table.learnt else ():
        sides = [Rows.of(real, table, reference, units), Rows.of(holdout, table, reference, held),
                 Rows.of(twin, table, reference, None)]  # fmt: skip
        if _is_family(sides[0]):
            findings += _findings(sides, table, reference.table, k=k)
    return _failed(findings)


def _family(schema: Schema, table: Table) -> list[Reference]:
    return [r for r in table.references if r.table != table.name and not schema[r.table].public]


def _is_family(rows: Rows) -> bool:
    """Whether the rows of each parent are one unit's, so that what they tell together is about it."""
    first = np.searchsorted(rows.parent, rows.parent)
    return bool(len(rows.parent)) and bool((rows.owners == rows.owners[first]).all())


def _findings(sides: list[Rows], table: Table, parent: str, *, k: int) -> Iterator[Finding]:
    for view, columns in _views(sides[0], table).items():
        what = f"rows in a row of one {parent}, {view}"
        yield from _runs(Trio(sides, columns), LENGTHS, what, k=k)
        whole = Trio(sides, columns).met(0, k=k)
        if whole.learnt:
            by_chance = Trio(sides, columns).chance(LENGTHS[0] // 2)
            yield Finding(f"all rows of one {parent}, {view}", whole.learnt, whole.p_value if by_chance else None)
    if len(np.unique(sides[0].above)) > 1:
        trio = Trio(sides, table.learnt, with_parent=True)
        yield from _runs(trio, _WITH_PARENT, f"rows in a row with their {parent}", k=k)


@dataclass(frozen=True, slots=True)
class Trio:
    """Learnt, held-back and twin's rows, looked at over some columns."""

    sides: list[Rows]
    columns: tuple[str, ...]
    with_parent: bool = False

    def met(self, length: int, *, k: int) -> Met:
        """How many real units hold rare rows in a row that the twin has too."""
        (learnt, units), (held, held_units), (made, _) = self._grams(*self.sides, length=length)
        real = Sides.of(learnt, units, held, held_units, k=k)
        seen = np.zeros(len(real.rare), np.bool_)
        at, hit = found(np.unique(made), real.rare)
        seen[at[hit]] = True
        return Met(*real.hits(seen), real.learnt, real.holdout)

    def chance(self, length: int) -> bool:
        """Whether two real units share rows in a row, rare or not, or a held-back unit does so with the twin."""
        (learnt, units), (held, held_units), (made, _) = self._grams(*self.sides, length=length)
        owners = np.concatenate([units, mix(held_units ^ np.uint64(0xA5A5A5A5))])
        hashes = np.concatenate([learnt, held])
        order = np.argsort(hashes, kind="stable")
        hashes, owners = hashes[order], owners[order]
        shared = (hashes[1:] == hashes[:-1]) & (owners[1:] != owners[:-1])
        return bool(shared.any() or found(held, np.unique(made))[1].any())

    def _grams(self, *sides: Rows, length: int) -> Iterator[tuple[Hashes, Hashes]]:
        return (s.grams(self.columns, length, with_parent=self.with_parent) for s in sides)


def _views(rows: Rows, table: Table) -> dict[str, tuple[str, ...]]:
    """The columns to look at, by what is said of them: all, all but one, and telling ones alone."""
    names = table.learnt
    views = {"all columns": names}
    if "gap" in rows.cells:
        views["dates moved"] = (*(n for n in names if n != table.order_by), "gap")
    if len(names) > 1:
        views |= {f"without {n}": tuple(m for m in names if m != n) for n in names}
    if len(names) > 2:
        telling = sorted(names, key=lambda n: -len(np.unique(rows.cells[n])))[:_ALONE]
        views |= {f"{n} alone": (n,) for n in telling}
    return views


def _runs(trio: Trio, lengths: tuple[int, ...], what: str, *, k: int) -> Iterator[Finding]:
    """What is met at each length, up to the first that chance can't reach: it reaches no quarter of it."""
    for length in lengths:
        met = trio.met(length, k=k)
        if not met.learnt:
            return
        by_chance = trio.chance(max(1, length // 4))
        yield Finding(f"{length} {what}", met.learnt, met.p_value if by_chance else None)
        if not by_chance:
            return


def _failed(findings: list[Finding]) -> dict[str, float]:
    """Those that chance does not explain; p-values after Holm's step-down (1979)."""
    parts = {f.part: float(f.units) for f in findings if f.p_value is None}
    tested = sorted((f for f in findings if f.p_value is not None), key=lambda f: (f.p_value, f.part))
    for i, finding in enumerate(tested):
        if finding.p_value is not None and finding.p_value >= ALPHA / (len(tested) - i):
            break
        parts[f"{finding.part}, beyond chance"] = float(finding.units)
    return parts


def _rank(data: pa.Table, table: Table) -> Places:
    if table.order_by not in table.learnt:
        return np.zeros(data.num_rows, np.intp)
    cells = data[str(table.order_by)].combine_chunks()
    plain = measurable(cells) if is_quantity(table[str(table.order_by)]) else pa.array(hash_values(cells))
    return np.asarray(pc.rank(plain, sort_keys="ascending", tiebreaker="dense")).astype(np.intp)


def _gaps(cells: pa.ChunkedArray, parent: Places) -> Hashes:
    """The hash of how far each value is from the one before it of the same parent."""
    numbers: npt.NDArray[np.float64] = np.asarray(
        pc.fill_null(measurable(cells).cast(pa.float64(), safe=False), 0.0).to_numpy(zero_copy_only=False)
    )
    gaps = hash_values(pa.array(np.round(np.diff(numbers, prepend=0.0), 9)))
    gaps[np.diff(parent, prepend=-1) != 0] = _FIRST
    return gaps
