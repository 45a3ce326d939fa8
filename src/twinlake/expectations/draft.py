"""A first suite for a table: from its schema and from what many units hold in common."""

import datetime as dt
import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import is_missing, is_quantity, measurable
from twinlake.expectations.suite import Expectation, Suite
from twinlake.hashing import Hashes, hash_values
from twinlake.schema import Column, Table
from twinlake.types import ENUM, PER_SECOND
from twinlake.units import holders

LABELS = 100  # more distinct labels than this are no set
SURE = 3  # labels that fewer than 3 k units hold may become rare in the part that is learnt
SLACK = 0.02  # a twin draws its tails anew: what real values just meet, it may just miss


def draft_suite(table: Table, data: pa.Table, *, k: int = 10, units: Hashes | None = None) -> Suite:
    """A suite that these real rows pass, and that says nothing of them which fewer than `k` units hold.

    Column names in order, at least one row; not null where the catalog says so; unique keys; labels of enums whole,
    labels of other discrete columns as far as `k` units hold each; a range for each quantity, from the `k`-th
    smallest to the `k`-th largest unit's value and rounded outward. Sets and ranges hold `mostly`: for the share that
    real rows reach, rounded down with room for chance. No expectation of types: the structure gate judges them.

    Args:
        table: the schema of `data`.
        data: real rows.
        k: how many units make a value common.
        units: the unit of each row, shape (rows,); None takes each row for one.
    """
    asked = [*_of_table(table), *_of_keys(table)]
    asked += [e for c in table.columns for e in _of_column(c, data[c.name], table, k=k, units=units)]
    return Suite(table.name, tuple(asked))


def _of_table(table: Table) -> Iterator[Expectation]:
    yield Expectation("expect_table_columns_to_match_ordered_list", {"column_list": list(table.names)})
    yield Expectation("expect_table_row_count_to_be_between", {"min_value": 1})


def _of_keys(table: Table) -> Iterator[Expectation]:
    if len(table.key) == 1:
        yield Expectation("expect_column_values_to_be_unique", {"column": table.key[0]})
    if len(table.key) > 1:
        yield Expectation("expect_compound_columns_to_be_unique", {"column_list": list(table.key)})


def _of_column(
    column: Column, values: pa.ChunkedArray, table: Table, *, k: int, units: Hashes | None
) -> Iterator[Expectation]:
    if not column.nullable:
        yield Expectation("expect_column_values_to_not_be_null", {"column": column.name})
    if column.name not in table.learnt:
        return
    there = ~is_missing(values)
    present = values.filter(pa.array(there)).combine_chunks()
    owners = np.arange(len(values), dtype=np.uint64)[there] if units is None else units[there]
    if is_quantity(column):
        yield from _range(column, present, owners, k=k)
    else:
        yield from _set(column, present, owners, k=k)


def _set(column: Column, values: pa.Array, owners: Hashes, *, k: int) -> Iterator[Expectation]:
    if column.labels is not None:
        yield Expectation("expect_column_values_to_be_in_set", {"column": column.name, "value_set": [*column.labels]})
        return
    if column.type not in (pa.string(), ENUM) and not pa.types.is_integer(column.type):
        return
    common, share = _common(values.cast(pa.string()) if column.type == ENUM else values, owners, k=k)
    if common and len(common) <= LABELS:
        yield from _mostly("expect_column_values_to_be_in_set", {"column": column.name, "value_set": common}, share)


def _common(values: pa.Array, owners: Hashes, *, k: int) -> tuple[list[str | int], float]:
    """The values that at least `k` units hold, sorted, and the share of values that 3 `k` units hold each."""
    hashes = hash_values(values)
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    held = holders(hashes, owners)[1]
    share = float((held[inverse] >= SURE * k).mean()) if len(hashes) else 0.0
    return sorted(values.take(pa.array(first[held >= k])).to_pylist()), share


def _range(column: Column, values: pa.Array, owners: Hashes, *, k: int) -> Iterator[Expectation]:
    plain = measurable(values)
    if pa.types.is_floating(plain.type):
        finite = np.isfinite(plain.to_numpy(zero_copy_only=False))
        plain, owners = plain.filter(pa.array(finite)), owners[finite]
    if pa.types.is_time(column.type) or pa.types.is_duration(column.type) or len(np.unique(owners)) < 2 * k:
        return
    order = np.asarray(pc.sort_indices(plain))
    low, high = (float(plain[int(i)].as_py()) for i in (_kth(order, owners, k), _kth(order[::-1], owners, k)))
    shown, (below, above) = _rounded(column.type, low, high)
    numbers = plain.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    outside = float(((numbers < below) | (numbers > above)).mean())
    room = 1 - 2 * outside - 2 * (k - 1) / len(numbers)
    yield from _mostly("expect_column_values_to_be_between", {"column": column.name, **shown}, room)


def _kth(order: np.ndarray[tuple[int], np.dtype[np.int64]], owners: Hashes, k: int) -> int:
    """The row at which `k` different units have been met."""
    _, first = np.unique(owners[order], return_index=True)
    return int(order[np.sort(first)[k - 1]])


def _rounded(type_: pa.DataType, low: float, high: float) -> tuple[dict[str, float | int | str], tuple[float, float]]:
    """A range rounded outward, as GX's arguments and in the column's own numbers: years, or two digits of its width."""
    if pa.types.is_date32(type_) or pa.types.is_timestamp(type_):
        return _years(type_, low, high)
    step = 10.0 ** (math.floor(math.log10(max(high - low, abs(high) * 1e-6, 1e-12))) - 1)
    step = max(step, 1.0) if pa.types.is_integer(type_) else step
    digits = max(0, -math.floor(math.log10(step)))
    below, above = (round(f(x / step) * step, digits) for f, x in ((math.floor, low), (math.ceil, high)))
    if pa.types.is_integer(type_):
        return {"min_value": int(below), "max_value": int(above)}, (below, above)
    return {"min_value": below, "max_value": above}, (below, above)


def _years(type_: pa.DataType, low: float, high: float) -> tuple[dict[str, float | int | str], tuple[float, float]]:
    per_day = 1.0 if pa.types.is_date32(type_) else 86_400.0 * PER_SECOND[type_.unit]
    epoch = dt.date(1970, 1, 1)
    first = _january(low / per_day)
    last = _january(high / per_day, after=1)
    ends = ((first - epoch).days * per_day, (last - epoch).days * per_day)
    return {"min_value": first.isoformat(), "max_value": last.isoformat()}, ends


def _january(days: float, *, after: int = 0) -> dt.date:
    """The first of January of the year of a day counted from 1970, or of a later year."""
    day = np.datetime64(math.floor(days), "D").astype("datetime64[Y]").astype(int) + 1970
    return dt.date(min(max(int(day) + after, 1), 9999), 1, 1)


def _mostly(type_: str, kwargs: dict[str, object], share: float) -> Iterator[Expectation]:
    """An expectation that holds for a share of values; none where that is less than half."""
    if share == 1:
        yield Expectation(type_, kwargs)
        return
    mostly = math.floor((share - SLACK) * 100) / 100
    if mostly >= 0.5:
        yield Expectation(type_, {**kwargs, "mostly": mostly})
