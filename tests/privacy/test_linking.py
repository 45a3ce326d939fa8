"""A twin that ties together two halves of a learnt person, and not of others, leaks."""

import pyarrow as pa
import pytest
from dealt import LABELS, QUANTITIES, dealt, learnt, people, with_copies

from twinlake.privacy import linking
from twinlake.privacy.linking import linkability
from twinlake.privacy.pool import Sides
from twinlake.random import stream


def judged(side: Sides, twin: pa.Table, *, limit=0.05, held_units=100, quantities=QUANTITIES, others=LABELS):
    return linkability(
        side, twin, "people", quantities, others, limit=limit, confidence=0.95, held_units=held_units,
        rng=stream(0, "linking"),
    )  # fmt: skip


def test_a_twin_of_others_links_learnt_units_no_more_than_others():
    verdict = judged(dealt(3000, 0), people(1500, 1))
    assert verdict.passed, verdict.reason
    assert abs(verdict.value) < 0.02


def test_copies_are_linked():
    side = dealt(2000, 2)
    verdict = judged(side, with_copies(people(1000, 3), learnt(side, 200)))
    assert (verdict.passed, verdict.inconclusive) == (False, False)
    assert "beyond chance: the generator follows single units" in verdict.reason
    assert verdict.value > 0.1


def test_alarms_are_rare_where_nothing_leaks():
    failed = 0
    for seed in range(0, 60, 2):
        verdict = judged(dealt(400, seed), people(200, seed + 1), limit=0.0)
        failed += not verdict.passed and not verdict.inconclusive
    assert failed <= 2


def test_too_few_units_are_inconclusive_and_it_is_said_how_many_are_needed():
    side = dealt(160, 8, share=0.8)
    verdict = judged(side, people(120, 9), held_units=500)
    assert verdict.inconclusive
    assert f"{side.held} held-back units are too few to tell; about " in verdict.reason


def test_of_many_units_all_that_were_held_back_are_attacked_up_to_a_half(monkeypatch):
    monkeypatch.setattr(linking, "UNITS", 900)
    few, many = (linking._some(dealt(2000, 2, share=share)) for share in (0.9, 0.5))
    assert [len(few.members), few.held] == [900, dealt(2000, 2, share=0.9).held]
    assert [len(many.members), many.held] == [900, 450]
    side = dealt(2000, 2)
    assert not judged(side, with_copies(people(1000, 3), learnt(side, 300))).passed


@pytest.mark.parametrize("rows", [1, 3])
def test_one_row_of_each_unit_is_linked(rows):
    side = dealt(1200, 10, rows=rows)
    assert judged(side, people(600, 11)).passed


@pytest.mark.parametrize(("quantities", "others"), [([], ["trade"]), ([], [])])
def test_one_column_is_one_source_and_links_nothing(quantities, others):
    verdict = judged(dealt(2000, 10), people(1000, 11), quantities=quantities, others=others)
    assert verdict.passed
    assert verdict.value == 0
