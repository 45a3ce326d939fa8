"""Finds columns that are never below another one: an end and its start, a highest and a lowest price."""

import numpy as np
import pyarrow as pa

from twinlake.generators.relations.kinds import Gap
from twinlake.generators.relations.plan import Plan
from twinlake.generators.relations.ruler import is_time
from twinlake.generators.relations.sheet import Group, Sheet
from twinlake.generators.states.census import Floats, Ints

_DISTINCT = 32
_ROWS = 64
_BY_CHANCE = 0.02  # the share of strangers' pairs that are the other way round; with less, order needs no help
_CLOSE = 0.5  # how wide numbers may lie apart, as a share of how wide each of them lies
_HEAPED = 0.01  # the chance that two rows share a value, from which on it counts that gaps share theirs as well


def take_gaps(sheet: Sheet, plan: Plan) -> None:
    """Learn columns as their distance from the nearest one that they are never below."""
    for group in sheet.groups:
        for target in group.targets:
            if plan.is_free(target):
                for _, earlier in sorted(_below(sheet, group, target)):
                    if _take(sheet, plan, target, group.names[earlier]):
                        break


def _take(sheet: Sheet, plan: Plan, target: str, earlier: str) -> bool:
    (high, there), (low, known) = sheet.ticks(target), sheet.ticks(earlier)
    if not there.any() or (there & ~known).any():
        return False
    gaps = (high - low)[there]
    relation = Gap(target, earlier, plan.fresh(f"{target} - {earlier}"), 1 if gaps.min() > 0 else 0)
    return plan.offer(relation, lambda: bool(gaps.min() >= 0))


def _below(sheet: Sheet, group: Group, target: str) -> list[tuple[float, int]]:
    """Columns that the target is never below in the sample, with how far above it lies."""
    ruler, high = sheet.rulers[target], group.ticks[group.names.index(target)]
    alike = [
        i for i, n in enumerate(group.names)
        if n != target and sheet.rulers[n].decimals == ruler.decimals and _same_kind(sheet.rulers[n].type, ruler.type)
    ]  # fmt: skip
    few = high[:_ROWS] - group.ticks[alike, :_ROWS]
    likely = (few >= 0).all(axis=1)
    if strict := not is_time(ruler.type):
        likely &= _scatter(few) <= np.minimum(_scatter(group.ticks[alike, :_ROWS]), _scatter(high[None, :_ROWS]))
    gaps = {i: high - group.ticks[i] for i, may_be in zip(alike, likely, strict=True) if may_be}
    return [
        (float(np.median(gap)), i)
        for i, gap in gaps.items()
        if gap.min() >= 0 and gap.max() > 0 and _pays(group.ticks[i], high, gap, strict=strict)
    ]


def _same_kind(one: pa.DataType, other: pa.DataType) -> bool:
    return bool(one == other or (pa.types.is_integer(one) and pa.types.is_integer(other)))


def _pays(low: Ints, high: Ints, gap: Ints, *, strict: bool) -> bool:
    """Whether gaps tell more than the values: strangers are often the other way round, and no heap is torn apart.

    A `strict` judge, for numbers, also wants gaps to be much narrower than both columns.
    """
    strangers = np.mean(np.roll(low, len(low) // 2) > high)
    if strangers < _BY_CHANCE or min(len(np.unique(low)), len(np.unique(high))) < _DISTINCT:
        return False
    if strict and _width(gap) > _CLOSE * min(_width(low), _width(high)):
        return False
    return _shared(high) <= _HEAPED or _shared(gap) >= _shared(high) / 2


def _shared(ticks: Ints) -> float:
    """The chance that two rows have the same value."""
    return float(((np.unique(ticks, return_counts=True)[1] / len(ticks)) ** 2).sum())


def _scatter(ticks: Ints) -> Floats:
    """Mean distance from the median, a row of `ticks` each."""
    return np.asarray(np.abs(ticks - np.median(ticks, axis=1, keepdims=True)).mean(axis=1))


def _width(ticks: Ints) -> float:
    """From the 10th to the 90th percentile."""
    low, high = np.quantile(ticks, (0.1, 0.9))
    return float(high - low)
