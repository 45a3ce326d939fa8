"""Attacks score units without their labels, and copies of learnt units score high."""

from dataclasses import replace

import numpy as np
import pytest
from dealt import LABELS, QUANTITIES, dealt, learnt, people, with_copies

from twinlake.privacy.closeness import FAMILIES, Closeness, closeness
from twinlake.privacy.pool import Sides, sides
from twinlake.privacy.relabel import relabel
from twinlake.random import stream


def attacked(side: Sides, twin) -> Closeness:
    return closeness(side, twin, QUANTITIES, LABELS, rng=stream(0, "closeness"))


def alarms(close: Closeness) -> list[str]:
    found = relabel(close.families, close.members, rng=stream(0, "deal"))
    return [name for name, p in found.items() if p < 0.01]


@pytest.mark.parametrize("rows", [1, 3])
def test_copies_are_found_by_every_attack_and_nothing_is_where_none_are(rows):
    side = dealt(600, 0, rows=rows)
    clean = attacked(side, people(600, 1))
    assert tuple(clean.families) == FAMILIES
    assert alarms(clean) == []
    assert alarms(attacked(side, with_copies(people(600, 1), learnt(side, 60)))) == list(FAMILIES)


def test_no_score_depends_on_who_was_learnt():
    side, twin = dealt(300, 2, rows=2), people(300, 3)
    twin = with_copies(twin, learnt(side, 20))
    one, other = attacked(side, twin), attacked(replace(side, members=~side.members), twin)
    assert (one.features == other.features).all()
    assert (one.lonely == other.lonely).all()


def test_no_score_depends_on_which_table_a_unit_came_from():
    first, second = people(200, 4), people(150, 5)
    units, others = np.arange(200, dtype=np.uint64), np.arange(200, 350, dtype=np.uint64)
    twin, rng = people(200, 6), [stream(0, "sides") for _ in range(2)]
    one = attacked(sides(first, second, units=units, held_units=others, rng=rng[0]), twin)
    other = attacked(sides(second, first, units=others, held_units=units, rng=rng[1]), twin)
    assert (one.members == ~other.members).all()
    assert (one.features == other.features).all()


def test_the_number_of_threads_changes_no_bit():
    numba = pytest.importorskip("numba")
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one processor")
    side, twin, found = dealt(200, 7, rows=2), people(300, 8), []
    for threads in (1, 2):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        close = attacked(side, twin)
        numba.set_num_threads(before)
        found.append((close.features.tobytes(), close.lonely.tobytes(), close.single))
    assert found[0] == found[1]


def test_units_that_stand_alone_are_the_lonely_ones():
    side = dealt(300, 9)
    far = side.rows.slice(0, 1)
    odd = far.set_column(3, "income", [[1e9]]).set_column(0, "region", [["nowhere"]]).set_column(1, "trade", [["none"]])
    rows = with_copies(side.rows, odd.cast(far.schema))
    assert attacked(replace(side, rows=rows), people(300, 10)).lonely.argmax() == 0


@pytest.mark.parametrize("units", [12, 20])
def test_a_handful_of_units_can_be_scored(units):
    close = attacked(dealt(units, 11), people(5, 12))
    assert not np.isnan(close.features).any()
    assert 0 <= close.single <= 1
