"""Sequences: rows become beginnings, steps and flags, and rows again."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from patients import Visits, visits_of

from twinlake.generators.forest.sequence import FIRST, GAP, HEAP, REPEAT, Forced, Sequence
from twinlake.random import stream

SIZES = np.full(200, 5)


def learn(visits: Visits) -> Sequence:
    return Sequence.learn(visits.rows, visits.table, visits.siblings, visits.context)


def days(*, start: np.ndarray | None = None, steps: np.ndarray | None = None) -> np.ndarray:
    rng = stream(1)
    first = rng.integers(0, 100, len(SIZES)) if start is None else start
    gaps = rng.integers(0, 9, (len(SIZES), 5)) if steps is None else steps
    gaps[:, 0] = first
    return np.cumsum(gaps, axis=1).ravel()


def test_rows_become_a_beginning_and_steps() -> None:
    visits = visits_of({"day": [3, 3, 8, 1, 1]}, np.array([3, 2]))
    sequence = learn(visits)
    made = sequence.unroll(visits.rows, visits.siblings, None).to_pydict()
    assert made == {"day first": [3, None, None, 1, None], "day gap": [None, 0, 5, None, 0]}


@pytest.mark.parametrize(
    "type_", [pa.int8(), pa.uint64(), pa.date32(), pa.timestamp("s", "UTC"), pa.decimal128(9, 3), pa.duration("ms")],
    ids=str,
)  # fmt: skip
def test_what_was_unrolled_is_rolled_again(type_: pa.DataType) -> None:
    day = [1, 4, 4, None, 2, 9]
    if pa.types.is_decimal(type_):
        day = [None if d is None else Decimal(d) for d in day]
    cells = pa.array(day, type_)
    visits = visits_of({"day": cells, "x": list("abcdef")}, np.array([4, 2]))
    sequence = learn(visits)
    drawn = sequence.unroll(visits.rows, visits.siblings, None)
    back = sequence.roll(drawn, {}, sequence.ruler.read(cells))
    assert back.equals(visits.rows)


def test_floors_are_taken_off_beginnings() -> None:
    born = stream(2).integers(0, 500, len(SIZES))
    visits = visits_of({"day": days(start=born + 3)}, SIZES, context={"born": born})
    sequence = learn(visits)
    assert (sequence.floor, sequence.ceiling) == ("born", None)
    first = sequence.unroll(visits.rows, visits.siblings, visits.context)["day first"].to_numpy(zero_copy_only=False)
    assert set(first[::5]) == {3}


def test_the_closest_of_several_bounds_counts() -> None:
    born = stream(2).integers(0, 500, len(SIZES))
    visits = visits_of({"day": days(start=born + 3)}, SIZES, context={"near": born, "far": born - 50})
    assert learn(visits).floor == "near"
    assert learn(replace(visits, context=visits.context.select(["far"]))).floor == "far"


@pytest.mark.parametrize("planted", ["broken", "null", "type", "constant"])
def test_what_is_no_bound_of_all_rows_is_none(planted: str) -> None:
    born = stream(2).integers(0, 500, len(SIZES))
    other: object = born.copy()
    if planted == "broken":
        other[0] = 9_999
    elif planted == "null":
        other = pa.array(born, mask=born == born[0])
    elif planted == "type":
        other = pa.array(born).cast(pa.timestamp("s"))
    else:
        other = np.zeros(len(SIZES), np.int64)  # no stranger would break it
    visits = visits_of({"day": days(start=born + 3)}, SIZES, context={"born": other})
    assert learn(visits).floor is None


def test_a_day_that_stands_out_among_many_is_a_heap() -> None:
    start = np.where(stream(3).random(len(SIZES)) < 0.5, 50, stream(4).integers(0, 1_000, len(SIZES)))
    steps = stream(5).integers(1, 300, (len(SIZES), 5))
    sequence = learn(visits_of({"day": days(start=start, steps=steps)}, SIZES))
    assert sequence.heaps
    assert not learn(visits_of({"day": days(steps=steps)}, SIZES)).heaps


def test_a_heap_holds_its_value_and_nothing_else() -> None:
    start = np.where(np.arange(200) % 2 == 0, 50, stream(4).integers(60, 1_000, len(SIZES)))
    steps = stream(5).integers(1, 300, (len(SIZES), 5))
    visits = visits_of({"day": days(start=start, steps=steps)}, SIZES)
    sequence = learn(visits)
    heap = sequence.unroll(visits.rows, visits.siblings, None)[sequence.names[HEAP, "day"]].to_pylist()
    assert set(heap) == {None, 50}
    assert heap[::5].count(50) == 100


def test_rare_numbers_that_often_repeat_have_a_flag() -> None:
    rng = stream(6)
    often = np.round(rng.normal(size=1_000), 4)
    for i in range(1_000):
        often[i] = often[i - 1] if i % 5 and rng.random() < 0.3 else often[i]
    visits = visits_of({"day": days(), "often": often, "never": rng.normal(size=1_000)}, SIZES)
    assert learn(visits).repeats == ("often",)


def test_few_values_have_a_flag_only_where_they_hardly_change() -> None:
    rng = stream(6)
    kept = np.repeat(rng.integers(0, 3, len(SIZES)), SIZES)
    loose = np.where(rng.random(1_000) < 0.5, kept, rng.integers(0, 3, 1_000))
    visits = visits_of({"day": days(), "kept": kept, "loose": loose, "same": np.zeros(1_000)}, SIZES)
    assert learn(visits).repeats == ("kept",)


def test_flags_do_not_cross_from_one_parent_to_the_next() -> None:
    x = np.repeat(np.arange(100) // 2, 5)  # two parents in a row hold the same
    visits = visits_of({"x": x}, np.full(100, 5), order_by=None)
    sequence = learn(visits)
    flags = sequence.unroll(visits.rows, visits.siblings, None)[sequence.names[REPEAT, "x"]].to_pylist()
    assert flags == [False, True, True, True, True] * 100


def test_repeats_copy_the_cell_through_several_rows() -> None:
    visits = visits_of({"x": np.repeat(np.arange(100) * 0.1, 5)}, np.full(100, 5), order_by=None)
    sequence = learn(visits)
    drawn = pa.table({"x repeats": [False, True, True, False], "x": [0.25, 9.0, 8.0, 0.75]})
    made = sequence.roll(drawn, {"x": np.array([False, True, True, False])}, (np.zeros(4), np.zeros(4)))
    assert made["x"].to_pylist() == [0.25, 0.25, 0.25, 0.75]


def test_steps_that_go_back_are_no_order() -> None:
    day = days()
    day[1], day[2] = 90, 3
    assert learn(visits_of({"day": day}, SIZES)).order is None


def test_names_that_are_made_never_meet_the_tables_own() -> None:
    visits = visits_of({"day": days(), "day gap": days(), "day first": days()}, SIZES)
    names = learn(visits).unrolled.names
    assert len(set(names)) == len(names) == 6


def test_a_sequence_is_read_as_it_was_written() -> None:
    born = stream(2).integers(0, 500, len(SIZES))
    data = {"day": days(start=born).astype(float) / 4, "x": np.repeat(born * 0.1, 5)}
    visits = visits_of(data, SIZES, context={"born": born / 4})
    sequence = learn(visits)
    assert sequence.repeats == ("x",)
    again = Sequence.from_json(json.loads(json.dumps(sequence.to_json())))
    assert again == sequence
    assert again.names == sequence.names
    assert again.gap_ruler == sequence.gap_ruler
    assert {FIRST, GAP} < {kind for kind, _ in again.names}


def test_states_are_forced_where_the_flag_says_so() -> None:
    codes = np.array([[1, 7], [2, 8]], np.int32)
    copied, fixed = codes.copy(), codes.copy()
    Forced(0, flag=1, when=7, source=1).apply(copied)
    Forced(0, flag=1, when=7, state=5, unless=True).apply(fixed)
    assert copied.tolist() == [[7, 7], [2, 8]]
    assert fixed.tolist() == [[1, 7], [5, 8]]
