"""Which row of another table a row points to."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.hashing import hash_rows
from twinlake.schema import Reference

Places = npt.NDArray[np.intp]


def places(child: pa.Table, parent: pa.Table, reference: Reference) -> Places:
    """The row of `parent` that each row of `child` points to, shape (rows,); -1 where it points to none.

    `child` has the referring columns and `parent` those they refer to, by name. Rows are compared by 64-bit hash, in
    the types of the parent. Where the parent holds a key twice, its first row counts.
    """
    pointing = typed(child.select(list(reference.columns)), [parent[c].type for c in reference.to])
    keys, first = np.unique(hash_rows(parent.select(list(reference.to))), return_index=True)
    if not len(keys):
        return np.full(child.num_rows, -1, dtype=np.intp)
    wanted = hash_rows(pointing)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = keys[at] == wanted
    for column in pointing.columns:
        found &= np.asarray(pc.is_valid(column).to_numpy())
    return np.where(found, first[at], -1).astype(np.intp)


def typed(data: pa.Table, types: list[pa.DataType]) -> pa.Table:
    """Columns in the types of the key they point to, where they can be: 5 as int32 is 5 as decimal."""
    return pa.table([_cast(data.column(i), t) for i, t in enumerate(types)], names=data.column_names)


def _cast(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    try:
        return column if column.type == type_ else column.cast(type_)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return column
