"""The arithmetic of LeakBench: thresholds at 5 % false alarms, power, intervals, and what each gate alone finds."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Measures = Mapping[str, float]  # higher is worse; NaN or absent where a tool could not tell
Floats = npt.NDArray[np.float64]
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Null:
    """What a tool's measures are where nothing leaks, and the score above which it shall alarm.

    A case's score is the most extreme of its measures: the share of clean runs below it or, beyond all of them, 1 and
    how far it is beyond, in ranges of the clean runs. Each clean run is scored against the others; the threshold lets
    at most a share `ALPHA` of them through.
    """

    names: tuple[str, ...]
    clean: Floats
    threshold: float
    false_alarms: float

    @classmethod
    def of(cls, clean: Sequence[Measures], alpha: float = ALPHA) -> "Null":
        """The null of some clean runs; two are the fewest."""
        names = tuple(sorted({name for run in clean for name in run}))
        rows = np.array([[run.get(n, math.nan) for n in names] for run in clean], np.float64).reshape(len(clean), -1)
        own = np.array([_score(rows[i], np.delete(rows, i, axis=0)) for i in range(len(rows))])
        threshold = float(np.sort(own)[::-1][min(math.floor(alpha * len(own)), len(own) - 1)])
        return cls(names, rows, threshold, float((own > threshold).mean()))

    def alarms(self, case: Measures) -> bool:
        """Whether a case is beyond the threshold."""
        row = np.array([case.get(n, math.nan) for n in self.names], np.float64)
        return _score(row, self.clean) > self.threshold


def _score(row: Floats, clean: Floats) -> float:
    found = 0.0
    for value, column in zip(row, clean.T, strict=True):
        known = column[~np.isnan(column)]
        if math.isnan(value) or not len(known):
            continue
        top, low = float(known.max()), float(known.min())
        beyond = 1 + (float(value) - top) / (top - low or 1.0)
        found = max(found, beyond if value > top else float((known < value).mean()))
    return found


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); 0 to 1 where nothing was tried."""
    if not of:
        return 0.0, 1.0
    z, share = 1.959964, hits / of
    middle, half = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)
    return (0.0 if hits == 0 else low), (1.0 if hits == of else high)


@dataclass(frozen=True, slots=True)
class Power:
    """How many of the repetitions of one case were noticed."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        """0 to 1; NaN where nothing was tried."""
        return self.hits / self.of if self.of else math.nan

    def meets(self, target: float) -> bool:
        """Whether the target is reached."""
        return bool(self.of) and self.share >= target


def macro(powers: Collection[Power]) -> float:
    """The mean power over cases, each as heavy as any other."""
    shares = [p.share for p in powers if p.of]
    return float(np.mean(shares)) if shares else math.nan


def alone(alarms: Sequence[Collection[str]]) -> dict[str, int]:
    """By gate, in how many runs it alone alarmed: those would be missed without it."""
    counts: dict[str, int] = {}
    for gates in alarms:
        if len(gates) == 1:
            (gate,) = gates
            counts[gate] = counts.get(gate, 0) + 1
    return counts


def without(alarms: Sequence[Collection[str]], gate: str) -> Power:
    """The power that is left with one gate switched off."""
    return Power(sum(bool(set(gates) - {gate}) for gates in alarms), len(alarms))
