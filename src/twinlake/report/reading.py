"""How to read a gate, in one sentence for somebody who has to answer for a release; and what no gate has looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from twinlake.report.words import printable
from twinlake.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Reading:
    """A gate's name for people, and what it asks.

    Attributes:
        attack: what somebody would try whom the gate plays, in a few words; empty for gates that play nobody.
    """

    title: str
    asks: str
    attack: str = ""


_READINGS = {
    "structure": Reading(
        "Structure", "Do types, nulls, keys and references hold as in the source? Counts what breaks a rule."
    ),
    "rules": Reading(
        "Rules",
        "Does every row hold the business rules of its table: what the database or the pipeline file says of a row and "
        "its parents, and of what is unique? The value is the share of rows that hold them all.",
    ),
    "expectations": Reading(
        "Expectations",
        "Does the table meet the rules that its owner wrote down as critical? The value is the share that hold.",
    ),
    "expectations_warning": Reading(
        "Expectations, warnings", "The same for the rules whose breach is reported but doesn't stop a release."
    ),
    "real_expectations": Reading(
        "Expectations, real rows", "Do the real rows meet the critical rules? If they don't, the rules are wrong."
    ),
    "real_expectations_warning": Reading(
        "Expectations, real rows, warnings",
        "The same for the rules whose breach is reported but doesn't stop a release.",
    ),
    "column_shape": Reading(
        "Column shape",
        "Is each column distributed as among real rows that no model has seen? 1 is the same, 0 is nothing in common. "
        "It passes where the upper end of the interval reaches the limit, or the baseline if that is lower.",
    ),
    "pair_trend": Reading(
        "Pair trend",
        "Do any two columns go together as they do among unseen real rows? 1 is the same, 0 is nothing in common. "
        "It passes where the upper end of the interval reaches the limit, or the baseline if that is lower.",
    ),
    "cardinality": Reading(
        "Children per parent",
        "Do as many parents have none, one, two or more children as among real parents? 1 is the same, 0 is nothing in "
        "common; the reference that keeps it least well counts. It passes where the upper end of the interval reaches "
        "the limit, or where the value is not below the baseline by more than chance.",
    ),
    "parent_trend": Reading(
        "Parent trend",
        "Do columns go together with those of the rows they refer to as they do among unseen real rows? 1 is the same, "
        "0 is nothing in common; the reference that keeps it least well counts. It passes where the upper end of the "
        "interval reaches the limit, or where the value is not below the baseline by more than chance.",
    ),
    "sibling_trend": Reading(
        "Previous row",
        "Do columns go together with themselves in the row before, of the same parent, as among real rows? 1 is the "
        "same, 0 is nothing in common. It passes where the upper end of the interval reaches the limit, or where "
        "the value is not below the baseline by more than chance.",
    ),
    "replay": Reading(
        "Replay",
        "Does a real record, a rare or personal real value, a real key, an exact extreme, or somebody's text or "
        "sequence of rows come back? Counts those that do; where coincidence is natural, only what goes beyond that of "
        "rows held back. One is too many.",
        "finding real records, rare values, keys and extremes word for word",
    ),
    "copying": Reading(
        "Copying",
        "Do synthetic rows lie nearer to units that were learnt than to units held back, which of the two was a coin's "
        "flip: nearly the same row, the same cells, one single record? The value is how likely chance alone would do "
        "it; under the limit it fails.",
        "finding rows that are nearly those of a real person",
    ),
    "membership": Reading(
        "Membership",
        "Can somebody who knows a person's record tell from the release whether that person is among the real rows? "
        "The value is how often the attack ranks a person who is before one who is not: 0.5 is guessing, 1 is "
        "certainty. The upper end of the interval stays within the limit: for all, for the most isolated tenth, and "
        "for each group that the pipeline file names.",
        "telling whether a person is among the real rows",
    ),
    "membership_tpr": Reading(
        "Membership, those it is sure of",
        "Of the people who are among the real rows, how many does the attack find while it accuses one in a hundred "
        "wrongly? 0.01 is guessing. An average can hide the few who are easily found; this can't.",
        "telling it of the few that are found most easily",
    ),
    "membership_epsilon": Reading(
        "Membership, as an epsilon",
        "How large must the epsilon of differential privacy be at least for what the attack guessed right (Steinke, "
        "Nasr and Jagielski 2023)? It is a lower bound: it can show that much is given away, not that nothing is.",
        "guessing who is among the real rows and who is not",
    ),
    "singling_out": Reading(
        "Singling out",
        "Where some combination of columns marks one row of the release, does it mark exactly one real person too, and "
        "is that more often a person the model learnt? The value is by how much more often, as a share of what is left "
        "to gain: 0 is no more often, 1 is always.",
        "singling out a person who is among the real rows by what marks one released row",
    ),
    "linkability": Reading(
        "Linkability",
        "Of two sources that each know half of a person's columns, does the release tell that they speak of the same "
        "person, and does it so more often of one the model learnt? The value is by how much more often, as a share of "
        "what is left to gain: 0 is no more often, 1 is always.",
        "linking what two sources know of a person who is among the real rows",
    ),
    "attribute_inference": Reading(
        "Attribute inference",
        "Can a detail of a person be guessed better from the release than it could be were that person not in it? The "
        "value is by how much, as a share of what is left to guess: 0 is no better, 1 is always.",
        "guessing an unknown detail of a person who is among the real rows",
    ),
    "over_time": Reading(
        "Over time",
        "Do all releases together, or two compared, give away what each alone does not: who came or went between them?",
        "putting several releases together, and comparing them",
    ),
    "shadow": Reading(
        "Generator, in and out",
        "Were the generator run again and again with and without one isolated person, could its releases be told "
        "apart? 0.5 is guessing, 1 is certainty.",
        "telling releases with and without an isolated person apart",
    ),
}

_UNRUN = (
    (("membership", "membership_tpr", "membership_epsilon"),
     "Membership: whether somebody can find out that a certain person is among the real rows."),
    (("singling_out",),
     "Singling out: whether what marks one released row marks one real person."),
    (("linkability",),
     "Linkability: whether the release ties together what two sources know of a person."),
    (("attribute_inference",),
     "Attribute inference: whether the release lets an unknown detail of a known person be guessed."),
    (("over_time",), "Several releases together: what comparing or averaging them gives away."),
    (("shadow",), "The generator, with and without a person: what its releases would tell apart, run again and again."),
)  # fmt: skip
"""What is untested unless one of these gates has run."""

UNTESTED = (
    "Linkage with outside data: whether tables that somebody else holds help to tie rows to a person.",
    "Statistics of groups: what holds of all who are alike, and so tells something of each of them.",
    "The model itself: what somebody learns who gets hold of it, and not of rows alone.",
    "Differential privacy: no epsilon is promised; one that was measured is a lower bound.",
    "Attackers who know what nobody foresaw: other people's releases, earlier leaks, a person's friends.",
)
"""What no gate looks at, ever."""


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
    ran = {v.gate for v in verdicts if v.value is not None}
    return [text for gates, text in _UNRUN if not ran & set(gates)] + list(UNTESTED)
