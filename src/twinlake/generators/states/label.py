"""Labels as states: null, the values that enough units hold, a tail of less frequent ones, and the rest.

A value that fewer than k units hold is never drawn, unless it is declared (an enum's labels, bool, a public column).
What stands in its place depends on the type: fresh text of the same shape, a fresh uuid, random bytes, a frequent
value, or null. Text and bytes can be drawn as dictionaries, so that no cell of a frequent value is ever spelt out.
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
from twinlake.generators.states.census import Ints, count_units, part, shared_ids
from twinlake.generators.states.ticks import VALUE, Scale, Ticks
from twinlake.hashing import Hashes
from twinlake.schema import Column, Kind
from twinlake.types import ENUM, parse_type, type_name

MOST_STATES = 65_535
_SHAPES_FROM = 50_000  # rows of text whose shapes are looked at
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


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """The alphabet of a label column: codes are null, heads, tail, rest, as far as they exist.

    Attributes:
        type: the column's Arrow type.
        values: the values that may be drawn, most frequent first; the type is the storage of `type`.
        shares: of each among the rows that hold one of them, shape (values,).
        heads: how many of `values` have a state of their own; the others share the tail.
        null: whether there is a null state.
        rest: what stands in for rare values, or None where there are none.
        masks: shapes of text for `Rest.MASKS`.
        length: of the bytes drawn for `Rest.BYTES`.
        labels: the declared labels of an enum.
    """

    type: pa.DataType
    values: pa.Array
    shares: npt.NDArray[np.float64]
    heads: int
    null: bool
    rest: Rest | None
    masks: Masks | None = None
    length: int = 8
    labels: tuple[str, ...] | None = None
    _ends: npt.NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sum the shares once."""
        object.__setattr__(self, "_ends", np.cumsum(self.shares))

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
    def learn(cls, cells: pa.Array, column: Column, units: Hashes | None, *, k: int, most: int = MOST_STATES) -> Self:
        """The alphabet of real cells; at most `most` values have a state of their own."""
        words, codes = _sorted_words(cells)
        ids = part(shared_ids(units), codes >= 0)
        codes = codes[codes >= 0]
        rows, held = np.bincount(codes, minlength=len(words)), count_units(codes, ids, len(words))
        kept = np.flatnonzero(held >= (1 if _declared(column) else k))
        if column.kind is Kind.TEXT or column.type == pa.uuid():
            kept = kept[:0]
        kept = kept[np.lexsort((kept, -rows[kept]))]
        rare = int(held.sum() - held[kept].sum())
        values, null, heads = words.take(pa.array(kept)), len(codes) < len(cells), min(len(kept), most)
        shares = np.round(rows[kept] / max(rows[kept].sum(), 1), 9)
        if not rare and (len(kept) or null):
            return cls(column.type, values, shares, heads, null, rest=None, labels=column.labels)
        plain = _storage(cells)
        rest, masks = _stand_in(plain, column, units, share=rare / max(int(held.sum()), 1), kept=len(kept), k=k)
        length = _usual_length(plain, k) if rest is Rest.BYTES else 8
        return cls(column.type, values, shares, heads, null, rest, masks, length, column.labels)

    def encode(self, cells: pa.Array) -> npt.NDArray[np.int32]:
        """The state of each cell, shape (rows,); values not learnt are the rest, or the most frequent."""
        words, codes = _words(cells)
        known = np.asarray(pc.fill_null(pc.index_in(words, value_set=self.values), -1), dtype=np.int64)
        unknown = self.size - 1 if self.rest is not None else int(self.null and self.size > 1)
        states = np.where(known < 0, unknown, int(self.null) + np.minimum(known, self.heads))
        states = np.r_[states, 0 if self.null else unknown].astype(np.int32)  # the last one is of null, -1
        return np.asarray(states[codes])

    def decode(self, codes: npt.NDArray[np.int32], rng: np.random.Generator, *, compact: bool = False) -> pa.Array:
        """A cell for each state, shape (rows,); text and bytes come as dictionaries where it may be `compact`."""
        at = codes - np.int32(self.null)
        tail = np.flatnonzero(at == self.heads) if self._tail else at[:0]
        at[tail] = self._pick(len(tail), rng, first=self.heads)
        rest = np.flatnonzero(codes == self.size - 1) if self.rest is not None else at[:0]
        if self.rest is Rest.FREQUENT:
            at[rest] = self._pick(len(rest), rng)
            rest = rest[:0]
        at[rest] = len(self.values) + np.arange(len(rest))
        pool = pa.concat_arrays([self.values, self._fresh(len(rest), rng)]) if len(rest) else self.values
        return self._cells(pool, at, compact=compact)

    def _cells(self, pool: pa.Array, at: npt.NDArray[np.int32], *, compact: bool) -> pa.Array:
        """The cells at places of a pool; null where the place is negative."""
        missing = at < 0 if self.null else None
        if self.type == ENUM:
            words = pa.array(self.labels, pa.string()) if self.labels is not None else pool.unique().drop_null()
            place = np.asarray(pc.fill_null(pc.index_in(pool, value_set=words), -1), dtype=np.int32)
            at = place[at] if len(place) else at
            return _dictionary(at, words, missing=at < 0 if missing is None else missing | (at < 0))
        if compact and self.type in (pa.string(), pa.binary()):
            if pool.null_count:  # a rest of nulls
                missing, pool = (
                    (at < 0) | (at >= len(self.values)),
                    pool.fill_null("" if pool.type == pa.string() else b""),
                )
            return _dictionary(at, pool, missing=missing)
        plain = pool.take(pa.array(at, mask=missing))
        return (
            pa.ExtensionArray.from_storage(self.type, plain) if isinstance(self.type, pa.BaseExtensionType) else plain
        )

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
            return _of_length(np.frombuffer(rng.bytes(self.length * n), np.uint8), self.length, kind)
        return _neutral(n, self.type, self.labels, kind, rng)

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return {
            "alphabet": "label",
            "type": type_name(self.type),
            "values": _values_to_json(self.values),
            "shares": self.shares.tolist(),
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
            type=type_,
            values=_values_from_json(data["values"], _storage_type(type_)),
            shares=np.array(data["shares"], np.float64),
            heads=data["heads"],
            null=data["null"],
            rest=None if data["rest"] is None else Rest(data["rest"]),
            masks=None if data["masks"] is None else Masks.from_json(data["masks"]),
            length=data["length"],
            labels=None if data["labels"] is None else tuple(data["labels"]),
        )


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
        some = slice(None, None, 1 + len(plain) // _SHAPES_FROM)
        masks = Masks.learn(plain[some], None if units is None else units[some], k)
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


def _words(cells: pa.Array) -> tuple[pa.Array, Ints]:
    """Distinct values and the one of each cell, -1 for null."""
    if isinstance(cells, pa.ExtensionArray):
        cells = cells.storage
    encoded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
    indices = encoded.indices.fill_null(-1) if encoded.indices.null_count else encoded.indices
    return encoded.dictionary, np.asarray(indices, dtype=np.int64)


def _sorted_words(cells: pa.Array) -> tuple[pa.Array, Ints]:
    """Distinct values that occur, in ascending order, and the one of each cell, -1 for null."""
    words, codes = _words(cells)
    there = np.bincount(codes[codes >= 0], minlength=len(words)) > 0
    order = _ascending(words)
    order = order[there[order]]
    place = np.full(len(words) + 1, -1, np.int64)
    place[order] = np.arange(len(order))
    return words.take(pa.array(order)), place[codes]


def _ascending(words: pa.Array) -> Ints:
    if pa.types.is_boolean(words.type):
        return np.argsort(words.to_numpy(zero_copy_only=False), kind="stable").astype(np.int64)
    return np.asarray(pc.sort_indices(words), dtype=np.int64)


def _dictionary(at: npt.NDArray[np.int32], words: pa.Array, *, missing: npt.NDArray[np.bool_] | None) -> pa.Array:
    """A dictionary array over indices that are known to be right, without a copy."""
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    indices = pa.Array.from_buffers(pa.int32(), len(at), [valid, pa.py_buffer(np.maximum(at, 0))])
    return pa.DictionaryArray.from_arrays(indices, words, safe=False)


def _of_length(octets: npt.NDArray[np.uint8], length: int, kind: pa.DataType) -> pa.Array:
    """Text or bytes of one length from all of theirs together."""
    count = len(octets) // length
    offsets = pa.py_buffer(np.arange(count + 1, dtype=np.int32) * np.int32(length))
    return pa.Array.from_buffers(kind, count, [None, offsets, pa.py_buffer(octets)])


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
        return _of_length(_LETTERS[rng.integers(0, len(_LETTERS), 8 * n)], 8, kind)
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
