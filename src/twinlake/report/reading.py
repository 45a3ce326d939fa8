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
        "Does a real record, a rare real value, a real key or an exact extreme come back? Counts those that do; where "
        "coincidence is natural, only what goes beyond that of rows held back. The baseline is what chance would give.",
    ),
    "closest_record": Reading(
        "Closest record",
        "Are synthetic rows closer to rows that were learnt than to rows held back? 0.5 is neither; the upper end of "
        "the interval has to stay below the limit. It finds careless copying and can't rule out subtler leaks.",
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
