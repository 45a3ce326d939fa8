"""How to read a gate, in one sentence for somebody who has to answer for a release; and what no gate has looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from twinlake.report.words import printable
from twinlake.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Reading:
    """A gate's name for people, and what it asks."""

    title: str
    asks: str


_READINGS = {
    "structure": Reading(
        "Structure",
        "Do types, nulls, keys and references hold as in the source? Counts the rows that break a rule.",
    ),
    "expectations": Reading(
        "Expectations", "Do the rows meet the rules that the owner of the data wrote down? These rules block a release."
    ),
    "expectations_warning": Reading(
        "Expectations, warnings", "Do the rows meet the rules whose breach the owner only wants to be told of?"
    ),
    "column_shape": Reading(
        "Column shape",
        "Is each column distributed as among real rows that no model has seen? 1 is the same, 0 is nothing in common.",
    ),
    "pair_trend": Reading(
        "Pair trend",
        "Do any two columns go together as they do among unseen real rows? 1 is the same, 0 is nothing in common.",
    ),
    "replay": Reading(
        "Replay",
        "Does a row, a rare value or an extreme of the real tables come back in the synthetic ones? "
        "Counts those that do beyond what unseen rows explain.",
    ),
    "closest_record": Reading(
        "Closest record",
        "Are synthetic rows closer to the rows that were learnt than to rows that were held back? One half is neither. "
        "It finds careless copying and can't rule out subtler leaks.",
    ),
}

_ATTACKS = (
    (("membership",), "Membership: whether somebody can find out that a certain person is among the real rows."),
    (("attribute",), "Attribute inference: whether the release lets an unknown detail of a known person be guessed."),
    (("link", "singling"), "Linkage and singling out: whether other data help to tie rows to a person."),
    (("union", "releases", "longitudinal"), "Several releases together: what comparing or averaging them gives away."),
)


def reading(gate: str) -> Reading:
    """How to read a gate; one that isn't known here is named as it is."""
    name = printable(gate, most=60)
    return _READINGS.get(gate) or Reading(
        name.replace("_", " ").capitalize(), "Its value is held against the limit beside it."
    )


def untested(verdicts: Sequence[Verdict]) -> list[str]:
    """What no verdict speaks about, a sentence each: attacks without a gate, and gates that could not run."""
    silent = [
        f"{reading(v.gate).title} of table {printable(v.table, most=60)}: the gate could not run."
        for v in verdicts if v.value is None
    ]  # fmt: skip
    return untested_attacks(verdicts) + silent


def untested_attacks(verdicts: Sequence[Verdict]) -> list[str]:
    """The attacks that no gate has tried, as `name: what it would show.`"""
    ran = [v.gate for v in verdicts if v.value is not None]
    return [text for words, text in _ATTACKS if not any(w in gate for gate in ran for w in words)]
