"""A 64-bit hash of each row of a table: the same for equal values, whatever the chunking or dictionary.

For finding equal rows and for keyed coin-flips; not cryptographic.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.types import as_int64

Hashes = npt.NDArray[np.uint64]
_NULL = np.uint64(0x9E3779B97F4A7C15)


def hash_rows(table: pa.Table, *, salt: int = 0) -> Hashes:
    """Hash of each row over all columns in order; shape (rows,), dtype uint64."""
    total = np.full(table.num_rows, np.uint64(salt & 0xFFFFFFFFFFFFFFFF), dtype=np.uint64)
    for column in table.columns:
        total ^= hash_values(column)
        total = mix(total)
    return total


def hash_values(column: pa.ChunkedArray | pa.Array) -> Hashes:
    """Hash of each value; shape (rows,), dtype uint64; all nulls share one hash."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    if pa.types.is_dictionary(array.type):
        return _take(hash_values(array.dictionary), array.indices)
    if _is_fixed_width(array.type):
        hashes = mix(_bits(array))
        if array.null_count:
            hashes[_nulls(array)] = _NULL
        return hashes
    encoded = _as_text(array).dictionary_encode()
    words = encoded.dictionary.to_numpy(zero_copy_only=False)
    hashed = (
        pd.util.hash_array(np.asarray(words, dtype=object), categorize=False) if len(words) else np.empty(0, np.uint64)
    )
    return _take(mix(hashed), encoded.indices)


def uniform(hashes: Hashes) -> npt.NDArray[np.float64]:
    """Hashes as numbers in [0, 1); shape (rows,)."""
    return (hashes >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def mix(values: Hashes) -> Hashes:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output."""
    z = values + np.uint64(0x9E3779B97F4A7C15)
    z ^= z >> np.uint64(30)  # in place: this is run over every cell that is drawn
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _is_fixed_width(type_: pa.DataType) -> bool:
    return (
        pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_temporal(type_)
        or pa.types.is_boolean(type_)
    ) and not pa.types.is_interval(type_)


def _bits(array: pa.Array) -> Hashes:
    if pa.types.is_floating(array.type):
        values = _filled(array.cast(pa.float64()))
        return np.where(values == 0, 0.0, values).view(np.uint64)  # -0.0 equals 0.0
    if pa.types.is_boolean(array.type) or pa.types.is_uint64(array.type):
        return np.asarray(_filled(array.cast(pa.uint64())), dtype=np.uint64)
    return np.asarray(_filled(as_int64(array)), dtype=np.int64).view(np.uint64)


def _filled(array: pa.Array) -> npt.NDArray[Any]:
    """Numbers as numpy, 0 where null; no copy where there is no null."""
    return np.asarray((pc.fill_null(array, 0) if array.null_count else array).to_numpy(zero_copy_only=False))


def _as_text(array: pa.Array) -> pa.Array:
    binary = pa.types.is_binary(array.type) or pa.types.is_fixed_size_binary(array.type)
    return array.cast(pa.binary()) if binary else array.cast(pa.string())


def _take(hashes: Hashes, indices: pa.Array) -> Hashes:
    if not indices.null_count and len(hashes):
        return hashes.take(np.asarray(indices))
    at = np.asarray(pc.fill_null(indices, len(hashes)).cast(pa.int64()))
    return np.append(hashes, _NULL).take(at)


def _nulls(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False))
