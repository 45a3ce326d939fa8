"""The calendar in whole numbers: parts of the time that a clock on the wall shows, and times from parts.

Instants are counted in units of their type since 1970; a zone is None (as stored) or a name that Arrow knows.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.generators.relations.ruler import DAY, Ruler
from twinlake.generators.states.census import Ints
from twinlake.types import PER_SECOND

LADDER = ("year", "month", "day", "hour", "minute", "second")
"""From coarse to fine: what times are put together from."""

ZONES = (
    "America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles",
    "America/Anchorage", "Pacific/Honolulu", "America/Halifax", "America/St_Johns", "America/Mexico_City",
    "America/Bogota", "America/Lima", "America/Caracas", "America/Santiago", "America/Sao_Paulo",
    "America/Argentina/Buenos_Aires", "Europe/London", "Europe/Lisbon", "Europe/Paris", "Europe/Athens",
    "Europe/Istanbul", "Europe/Moscow", "Africa/Cairo", "Africa/Lagos", "Africa/Johannesburg", "Africa/Nairobi",
    "Asia/Jerusalem", "Asia/Dubai", "Asia/Tehran", "Asia/Karachi", "Asia/Kolkata", "Asia/Dhaka", "Asia/Bangkok",
    "Asia/Shanghai", "Asia/Tokyo", "Australia/Perth", "Australia/Adelaide", "Australia/Brisbane", "Australia/Sydney",
    "Pacific/Auckland",
)  # fmt: skip
"""One zone for each common rule of daylight time, tried where parts don't fit the stored time."""


def unit_of(type_: pa.DataType) -> str:
    """The unit that instants of a type are counted in here: seconds for dates."""
    return "s" if pa.types.is_date32(type_) else str(type_.unit)


def instants(cells: pa.Array) -> Ints:
    """Dates and timestamps in `unit_of` their type, shape (rows,); 0 where null."""
    ticks, _ = Ruler(cells.type).read(cells)
    return ticks * DAY if pa.types.is_date32(cells.type) else ticks


def on_the_wall(moments: Ints, unit: str, zone: str | None) -> Ints:
    """What a clock in the zone shows at each instant, in the same unit."""
    if zone is None:
        return moments
    aware = pa.array(moments).cast(pa.timestamp(unit, zone))
    return np.asarray(pc.local_timestamp(aware).cast(pa.int64()).to_numpy(zero_copy_only=False))


def from_the_wall(wall: Ints, unit: str, zone: str | None) -> Ints:
    """The instant at which a clock shows this: the earlier of two, and the next that exists where none does."""
    if zone is None:
        return wall
    naive = pa.array(wall).cast(pa.timestamp(unit))
    aware = pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="latest")
    return np.asarray(aware.cast(pa.int64()).to_numpy(zero_copy_only=False))


def part_of(wall: Ints, unit: str, part: str) -> Ints:
    """A part of what clocks show, shape (rows,): a whole number, days since 1970 for `date`, units for `time`."""
    days, rest = np.divmod(wall, DAY * PER_SECOND[unit])
    if part in ("hour", "minute", "second"):
        seconds = rest // PER_SECOND[unit]
        return {"hour": seconds // 3600, "minute": seconds // 60 % 60, "second": seconds % 60}[part]
    return rest if part == "time" else PARTS[part](days)


def assembled(parts: Mapping[str, Ints], unit: str) -> Ints:
    """What clocks show where these parts begin, shape (rows,); parts out of range become the nearest in range.

    `parts` holds the first few of `LADDER`.
    """
    low, high = (1680, 2260) if unit == "ns" else (1, 9999)
    months = (np.clip(parts["year"], low, high) - 1970) * 12 + np.clip(parts.get("month", 1), 1, 12) - 1
    first = _first_days(months)
    days = first + np.clip(parts.get("day", 1), 1, _first_days(months + 1) - first) - 1
    hour, minute, second = (np.clip(parts.get(p, 0), 0, most) for p, most in zip(LADDER[3:], (23, 59, 59), strict=True))
    return np.asarray((days * DAY + hour * 3600 + minute * 60 + second) * PER_SECOND[unit], dtype=np.int64)


def _months(days: Ints) -> Ints:
    return np.asarray(days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64))


def _first_days(months: Ints) -> Ints:
    return np.asarray(months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64))


def _year(days: Ints) -> Ints:
    return _months(days) // 12 + 1970


def _month(days: Ints) -> Ints:
    return _months(days) % 12 + 1


def _day(days: Ints) -> Ints:
    return days - _first_days(_months(days)) + 1


def _new_year(days: Ints) -> Ints:
    return _first_days(_months(days) // 12 * 12)


def _week(days: Ints) -> Ints:
    thursday = days - (days + 3) % 7 + 3  # ISO 8601: a week belongs to the year of its Thursday
    return (thursday - _new_year(thursday)) // 7 + 1


PARTS: Mapping[str, Callable[[Ints], Ints]] = {
    "date": lambda days: days,
    "year": _year,
    "month": _month,
    "day": _day,
    "yyyymmdd": lambda days: _year(days) * 10_000 + _month(days) * 100 + _day(days),
    "yyyymm": lambda days: _year(days) * 100 + _month(days),
    "quarter": lambda days: _months(days) % 12 // 3 + 1,
    "day of year": lambda days: days - _new_year(days) + 1,
    "week": _week,
    "weekday from Monday 0": lambda days: (days + 3) % 7,
    "weekday from Monday 1": lambda days: (days + 3) % 7 + 1,
    "weekday from Sunday 0": lambda days: (days + 4) % 7,
    "weekday from Sunday 1": lambda days: (days + 4) % 7 + 1,
}
"""Parts of a date, from days since 1970."""

NAMES = (*PARTS, "time", "hour", "minute", "second")
"""All parts, in the order in which they are looked for."""
