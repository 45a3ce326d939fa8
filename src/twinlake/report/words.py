"""Texts of a report: names made printable, numbers made short. No markup: each writer escapes for its medium."""

import math
import unicodedata
from collections.abc import Sequence

from twinlake.verdict import Outcome, Verdict, blocking

_LINE_BREAKERS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # terminals, XML and bidi tricks live in these categories


def printable(text: str, *, most: int = 0) -> str:
    """`text` with everything that can't be seen replaced by `�`, cut to `most` characters (0: not cut)."""
    shown = "".join("\ufffd" if unicodedata.category(c) in _LINE_BREAKERS else c for c in text)
    return f"{shown[: most - 1].rstrip()}…" if most and len(shown) > most else shown


def number(x: float) -> str:
    """A quantity as a short text: `0.25`, `950`, `15k`, `1.5M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size <= abs(x) < 1e15:
            return f"{x / (1e3 if unit == 'k' else size):.6g}{unit}"
    return f"{x:.6g}".replace("e+", "e")


def measure(x: float | None) -> str:
    """A measure of a verdict: `0.982`, `14`, `–` where there is none."""
    if x is None or math.isnan(x):
        return "–"
    if x == int(x) and abs(x) != 1:
        return f"{x:,.0f}"
    if 0.9995 <= x < 1:
        return ">0.999"  # a miss of a limit of 1 shall not read as a hit
    return f"{x:.3f}" if abs(x) >= 0.001 else f"{x:.1g}"


def percent(share: float) -> str:
    """A share as a percentage: `12 %`, `0.4 %`, `<0.1 %`."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"


def counted(n: int, noun: str) -> str:
    """`1 gate`, `2 gates`, `1,200 rows`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def bounded(verdict: Verdict) -> str:
    """The limit with its direction: `≥ 0.950`, or `–` where the gate could not run."""
    if verdict.value is None:
        return "–"
    return f"{'≥' if verdict.bound == 'at_least' else '≤'} {measure(verdict.limit)}"


def interval(verdict: Verdict) -> str:
    """`[0.979, 0.985]`, `up to 0.985` where only that end is known, or an empty text where the measure is exact."""
    if verdict.low is None and verdict.high not in (None, verdict.value):
        return f"up to {measure(verdict.high)}"
    if verdict.low is None or verdict.high is None or verdict.low == verdict.high:
        return ""
    return f"[{measure(verdict.low)}, {measure(verdict.high)}]"


def worst_parts(verdict: Verdict, *, most: int = 3) -> list[tuple[str, float]]:
    """The parts of a verdict that are furthest on the wrong side, worst first."""
    sign = 1 if verdict.bound == "at_least" else -1
    return sorted(verdict.parts.items(), key=lambda p: (sign * p[1], p[0]))[:most]


def mark(verdict: Verdict) -> str:
    """`✓` passed, `✗` failed and blocks, `?` could not tell and blocks, `!` did not pass and warns."""
    if verdict.passed:
        return "✓"
    return "!" if not verdict.blocks else "?" if verdict.inconclusive else "✗"


def said(verdict: Verdict) -> str:
    """The outcome in words, with what follows from it: `passed`, `failed, blocks`, `inconclusive, blocks`."""
    then = "" if verdict.passed else ", blocks" if verdict.blocks else ", warns"
    return f"{verdict.outcome}{then}"


def ended(verdict: Verdict) -> str:
    """What became of a gate that did not pass: `failed`, or `could not tell`."""
    return "could not tell" if verdict.inconclusive else "failed"


def tally(verdicts: Sequence[Verdict]) -> str:
    """`7 of 9 gates passed, 1 failed, 1 inconclusive`."""
    counts = {o: sum(v.outcome is o for v in verdicts) for o in Outcome}
    rest = [f"{n} {o}" for o, n in counts.items() if n and o is not Outcome.PASSED]
    return ", ".join([f"{counts[Outcome.PASSED]} of {counted(len(verdicts), 'gate')} passed", *rest])


def outcome(verdicts: Sequence[Verdict], *, release: str | None) -> str:
    """`released as …`, `refused because …`, or how many gates were passed."""
    stopped = blocking(verdicts)
    if not verdicts:
        return "refused because no gate was run"
    if stopped:
        first = f"{stopped[0].gate} of {printable(stopped[0].table, most=40)} {ended(stopped[0])}"
        more = f", and {counted(len(stopped) - 1, 'other gate')} did not pass" if len(stopped) > 1 else ""
        return f"refused because {first}{more}"
    if release is not None:
        return f"released as {printable(release, most=60)}"
    passed = sum(v.passed for v in verdicts)
    return f"passed {passed} of {counted(len(verdicts), 'gate')}; none blocks a release"
