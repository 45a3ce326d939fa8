"""Quantities written so precisely that chance brings about no value twice: one that comes back was copied."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import measurable, numbers
from twinlake.hashing import Hashes, hash_values, mix

COARSER = 1000
"""A column is precise where no two units share a value though it is measured so many times more coarsely."""

_FEWEST = 100  # units, with fewer no two share a value anyhow
_DECIMALS = 6
_DIGITS = 15  # of a float64, in decimal


def is_precise(cells: pa.ChunkedArray, units: Hashes) -> bool:
    """Whether no two units share a value of a quantity, even rounded to a thousand times its precision.

    Then chance would make less than a thousandth of a twin's values meet one of them, however many those are.

    Args:
        cells: values of all real units, null where there is none.
        units: of each, shape (rows,).
    """
    there = np.flatnonzero(~np.isnan(numbers(cells)))
    if len(np.unique(units[there])) < _FEWEST:
        return False
    values, owners = _coarse(cells.take(pa.array(there))), units[there]
    order = np.argsort(values, kind="stable")
    values, owners = values[order], owners[order]
    return not ((values[1:] == values[:-1]) & (owners[1:] != owners[:-1])).any()


def _coarse(cells: pa.ChunkedArray) -> Hashes:
    """A hash of each value rounded down to a thousand times the step of the column."""
    plain = measurable(cells)
    if pa.types.is_decimal(plain.type):
        plain = pc.multiply(plain.cast(pa.float64()), float(10**plain.type.scale)).cast(pa.int64(), safe=False)
    if pa.types.is_integer(plain.type):
        return _in_steps(np.asarray(plain.cast(pa.int64(), safe=False)))
    values = np.asarray(plain.cast(pa.float64()), dtype=np.float64)
    for decimals in range(_DECIMALS + 1):
        steps = values * 10.0**decimals
        if np.allclose(steps, np.round(steps), rtol=1e-12, atol=1e-6):
            return _in_steps(np.round(steps).astype(np.int64))
    exponent = np.floor(np.log10(np.abs(values), out=np.zeros(len(values)), where=values != 0))
    unit = 10.0 ** (exponent - _DIGITS + 1 + np.log10(COARSER))
    return hash_values(pa.array(np.round(values / unit) * unit))


def _in_steps(values: npt.NDArray[np.int64]) -> Hashes:
    """A hash of each value in thousands of the step between all of them, which may be coarser than their type is."""
    above = (values - values.min()).view(np.uint64)
    step = max(1, int(np.gcd.reduce(above)))
    return mix(above // np.uint64(step) // np.uint64(COARSER))
