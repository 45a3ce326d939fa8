"""The card: what of a verdict may be shown to whom. The full verdict stays in the vault.

Numbers that were measured on real rows give some of them away themselves: whoever sees them for many snapshots can
rebuild outliers (Ganev and De Cristofaro, The Inadequacy of Similarity-based Privacy Metrics, 2023). So what leaves the
vault tells of attacks no more than their outcome and a coarse bin, and of likeness no more than two decimals.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from twinlake.verdict import Outcome, Severity, Verdict

PLAIN = frozenset({
    "structure", "rules", "expectations", "expectations_warning", "real_expectations", "real_expectations_warning",
})  # fmt: skip
"""Gates that look at synthetic rows alone, as whoever has the release can, or that say of real ones yes or no."""

OF_LIKENESS = frozenset({"column_shape", "pair_trend", "cardinality", "parent_trend", "sibling_trend"})
"""Gates whose numbers may leave the vault, rounded. Any other gate is one of privacy."""

CHANCE: Mapping[str, float] = {"membership": 0.5, "shadow": 0.5, "membership_tpr": 0.01}
"""What guessing reaches at attacks; at those that are not here, 0."""

ALPHA = 0.05
MOST_ATTEMPTS = 2  # of a day, on the same real rows under the same settings
MEANT = {
    Outcome.PASSED: "within the limit",
    Outcome.FAILED: "over the limit; the vault has the reason in full",
    Outcome.INCONCLUSIVE: "too little data to tell, which blocks as a failure does; the vault has what it would need",
}
_NO_DATE = r"(?<!\d{4}-)(?<!\d{4}-\d\d-)"  # before a month or a day: `2026-11-22` is no measure
_NUMBER = re.compile(rf"(?<![\w.,]){_NO_DATE}\d[\d,]*(?:\.\d+)?(?!\w|[.,]\d|-\d\d-\d\d)")
_LONG = re.compile(r"(?<![\w.,])\d[\d,]*\.\d{3,}(?!\w|\.\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Under which policy a snapshot was judged, and how often it was tried.

    Attributes:
        recipient: who may read the release: `public`, `partner` or `internal`.
        policy: hash of limits, suites and all else that was decided beforehand.
        version: of Twinlake.
        attempt: which of the day's attempts this is.
        judged: how many snapshots of the same real rows were judged by then, this one included.
        settings: under how many settings.
        overrides: where the pipeline file asks less of a privacy gate than the recipient's class, a sentence each.
    """

    recipient: str
    policy: str
    version: str
    attempt: int = 1
    judged: int = 1
    settings: int = 1
    overrides: tuple[str, ...] = ()

    @property
    def confidence(self) -> float:
        """What upper bounds of privacy gates hold with."""
        return confidence(self.attempt)

    @property
    def history(self) -> str:
        """`judged 3 times under 2 settings`."""
        often = "once" if self.judged == 1 else f"{self.judged} times"
        return f"judged {often} under {self.settings} setting{'' if self.settings == 1 else 's'}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return asdict(self) | {"overrides": list(self.overrides)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The evidence that `to_json` wrote."""
        return cls(**{**data, "overrides": tuple(data["overrides"])})


def confidence(attempt: int) -> float:
    """What upper bounds of privacy hold with: 0.95, and 0.975 at the second attempt, which has half of α."""
    return 1 - ALPHA / attempt


def is_private(gate: str) -> bool:
    """Whether a gate is one of privacy; one that nobody has told of is."""
    return gate not in PLAIN | OF_LIKENESS


def overridden(verdict: Verdict) -> bool:
    """Whether the pipeline file lets a privacy gate warn where it would block."""
    return is_private(verdict.gate) and verdict.severity is Severity.WARNING


def coarse(verdict: Verdict) -> Verdict:
    """What may leave the vault: of privacy the outcome, the limit and a bin; of likeness two decimals.

    Bins lie at the limit, at half of its distance from chance, and at its doubles: a value is the end of its bin on
    the side of harm. `coarse` of what it gave is the same again.
    """
    if not is_private(verdict.gate):
        return rounded(verdict)
    return replace(
        verdict, value=_binned(verdict), low=None, high=None, baseline=None, n=int(_digits(verdict.n, round)),
        parts={}, reason=MEANT[verdict.outcome] if verdict.value is not None else "could not run; the vault has why",
    )  # fmt: skip


def rounded(verdict: Verdict) -> Verdict:
    """What an engineer's terminal shows: reasons, parts and all, of privacy with two digits, of likeness two decimals.

    Rounding goes towards harm. Plain gates are shown as they are.
    """
    if verdict.gate in PLAIN:
        return verdict
    way = math.ceil if verdict.bound == "at_most" else math.floor
    if is_private(verdict.gate):
        return _rounded(verdict, lambda x: _digits(x, way), _NUMBER, lambda x: _digits(x, math.ceil))
    return _rounded(verdict, lambda x: _decimals(x, way), _LONG, lambda x: _decimals(x, way))


def harm(verdict: Verdict) -> float | None:
    """The end of the interval that decided, or None where nothing was measured: of a pass, one within the limit."""
    upper = verdict.high if verdict.bound == "at_most" else verdict.low
    lower = verdict.low if verdict.bound == "at_most" else verdict.high
    ends = [x for x in (upper, verdict.value, lower) if x is not None and not math.isnan(x)]
    if not verdict.passed:
        return ends[0] if ends else None
    return next((x for x in ends if _within(x, verdict)), verdict.value)


def share_of_limit(verdict: Verdict) -> float | None:
    """How far an attack came from guessing, 0, to its limit, 1; None where that can't be said."""
    found, chance = harm(verdict), CHANCE.get(verdict.gate, 0.0)
    if found is None or verdict.bound == "at_least":
        return None
    if verdict.limit > chance:
        return max(0.0, (found - chance) / (verdict.limit - chance))
    return 0.0 if found <= verdict.limit else math.inf


def _within(x: float, verdict: Verdict) -> bool:
    return x <= verdict.limit if verdict.bound == "at_most" else x >= verdict.limit


def _binned(verdict: Verdict) -> float | None:
    """The end of a bin on the side of harm."""
    found, limit = harm(verdict), verdict.limit
    if found is None or math.isinf(found):
        return None if found is None else found
    if verdict.bound == "at_least":
        return limit if found >= limit else 0.0
    if verdict.passed:
        half = (CHANCE.get(verdict.gate, 0.0) + limit) / 2
        return half if found <= half < limit else limit
    return _over(found, limit, CHANCE.get(verdict.gate, 0.0))


def _over(found: float, limit: float, chance: float) -> float:
    """The first double of the limit's distance from chance that reaches `found`; of a limit of none, power of ten."""
    step, factor = (limit - chance, 2.0) if limit > chance else (1.0, 10.0)
    while chance + step < found - 1e-12:
        step *= factor
    ceiling = 1.0 if 0 < limit <= 1 and found <= 1 else math.inf
    return min(ceiling, round(chance + step, 12))


def _rounded(
    verdict: Verdict, to: Callable[[float], float], numbers: re.Pattern[str], told: Callable[[float], float]
) -> Verdict:
    def end(x: float | None) -> float | None:
        return x if x is None else to(x)

    return replace(
        verdict,
        value=end(verdict.value),
        low=end(verdict.low),
        high=end(verdict.high),
        baseline=end(verdict.baseline),
        n=int(_digits(verdict.n, round)) if is_private(verdict.gate) else verdict.n,
        parts={name: to(x) for name, x in verdict.parts.items()},
        reason=numbers.sub(lambda found: f"{told(float(found[0].replace(',', ''))):,.12g}", verdict.reason),
    )


def _decimals(x: float, way: Callable[[float], int]) -> float:
    """Two decimals."""
    return x if not math.isfinite(x) else way(round(x * 100, 6)) / 100


def _digits(x: float, way: Callable[[float], int]) -> float:
    """Two significant digits."""
    if not math.isfinite(x) or x == 0:
        return x
    size = math.floor(math.log10(abs(x))) - 1
    scaled = way(round(x / 10.0**size, 6))
    return float(f"{scaled}e{size}")
