"""Cells as exact whole numbers and back: what all arithmetic between columns is done in. Nothing is rounded here."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.generators.states.census import Floats, Ints
from twinlake.generators.states.ticks import NULL, VALUE, Scale
from twinlake.types import PER_SECOND

Flags = npt.NDArray[np.bool_]
MOST = 2**62
"""Sums stay below this, so that int64 never overflows."""

DAY = 86_400
_MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Ruler:
    """How the cells of one column map to whole numbers, which count units of 10**-decimals or of time.

    Attributes:
        type: the Arrow type.
        decimals: of a float, a decimal; 0 for all other types.
    """

    type: pa.DataType
    decimals: int = 0

    @classmethod
    def fitting(cls, cells: pa.Array) -> Self | None:
        """The coarsest ruler that gives all cells back as they are; None where there is none."""
        if not is_measure(cells.type):
            return None
        if pa.types.is_floating(cells.type):
            rulers = [cls(cells.type, d) for d in range(_MOST_DECIMALS + 1)]
        else:
            rulers = [cls(cells.type, cells.type.scale if pa.types.is_decimal(cells.type) else 0)]
        return next((r for r in rulers if r.fits(cells)), None)

    def fits(self, cells: pa.Array) -> bool:
        """Whether `write` gives back what `read` reads, for every cell; NaN and infinity never fit."""
        ticks, valid = self.read(cells)
        if int(valid.sum()) != len(cells) - cells.null_count:
            return False
        if pa.types.is_floating(self.type):
            values = np.asarray(pc.fill_null(cells, 0).to_numpy(zero_copy_only=False))
            back = (ticks / 10.0**self.decimals).astype(values.dtype)
            return bool(np.all((back == values) | ~valid)) and largest(ticks) < 2**53
        return largest(ticks) < MOST and not (pa.types.is_unsigned_integer(self.type) and ticks.min(initial=0) < 0)

    def read(self, cells: pa.Array) -> tuple[Ints, Flags]:
        """Whole numbers, and which cells hold one, both of shape (rows,); 0 where a cell holds none."""
        ticks, kinds = self._scale.read(cells)
        valid = kinds == VALUE
        return np.where(valid, np.asarray(ticks, np.int64) - np.int64(self._scale.zero), 0), valid

    def write(self, ticks: Ints, valid: Flags) -> pa.Array:
        """Cells of the exact type, null where not valid; what the type can't hold becomes its nearest bound."""
        scale = self._scale
        low, high = (bound - scale.zero for bound in scale.bounds)
        inside = np.clip(ticks, max(low, -MOST), min(high, MOST)) + np.int64(scale.zero)
        return scale.write(inside, np.where(valid, VALUE, NULL).astype(np.int8))

    @property
    def _scale(self) -> Scale:
        return Scale(self.type, decimals=self.decimals if pa.types.is_floating(self.type) else 0)


def is_measure(type_: pa.DataType) -> bool:
    """Whether cells of a type are numbers or times."""
    number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    return number or is_time(type_)


def is_time(type_: pa.DataType) -> bool:
    """Whether cells are dates, times or durations."""
    return bool(pa.types.is_temporal(type_))


def per_second(type_: pa.DataType) -> float:
    """How many units of a temporal type make a second."""
    return 1 / DAY if pa.types.is_date32(type_) else PER_SECOND[type_.unit]


def largest(ticks: Ints) -> int:
    """The largest size of a whole number, 0 of none."""
    return max(int(ticks.max(initial=0)), -int(ticks.min(initial=0)))


def bounded(exact: Ints, about: Floats) -> Ints:
    """Results of arithmetic that may have overflowed: `about` is the same in floats and tells where."""
    over = np.abs(about) >= MOST
    return np.where(over, np.where(about < 0, -MOST, MOST), exact) if over.any() else exact
