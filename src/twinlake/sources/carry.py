"""Batches as a driver gives them, made exactly the types a schema declares; what doesn't fit is refused, unquoted."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from twinlake.errors import DataError
from twinlake.schema import Column, Table
from twinlake.types import ENUM


@dataclass(frozen=True, slots=True)
class Limits:
    """First and last day since 1970, and first and last tick of a timestamp, that are moments, not infinity."""

    days: tuple[int, int]
    ticks: tuple[int, int]


def carry(batch: pa.RecordBatch, table: Table, *, limits: Limits) -> pa.RecordBatch:
    """`batch`, whose columns are those of `table` in order, with exactly the types of `table.arrow`.

    Raises:
        DataError: where a value doesn't fit: null in a column without, infinity in a date, too many digits.
    """
    pairs = zip(batch.columns, table.columns, strict=True)
    return pa.RecordBatch.from_arrays([_column(a, c, table.name, limits) for a, c in pairs], schema=table.arrow)


def _column(array: pa.Array, column: Column, table: str, limits: Limits) -> pa.Array:
    name = f"{table}.{column.name}"
    plain = array.storage if isinstance(array, pa.ExtensionArray) else array
    try:
        made = _enum(plain, column.labels) if column.type == ENUM else _cast(plain, column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        made = None
    if made is None or made.null_count != array.null_count:  # an unknown label of an enum has become null
        # not chained: Arrow's own text quotes the value
        raise DataError(
            f"column {name} holds a value that {column.native or column.type} can't carry as {column.type}",
            allowed="a decimal carries neither NaN nor infinity, and an enum its own labels only",
            fix=_mend(name),
        ) from None
    if not column.nullable and made.null_count:
        raise DataError(f"column {name} holds null, though it is declared without", fix=_mend(name))
    if not _finite(made, limits):
        raise DataError(f"column {name} holds infinity, which is no date that can be carried", fix=_mend(name))
    return made


def _mend(name: str) -> str:
    return f"Mend it in the source, or leave the column out: columns: {{{name}: {{drop: true}}}}"


def _cast(array: pa.Array, type_: pa.DataType) -> pa.Array:
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, array.cast(type_.storage_type))
    return array.cast(type_)


def _enum(array: pa.Array, labels: tuple[str, ...] | None) -> pa.Array:
    words = array.cast(pa.string())
    if labels is None:
        return words.cast(ENUM)
    places = pc.index_in(words, value_set=pa.array(labels, pa.string()))
    return pa.DictionaryArray.from_arrays(places, pa.array(labels, pa.string()))


def _finite(array: pa.Array, limits: Limits) -> bool:
    if pa.types.is_date32(array.type):
        first, last = limits.days
    elif pa.types.is_timestamp(array.type):
        first, last = limits.ticks
    else:
        return True
    ends = pc.min_max(array)
    low, high = ends["min"].value, ends["max"].value
    return low is None or bool(first <= low and high <= last)
