"""Fresh keys: of the source's type and shape, all different, never a real key, in an order that tells nothing.

A key is a pure function of the row's number. Numbers and dates start beyond the largest real one, at a round boundary
that tells only its magnitude, or end before the smallest; text follows the shapes that enough units hold. Where this
does not keep them apart from real ones, a column that meets one is made anew as a whole, never key by key.
"""

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.errors import GeneratorError
from twinlake.generators.arrays import emptied, one
from twinlake.generators.masks import Mask, Masks
from twinlake.generators.permutations import permute
from twinlake.generators.personal import LONGER, TURNS, Filler, as_text
from twinlake.generators.providers import uuids
from twinlake.generators.spaces import MaskSpace, distinct, holds, keyed
from twinlake.hashing import Hashes, mix
from twinlake.random import derive
from twinlake.schema import Column, Kind
from twinlake.spelling import plain
from twinlake.types import ENUM, PER_SECOND, as_int64, parse_type, type_name

_HEADROOM = 100  # a boundary is taken where so many times the source's rows fit beyond it
_NARROW = 1 << 17  # types with so few values use negative numbers too
_SPARSE = 4  # keys with gaps of this size on average are drawn sparsely too
_SPARSEST = 1 << 20
_AT_ONCE = 65_536  # keys looked at together
_LONG = np.iinfo(np.int64)
_ANY_TEXT = Masks((Mask(("A", "A", "9", "9", "9", "9", "9", "9"), 1.0),))
_NONE: Hashes = np.empty(0, dtype=np.uint64)
_DAY = {unit: 86_400 * n for unit, n in PER_SECOND.items()}

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Key:
    """How the values of one key column are made.

    Attributes:
        kind: `number` (whole numbers, decimals, dates, times), `text`, `uuid`, `bytes`, `labels` or `person`.
        start: the first number.
        step: numbers are `start` plus multiples of it.
        room: how many numbers there are from `start` on.
        spread: how many numbers there are for each one used; 1 is dense.
        width: how many bytes.
        masks: shapes of text.
        labels: values of an enum or bool.
        filler: of a personal key.
        nulls: share of nulls, for a unique column that is no key.
        avoid: keyed hashes of real keys, where fresh ones could meet them; stays in the vault.
        overlaps: whether the type has too few values for keys that no real row has.
    """

    type: pa.DataType
    kind: Literal["number", "text", "uuid", "bytes", "labels", "person"]
    start: int = 0
    step: int = 1
    room: int = 0
    spread: int = 1
    width: int = 0
    masks: Masks | None = None
    labels: tuple[str | bool, ...] = ()
    filler: Filler | None = None
    nulls: float = 0.0
    avoid: Hashes = field(default_factory=lambda: _NONE)
    overlaps: bool = False

    @classmethod
    def learn(
        cls,
        values: pa.ChunkedArray,
        column: Column,
        units: Hashes | None,
        *,
        k: int,
        salt: int,
        locale: str,
        limit: int,
        where: str,
    ) -> Self:
        """What to keep of a real key column.

        Args:
            values: the real keys.
            column: its name, type and kind.
            units: the privacy unit of each value.
            k: units that must hold a shape.
            salt: keys the hashes of real keys.
            locale: of fakes, for personal keys.
            limit: the largest number that every column referring to this one can hold.
            where: the table and column, for messages.

        Raises:
            GeneratorError: where the type can't be a key.
        """
        nulls = values.null_count / max(len(values), 1) if column.nullable else 0.0
        if column.type == pa.bool_() or (column.type == ENUM and column.labels):
            return cls(column.type, "labels", labels=column.labels or (False, True), nulls=nulls, overlaps=True)
        if column.type == pa.uuid():
            return cls(column.type, "uuid", nulls=nulls)
        if column.type == pa.binary():
            return cls(column.type, "bytes", width=_usual_width(values), nulls=nulls)
        if is_numeric(column.type):
            return cls._of_numbers(values, column.type, salt=salt, limit=limit, k=k, nulls=nulls)
        if column.type not in (pa.string(), ENUM):
            raise GeneratorError(
                f"a column of type {type_name(column.type)} can't be a key",
                where=where,
                allowed="keys are numbers, text, dates, times, uuid, bytes, enum or bool",
            )
        if column.kind is Kind.PERSONAL and column.provider != "pattern":
            filler = Filler.learn(values, column, units, k=k, salt=salt, locale=locale, where=where)
            return cls(column.type, "person", filler=filler, nulls=nulls)
        masks, avoid = Masks.learn(as_text(values), units, k), keyed(plain(as_text(values)), salt)
        return cls(column.type, "text", masks=masks or _ANY_TEXT, nulls=nulls, avoid=avoid)

    @classmethod
    def _of_numbers(
        cls, values: pa.ChunkedArray, type_: pa.DataType, *, salt: int, limit: int, k: int, nulls: float
    ) -> Self:
        real = np.unique(as_numbers(values.drop_null()))
        low, high = _range(type_)
        high = min(high, limit)
        step = common_step(real, type_, k=k)
        start = _boundary(int(real[-1]) if len(real) else 0, type_)
        gaps = (int(real[-1]) - int(real[0])) // step / len(real) if len(real) >= k else 1.0
        spread = min(1 << int(math.log2(gaps)), _SPARSEST) if gaps >= _SPARSE else 1
        if (high - start) // step >= _HEADROOM * max(len(real), 1):
            return cls(
                type_, "number", start=start, step=step, room=(high - start) // step + 1, spread=spread, nulls=nulls
            )
        first = low if high - low < _NARROW else max(low, 0)
        below = -_boundary(-int(real[0]), type_) if real[0] < 0 else 10 ** (len(str(int(real[0]))) - 1)
        if below - first >= _HEADROOM * len(real):
            return cls(type_, "number", start=first, room=below - first, spread=spread, nulls=nulls)
        room = high - first + 1
        roomy = room >= _HEADROOM * len(real)  # else real keys can't be kept away from: nearly all are in use
        avoid = keyed(pa.array(real), salt) if roomy else _NONE
        return cls(
            type_, "number", start=first, room=room, spread=spread, nulls=nulls, avoid=avoid, overlaps=not roomy
        )  # fmt: skip

    @property
    def capacity(self) -> int | None:
        """How many rows can have different keys; None where there is no bound in practice."""
        if self.kind == "labels":
            return len(self.labels)
        if self.kind == "bytes":
            return 256**self.width if self.width < 8 else None
        return self.room if self.kind == "number" else None

    def at(self, rows: Hashes, *, total: int, seed: int, turn: int = 0) -> pa.Array:
        """The key of each row number below `total`, typed as the column; all different.

        Args:
            rows: row numbers, shape (n,).
            total: how many rows the whole table has; at most `capacity`.
            seed: of this column.
            turn: see `turn`.
        """
        made = self._made(rows, total, seed, turn)
        if not self.nulls:
            return made
        return emptied(made, permute(rows, max(total, 1), key=derive(seed, "nulls")) < round(self.nulls * total))

    def turn(self, *, total: int, seed: int, where: str) -> int:
        """The first way to make the column by which no key is a real one, see `Filler.turn`."""
        if self.filler is not None:
            return self.filler.turn(total=total, seed=seed, where=where)
        if len(self.avoid) < 2:
            return 0
        for turn in range(TURNS):
            if not any(self._meets(start, total, seed, turn) for start in range(0, total, _AT_ONCE)):
                return turn
        raise GeneratorError(
            f"each of {TURNS} columns of fresh keys holds a real one",
            where=where,
            allowed="a whole column is made anew, for keys left out one by one would tell which ones are real",
            fix="Give the key a wider type, declare it personal with the provider uuid, or declare the table public",
        )

    def _meets(self, start: int, total: int, seed: int, turn: int) -> bool:
        made = self._made(np.arange(start, min(start + _AT_ONCE, total), dtype=np.uint64), total, seed, turn)
        told = pa.array(as_numbers(made)) if self.kind == "number" else plain(as_text(made))
        return bool(holds(self.avoid, told).any())

    def _made(self, rows: Hashes, total: int, seed: int, turn: int) -> pa.Array:
        if self.filler is not None:
            return self.filler.at(rows, total=total, seed=seed, turn=turn)
        seed = derive(seed, "turn", turn) if turn else seed
        if self.kind == "number":
            return from_numbers(self._numbers(rows, total, derive(seed, "order")), self.type)
        if self.kind == "uuid":
            return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(uuids(derive(seed, "uuid"), rows), pa.binary(16)))
        if self.kind == "bytes":
            return pa.array(_bytes(rows, self.width, derive(seed, "bytes")), pa.binary())
        if self.kind == "labels":
            order = permute(rows, len(self.labels), key=derive(seed, "order"))
            return typed(pa.array([self.labels[int(i)] for i in order]), self.type)
        assert self.masks is not None  # text has shapes, learnt or not
        masks = self.masks.wider(LONGER[turn]) if turn in LONGER else self.masks
        return typed(distinct(MaskSpace(masks), rows, total=total, key=derive(seed, "order")), self.type)

    def _numbers(self, rows: Hashes, total: int, key: int) -> Integers:
        domain = self.room if len(self.avoid) else max(min(total * self.spread, self.room), total)
        return self.start + self.step * permute(rows, domain, key=key).astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """Plain values without the hashes, which are saved as arrays."""
        return {
            "type": type_name(self.type), "kind": self.kind, "start": self.start, "step": self.step, "room": self.room,
            "spread": self.spread, "width": self.width, "labels": list(self.labels), "nulls": self.nulls,
            "masks": None if self.masks is None else self.masks.to_json(),
            "filler": None if self.filler is None else self.filler.to_json(),
            "overlaps": self.overlaps,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any], *, avoid: Hashes) -> Self:
        """The key that `to_json` wrote, with its hashes."""
        filler = None if data["filler"] is None else Filler.from_json(data["filler"], avoid=avoid)
        masks = None if data["masks"] is None else Masks.from_json(data["masks"])
        plain = data | {
            "type": parse_type(data["type"]),
            "labels": tuple(data["labels"]),
            "masks": masks,
            "filler": filler,
        }
        return cls(**plain, avoid=_NONE if filler else avoid)

    @property
    def hashes(self) -> Hashes:
        """The keyed hashes to save beside `to_json`."""
        return self.filler.avoid if self.filler is not None else self.avoid


def is_numeric(type_: pa.DataType) -> bool:
    """Whether values of a type are numbers underneath: whole numbers, decimals, floats, dates, times."""
    return bool(
        pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_decimal(type_)
        or pa.types.is_temporal(type_)
    )


def as_numbers(values: pa.Array | pa.ChunkedArray) -> Integers:
    """Values without nulls as whole numbers: days, ticks, or unscaled decimals; shape (n,), clipped to 64 bits."""
    array = one(values)
    if pa.types.is_decimal(array.type):
        scale = 10**array.type.scale
        return np.array([_clipped(int(v * scale)) for v in array.to_pylist()], dtype=np.int64)
    if pa.types.is_floating(array.type):
        return np.clip(np.nan_to_num(np.asarray(array.to_numpy(), np.float64)), -1e15, 1e15).astype(np.int64)
    if pa.types.is_uint64(array.type):
        return np.minimum(np.asarray(array.to_numpy(), dtype=np.uint64), np.uint64(_LONG.max)).astype(np.int64)
    return np.asarray(as_int64(array).to_numpy(zero_copy_only=False), dtype=np.int64)


def from_numbers(numbers: Integers, type_: pa.DataType) -> pa.Array:
    """Whole numbers as values of a numeric type; the reverse of `as_numbers`."""
    if pa.types.is_decimal(type_):
        whole = pa.array(numbers).cast(pa.decimal128(38, 0))
        unscaled = pa.Array.from_buffers(pa.decimal128(38, type_.scale), len(whole), whole.buffers())
        return unscaled.cast(type_)
    if pa.types.is_date32(type_) or pa.types.is_time32(type_):
        return pa.array(numbers.astype(np.int32)).cast(type_)
    return pa.array(numbers).cast(type_)


def common_step(values: Integers, type_: pa.DataType, *, k: int) -> int:
    """What all differences of sorted different numbers are multiples of; one second or 1 where few values tell it."""
    usual = PER_SECOND[type_.unit] if pa.types.is_timestamp(type_) or pa.types.is_time(type_) else 1
    if len(values) < max(k, 2):
        return usual
    return max(int(np.gcd.reduce(np.diff(values))), 1)


def typed(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Text or bool as a column's type: an enum becomes a dictionary."""
    return values.dictionary_encode().cast(ENUM) if type_ == ENUM else values.cast(type_)


def _range(type_: pa.DataType) -> tuple[int, int]:
    if pa.types.is_integer(type_):
        low, high = int(np.iinfo(type_.to_pandas_dtype()).min), int(np.iinfo(type_.to_pandas_dtype()).max)
        return low, min(high, int(_LONG.max))
    if pa.types.is_decimal(type_):
        return 0, min(10**type_.precision - 1, int(_LONG.max))
    if pa.types.is_floating(type_):
        return 0, 1 << (24 if type_ == pa.float32() else 53)
    if pa.types.is_date(type_):
        return 0, (dt.date(9999, 12, 31) - dt.date(1970, 1, 1)).days
    if pa.types.is_time(type_):
        return 0, _DAY[type_.unit] - 1
    if pa.types.is_timestamp(type_):
        return 0, min(2_900_000 * _DAY[type_.unit], int(_LONG.max))  # days to the year 9909
    return 0, int(_LONG.max)


def _boundary(largest: int, type_: pa.DataType) -> int:
    """A round number above the largest: a power of ten, or the first day of a year."""
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        per_day = 1 if pa.types.is_date(type_) else _DAY[type_.unit]
        year = (dt.date(1970, 1, 1) + dt.timedelta(days=min(max(largest // per_day, -700_000), 2_900_000))).year + 1
        return (dt.date(min(year, 9999), 1, 1) - dt.date(1970, 1, 1)).days * per_day
    return 1 if largest <= 0 else int(10 ** len(str(largest)))


def _clipped(number: int) -> int:
    return max(min(number, int(_LONG.max)), int(_LONG.min))


def _usual_width(values: pa.ChunkedArray) -> int:
    lengths = pc.binary_length(values.drop_null())
    return max(int(pc.mode(lengths)[0]["mode"].as_py()), 1) if len(lengths) else 16


def _bytes(rows: Hashes, width: int, key: int) -> list[bytes]:
    if width < 8:
        return [int(n).to_bytes(width, "big") for n in permute(rows, 256**width, key=key)]
    words = [mix(rows ^ np.uint64(key & 0xFFFFFFFFFFFFFFFF))]  # one to one: the first word alone keeps them apart
    while len(words) * 8 < width:
        words.append(mix(words[-1] + np.uint64(len(words))))
    raw, stride = np.stack(words, axis=1).tobytes(), len(words) * 8
    return [raw[i : i + width] for i in range(0, len(raw), stride)]
