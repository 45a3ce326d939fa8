"""Labels as states: null, the values that enough units hold, a tail of less frequent ones, and the rest.

A value that fewer than k units hold is never drawn, unless it is declared (an enum's labels, bool, a public column).
What stands in its place depends on the type: fresh text of the same shape, a fresh uuid, random bytes, a frequent
value, or null.
"""

import base64
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.generators.masks import Masks
from twinlake.generators.states.census import Ints, count_units, unit_ids
from twinlake.generators.states.ticks import VALUE, Scale, Ticks
from twinlake.hashing import Hashes
from twinlake.schema import Column, Kind
from twinlake.types import ENUM, parse_type, type_name

MOST_STATES = 150
_FRESH_SHARE = 0.2  # of the units; below it, rare text is stood in for by frequent values
_FRESH_SPACE = 1e6  # a shape must allow so many texts per row of it that meeting a real one by chance is unlikely
_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", dtype=np.uint8)


class Rest(StrEnum):
    """What stands in for values that too few units hold."""

    FREQUENT = "frequent"  # other values of the column, by their shares
    MASKS = "masks"  # fresh text of a shape that at least k units have
    UUID = "uuid"
    BYTES = "bytes"  # random bytes of a usual length
    NULL = "null"
    NEUTRAL = "neutral"  # a value that says nothing: fresh letters, {}, 0


@dataclass(frozen=True, slots=True)
class Label:
    """The alphabet of a label column: codes are null, heads, tail, rest, as far as they exist.

    Attributes:
        type: the column's Arrow type.
        values: the values that may be drawn, most frequent first; the type is the storage of `type`.
        shares: of each among the rows that hold one of them.
        heads: how many of `values` have a state of their own; the others share the tail.
        null: whether there is a null state.
        rest: what stands in for rare values, or None where there are none.
        masks: shapes of text for `Rest.MASKS`.
        length: of the bytes drawn for `Rest.BYTES`.
        labels: the declared labels of an enum.
    """

    type: pa.DataType
    values: pa.Array
    shares: tuple[float, ...]
    heads: int
    null: bool
    rest: Rest | None
    masks: Masks | None = None
    length: int = 8
    labels: tuple[str, ...] | None = None
    _ends: npt.NDArray[np.float64] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Sum the shares once."""
        object.__setattr__(self, "_ends", np.cumsum(np.asarray(self.shares, np.float64)))

    @property
    def size(self) -> int:
        """How many states."""
        return int(self.null) + self.heads + int(self._tail) + int(self.rest is not None)

    @property
    def ordinal(self) -> bool:
        """Codes have no order that means anything."""
        return False

    @property
    def safe(self) -> npt.NDArray[np.bool_]:
        """Whether each state is one value that at least k units hold, or a declared one, shape (size,)."""
        codes = np.arange(self.size) - int(self.null)
        return (codes >= 0) & (codes < self.heads)

    @property
    def apart(self) -> npt.NDArray[np.bool_]:
        """Whether each state is null, the tail or the rest, shape (size,)."""
        return ~self.safe

    @property
    def _tail(self) -> bool:
        return len(self.values) > self.heads

    @classmethod
    def learn(cls, cells: pa.Array, column: Column, units: Hashes | None, *, k: int) -> Self:
        """The alphabet of real cells."""
        plain = _storage(cells)
        words, codes = _words(plain)
        ids = unit_ids(units, len(cells))[codes >= 0]
        codes = codes[codes >= 0]
        rows, held = np.bincount(codes, minlength=len(words)), count_units(codes, ids, len(words))
        kept = np.flatnonzero(held >= (1 if _declared(column) else k))
        if column.kind is Kind.TEXT or column.type == pa.uuid():
            kept = kept[:0]
        kept = kept[np.lexsort((kept, -rows[kept]))]
        rare = int(held.sum() - held[kept].sum())
        common = {"type": column.type, "null": len(codes) < len(cells), "labels": column.labels}
        values, shares = words.take(pa.array(kept)), tuple((rows[kept] / max(rows[kept].sum(), 1)).tolist())
        if not rare and (len(kept) or common["null"]):
            return cls(values=values, shares=shares, heads=min(len(kept), MOST_STATES), rest=None, **common)
        rest, masks = _stand_in(plain, column, units, share=rare / max(int(held.sum()), 1), kept=len(kept), k=k)
        length = _usual_length(plain, k) if rest is Rest.BYTES else 8
        heads = min(len(kept), MOST_STATES)
        return cls(values=values, shares=shares, heads=heads, rest=rest, masks=masks, length=length, **common)

    def encode(self, cells: pa.Array) -> npt.NDArray[np.int32]:
        """The state of each cell, shape (rows,); values not learnt are the rest, or the most frequent."""
        words, codes = _words(_storage(cells))
        known = np.asarray(pc.fill_null(pc.index_in(words, value_set=self.values), -1), dtype=np.int64)
        unknown = self.size - 1 if self.rest is not None else int(self.null and self.size > 1)
        states = np.where(known < 0, unknown, int(self.null) + np.minimum(known, self.heads))
        return np.where(codes < 0, 0 if self.null else unknown, np.r_[states, 0][codes]).astype(np.int32)

    def decode(self, codes: npt.NDArray[np.int32], rng: np.random.Generator) -> pa.Array:
        """A cell for each state, shape (rows,)."""
        at = codes.astype(np.int64) - int(self.null)
        tail = np.flatnonzero((at == self.heads) & self._tail)
        at[tail] = self._pick(len(tail), rng, first=self.heads)
        is_rest = (codes == self.size - 1) & (self.rest is not None)
        rest = np.flatnonzero(is_rest)
        if self.rest is Rest.FREQUENT:
            at[rest] = self._pick(len(rest), rng)
            rest = rest[:0]
        fresh = self._fresh(len(rest), rng)
        at[rest] = len(self.values) + np.arange(len(rest))
        pool = pa.concat_arrays([self.values, fresh]) if len(rest) else self.values
        return _typed(pool.take(pa.array(at, mask=at < 0)), self.type, self.labels)

    def _pick(self, n: int, rng: np.random.Generator, *, first: int = 0) -> Ints:
        """Indices of `values` from `first` on, by their shares."""
        if not n:
            return np.empty(0, np.int64)
        low = self._ends[first - 1] if first else 0.0
        drawn = low + rng.random(n) * (self._ends[-1] - low)
        return _at_most(np.searchsorted(self._ends, drawn, side="right"), len(self.values) - 1)

    def _fresh(self, n: int, rng: np.random.Generator) -> pa.Array:
        kind = self.values.type
        if not n or self.rest is Rest.NULL:
            return pa.nulls(n, kind)
        if self.rest is Rest.MASKS and self.masks is not None:
            return pa.array(self.masks.draw(n, rng), kind)
        if self.rest is Rest.UUID:
            return _uuids(n, rng)
        if self.rest is Rest.BYTES:
            return pa.array([rng.bytes(self.length) for _ in range(n)], kind)
        return _neutral(n, self.type, self.labels, kind, rng)

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return {
            "alphabet": "label",
            "type": type_name(self.type),
            "values": _values_to_json(self.values),
            "shares": list(self.shares),
            "heads": self.heads,
            "null": self.null,
            "rest": None if self.rest is None else self.rest.value,
            "masks": None if self.masks is None else self.masks.to_json(),
            "length": self.length,
            "labels": None if self.labels is None else list(self.labels),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The alphabet that `to_json` wrote."""
        type_ = parse_type(data["type"])
        return cls(
            type=type_, values=_values_from_json(data["values"], _storage_type(type_)), shares=tuple(data["shares"]),
            heads=data["heads"], null=data["null"], rest=None if data["rest"] is None else Rest(data["rest"]),
            masks=None if data["masks"] is None else Masks.from_json(data["masks"]), length=data["length"],
            labels=None if data["labels"] is None else tuple(data["labels"]),
        )  # fmt: skip


def _at_most(indices: Ints, most: int) -> Ints:
    return np.asarray(np.minimum(indices, most), dtype=np.int64)


def _declared(column: Column) -> bool:
    return column.public or column.type == pa.bool_() or column.labels is not None


def _stand_in(
    plain: pa.Array, column: Column, units: Hashes | None, *, share: float, kept: int, k: int
) -> tuple[Rest, Masks | None]:
    if column.type == pa.uuid():
        return Rest.UUID, None
    if column.type == pa.string() and (share >= _FRESH_SHARE or not kept):
        masks = Masks.learn(plain, units, k)
        if masks is not None and (roomy := masks.roomy(_FRESH_SPACE * len(plain))):
            return Rest.MASKS, roomy
    if kept:
        return Rest.FREQUENT, None
    if column.type == pa.binary():
        return Rest.BYTES, None
    wordy = column.type in (pa.string(), pa.json_())  # a neutral one keeps the share of nulls as it is
    return (Rest.NULL if column.nullable and not wordy else Rest.NEUTRAL), None


def _usual_length(plain: pa.Array, k: int) -> int:
    """The mean length of bytes, where at least k cells have one."""
    lengths = pc.binary_length(plain.drop_null())
    return max(1, round(pc.mean(lengths).as_py())) if len(lengths) >= k else 8


def _storage_type(type_: pa.DataType) -> pa.DataType:
    if type_ == ENUM:
        return pa.string()
    return type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_


def _storage(cells: pa.Array) -> pa.Array:
    if isinstance(cells, pa.ExtensionArray):
        return cells.storage
    return cells.cast(cells.type.value_type) if pa.types.is_dictionary(cells.type) else cells


def _words(plain: pa.Array) -> tuple[pa.Array, Ints]:
    """Distinct values in ascending order and the one of each cell, -1 for null."""
    encoded = plain.dictionary_encode()
    order = _ascending(encoded.dictionary)
    place = np.empty(len(order) + 1, np.int64)
    place[order], place[-1] = np.arange(len(order)), -1
    codes = np.asarray(pc.fill_null(encoded.indices, -1), dtype=np.int64)
    return encoded.dictionary.take(pa.array(order)), place[codes]


def _ascending(words: pa.Array) -> Ints:
    if pa.types.is_boolean(words.type):
        return np.argsort(words.to_numpy(zero_copy_only=False), kind="stable").astype(np.int64)
    return np.asarray(pc.sort_indices(words), dtype=np.int64)


def _typed(plain: pa.Array, type_: pa.DataType, labels: tuple[str, ...] | None) -> pa.Array:
    if type_ == ENUM:
        words = pa.array(labels, pa.string()) if labels is not None else plain.dictionary_encode().dictionary
        return pa.DictionaryArray.from_arrays(pc.index_in(plain, value_set=words), words)
    return pa.ExtensionArray.from_storage(type_, plain) if isinstance(type_, pa.BaseExtensionType) else plain


def _uuids(n: int, rng: np.random.Generator) -> pa.Array:
    """Random uuids of version 4, RFC 9562."""
    octets = np.frombuffer(rng.bytes(16 * n), np.uint8).reshape(n, 16).copy()
    octets[:, 6] = octets[:, 6] & 0x0F | 0x40
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    return pa.Array.from_buffers(pa.binary(16), n, [None, pa.py_buffer(octets)])


def _neutral(
    n: int, type_: pa.DataType, labels: tuple[str, ...] | None, kind: pa.DataType, rng: np.random.Generator
) -> pa.Array:
    if labels:
        return pa.array(labels, kind).take(pa.array(rng.integers(0, len(labels), n)))
    if type_ == pa.json_():
        return pa.array(["{}"] * n, kind)
    if pa.types.is_boolean(kind):
        return pa.array(np.zeros(n, np.bool_))
    if pa.types.is_string(kind):
        return pa.array([_LETTERS[i].tobytes().decode() for i in rng.integers(0, len(_LETTERS), (n, 8))], kind)
    scale = Scale(kind)
    return scale.write(np.full(n, scale.zero, np.int64), np.full(n, VALUE, np.int8))


def _values_to_json(values: pa.Array) -> list[Any]:
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_boolean(kind):
        return list(values.to_pylist())
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [base64.b64encode(v).decode() for v in values.to_pylist()]
    return list(Scale(kind, decimals=None if pa.types.is_floating(kind) else 0).read(values)[0].tolist())


def _values_from_json(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind) or pa.types.is_boolean(kind):
        return pa.array(values, kind)
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array([base64.b64decode(v) for v in values], kind)
    floating = pa.types.is_floating(kind)
    ticks: Ticks = np.array(values, np.float64) if floating else np.array(values, np.int64)
    kinds = np.full(len(values), VALUE, np.int8)
    return Scale(kind, decimals=None if floating else 0).write(ticks, kinds)
