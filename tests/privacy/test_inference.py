"""A column that the twin tells of learnt units better than of others is inferred; what is common knowledge is not."""

import numpy as np
import pyarrow as pa
import pytest
from dealt import LABELS, QUANTITIES, dealt, people, with_copies

from twinlake.privacy.inference import _shares, attribute_inference
from twinlake.privacy.pool import Sides
from twinlake.random import stream


def judged(side: Sides, twin, *, quantities=QUANTITIES, others=LABELS, secrets=(), held_units=100, trees=True):
    return attribute_inference(
        side, twin, "people", quantities, others, secrets=secrets, limit=0.1, confidence=0.95, held_units=held_units,
        trees=trees, rng=stream(0, "inference"),
    )  # fmt: skip


def with_illness(rows: pa.Table, seed: int) -> pa.Table:
    """The rows with a label that follows nothing."""
    return rows.append_column("illness", [stream(seed, "ill").choice(list("abcdefgh"), len(rows))])


def world(n: int, seed: int, *, share: float = 0.5) -> tuple[Sides, pa.Table]:
    side = dealt(n, seed, share=share)
    ill = Sides(with_illness(side.rows, seed), side.unit, side.members, side.names)
    return ill, with_illness(people(n, seed + 1), seed + 1)


def told_of_the_learnt(side: Sides, twin: pa.Table) -> pa.Table:
    """The twin, where learnt people are described by nothing but what leads to their illness."""
    rows = side.rows.filter(pa.array(side.members))
    return with_copies(twin, rows.slice(0, min(len(rows), len(twin))))


def test_what_follows_nothing_is_inferred_of_copied_units_alone():
    side, twin = world(1500, 0)
    leak = judged(side, told_of_the_learnt(side, twin), others=[*LABELS, "illness"], secrets=["illness"])
    assert (leak.passed, leak.inconclusive) == (False, False)
    assert "illness" in leak.reason
    assert leak.parts["illness"] > 0.5


def test_what_everybody_can_know_is_no_leak():
    side, twin = world(3000, 2)
    clear = side.rows["trade"].cast(pa.string())
    known = Sides(side.rows.append_column("same", clear), side.unit, side.members, side.names)
    twin = twin.append_column("same", twin["trade"].cast(pa.string()))  # a column that the trade gives away
    verdict = judged(known, twin, others=[*LABELS, "illness", "same"], secrets=["illness"])
    assert verdict.passed, verdict.reason
    assert "same" not in verdict.parts


def test_alarms_are_rare_where_nothing_leaks():
    failed = 0
    for seed in range(0, 60, 2):
        side, twin = world(300, seed)
        verdict = judged(side, twin, others=[*LABELS, "illness"], trees=False)
        failed += not verdict.passed and not verdict.inconclusive
    assert failed <= 2


def test_a_secret_is_held_to_the_limit_by_itself():
    side, twin = world(1500, 4)
    quantities = [f"noise {i}" for i in range(8)]  # most columns are no leak at all: their mean hides the one that is
    for i, name in enumerate(quantities):
        drawn = stream(i, "noise").normal(size=(2, 1500))
        rows = side.rows.append_column(name, [drawn[0]])
        side, twin = Sides(rows, side.unit, side.members, side.names), twin.append_column(name, [drawn[1]])
    table = with_copies(twin, side.rows.filter(pa.array(side.members)).slice(0, 90))
    parts = judged(side, table, quantities=quantities, others=["illness"], secrets=["illness"], trees=False).parts
    assert set(parts) == {"all columns", "illness"}


def test_too_few_units_are_inconclusive_and_it_is_said_how_many_are_needed():
    side, twin = world(120, 6, share=0.8)
    verdict = judged(side, twin, held_units=500)
    assert verdict.inconclusive
    assert f"{side.held} held-back units are too few to tell; about " in verdict.reason


def test_one_column_alone_tells_nothing_of_itself():
    side, twin = world(1000, 8)
    verdict = judged(side, twin, quantities=[], others=["illness"])
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize("rows", [1, 3])
def test_one_row_of_each_unit_is_asked_about(rows):
    side = dealt(400, 10, rows=rows)
    first = judged(side, people(400, 11), trees=False)
    assert first.reason == judged(side, people(400, 11), trees=False).reason
    assert not np.isnan(first.value)


def test_no_value_is_told():
    side, twin = world(1500, 0)
    verdict = judged(side, told_of_the_learnt(side, twin), others=[*LABELS, "illness"], secrets=["illness", "region"])
    shown = verdict.reason + " ".join(verdict.parts)
    assert set(verdict.parts) <= {"all columns", "illness", "region"}
    assert not any(f"region {i}" in shown or f"trade {i}" in shown for i in range(9))


def test_of_two_guesses_of_a_secret_the_better_one_counts():
    side, twin = world(1500, 0)
    leak = told_of_the_learnt(side, twin)
    by_nearest = judged(side, leak, others=[*LABELS, "illness"], secrets=["illness"], trees=False)
    by_both = judged(side, leak, others=[*LABELS, "illness"], secrets=["illness"])
    assert by_both.parts["illness"] >= by_nearest.parts["illness"] > 0.5


def test_secrets_have_half_of_the_significance_and_without_any_all_columns_have_the_same():
    shares = _shares(["a", "b", "c", "d", "e"], ["b", "e"])
    assert shares["b"] == shares["e"] == pytest.approx(sum(shares[c] for c in "acd") / 2)
    assert len(set(_shares(["a", "b"], []).values())) == 1
    assert set(_shares(["a"], ["a"])) == {"a"}
