"""Small moves on Arrow arrays of any type, extension types and dictionaries included."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array."""
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def emptied(values: pa.Array, where: npt.NDArray[np.bool_]) -> pa.Array:
    """`values` with nulls where it is said."""
    return values.take(pa.array(np.arange(len(values)), mask=where)) if where.any() else values


def replaced(values: pa.Array, places: npt.NDArray[np.int64], new: pa.Array) -> pa.Array:
    """`values` with those at some places replaced; `new` has one for each place."""
    if not len(places):
        return values
    order = np.arange(len(values))
    order[places] = len(values) + np.arange(len(places))
    return pa.concat_arrays([values, new]).take(pa.array(order))


def ranks(values: pa.Array) -> npt.NDArray[np.int64]:
    """The rank of each value among the different ones, nulls last; shape (rows,)."""
    plain = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    return np.asarray(pc.rank(plain, sort_keys="ascending", tiebreaker="dense")).astype(np.int64)
