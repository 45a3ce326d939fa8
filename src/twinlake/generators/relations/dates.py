"""Finds dates and timestamps that have parts in other columns."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from twinlake.generators.relations.calendar import LADDER, NAMES, ZONES, instants, on_the_wall, part_of, unit_of
from twinlake.generators.relations.kinds import Part, Whole
from twinlake.generators.relations.plan import Plan
from twinlake.generators.relations.ruler import is_time
from twinlake.generators.relations.sheet import LEAST_ROWS, Sheet, spread
from twinlake.generators.states.census import Ints

Found = dict[str, str]  # columns by the part that they hold
_HEADS = (("date",), ("yyyymmdd",), ("yyyymm",), ())
_COVERED = {"date": 3, "yyyymmdd": 3, "yyyymm": 2}
_ROWS = 256
_TELLING = ("hour", "date", "day", "yyyymmdd")  # parts that tell zones apart
_OFFSETS = tuple(f"{sign}{hours:02d}:00" for hours in range(1, 15) for sign in "+-")


def take_dates(sheet: Sheet, plan: Plan) -> None:
    """Compute times from their parts where there are enough of them, and other parts from times."""
    for source in _sources(sheet):
        rows = np.flatnonzero(sheet.valid(source))
        if len(rows) < LEAST_ROWS or not sheet.enough(rows):
            continue
        zone, parts = _parts(sheet, source, spread(rows))
        whole = _whole(sheet, plan, source, zone, parts)
        if whole is not None:
            plan.offer(whole, lambda: True)
        for part, columns in parts.items():
            for column in columns:
                if _distinct(sheet, column) >= 3:
                    plan.offer(Part(column, source, part, zone), lambda: True)


def _sources(sheet: Sheet) -> list[str]:
    """Dates first, so that timestamps can be put together from them."""
    types = {name: sheet.rulers[name].type for name in sheet.names}
    dates = [name for name, t in types.items() if pa.types.is_date32(t)]
    return dates + [name for name, t in types.items() if pa.types.is_timestamp(t)]


def _parts(sheet: Sheet, source: str, rows: Ints) -> tuple[str | None, dict[str, list[str]]]:
    """The zone whose clocks show most columns, and the columns by the part they hold in every row."""
    best: tuple[str | None, dict[str, list[str]]] = (None, {})
    tried = list(_guesses(sheet, source, rows))
    for zone, guessed in sorted(tried, key=lambda pair: -_size(pair[1]))[:4]:
        sure = _sure(sheet, source, zone, guessed)
        if _size(sure) > _size(best[1]):
            best = zone, sure
        if _size(sure) == _size(guessed):
            break
    return best


def _guesses(sheet: Sheet, source: str, rows: Ints) -> Iterator[tuple[str | None, dict[str, list[str]]]]:
    """For each zone the columns that hold a part in the sampled rows."""
    type_ = sheet.rulers[source].type
    unit, moments = unit_of(type_), instants(sheet.cells(source).take(pa.array(rows)))
    others = {n: sheet.sampled(n, rows) for n in sheet.names if n != source}
    columns = {n: ticks for n, (ticks, valid) in others.items() if valid.all()}
    yield None, _matching(sheet, unit, moments, columns)
    if pa.types.is_date32(type_):
        return
    if type_.tz is not None:
        yield type_.tz, _matching(sheet, unit, on_the_wall(moments, unit, type_.tz), columns)
    if not _off_by_hours(unit, moments, columns):
        return
    some = {n: ticks[:_ROWS] for n, ticks in columns.items()}
    for zone in (*_OFFSETS, *ZONES):
        if _readable(zone):
            here = on_the_wall(moments[:_ROWS], unit, zone)
            if _matching(sheet, unit, here, some, parts=_TELLING):
                yield zone, _matching(sheet, unit, on_the_wall(moments, unit, zone), columns)


def _off_by_hours(unit: str, moments: Ints, columns: Mapping[str, Ints]) -> bool:
    """Whether a column may be the hour or the day of clocks elsewhere: it is off by one of two amounts, or at times."""
    hours = part_of(moments, unit, "hour")
    days = [part_of(moments, unit, part) for part in _TELLING[1:]]
    for ticks in columns.values():
        if ticks.min() >= 0 and 3 <= ticks.max() <= 23 and (ticks != hours).any():
            if len(np.unique((ticks - hours) % 24)) <= 2:
                return True
        elif any(0.3 < np.mean(ticks == day) < 1 for day in days):
            return True
    return False


def _matching(
    sheet: Sheet, unit: str, wall: Ints, columns: Mapping[str, Ints], *, parts: tuple[str, ...] = NAMES
) -> dict[str, list[str]]:
    found, left = dict[str, list[str]](), dict(columns)
    for part in parts:
        value = part_of(wall, unit, part)
        for name, ticks in list(left.items()):
            if ticks[0] == value[0] and _may_hold(sheet, name, part, unit) and np.array_equal(ticks, value):
                found.setdefault(part, []).append(name)
                del left[name]
    return found


def _may_hold(sheet: Sheet, column: str, part: str, unit: str) -> bool:
    type_ = sheet.rulers[column].type
    if part == "date":
        return bool(pa.types.is_date32(type_))
    if part == "time":
        return bool(pa.types.is_time(type_)) and type_.unit == unit
    return not is_time(type_) and sheet.rulers[column].decimals == 0


def _sure(sheet: Sheet, source: str, zone: str | None, guessed: dict[str, list[str]]) -> dict[str, list[str]]:
    """Those guesses that hold in every row."""
    if not guessed:
        return {}
    cells = sheet.cells(source)
    unit, valid = unit_of(cells.type), sheet.valid(source)
    wall = on_the_wall(instants(cells), unit, zone)
    sure = dict[str, list[str]]()
    for part, columns in guessed.items():
        value = part_of(wall, unit, part)
        for name in columns:
            ticks, there = sheet.ticks(name)
            if np.array_equal(there, valid) and bool(np.all((ticks == value) | ~valid)):
                sure.setdefault(part, []).append(name)
    return sure


def _whole(sheet: Sheet, plan: Plan, source: str, zone: str | None, parts: dict[str, list[str]]) -> Whole | None:
    """The source put together from as many parts, from coarse to fine, as there are columns or constants for."""
    usable = {part: columns[0] for part, columns in parts.items() if _untouched(plan, columns[0])}
    cells = sheet.cells(source)
    unit, valid = unit_of(cells.type), sheet.valid(source)
    moments = instants(cells)
    wall = on_the_wall(moments, unit, zone)[valid]
    chosen: list[tuple[str, str | int]] = []
    head = next(h for h in _HEADS if all(p in usable for p in h))
    chosen += [(p, usable[p]) for p in head]
    for part in LADDER[sum(_COVERED[p] for p in head) :]:
        held = usable.get(part)
        constant = _constant(part_of(wall, unit, part)) if held is None else None
        if held is None and constant is None:
            break
        chosen.append((part, held if held is not None else constant or 0))
    columns = [c for _, c in chosen if isinstance(c, str)]
    if not any(_distinct(sheet, c) > 1 for c in columns) or not plan.is_free(source):
        return None
    mended = tuple(c for c in columns if plan.is_free(c))
    bare = Whole(source, tuple(chosen), zone, None, mended)
    start, _ = bare.start({c: sheet.cells(c) for c in columns}, sheet.rulers)
    rest = None if np.array_equal(start[valid], moments[valid]) else plan.fresh(f"{source} since {chosen[-1][0]}")
    return Whole(source, tuple(chosen), zone, rest, mended)


def _untouched(plan: Plan, column: str) -> bool:
    """Whether a part is not yet put right by another time, which might move it."""
    return not any(isinstance(r, Whole) and column in r.mended for r in plan.taken)


def _constant(values: Ints) -> int | None:
    return int(values[0]) if len(values) and values.min() == values.max() else None


def _distinct(sheet: Sheet, name: str) -> int:
    ticks, valid = sheet.ticks(name)
    return len(np.unique(ticks[spread(np.flatnonzero(valid))]))


def _readable(zone: str) -> bool:
    try:
        on_the_wall(np.zeros(1, np.int64), "s", zone)
    except pa.ArrowInvalid:  # the machine knows no such zone
        return False
    return True


def _size(parts: Mapping[str, list[str]]) -> int:
    return sum(len(columns) for columns in parts.values())
