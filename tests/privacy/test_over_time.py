import numpy as np
import pytest

from twinlake.census import Census
from twinlake.privacy.history import History, releases_left
from twinlake.privacy.over_time import cohort, total
from twinlake.verdict import Outcome


def census(units, *, held=(), changed=()) -> Census:
    """Who stood behind a table: units by number, some held back, some with other rows."""
    numbers = np.array(sorted(units), np.uint64)
    content = np.where(np.isin(numbers, list(changed)), numbers + np.uint64(10_000), numbers)
    return Census(numbers, content, ~np.isin(numbers, list(held)))


def found(now: Census, *ever: Census):
    return cohort(History(now=now, ever=[(f"r{i}", c) for i, c in enumerate(ever)]), k=10)


@pytest.mark.parametrize("n", [1, 3, 9])
@pytest.mark.parametrize("how", ["added", "removed", "changed"])
def test_fewer_than_k_units_that_were_added_removed_or_changed_make_no_release(how, n):
    before = census(range(500))
    now = {"added": census(range(500 + n)), "removed": census(range(500 - n))}
    now["changed"] = census(range(500), changed=range(n))
    one = found(now[how], before)
    assert (one.outcome, one.value) == (Outcome.INCONCLUSIVE, n)
    assert one.sentence.startswith(
        f"only {n} learnt unit{' was' if n == 1 else 's were'} added, removed or changed since r0"
    )
    assert "at least 10 are needed" in one.sentence
    assert "Wait until more have changed: the last release stays served" in one.sentence


def test_none_or_k_and_more_units_may_change():
    assert found(census(range(500)), census(range(500))).outcome is Outcome.PASSED
    assert found(census(range(510)), census(range(500))).outcome is Outcome.PASSED
    assert found(census(range(4, 505)), census(range(500), changed={7})).outcome is Outcome.PASSED


def test_held_back_units_may_come_and_go_one_by_one():
    assert found(census(range(501), held={500}), census(range(500))).outcome is Outcome.PASSED


def test_units_that_changed_sides_count_as_changed():
    assert found(census(range(500), held=range(3)), census(range(500))).outcome is Outcome.INCONCLUSIVE


def test_units_that_come_and_go_again_do_not_hide_one_new_one():
    first, crowd = census(range(500)), census(range(520))
    one = found(census([*range(500), 600]), first, crowd)
    assert one.outcome is Outcome.INCONCLUSIVE
    assert "only 1 learnt unit was" in one.sentence
    assert "since r0" in one.sentence


def test_rows_of_all_releases_together_stay_within_the_limit():
    history = History(now=census(range(5)), rows=3_000, source=1_000)
    assert total(history, rows=1_000, limit=4).outcome is Outcome.PASSED
    over = total(history, rows=1_001, limit=4)
    assert (over.outcome, over.value) == (Outcome.FAILED, 4.001)
    assert "it would be 4,001 rows in all, 4.001 times the source's, over the limit of 4" in over.sentence
    assert "gates.privacy.total_rows" in over.sentence


def test_it_is_told_how_many_more_releases_the_limit_allows():
    assert releases_left(3_000, 1_000, 400_000) == 397
    assert releases_left(3_000, 1_000, 3_500) == 0
    assert (
        "allows 397 more like this one"
        in total(History(census([1]), rows=2_000, source=1_000), rows=1_000, limit=400).sentence
    )
