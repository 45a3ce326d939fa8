"""What marks one row of a twin and one real person as well: a leak where those are learnt ones."""

import numpy as np
import pyarrow as pa
import pytest
from dealt import LABELS, QUANTITIES, dealt, learnt, people, with_copies

from twinlake.privacy.pool import Cells, Sides
from twinlake.privacy.singling import LEAST, PARTS, Singled, _alone, _conditions, _sets, singling_out
from twinlake.random import stream


def judged(side: Sides, twin: pa.Table, *, limit=0.05, held_units=100, quantities=QUANTITIES, others=LABELS):
    return singling_out(
        side, twin, "people", quantities, others, limit=limit, confidence=0.95, held_units=held_units,
        rng=stream(0, "singling"),
    )  # fmt: skip


def test_a_twin_of_others_singles_out_learnt_units_no_more_than_others():
    verdict = judged(dealt(3000, 0), people(1500, 1))
    assert verdict.passed, verdict.reason
    assert set(verdict.parts) == {"one column", "two columns", "three to five columns", "all columns"}


def test_copies_of_some_are_found():
    side = dealt(2000, 2)
    verdict = judged(side, with_copies(people(1000, 3), learnt(side, 200)))
    assert (verdict.passed, verdict.inconclusive) == (False, False)
    assert "beyond chance: the generator follows single units" in verdict.reason


def test_a_value_that_is_copied_alone_is_found_by_one_column():
    side, twin = dealt(2000, 4), people(1000, 5)
    income = twin["income"].to_pylist()
    own = [v for v in learnt(side, 200)["income"].to_pylist() if v is not None]
    income[: len(own)] = own
    at = twin.schema.get_field_index("income")
    verdict = judged(side, twin.set_column(at, "income", pa.array(income, pa.float64())))
    assert not verdict.passed
    assert not verdict.inconclusive
    assert max(verdict.parts, key=verdict.parts.__getitem__) == "one column"


def test_alarms_are_rare_where_nothing_leaks():
    failed = 0
    for seed in range(0, 60, 2):
        verdict = judged(dealt(400, seed), people(200, seed + 1), limit=0.0)
        failed += not verdict.passed and not verdict.inconclusive
    assert failed <= 2


@pytest.mark.parametrize("rows", [1, 12])
def test_a_twin_that_is_all_that_was_learnt_is_found_however_many_rows_a_unit_has(rows):
    side = dealt(400, 12, rows=rows)
    verdict = judged(side, side.rows.filter(pa.array(side.members[side.unit])))
    assert not verdict.passed
    assert verdict.value > 0.5


def test_conditions_that_are_the_same_are_one_guess():
    sets = list(_sets(4, 4, 0, 0, stream(0, "sets")))
    assert [(c.tolist(), p.tolist()) for c, p in sets] == [([0, 1, 2, 3], [0, 0, 0, 0])]
    assert len(list(_sets(3, 1, 1, 1, stream(0, "sets")))) == 1 + 2 * (len(PARTS) + 1)


def test_a_table_of_few_labels_singles_out_nobody():
    for seed in range(4):
        rng = stream(seed, "labels")
        real, twin = (pa.table({c: rng.integers(0, 5, n).astype(str) for c in "abcd"}) for n in (5_000, 4_000))
        side = Sides(real, np.arange(5_000), rng.random(5_000) < 0.8, np.arange(5_000).astype(np.uint64))
        verdict = judged(side, twin, quantities=[], others=list("abcd"))
        assert verdict.passed, verdict.reason


def test_several_rows_of_one_unit_are_one_unit():
    conditions = np.array([7, 7, 8, 8, 9], np.uint64)
    values, unit = _alone(conditions, np.array([0, 0, 1, 2, 2]))
    assert values.tolist() == [7, 9]
    assert unit.tolist() == [0, 2]


def test_a_condition_is_a_label_or_a_stretch_of_a_quantity_or_its_very_value():
    cells = Cells(np.array([[0.11], [0.14], [0.14]], np.float32), np.array([[1], [1], [2]], np.int32))
    label, tenth, exact = (_conditions(cells, np.array([c]), np.array([p])) for c, p in ((0, 0), (1, PARTS[0]), (1, 0)))
    assert label[0] == label[1] != label[2]
    assert tenth[0] == tenth[1] == tenth[2]
    assert exact[0] != exact[1] == exact[2]


def test_who_makes_few_guesses_is_wrong_about_the_others():
    one = Singled(2, np.array([1.0, 0.0]), np.zeros(2))
    many = Singled(2 * LEAST, np.array([1.0, 0.0]), np.zeros(2))
    assert one.rate.tolist() == [1 / LEAST, 0]
    assert many.rate[0] == one.rate[0] / 2


def test_a_twin_of_one_row_over_and_over_singles_out_nobody():
    side = dealt(600, 6)
    twin = pa.concat_tables([learnt(side, 1)] * 300)
    verdict = judged(side, twin)
    assert verdict.passed, verdict.reason
    assert verdict.value == 0


def test_too_few_units_are_inconclusive_and_it_is_said_how_many_are_needed():
    side = dealt(160, 8, share=0.8)
    verdict = judged(side, people(120, 9), held_units=500)
    assert verdict.inconclusive
    assert f"{side.held} held-back units are too few to tell; about " in verdict.reason


@pytest.mark.parametrize(("quantities", "others"), [([], ["trade"]), (["income"], []), ([], [])])
def test_one_column_or_none_is_judged(quantities, others):
    assert judged(dealt(2000, 10), people(1000, 11), quantities=quantities, others=others).passed


def test_no_value_is_told():
    side = dealt(2000, 2)
    verdict = judged(side, with_copies(people(1000, 3), learnt(side, 300)))
    shown = verdict.reason + " ".join(verdict.parts)
    assert not any(f"region {i}" in shown or f"trade {i}" in shown for i in range(9))
