"""One record that came back is found where it stands out, and chance is rarely taken for one."""

import numpy as np
from dealt import cells, dealt, learnt, people, with_copies
from scipy.stats import binom

from twinlake.privacy.single import single


def chance(side, twin) -> float:
    known, twins = cells(side, twin)
    return single(known, side.unit, twins, side.members, np.arange(len(side.unit)))


def outlier(side, *, member: bool):
    """The row of one side that is least like what rows are: rare labels, and quantities at the ends."""
    known, _ = cells(side, side.rows.slice(0, 1))
    odd = -np.log(known.shares * known.lifts[:, : known.shares.shape[1]]).sum(axis=1)
    odd[side.members != member] = -np.inf
    return side.rows.slice(int(odd.argmax()), 1)


def test_one_copied_outlier_is_found():
    side = dealt(800, 0)
    assert chance(side, people(800, 1)) > 0.05
    assert chance(side, with_copies(people(800, 1), outlier(side, member=True))) < 0.001


def test_a_few_copied_rows_are_found():
    side = dealt(800, 2)
    assert chance(side, with_copies(people(800, 3), learnt(side, 5))) < 0.01


def test_a_held_back_record_that_comes_back_is_chance():
    side = dealt(800, 0)
    assert chance(side, with_copies(people(800, 1), outlier(side, member=False))) > 0.05


def test_where_nothing_leaks_alarms_are_rare():
    runs = 60
    alarms = sum(chance(dealt(300, seed), people(300, 1000 + seed)) < 0.01 for seed in range(runs))
    assert alarms <= binom.ppf(1 - 1e-3, runs, 0.02)


def test_a_unit_of_several_rows_counts_once():
    side = dealt(300, 4, rows=3)
    assert chance(side, people(600, 5)) > 0.01
    assert chance(side, with_copies(people(600, 5), learnt(side, 2))) < 0.01


def test_rows_that_repeat_among_the_real_prove_nothing():
    side = dealt(300, 6)
    common = people(10, 7)  # ten rows that everybody has
    rows = common.take(np.arange(300) % 10)
    known, twins = cells(type(side)(rows, side.unit, side.members, side.names), rows)
    assert single(known, side.unit, twins, side.members, np.arange(300)) > 0.05
