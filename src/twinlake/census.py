"""Census: which privacy units stood behind a table, on which side of the coin, and a hash of what each of them held.

What two extracts have in common is told from their censuses, without any real row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.hashing import Hashes, hash_rows, mix
from twinlake.schema import Schema
from twinlake.tables import Tables
from twinlake.units import assign_units, unit_tables

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Census:
    """The units of one table in one extract.

    Attributes:
        units: their hashes, distinct and sorted; shape (units,) dtype uint64.
        content: a hash of all rows of each unit in this table, in whatever order they stand; shape (units,).
        learnt: whether each was learnt, rather than held back; shape (units,).
    """

    units: Hashes
    content: Hashes
    learnt: Mask

    def among(self, units: Hashes) -> Mask:
        """Which of these units stand in the census, shape (units,)."""
        return self._places(units)[1]

    def learnt_among(self, units: Hashes) -> Mask:
        """Which of these units were learnt, shape (units,)."""
        at, there = self._places(units)
        return np.asarray(there & self.learnt[at]) if len(self.units) else there

    def held_among(self, units: Hashes) -> Mask:
        """Which of these units were held back, shape (units,)."""
        return np.asarray(self.among(units) & ~self.learnt_among(units))

    def came(self, before: "Census") -> Hashes:
        """Units, of either side, that an earlier census did not have, or had with other rows; sorted."""
        at, there = before._places(self.units)
        same = there & (before.content[at] == self.content) if len(before.units) else there
        return np.asarray(self.units[~same])

    def changed(self, before: "Census") -> int:
        """How many learnt units were added, removed or changed since an earlier census."""
        mine, theirs = self._learnt(), before._learnt()
        return len(np.union1d(mine.came(theirs), theirs.came(mine)))

    def _learnt(self) -> "Census":
        return Census(self.units[self.learnt], self.content[self.learnt], self.learnt[self.learnt])

    def _places(self, units: Hashes) -> tuple[npt.NDArray[np.intp], Mask]:
        if not len(self.units):
            return np.zeros(len(units), np.intp), np.zeros(len(units), np.bool_)
        at = np.minimum(np.searchsorted(self.units, units), len(self.units) - 1)
        return at, np.asarray(self.units[at] == units)


def take_census(learnt: Tables, holdout: Tables, unit: str | None) -> dict[str, Census]:
    """The census of every table that holds units' rows; read a batch at a time."""
    sides = [(tables, assign_units(tables, unit)) for tables in (learnt, holdout)]
    found = {}
    for name in unit_tables(learnt.schema, unit):
        counted = [_contents(tables, name, units[name]) for tables, units in sides]
        units, content = (np.concatenate([c[i] for c in counted]) for i in (0, 1))
        side = np.repeat([True, False], [len(c[0]) for c in counted])
        order = np.argsort(units, kind="stable")
        found[name] = Census(units[order], content[order], side[order])
    return found


def definitions(schema: Schema, unit: str | None) -> Mapping[str, str]:
    """What units of each table are told by; where it differs between two censuses, they can't be compared."""
    root = None if unit is None else schema[unit]
    told = {}
    for name in unit_tables(schema, unit):
        by = root or schema[name]
        told[name] = f"{by.name if root else ''}({', '.join(f'{c} {by[c].type}' for c in by.key or by.names)})"
    return told


def _contents(tables: Tables, name: str, units: Hashes | None) -> tuple[Hashes, Hashes]:
    """The distinct units of a table's rows, and a hash of the rows of each."""
    assert units is not None  # unit_tables lists tables of units only
    rows = [hash_rows(pa.Table.from_batches([b]).select(list(tables.schema[name].names))) for b in tables.batches(name)]
    hashes = mix(np.concatenate([*rows, np.empty(0, np.uint64)]))
    order = np.argsort(units, kind="stable")
    distinct, starts = np.unique(units[order], return_index=True)
    sums = np.add.reduceat(hashes[order], starts) if len(distinct) else np.empty(0, np.uint64)
    return distinct, sums  # a sum does not depend on the order of rows
