"""Quantities of any type as numbers of ticks: what is moved is moved on the grid that the others lie on."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import is_missing
from twinlake.generators.arrays import one
from twinlake.generators.keys import from_numbers
from twinlake.types import as_int64, is_discrete

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

_DECIMALS = 9


def is_measured(type_: pa.DataType) -> bool:
    """Whether values of a type are quantities."""
    return not is_discrete(type_) and not pa.types.is_dictionary(type_)


def scale_of(column: pa.Array, donors: Places) -> float:
    """Ticks per unit: of a decimal its digits, of floats the digits that all of them have."""
    if pa.types.is_decimal(column.type):
        return float(10**column.type.scale)
    if not pa.types.is_floating(column.type):
        return 1.0
    seen = np.asarray(column.take(pa.array(donors)).to_numpy(zero_copy_only=False), np.float64)
    exact = (10.0**d for d in range(_DECIMALS + 1) if np.array_equal(np.round(seen, d), seen))
    return next(exact, 10.0**_DECIMALS)


def ticks(column: pa.Array | pa.ChunkedArray, scale: float) -> Floats:
    """Quantities as numbers of ticks, NaN where null; shape (rows,)."""
    array = one(column)
    if pa.types.is_temporal(array.type):
        array = as_int64(array)
    null = is_missing(array)
    found = pc.fill_null(array.cast(pa.float64(), safe=False), 0.0).to_numpy(zero_copy_only=False) * scale
    found = found if scale == 1.0 else np.rint(found)
    return np.where(null, np.nan, found)


def untick(numbers: Floats, scale: float, type_: pa.DataType) -> pa.Array | None:
    """Numbers of ticks as cells; None where the type has no room for one of them."""
    if pa.types.is_floating(type_):
        return pa.array(numbers / scale).cast(type_)
    if np.abs(numbers).max(initial=0.0) >= 2.0**62:
        return None
    try:
        return from_numbers(np.rint(numbers).astype(np.int64), type_)
    except pa.ArrowInvalid:
        return None


def ends_of(numbers: Floats) -> tuple[float, float]:
    """The least and the largest finite number; 0 and 0 where there is none."""
    known = numbers[np.isfinite(numbers)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def grain_of(numbers: Floats) -> float:
    """What all differences are multiples of; 1 where nothing tells it."""
    known = np.unique(numbers[np.isfinite(numbers)])
    if len(known) < 3 or np.abs(known).max() >= 2.0**53 or not np.array_equal(np.rint(known), known):
        return 1.0
    return float(np.gcd.reduce(np.diff(known.astype(np.int64))))
