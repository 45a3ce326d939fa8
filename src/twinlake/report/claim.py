"""What may be claimed of a snapshot, in words: against which attacks, for whom, with what confidence; never more."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from twinlake.card import Evidence, coarse, is_private
from twinlake.report.reading import reading, untested_attacks
from twinlake.report.words import printable
from twinlake.verdict import Verdict, blocking

_ADVANTAGE: Mapping[str, Callable[[float], float]] = {
    "membership": lambda area: 2 * area - 1,
    "membership_tpr": lambda found: found - 0.01,
    "singling_out": lambda gain: gain,
    "linkability": lambda gain: gain,
    "attribute_inference": lambda gain: gain,
}
"""By how much an attacker does better than guessing; where a gate's value is an upper bound of that."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What may be said.

    Attributes:
        head: whether the policy was passed, and for whom.
        said: sentences that follow from the verdicts.
        untested: the attacks that nobody ran, by name.
    """

    head: str
    said: tuple[str, ...]
    untested: tuple[str, ...]

    def __str__(self) -> str:
        """All of it as one paragraph."""
        return " ".join((f"{self.head}.", *self.said, f"Not tested: {'; '.join(self.untested)}."))


def claim(verdicts: Sequence[Verdict], evidence: Evidence | None) -> Claim:
    """What follows from verdicts that were given under a policy. It is the same for the card as for full verdicts."""
    private = [v for v in verdicts if is_private(v.gate)]
    passed = bool(verdicts) and not blocking(verdicts)
    whom = f"{evidence.recipient.upper()} recipients" if evidence else "recipients of no declared class"
    head = f"{'Passed' if passed else 'Did not pass'} the policy for {whom}"
    told = [*_held(private, evidence.confidence if evidence else 0.95), *_missed(private)]
    return Claim(head, tuple(told), tuple(text.split(":")[0] for text in untested_attacks(verdicts)))


def _held(private: Sequence[Verdict], confidence: float) -> Iterable[str]:
    """What stayed within its limit, for every table."""
    kept = {g: [v for v in private if v.gate == g] for g in dict.fromkeys(v.gate for v in private)}
    held = {g: given for g, given in kept.items() if all(v.passed for v in given)}
    lost = any(not v.passed for v in private)  # what is left of an advantage says little where some attack got through
    bounded = {} if lost else {g: given for g, given in held.items() if g in _ADVANTAGE}
    if bounded:
        worst = max(_ADVANTAGE[g](coarse(v).value or 0.0) for g, given in bounded.items() for v in given)
        yield (
            f"An attacker's advantage is at most {max(0.0, worst):.2g} with {100 * confidence:g} % confidence, where 0 "
            f"is guessing and 1 is certainty, against these attacks: {_attacks(bounded)}."
        )
    if others := [g for g in held if g not in bounded]:
        yield f"{'Within their limits, too' if bounded else 'Within their limits'}: {_attacks(others)}."


def _missed(private: Sequence[Verdict]) -> Iterable[str]:
    blocked = [v for v in private if v.blocks]
    for head, found in (
        ("Failed", [v for v in blocked if not v.inconclusive]),
        ("Too little data to tell", [v for v in blocked if v.inconclusive]),
        (
            "Not within its limit, though the pipeline file lets it pass",
            [v for v in private if not v.passed and not v.blocks],
        ),
    ):
        if found:
            yield f"{head}: {', '.join(f'{reading(v.gate).title} of {printable(v.table, most=60)}' for v in found)}."


def _attacks(gates: Iterable[str]) -> str:
    return "; ".join(reading(g).attack or reading(g).title for g in gates)
