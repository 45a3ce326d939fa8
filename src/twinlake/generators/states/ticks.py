"""Quantities as exact integer ticks and back, and the grid that a column's values lie on.

Integers, decimals, dates, times, timestamps, durations and floats with few decimals become int64 ticks without loss;
floats of full precision stay float64. Decimals of more than 18 digits lose their last ones, as many as it takes.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.generators.states.census import Floats, Ints, count_units
from twinlake.types import PER_SECOND, as_int64, parse_type, type_name

Ticks = npt.NDArray[np.int64] | npt.NDArray[np.float64]
VALUE, NULL, NAN, LOW, HIGH = range(5)  # what a cell is: a finite value, null, NaN, -inf, +inf
_MOST_DECIMALS = 9
_EXACT = 2.0**53  # the integers up to here are exact as float64
_TOLERATED = 0.01  # the share of units that may lie off the grid; also fewer than k


@dataclass(frozen=True, slots=True)
class Scale:
    """How cells of one Arrow type map to ticks.

    Attributes:
        type: the Arrow type.
        decimals: of floats; None keeps full precision. 0 for every other type.
        dropped: digits of a wide decimal that ticks don't hold.
    """

    type: pa.DataType
    decimals: int | None = 0
    dropped: int = 0

    @classmethod
    def learn(cls, cells: pa.Array, units: Ints, *, k: int) -> Self:
        """The scale that fits all cells: decimals of floats, dropped digits of wide decimals."""
        if pa.types.is_floating(cells.type):
            return cls(cells.type, decimals=_decimals(cells, units, k))
        if pa.types.is_decimal(cells.type) and cells.type.precision > 18:
            return cls(cells.type, dropped=_dropped(cells, k))
        return cls(cells.type)

    def read(self, cells: pa.Array) -> tuple[Ticks, npt.NDArray[np.int8]]:
        """Ticks and what each cell is (`VALUE`, `NULL` ...), both of shape (rows,); ticks of non-values are 0."""
        kinds = np.where(np.asarray(cells.is_null().to_numpy(zero_copy_only=False)), NULL, VALUE).astype(np.int8)
        if pa.types.is_floating(self.type):
            return self._read_floats(cells, kinds)
        if pa.types.is_decimal(self.type):
            return np.where(kinds == VALUE, self._read_decimals(cells), 0), kinds
        if pa.types.is_uint64(self.type):
            raw = np.asarray(pc.fill_null(cells, 0), dtype=np.uint64)
            return np.where(kinds == VALUE, (raw ^ np.uint64(1 << 63)).view(np.int64), 0), kinds
        return np.asarray(pc.fill_null(as_int64(cells), 0), dtype=np.int64), kinds

    def write(self, ticks: Ticks, kinds: npt.NDArray[np.int8]) -> pa.Array:
        """The Arrow array of ticks; the inverse of `read`."""
        missing = kinds == NULL
        if pa.types.is_floating(self.type):
            values = ticks if self.decimals is None else ticks / 10.0**self.decimals
            special = np.array([0.0, 0.0, np.nan, -np.inf, np.inf])
            return pa.array(np.where(kinds == VALUE, values, special[kinds]), mask=missing).cast(self.type, safe=False)
        whole = np.clip(ticks, *self.bounds).astype(np.int64)
        if pa.types.is_decimal(self.type):
            return self._write_decimals(whole, missing)
        if pa.types.is_uint64(self.type):
            return pa.array(whole.view(np.uint64) ^ np.uint64(1 << 63), mask=missing)
        narrow = pa.types.is_date32(self.type) or pa.types.is_time32(self.type)
        plain = pa.array(whole, mask=missing)
        return (plain.cast(pa.int32()) if narrow else plain).cast(self.type)

    @property
    def exact(self) -> bool:
        """Whether ticks are int64 rather than float64."""
        return self.decimals is not None

    @property
    def zero(self) -> int:
        """The tick of the value zero."""
        return -(1 << 63) if pa.types.is_uint64(self.type) else 0

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest tick the type can hold."""
        type_ = self.type
        if pa.types.is_decimal(type_):
            most = (10**type_.precision - 1) // 10**self.dropped
            return -min(most, 2**63 - 1), min(most, 2**63 - 1)
        if pa.types.is_time(type_):
            return 0, 86_400 * PER_SECOND[type_.unit] - 1
        if pa.types.is_floating(type_):
            return -(2**53), 2**53
        bits = 64 if pa.types.is_uint64(type_) else type_.bit_width
        if pa.types.is_unsigned_integer(type_) and bits < 64:
            return 0, (1 << bits) - 1
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    @property
    def ladder(self) -> tuple[int, ...]:
        """Factors from each usual step to the next: tens for numbers; seconds, minutes, hours, days for times."""
        if pa.types.is_temporal(self.type) and not pa.types.is_date(self.type):
            thousands = {"s": 0, "ms": 1, "us": 2, "ns": 3}[self.type.unit]
            return (*[1000] * thousands, 60, 60, 24)
        return (10,) * 17 if not pa.types.is_date(self.type) else ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"type": type_name(self.type), "decimals": self.decimals, "dropped": self.dropped}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The scale that `to_json` wrote."""
        return cls(parse_type(data["type"]), data["decimals"], data["dropped"])

    def _read_floats(self, cells: pa.Array, kinds: npt.NDArray[np.int8]) -> tuple[Ticks, npt.NDArray[np.int8]]:
        values = _floats(cells)
        kinds = np.where((kinds == VALUE) & np.isnan(values), NAN, kinds)
        kinds = np.where(np.isinf(values), np.where(values < 0, LOW, HIGH), kinds).astype(np.int8)
        values = np.where(kinds == VALUE, values, 0.0) + 0.0  # -0.0 becomes 0.0
        if self.decimals is None:
            return values, kinds
        return np.rint(np.clip(values * 10.0**self.decimals, -_EXACT, _EXACT)).astype(np.int64), kinds

    def _read_decimals(self, cells: pa.Array) -> Ints:
        low, high = _words(cells)
        if bool(np.all(high == low >> 63)) and not self.dropped:
            return low
        whole = ((high.astype(object) << 64) + low.view(np.uint64).astype(object)) // 10**self.dropped
        return np.asarray(np.clip(whole, -(2**62), 2**62), dtype=np.int64)

    def _write_decimals(self, ticks: Ints, missing: npt.NDArray[np.bool_]) -> pa.Array:
        words = np.empty((len(ticks), 2), np.int64)
        if self.dropped:
            whole = ticks.astype(object) * 10**self.dropped
            words[:, 0] = (whole & (2**64 - 1)).astype(np.uint64).view(np.int64)
            words[:, 1] = (whole >> 64).astype(np.int64)
        else:
            words[:, 0], words[:, 1] = ticks, ticks >> 63
        valid = pa.py_buffer(np.packbits(~missing, bitorder="little"))
        return pa.Array.from_buffers(self.type, len(ticks), [valid, pa.py_buffer(words)])


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of a column's ticks: multiples of `step` plus `residue`, counted from `origin`.

    A position on it is a float64 that is exact for 2**53 steps either side of the origin.
    """

    step: int = 1
    residue: int = 0
    origin: int = 0

    @classmethod
    def learn(cls, ticks: Ints, units: Ints, scale: Scale, *, k: int) -> Self:
        """The widest grid off which fewer than `k` units and at most one in a hundred have a value."""
        distinct, inverse = np.unique(ticks, return_inverse=True)
        held = count_units(inverse.astype(np.int64), units, len(distinct))
        step = max(_common_step(distinct), _usual_step(distinct, held, scale, k=k))
        if int(distinct[-1]) - int(distinct[0]) >= 2**61 * step:
            step *= 8  # so that differences of positions can't overflow
        residue = _mode(distinct % step, held)
        middle = distinct[np.searchsorted(np.cumsum(held), held.sum() // 2)]
        return cls(step, residue, _coarse(int(middle // step), k=k))

    def position(self, ticks: Ticks) -> Floats:
        """Where ticks lie, in steps from the origin, shape (rows,); off the grid it is the step below."""
        return np.asarray(np.floor_divide(ticks, self.step) - self.origin, dtype=np.float64)

    def tick(self, positions: Floats, bounds: tuple[int, int]) -> Ints:
        """The ticks nearest to positions, within what the type can hold."""
        low, high = -((self.residue - bounds[0]) // self.step), (bounds[1] - self.residue) // self.step
        near = np.clip(np.rint(positions), float(low - self.origin), float(high - self.origin))
        at = np.clip(near.astype(np.int64) + self.origin, low, high)
        return np.asarray(at * self.step + self.residue, dtype=np.int64)

    def to_json(self) -> dict[str, int]:
        """Plain values."""
        return asdict(self)


def _decimals(cells: pa.Array, units: Ints, k: int) -> int | None:
    values = _floats(cells)
    finite = np.isfinite(values)
    values, units = values[finite], units[finite]
    narrow = np.float32 if cells.type == pa.float32() else np.float64
    for decimals in range(_MOST_DECIMALS + 1):
        scaled = np.rint(values * 10.0**decimals)
        if np.abs(scaled).max(initial=0.0) >= _EXACT:
            return None
        off = (scaled / 10.0**decimals).astype(narrow) != values.astype(narrow)
        if _few(len(np.unique(units[off])), len(np.unique(units)), k):
            return decimals
    return None


def _dropped(cells: pa.Array, k: int) -> int:
    low, high = _words(cells)
    size = np.sort(np.abs(high * 2.0**64 + low.view(np.uint64).astype(np.float64)))[::-1]
    if not len(size) or size[min(k, len(size)) - 1] < 2.0**61:
        return 0  # what fewer than k rows exceed is cut off
    return int(np.ceil(np.log10(size[min(k, len(size)) - 1] / 2.0**61)))


def _usual_step(distinct: Ints, held: Ints, scale: Scale, *, k: int) -> int:
    step, total = 1, int(held.sum())
    for factor in scale.ladder:
        wider = [f for f in dict.fromkeys((factor, 5, 2)) if factor % f == 0]
        fits = [f for f in wider if _few(_off(distinct, held, step * f, scale), total, k)]
        if not fits:
            break
        step *= fits[0]
        if fits[0] != factor:
            break
    return step


def _off(distinct: Ints, held: Ints, step: int, scale: Scale) -> int:
    temporal = pa.types.is_temporal(scale.type)
    residues = distinct % step
    residue = _mode(residues, held) if temporal else scale.zero % step
    return int(held[residues != residue].sum())


def _few(units: int, total: int, k: int) -> bool:
    return units < k and units <= _TOLERATED * total


def _common_step(distinct: Ints) -> int:
    if len(distinct) < 3:
        return 1
    gaps = np.diff(distinct.view(np.uint64))  # as unsigned: a gap may exceed 2**63
    return min(max(1, int(np.gcd.reduce(gaps))), 2**60)


def _mode(residues: Ints, held: Ints) -> int:
    values, inverse = np.unique(residues, return_inverse=True)
    return int(values[np.argmax(np.bincount(inverse, weights=held))])


def _coarse(middle: int, *, k: int) -> int:
    """A round number near a real value, so that the value itself is not kept."""
    grain = max(k, 1 << 20)
    return middle // grain * grain


def _floats(cells: pa.Array) -> Floats:
    return np.asarray(pc.fill_null(cells.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False), dtype=np.float64)


def _words(cells: pa.Array) -> tuple[Ints, Ints]:
    words = np.frombuffer(cells.buffers()[1], dtype=np.int64).reshape(-1, 2)[cells.offset : cells.offset + len(cells)]
    return words[:, 0].copy(), words[:, 1].copy()
