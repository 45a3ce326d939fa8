"""The three sides of whole databases, for measures that look at a table beside another one."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinlake.columns import Codes
from twinlake.hashing import Hashes
from twinlake.joining import places
from twinlake.schema import Reference
from twinlake.tables import Tables
from twinlake.units import Units

FEW = 10  # held-back families: with fewer, chance can't be told from a difference


@dataclass(frozen=True, slots=True)
class Databases:
    """Learnt, held-back and synthetic tables.

    Attributes:
        units: the privacy unit of each held-back row; None for tables whose real rows are nobody's: these stand whole
            on both sides, all others' rows on one side each.
    """

    real: Tables
    holdout: Tables
    synthetic: Tables
    units: Units

    def split(self, name: str) -> bool:
        """Whether each real row of a table is either learnt or held back."""
        return self.units[name] is not None

    def whole(self, name: str, columns: tuple[str, ...]) -> pa.Table:
        """Some columns of all real rows of a table: the learnt ones, then those held back."""
        sides = (self.real, self.holdout) if self.split(name) else (self.real,)
        return pa.concat_tables([side.columns(name, columns) for side in sides])

    def leads(self, children: pa.Table, reference: Reference, *, held: bool) -> Codes:
        """The row of all real parents that each of some learnt or held-back rows points to, shape (rows,); -1 for none.

        It is one of the same side where there is one, for the sides may be databases with keys of their own.
        """
        learnt = self.real.columns(reference.table, reference.to)
        at = places(children, learnt, reference)
        if not self.split(reference.table):
            return at
        also = places(children, self.holdout.columns(reference.table, reference.to), reference)
        also = np.where(also < 0, -1, also + learnt.num_rows)
        own, other = (also, at) if held else (at, also)
        return np.where(own < 0, other, own)

    def joined(self, name: str, reference: Reference) -> Codes:
        """The row of all real parents that each real row of a table points to, in the order of `whole`; -1 for none."""
        sides = ((self.real, False), (self.holdout, True)) if self.split(name) else ((self.real, False),)
        found = [self.leads(side.columns(name, reference.columns), reference, held=held) for side, held in sides]
        return np.concatenate(found)

    def carried(self, name: str) -> bool:
        """Whether the twin has a table's real rows."""
        return self.real.schema[name].public


def numbered(groups: Hashes | Codes) -> Codes:
    """Groups of rows as numbers from 0 without gaps, shape (rows,)."""
    return np.unique(groups, return_inverse=True)[1].astype(np.intp)


def coarser(first: Codes, second: Codes | None) -> Codes:
    """The one of two groupings of the same rows that has fewer groups, both numbered from 0."""
    if second is None or second.max(initial=-1) >= first.max(initial=-1):
        return first
    return second
