"""A guard against chance: rows that equal a real row which few units hold are drawn again.

Only for rich tables, where strangers hardly ever share a whole row: there an equal row looks like a copy. Where rows
repeat by nature, an equal row gives nobody away, and leaving some out would tell which ones are real.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.hashing import Hashes, hash_rows, mix
from twinlake.units import rare

RICH = 0.01  # share of one half's rows that the other half holds too, below which a table is rich


@dataclass(frozen=True)
class Guard:
    """Hashes of the real rows that fewer than k units hold.

    Attributes:
        columns: the columns that make a row.
        rare: sorted hashes, shape (rows,), dtype uint64. They tell of real rows: they stay with the model.
    """

    columns: tuple[str, ...]
    rare: Hashes

    @classmethod
    def learn(cls, rows: pa.Table, units: Hashes | None, *, k: int) -> "Guard | None":
        """The guard of these real rows; None for rows that are nobody's, or of a table that is not rich."""
        if units is None or not rows.num_columns or not rows.num_rows:
            return None
        hashes = hash_rows(rows)
        if not is_rich(hashes, units):
            return None
        return cls(tuple(rows.column_names), rare(hashes, units, k=k))

    def clashes(self, rows: pa.Table) -> npt.NDArray[np.int64]:
        """Places of the rows that equal a rare real one."""
        hashes = hash_rows(rows.select(list(self.columns)))
        near = np.flatnonzero(self._filter.take((hashes >> self._shift).astype(np.int64)))
        place = np.searchsorted(self.rare, hashes[near])
        return near[self.rare[np.minimum(place, len(self.rare) - 1)] == hashes[near]] if len(self.rare) else near

    @cached_property
    def _filter(self) -> npt.NDArray[np.bool_]:
        """Whether any of the hashes begins with these bits: few rows are looked up (Bloom 1970, with one hash)."""
        marks = np.zeros(1 << (64 - int(self._shift)), np.bool_)
        marks[(self.rare >> self._shift).astype(np.int64)] = True
        return marks

    @property
    def _shift(self) -> np.uint64:
        """How many bits the filter leaves out: it has about 16 places for each hash, up to 16 million."""
        return np.uint64(64 - min(24, 4 + len(self.rare).bit_length()))


def is_rich(hashes: Hashes, units: Hashes) -> bool:
    """Whether of two halves of the units hardly any row of one is in the other."""
    half = (mix(units) & np.uint64(1)).astype(bool)
    if half.all() or not half.any():
        return True
    return bool(np.isin(hashes[half], hashes[~half]).mean() < RICH)
