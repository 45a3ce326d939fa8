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

from twinlake.generators.states.census import Floats, Ints, count_all, part
from twinlake.types import PER_SECOND, as_int64, parse_type, type_name

Ticks = npt.NDArray[Any]
"""int64 where a scale is exact, else float64."""

VALUE, NULL, NAN, LOW, HIGH = range(5)  # what a cell is: a finite value, null, NaN, -inf, +inf
_MOST_DECIMALS = 9
_EXACT = 2.0**53  # the integers up to here are exact as float64
_SOME = 4_096  # rows that are looked at first
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
    def learn(cls, cells: pa.Array, units: Ints | None, *, k: int) -> Self:
        """The scale that fits all cells: decimals of floats, dropped digits of wide decimals."""
        if pa.types.is_floating(cells.type):
            return cls(cells.type, decimals=_decimals(cells, units, k))
        if pa.types.is_decimal(cells.type) and cells.type.precision > 18:
            return cls(cells.type, dropped=_dropped(cells, k))
        return cls(cells.type)

    def read(self, cells: pa.Array) -> tuple[Ticks, npt.NDArray[np.int8]]:
        """Ticks and what each cell is (`VALUE`, `NULL` ...), both of shape (rows,); ticks of non-values are 0."""
        missing = np.asarray(cells.is_null().to_numpy(zero_copy_only=False)) if cells.null_count else None
        kinds = np.full(len(cells), VALUE, np.int8) if missing is None else missing.view(np.int8) * np.int8(NULL)
        if pa.types.is_floating(self.type):
            return self._read_floats(cells, kinds)
        if pa.types.is_decimal(self.type):
            ticks = self._read_decimals(cells)
        elif pa.types.is_uint64(self.type):
            ticks = (np.asarray(_filled(cells), dtype=np.uint64) ^ np.uint64(1 << 63)).view(np.int64)
        else:
            ticks = np.asarray(_filled(as_int64(cells)), dtype=np.int64)
        return (ticks if missing is None else np.where(missing, 0, ticks)), kinds

    def write(self, ticks: Ticks, kinds: npt.NDArray[np.int8]) -> pa.Array:
        """The Arrow array of ticks; the inverse of `read`."""
        missing = kinds == NULL
        stored = self.store(np.clip(ticks, *self.bounds) if self.exact and not self._floating else ticks)
        if self._floating:
            special = np.array([0.0, 0.0, np.nan, -np.inf, np.inf], stored.dtype)
            stored = np.where(kinds == VALUE, stored, special[kinds])
        return self.cells(stored, missing if missing.any() else None)

    def store(self, ticks: Ticks) -> npt.NDArray[Any]:
        """Ticks within the type's bounds as its buffer holds them, shape (rows,); of decimals, one word."""
        if self._floating:
            values = ticks if self.decimals is None else ticks / 10.0**self.decimals
            return values.astype(self.dtype)
        whole = ticks.astype(np.int64, copy=False)
        if pa.types.is_uint64(self.type):
            return whole.view(np.uint64) ^ np.uint64(1 << 63)
        return whole.astype(self.dtype, copy=False)

    def cells(self, stored: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None) -> pa.Array:
        """The Arrow array over what `store` gave, without a copy; null where `missing`."""
        if pa.types.is_decimal(self.type):
            stored = self._wide(stored)
        valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
        return pa.Array.from_buffers(self.type, len(stored), [valid, pa.py_buffer(np.ascontiguousarray(stored))])

    @property
    def dtype(self) -> np.dtype[Any]:
        """What one stored value is in numpy."""
        if pa.types.is_decimal(self.type):
            return np.dtype(np.int64)
        if pa.types.is_temporal(self.type):
            return np.dtype(np.int32 if self.type.bit_width == 32 else np.int64)
        kind: np.dtype[Any] = np.dtype(self.type.to_pandas_dtype())
        return kind

    @property
    def _floating(self) -> bool:
        return bool(pa.types.is_floating(self.type))

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
        finite = np.isfinite(values)
        if not finite.all():
            kinds = np.where((kinds == VALUE) & np.isnan(values), NAN, kinds)
            kinds = np.where(np.isinf(values), np.where(values < 0, LOW, HIGH), kinds).astype(np.int8)
            values = np.where(finite, values, 0.0)
        values = values + 0.0  # -0.0 becomes 0.0
        if self.decimals is None:
            return values, kinds
        with np.errstate(over="ignore"):  # what overflows is clipped
            scaled = values * 10.0**self.decimals
        return np.rint(np.clip(scaled, -_EXACT, _EXACT)).astype(np.int64), kinds

    def _read_decimals(self, cells: pa.Array) -> Ints:
        low, high = _words(cells)
        if not self.dropped and bool(np.all(high == low >> 63)):
            return low
        whole = ((high.astype(object) << 64) + low.view(np.uint64).astype(object)) // 10**self.dropped
        return np.asarray(np.clip(whole, -(2**62), 2**62), dtype=np.int64)

    def _wide(self, ticks: Ints) -> Ints:
        """Both words of each decimal, shape (rows, 2)."""
        words = np.empty((len(ticks), 2), np.int64)
        words[:, 0], words[:, 1] = ticks, ticks >> 63
        if self.dropped:
            whole = ticks.astype(object) * 10**self.dropped
            words[:, 0] = (whole & (2**64 - 1)).astype(np.uint64).view(np.int64)
            words[:, 1] = (whole >> 64).astype(np.int64)
        return words


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of a column's ticks: multiples of `step` plus `residue`, counted from `origin`.

    A position on it is a float64 that is exact for 2**53 steps either side of the origin.
    """

    step: int = 1
    residue: int = 0
    origin: int = 0

    @classmethod
    def learn(cls, distinct: Ints, held: Ints, scale: Scale, *, k: int) -> Self:
        """The widest grid off which fewer than `k` units and at most one in a hundred have a value.

        `distinct` are the ticks, ascending, and `held` how many units hold each.
        """
        step = max(_common_step(distinct), _usual_step(distinct, held, scale, k=k))
        if int(distinct[-1]) - int(distinct[0]) >= 2**61 * step:
            step *= 8  # so that differences of positions can't overflow
        residue = _mode(distinct % step, held)
        middle = distinct[np.searchsorted(np.cumsum(held), held.sum() // 2)]
        return cls(step, residue, _coarse(int(middle // step), k=k))

    def position(self, ticks: Ticks) -> Floats:
        """Where ticks lie, in steps from the origin, shape (rows,); off the grid it is the step below."""
        steps = ticks if self.step == 1 else np.floor_divide(ticks, self.step)
        return np.asarray(steps - self.origin, dtype=np.float64)

    def tick(self, positions: Floats, bounds: tuple[int, int]) -> Ints:
        """The ticks nearest to positions, within what the type can hold."""
        low, high = self._steps(bounds)
        near = np.clip(np.rint(positions), float(low - self.origin), float(high - self.origin))
        at = np.clip(near.astype(np.int64) + self.origin, low, high)
        return np.asarray(at * self.step + self.residue, dtype=np.int64)

    def at(self, positions: Floats) -> Ints:
        """The ticks nearest to positions within `reach`, which are used up."""
        near = np.rint(positions, out=positions).astype(np.int64)
        near += self.origin
        if self.step > 1 or self.residue:
            near *= self.step
            near += self.residue
        return near

    def reach(self, bounds: tuple[int, int]) -> tuple[float, float]:
        """The positions between which rounding to a step stays within `bounds`."""
        low, high = self._steps(bounds)
        return _inner(low - self.origin, up=True), _inner(high - self.origin, up=False)

    def _steps(self, bounds: tuple[int, int]) -> tuple[int, int]:
        return -((self.residue - bounds[0]) // self.step), (bounds[1] - self.residue) // self.step

    def to_json(self) -> dict[str, int]:
        """Plain values."""
        return asdict(self)


def _inner(whole: int, *, up: bool) -> float:
    """The float64 nearest to a whole number that is not below it (`up`) or not above it."""
    near = float(whole)
    if up and int(near) < whole:
        return float(np.nextafter(near, np.inf))
    return float(np.nextafter(near, -np.inf)) if not up and int(near) > whole else near


def _decimals(cells: pa.Array, units: Ints | None, k: int) -> int | None:
    values = _floats(cells)
    finite = np.isfinite(values)
    values, units = values[finite], part(units, finite)
    narrow = np.float32 if cells.type == pa.float32() else np.float64
    some = slice(None, None, max(1, len(values) // _SOME))
    for decimals in range(_MOST_DECIMALS + 1):
        if np.abs(np.rint(values * 10.0**decimals)).max(initial=0.0) >= _EXACT:
            return None
        if not _fits(values[some], part(units, some), decimals, narrow, of=None, k=k):
            continue  # these few rows already say no
        if _fits(values, units, decimals, narrow, of=count_all(units, len(values)), k=k):
            return decimals
    return None


def _fits(
    values: Floats, units: Ints | None, decimals: int, narrow: type[np.floating[Any]], *, of: int | None, k: int
) -> bool:
    """Whether hardly any unit has a value of more decimals; `of` is how many units there are, if that matters."""
    rounded = np.rint(values * 10.0**decimals) / 10.0**decimals
    off = rounded.astype(narrow) != values.astype(narrow)
    held = count_all(part(units, off), int(off.sum()))
    return held < k if of is None else _few(held, of, k)


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
    return np.asarray(_filled(cells.cast(pa.float64())), dtype=np.float64)


def _filled(cells: pa.Array) -> npt.NDArray[Any]:
    """Numbers as numpy, 0 where null; no copy where there is no null."""
    return np.asarray((pc.fill_null(cells, 0) if cells.null_count else cells).to_numpy(zero_copy_only=False))


def _words(cells: pa.Array) -> tuple[Ints, Ints]:
    words = np.frombuffer(cells.buffers()[1], dtype=np.int64).reshape(-1, 2)[cells.offset : cells.offset + len(cells)]
    return words[:, 0].copy(), words[:, 1].copy()
