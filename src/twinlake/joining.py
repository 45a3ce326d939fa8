"""Which row of another table a row points to."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.hashing import Hashes, hash_rows
from twinlake.schema import Reference

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """The columns of a table that a reference points to, ready to be found.

    Attributes:
        reference: that leads to them.
        hashes: 64-bit hashes of the different rows, ascending, shape (keys,).
        rows: the first row that holds each, shape (keys,).
        types: of the columns.
    """

    reference: Reference
    hashes: Hashes
    rows: Places
    types: tuple[pa.DataType, ...]

    @classmethod
    def of(cls, parent: pa.Table, reference: Reference) -> Self:
        """Those of all rows of a table."""
        known = parent.select(list(reference.to))
        hashes, rows = np.unique(hash_rows(known), return_index=True)
        return cls(reference, hashes, rows, tuple(known.schema.types))

    def find(self, child: pa.Table) -> Places:
        """The row that each row of `child` points to, shape (rows,); -1 where it points to none."""
        if not len(self.hashes):
            return np.full(child.num_rows, -1, dtype=np.intp)
        pointing = typed(child.select(list(self.reference.columns)), list(self.types))
        wanted = hash_rows(pointing)
        at = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        found = self.hashes[at] == wanted
        for column in pointing.columns:
            found &= np.asarray(pc.is_valid(column).to_numpy())
        return np.where(found, self.rows[at], -1).astype(np.intp)


def places(child: pa.Table, parent: pa.Table, reference: Reference) -> Places:
    """The row of `parent` that each row of `child` points to, shape (rows,); -1 where it points to none.

    `child` has the referring columns and `parent` those they refer to, by name. Rows are compared by 64-bit hash, in
    the types of the parent. Where the parent holds a key twice, its first row counts.
    """
    return Keys.of(parent, reference).find(child)


def typed(data: pa.Table, types: list[pa.DataType]) -> pa.Table:
    """Columns in the types of the key they point to, where they can be: 5 as int32 is 5 as decimal."""
    return pa.table([_cast(data.column(i), t) for i, t in enumerate(types)], names=data.column_names)


def _cast(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    try:
        return column if column.type == type_ else column.cast(type_)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return column
