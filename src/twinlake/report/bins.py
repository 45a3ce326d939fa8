"""Round bins over a column of quantities, dates or times. Edges are round numbers, never a value that was seen."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.report.words import number
from twinlake.types import PER_SECOND, as_int64

Floats = npt.NDArray[np.float64]
MOST_BINS = 24
CROWDED = 0.6  # bins of equal width where one holds more than this say little
_CALENDAR = [
    (1, "s"), (5, "s"), (15, "s"), (1, "m"), (5, "m"), (15, "m"), (1, "h"), (3, "h"), (6, "h"), (1, "D"), (7, "D"),
    (1, "M"), (3, "M"), (1, "Y"), (2, "Y"), (5, "Y"), (10, "Y"), (20, "Y"), (50, "Y"), (100, "Y"), (1000, "Y"),
]  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3600, "D": 86400, "M": 2629746, "Y": 31556952}


@dataclass(frozen=True, slots=True)
class Bins:
    """Half-open bins `[edge, next edge)`.

    Attributes:
        edges: shape (bins + 1,), rising; seconds for dates and times.
        ticks: a text for each edge.
        spans: for each bin the texts of its two ends; equal ends for a bin of a single value.
        even: whether bins are of equal width.
    """

    edges: Floats
    ticks: tuple[str, ...]
    spans: tuple[tuple[str, str], ...]
    even: bool


def quantities(values: pa.Array) -> Floats:
    """Numbers as they are, dates and times in seconds; null is NaN; shape (rows,)."""
    type_ = values.type
    if pa.types.is_date32(type_):
        return 86400.0 * _floats(as_int64(values))
    if pa.types.is_temporal(type_):
        return _floats(as_int64(values)) / PER_SECOND[type_.unit]
    return _floats(values)


def bin_edges(type_: pa.DataType, values: Floats, *, k: int, is_common: Callable[[float], bool]) -> Bins | None:
    """Bins for synthetic `values`, which are finite; None where they span nothing.

    The range goes from the k-th smallest to the k-th largest value, rounded outwards. `is_common` tells whether enough
    real units hold a value: only then may a value that most rows share have a bin of its own.
    """
    if len(values) < 2 * k:
        return None
    ordered = np.sort(values)
    low, high = float(ordered[k - 1]), float(ordered[-k])
    if not np.isfinite(high - low):
        return None
    if pa.types.is_temporal(type_) and not pa.types.is_duration(type_):
        return _calendar(type_, low, high)
    even = _even(low, high, whole=pa.types.is_integer(type_)) if high > low else None
    if even is not None and np.histogram(values, even.edges)[0].max() <= CROWDED * len(values):
        return even
    return _uneven(ordered[k - 1 : len(ordered) - k + 1], is_common) or even


def _even(low: float, high: float, *, whole: bool) -> Bins:
    raw = (high - low) / (MOST_BINS - 4)
    size = 10.0 ** np.floor(np.log10(raw))
    step = size * next(m for m in (1, 2, 5, 10) if m * size >= raw * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    edges = step * np.arange(np.floor(low / step), np.floor(high / step) + 2)
    texts = tuple(number(round(float(e), 12)) for e in edges)
    spans = [(t, t) for t in texts[:-1]] if whole and step == 1 else pairwise(texts)
    return Bins(edges, texts, tuple(spans), even=True)


def _uneven(ordered: Floats, is_common: Callable[[float], bool]) -> Bins | None:
    """A bin for the value that more than half of the rows share, and eighths of the other values that there are."""
    values, counts = np.unique(ordered, return_counts=True)
    mode = float(values[int(np.argmax(counts))])
    alone = counts.max() > len(ordered) / 2 and is_common(mode)
    inner = [_rounded(float(q)) for q in np.quantile(values, np.linspace(0, 1, 9)[1:-1])]
    ends = [_outward(float(values[0]), -1), _outward(float(values[-1]), +1)]
    just_over = float(np.nextafter(mode, np.inf))
    edges = np.unique([*inner, *ends, *([mode, just_over] if alone else [])])
    spans = []
    for a, b in pairwise(edges):
        if alone and a == mode:
            spans.append((number(mode), number(mode)))
        else:
            spans.append((f"over {number(mode)}" if alone and a == just_over else number(a), number(b)))
    return Bins(edges, (), tuple(spans), even=False) if len(spans) > 1 else None


def _calendar(type_: pa.DataType, low: float, high: float) -> Bins:
    count, unit = next(
        ((n, u) for n, u in _CALENDAR if (high - low) / (n * _SECONDS[u]) <= MOST_BINS - 2 and _suits(type_, u)),
        _CALENDAR[-1],
    )
    first, last = (int(np.datetime64(int(np.floor(x)), "s").astype(f"datetime64[{unit}]").astype(np.int64)) // count
                   for x in (low, high))  # fmt: skip
    steps = (np.arange(first, last + 2) * count).astype(f"datetime64[{unit}]").astype("datetime64[s]")
    texts = tuple(_moment(type_, str(s), unit) for s in steps)
    return Bins(steps.astype(np.float64), texts, tuple(pairwise(texts)), even=True)


def _suits(type_: pa.DataType, unit: str) -> bool:
    return not pa.types.is_date(type_) or unit in "DMY"


def _moment(type_: pa.DataType, text: str, unit: str) -> str:
    """An edge such as `1990`, `1990-05`, `1990-05-03`, `05-03 14:00`, `14:00`."""
    day, clock = text.split("T")
    if pa.types.is_time(type_):
        return clock if unit == "s" else clock[:5]
    if unit in "DMY":
        return {"D": day, "M": day[:-3], "Y": day[:-6]}[unit]
    return f"{day[-5:]} {clock if unit == 's' else clock[:5]}"


def _rounded(x: float) -> float:
    return float(f"{x:.2g}")


def _outward(x: float, sign: int) -> float:
    """The next number of two digits below (sign -1, or `x` itself) or strictly above (sign +1)."""
    size = 10.0 ** (np.floor(np.log10(abs(x))) - 1) if x else 1.0
    steps = np.floor(x / size) + (1 if sign > 0 else 0)
    return float(f"{steps * size:.12g}")


def _floats(values: pa.Array) -> Floats:
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
