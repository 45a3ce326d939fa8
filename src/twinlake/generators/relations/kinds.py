"""The kinds of relation: how a column, the target, follows from others. Kept are names and small whole numbers only.

Each has `inputs`, the columns that it is computed from; `rest`, the column that is learnt in place of the target, None
where nothing is left to learn; `remainder`, which makes that column of real rows; and `restore`, which makes the target
of drawn ones, together with inputs that it puts right.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.generators.relations.calendar import (
    LADDER,
    assembled,
    from_the_wall,
    instants,
    on_the_wall,
    part_of,
    unit_of,
)
from twinlake.generators.relations.ruler import DAY, Flags, Ruler, bounded
from twinlake.generators.states.census import Ints
from twinlake.types import PER_SECOND

Cells = Mapping[str, pa.Array]
Rulers = Mapping[str, Ruler]
_YEAR = 367 * DAY
_LONG = {"date": DAY, "yyyymmdd": DAY, "day": DAY, "hour": 3_600, "minute": 60, "second": 1}


class _Exact:
    """A relation that says all of its target, so that nothing of it is left to learn."""

    __slots__ = ()

    def remainder(self, cells: Cells, rulers: Rulers) -> pa.Array | None:  # noqa: ARG002 - a relation's signature
        """Nothing is left."""
        return None


class _Computed(_Exact):
    """Arithmetic on the ticks of the inputs."""

    __slots__ = ()

    def restore(self: "Linear | Product", cells: Cells, rulers: Rulers) -> dict[str, pa.Array]:  # type: ignore[misc]  # its only kinds
        """What is computed, null where an input is."""
        ticks, valid = _read(self.inputs, cells, rulers)
        return {self.target: rulers[self.target].write(self.computed(ticks), valid)}


@dataclass(frozen=True, slots=True)
class Part(_Exact):
    """A part of a date or timestamp, as clocks of a zone show it."""

    target: str
    source: str
    part: str
    zone: str | None = None
    rest: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The source."""
        return (self.source,)

    def restore(self, cells: Cells, rulers: Rulers) -> dict[str, pa.Array]:
        """The part of each source."""
        source = cells[self.source]
        unit = unit_of(source.type)
        part = part_of(on_the_wall(instants(source), unit, self.zone), unit, self.part)
        return {self.target: rulers[self.target].write(part, _valid(source))}


@dataclass(frozen=True, slots=True)
class Whole:
    """A date or timestamp put together from its parts, and the time since these parts began.

    Attributes:
        parts: pairs of a part and a column of it, or the number that the part always is.
        mended: parts that are learnt, which an impossible date such as 30 February puts right.
    """

    target: str
    parts: tuple[tuple[str, str | int], ...]
    zone: str | None = None
    rest: str | None = None
    mended: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of parts."""
        return tuple(column for _, column in self.parts if isinstance(column, str))

    def remainder(self, cells: Cells, rulers: Rulers) -> pa.Array:
        """The time since the parts began, as a duration; days for a date."""
        start, valid = self.start(cells, rulers)
        target = cells[self.target]
        since = instants(target) - start
        return _gap_ruler(rulers[self.target]).write(_whole_days(since, target.type), valid & _valid(target))

    def restore(self, cells: Cells, rulers: Rulers) -> dict[str, pa.Array]:
        """The target, and its parts as it shows them."""
        ruler = rulers[self.target]
        moments, valid = self.start(cells, rulers)
        if self.rest is not None:
            since, there = _gap_ruler(ruler).read(cells[self.rest])
            moments = moments + np.clip(since, 0, self._longest(ruler)) * (DAY if pa.types.is_date32(ruler.type) else 1)
            valid = valid & there
        made = ruler.write(_whole_days(moments, ruler.type), valid)
        unit = unit_of(ruler.type)
        wall = on_the_wall(instants(made), unit, self.zone) if self.mended else moments
        named = {column: part for part, column in self.parts}
        return {self.target: made} | {
            name: rulers[name].write(part_of(wall, unit, str(named[name])), valid) for name in self.mended
        }

    def _longest(self, ruler: Ruler) -> int:
        """The longest rest, so that it can't move the parts; days and hours of a zone may be longer than others."""
        seconds = _LONG.get(self.parts[-1][0], _YEAR) if self.zone is None else _YEAR
        return seconds // DAY if pa.types.is_date32(ruler.type) else seconds * PER_SECOND[ruler.type.unit] - 1

    def start(self, cells: Cells, rulers: Rulers) -> tuple[Ints, Flags]:
        """The instant at which the parts begin, in `unit_of` the target, and where it is known."""
        unit = unit_of(rulers[self.target].type)
        rows = len(cells[self.inputs[0]])
        valid, found = np.ones(rows, np.bool_), dict[str, Ints]()
        for part, column in self.parts:
            if isinstance(column, int):
                found |= {part: np.full(rows, column, np.int64)}
                continue
            ticks, there = rulers[column].read(cells[column])
            valid &= there
            found |= _spelt_out(part, ticks)
        return from_the_wall(assembled(found, unit), unit, self.zone), valid


@dataclass(frozen=True, slots=True)
class Linear(_Computed):
    """`(constant + sum of weight × input) / divisor`, in whole units of each column."""

    target: str
    inputs: tuple[str, ...]
    weights: tuple[int, ...]
    constant: int = 0
    divisor: int = 1
    rest: str | None = None

    def computed(self, ticks: list[Ints]) -> Ints:
        """The target's ticks from those of the inputs."""
        with np.errstate(over="ignore"):  # `bounded` tells where
            exact = sum((w * t for w, t in zip(self.weights, ticks, strict=True)), np.int64(self.constant))
        about = sum((w * t.astype(np.float64) for w, t in zip(self.weights, ticks, strict=True)), float(self.constant))
        total = bounded(np.asarray(exact), np.asarray(about))
        return total if self.divisor == 1 else total // self.divisor


@dataclass(frozen=True, slots=True)
class Product(_Computed):
    """`left × right`, rounded to the target's decimals.

    Attributes:
        shift: decimals that the product has more than the target; negative where it has fewer.
        ties: what becomes of a half: `away` from zero, to the `even` neighbour, or everything `down`.
    """

    target: str
    left: str
    right: str
    shift: int = 0
    ties: str = "away"
    rest: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Both factors."""
        return (self.left, self.right)

    def computed(self, ticks: list[Ints]) -> Ints:
        """The target's ticks from those of both factors."""
        left, right = ticks
        by = 10 ** max(-self.shift, 0)
        with np.errstate(over="ignore"):  # `bounded` tells where
            exact = left * right * by
        product = bounded(exact, left.astype(np.float64) * right * by)
        return _rounded(product, 10**self.shift, self.ties) if self.shift > 0 else product


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day written as HHMM that is another one plus or minus minutes, around the clock.

    Attributes:
        sign: 1 where minutes are added, -1 where they are taken off.
        midnight: how midnight is written, 0 or 2400.
        rest: the target where it is known although minutes are not; None where that never is.
    """

    target: str
    clock: str
    minutes: str
    sign: int = 1
    midnight: int = 0
    rest: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The other time of day, and the minutes."""
        return (self.clock, self.minutes)

    def remainder(self, cells: Cells, rulers: Rulers) -> pa.Array:
        """The target where an input is null."""
        _, known = _read(self.inputs, cells, rulers)
        target = cells[self.target]
        return pc.if_else(pa.array(known), pa.scalar(None, target.type), target)

    def restore(self, cells: Cells, rulers: Rulers) -> dict[str, pa.Array]:
        """The time of day, from the rest where an input is null."""
        ticks, known = _read(self.inputs, cells, rulers)
        made = rulers[self.target].write(self.computed(ticks), known)
        return {self.target: made if self.rest is None else pc.if_else(pa.array(known), made, cells[self.rest])}

    def computed(self, ticks: list[Ints]) -> Ints:
        """The target as HHMM."""
        at = (as_minutes(ticks[0]) + self.sign * (ticks[1] % 1440)) % 1440
        return np.where(at == 0, self.midnight, at // 60 * 100 + at % 60)


@dataclass(frozen=True, slots=True)
class Gap:
    """A column that is never below another: what is learnt is how far above it is.

    Attributes:
        least: 1 where it is always above, 0 where it may be equal.
    """

    target: str
    earlier: str
    rest: str
    least: int = 0

    @property
    def inputs(self) -> tuple[str, ...]:
        """The column that is never above."""
        return (self.earlier,)

    def remainder(self, cells: Cells, rulers: Rulers) -> pa.Array:
        """How far above, in a type that holds any gap."""
        (low, high), valid = _read((self.earlier, self.target), cells, rulers)
        return _gap_ruler(rulers[self.target]).write(high - low, valid)

    def restore(self, cells: Cells, rulers: Rulers) -> dict[str, pa.Array]:
        """The earlier plus the gap, null where either is."""
        low, known = rulers[self.earlier].read(cells[self.earlier])
        gap, there = _gap_ruler(rulers[self.target]).read(cells[self.rest])
        high = bounded(low + np.maximum(gap, self.least), low.astype(np.float64) + gap)
        return {self.target: rulers[self.target].write(high, known & there)}

    def before(self, cells: Cells, rulers: Rulers) -> dict[str, pa.Array]:
        """The target less the gap: the earlier, where it is the target that is known."""
        high, known = rulers[self.target].read(cells[self.target])
        gap, there = _gap_ruler(rulers[self.target]).read(cells[self.rest])
        low = bounded(high - np.maximum(gap, self.least), high.astype(np.float64) - gap)
        return {self.earlier: rulers[self.earlier].write(low, known & there)}


Relation = Part | Whole | Linear | Product | Clock | Gap

KINDS: Mapping[str, type[Relation]] = {
    "part": Part,
    "whole": Whole,
    "linear": Linear,
    "product": Product,
    "clock": Clock,
    "gap": Gap,
}


def gap_type(type_: pa.DataType) -> pa.DataType:
    """The type of a difference of two cells of a type."""
    if pa.types.is_date32(type_):
        return pa.int32()
    if pa.types.is_temporal(type_):
        return pa.duration(type_.unit)
    if pa.types.is_integer(type_):
        return pa.int64()
    if pa.types.is_decimal(type_):
        return pa.decimal128(max(18, type_.precision), type_.scale)
    return pa.float64()


def as_minutes(clock: Ints) -> Ints:
    """HHMM as minutes of the day."""
    return clock // 100 * 60 + clock % 100


def _gap_ruler(ruler: Ruler) -> Ruler:
    return Ruler(gap_type(ruler.type), ruler.decimals)


def _read(names: tuple[str, ...], cells: Cells, rulers: Rulers) -> tuple[list[Ints], Flags]:
    pairs = [rulers[name].read(cells[name]) for name in names]
    return [ticks for ticks, _ in pairs], np.logical_and.reduce([valid for _, valid in pairs])


def _valid(cells: pa.Array) -> Flags:
    return np.asarray(cells.is_valid().to_numpy(zero_copy_only=False))


def _whole_days(moments: Ints, type_: pa.DataType) -> Ints:
    return moments // DAY if pa.types.is_date32(type_) else moments


def _spelt_out(part: str, ticks: Ints) -> dict[str, Ints]:
    """A part as those of the ladder."""
    if part == "date":
        return {p: part_of(ticks * DAY, "s", p) for p in LADDER[:3]}
    if part == "yyyymmdd":
        return {"year": ticks // 10_000, "month": ticks // 100 % 100, "day": ticks % 100}
    if part == "yyyymm":
        return {"year": ticks // 100, "month": ticks % 100}
    return {part: ticks}


def _rounded(product: Ints, by: int, ties: str) -> Ints:
    down, left = np.divmod(product, by)
    if ties == "down":
        return down
    half = down % 2 == 1 if ties == "even" else product >= 0
    return np.asarray(down + ((left * 2 > by) | ((left * 2 == by) & half)))
