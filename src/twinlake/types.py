"""Arrow types as short text (`decimal(12, 2)`, `timestamp[us, UTC]`) and back, for schemas kept as JSON.

These are all the types a twin can carry. Text is `pa.string()`, an enum is a dictionary of strings, uuid and json
are Arrow's extension types; each survives to Parquet and to DuckDB.
"""

import re
from collections.abc import Callable

import pyarrow as pa

ENUM = pa.dictionary(pa.int32(), pa.string())
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

_PLAIN: dict[str, pa.DataType] = {
    **{str(t): t for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{str(t): t for t in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "text": pa.string(),
    "enum": ENUM,
    "uuid": pa.uuid(),
    "json": pa.json_(),
    "bytes": pa.binary(),
}
_NAMES = {t: name for name, t in _PLAIN.items()}
_UNIT = "(s|ms|us|ns)"
_PARAMETRIC: list[tuple[str, Callable[[re.Match[str]], pa.DataType]]] = [
    (r"decimal\((\d+), (-?\d+)\)", lambda m: pa.decimal128(int(m[1]), int(m[2]))),
    (rf"time\[{_UNIT}\]", lambda m: pa.time32(m[1]) if m[1] in ("s", "ms") else pa.time64(m[1])),
    (rf"timestamp\[{_UNIT}\]", lambda m: pa.timestamp(m[1])),
    (rf"timestamp\[{_UNIT}, (.+)\]", lambda m: pa.timestamp(m[1], m[2])),
    (rf"duration\[{_UNIT}\]", lambda m: pa.duration(m[1])),
]


def type_name(type_: pa.DataType) -> str:
    """The text of a type; `parse_type` reads it back. Raises KeyError for a type a twin can't carry."""
    if pa.types.is_decimal128(type_):
        return f"decimal({type_.precision}, {type_.scale})"
    if pa.types.is_time(type_):
        return f"time[{type_.unit}]"
    if pa.types.is_timestamp(type_):
        return f"timestamp[{type_.unit}, {type_.tz}]" if type_.tz else f"timestamp[{type_.unit}]"
    if pa.types.is_duration(type_):
        return f"duration[{type_.unit}]"
    return _NAMES[type_]


def parse_type(name: str) -> pa.DataType:
    """The type that `type_name` wrote. Raises ValueError for any other text."""
    if name in _PLAIN:
        return _PLAIN[name]
    for pattern, make in _PARAMETRIC:
        if found := re.fullmatch(pattern, name):
            return make(found)
    raise ValueError(f"{name!r} is no type of Twinlake")


def carried(type_: pa.DataType) -> pa.DataType | None:
    """The type a twin carries for an Arrow type as read: large and view strings become text, and so on.

    None where no type is equivalent, as for lists, structs and intervals.
    """
    if pa.types.is_dictionary(type_):
        return ENUM if carried(type_.value_type) == pa.string() else carried(type_.value_type)
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return pa.string()
    if pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_):
        return pa.binary()
    if pa.types.is_fixed_size_binary(type_):
        return pa.binary()
    if pa.types.is_date64(type_):
        return pa.date32()
    if pa.types.is_float16(type_):
        return pa.float32()
    if pa.types.is_decimal32(type_) or pa.types.is_decimal64(type_):
        return pa.decimal128(type_.precision, type_.scale)
    try:
        type_name(type_)
    except KeyError:
        return None
    return type_


def is_discrete(type_: pa.DataType) -> bool:
    """Whether values are labels rather than quantities: text, enum, bool, uuid, json, bytes."""
    return type_ in (pa.string(), ENUM, pa.bool_(), pa.uuid(), pa.json_(), pa.binary())


def as_int64(array: pa.Array) -> pa.Array:
    """Whole numbers as they are, dates in days, times in their unit: int64, null where null."""
    narrow = pa.types.is_date32(array.type) or pa.types.is_time32(array.type)
    return (array.cast(pa.int32()) if narrow else array).cast(pa.int64())
