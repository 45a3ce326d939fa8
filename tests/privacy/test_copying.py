"""Copies of learnt units fail; too few held-back units are inconclusive; many tables share the limit."""

import pytest
from dealt import LABELS, QUANTITIES, dealt, learnt, people, with_copies

from twinlake.privacy.closeness import FAMILIES, Closeness, closeness
from twinlake.privacy.copying import ORDER, SHARES, SINGLE, copying
from twinlake.random import stream


def view(side, twin) -> Closeness:
    return closeness(side, twin, QUANTITIES, LABELS, rng=stream(0, "closeness"))


def judged(*views: Closeness, tables=1, held_units=100, order=1.0):
    return copying(views, "people", order=order, limit=0.01, tables=tables, held_units=held_units, n=600, seed=0)


SIDE = dealt(600, 0)
CLEAN, COPIED = view(SIDE, people(600, 1)), view(SIDE, with_copies(people(600, 1), learnt(SIDE, 40)))


def test_a_twin_that_copies_nobody_passes():
    verdict = judged(CLEAN)
    assert verdict.passed, verdict.reason
    assert set(verdict.parts) == {*FAMILIES, SINGLE, ORDER} == set(SHARES)
    assert sum(SHARES.values()) == pytest.approx(1)
    assert verdict.value == min(verdict.parts.values())


def test_copies_fail_and_it_is_said_what_to_do():
    verdict = judged(COPIED)
    assert (verdict.passed, verdict.inconclusive) == (False, False)
    assert verdict.reason.startswith("copies of learnt units are in the twin (")
    assert verdict.reason.endswith("Use larger leaves, or more and smaller samples")


def test_one_record_alone_fails():
    known = view(SIDE, with_copies(people(600, 1), learnt(SIDE, 3)))
    verdict = judged(known)
    assert not verdict.passed
    assert verdict.reason.startswith("copies of learnt units are in the twin (single record: ")


def test_an_order_that_follows_the_learnt_rows_fails_and_it_is_said_so():
    verdict = judged(CLEAN, order=1e-5)
    assert not verdict.passed
    assert verdict.reason.startswith("the twin's rows or keys are in the order of the learnt rows they are like (order")
    assert verdict.reason.endswith("Shuffle rows and keys")


def test_a_whole_unit_that_is_copied_is_found_though_its_rows_are_not():
    assert judged(CLEAN).passed
    assert not judged(CLEAN, COPIED).passed


def test_too_few_held_back_units_are_inconclusive_and_it_is_said_how_many_are_needed():
    verdict = judged(CLEAN, held_units=5000)
    assert verdict.inconclusive
    assert "held-back units are too few to clear the table; 5,000 are needed" in verdict.reason
    assert not judged(COPIED, held_units=5000).inconclusive  # evidence is evidence, however few there are


@pytest.mark.parametrize("tables", [1, 5])
def test_a_chance_counts_for_as_many_tables_as_there_are(tables):
    one, many = judged(CLEAN).parts[SINGLE], judged(CLEAN, tables=tables).parts[SINGLE]
    assert many == pytest.approx(min(1.0, one * tables))
    assert not judged(COPIED, tables=tables).passed


def test_the_same_seed_gives_the_same_verdict():
    assert judged(CLEAN) == judged(CLEAN)
