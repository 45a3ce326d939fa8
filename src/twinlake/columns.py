"""Columns as plain numpy: quantities as floats, labels as codes. What gates share; no statistics here."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.hashing import hash_values
from twinlake.schema import Column
from twinlake.types import is_discrete

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def is_quantity(column: Column) -> bool:
    """Whether a column is compared by size: numbers, dates and times that are not declared categories."""
    return not column.is_discrete and not is_discrete(column.type)


def measurable(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A quantity as integers, floats or decimals of the same order; NaN becomes null, times count their unit."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_date32(array.type) or pa.types.is_time32(array.type):
        array = array.cast(pa.int32())
    elif pa.types.is_temporal(array.type):
        array = array.cast(pa.int64())
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    return array


def numbers(column: pa.ChunkedArray | pa.Array) -> Floats:
    """A quantity as float64, shape (rows,); NaN where null."""
    array = measurable(column)
    valid = np.asarray(array.is_valid())
    values = pc.fill_null(array.cast(pa.float64(), safe=False), 0.0).to_numpy(zero_copy_only=False)
    return np.where(valid, values, np.nan)


def labels(*columns: pa.ChunkedArray | pa.Array) -> list[Codes]:
    """Codes of equal values over several columns of one type, from 0 in order of appearance; -1 where null.

    Shape (rows,) each; NaN is null.
    """
    hashes = np.concatenate([hash_values(c) for c in columns] or [np.empty(0, np.uint64)])
    null = np.concatenate([is_missing(c) for c in columns] or [np.empty(0, np.bool_)])
    codes = np.full(len(hashes), -1, dtype=np.intp)
    codes[~null] = pd.factorize(hashes[~null])[0]
    return np.split(codes, np.cumsum([len(c) for c in columns])[:-1])


def is_missing(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.bool_]:
    """Whether each value is null or NaN, shape (rows,)."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    missing = array.is_null()
    if pa.types.is_floating(array.type):
        missing = pc.or_kleene(missing, pc.fill_null(pc.is_nan(array), True))
    return np.asarray(missing.to_numpy(zero_copy_only=False))


def sampled(table: pa.Table, rows: int, rng: np.random.Generator) -> pa.Table:
    """At most `rows` rows of a table, drawn without replacement, in their order."""
    if table.num_rows <= rows:
        return table
    return table.take(pa.array(np.sort(rng.choice(table.num_rows, rows, replace=False))))
