"""The past: what each column tells, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from twinlake.generators.forest.past import BEGUN, HEAD, LEFT, STEP, TOTAL, Memory, Past
from twinlake.generators.siblings import Siblings

LABEL, LEVEL = 0, 1
ROWS = np.array([[0, 5], [1, 3], [0, 9], [0, 1], [1, 7], [2, 2]], np.int32)  # a label and a level
FAMILIES = Siblings(np.array([0, 4, 6]))


def over(rows: np.ndarray = ROWS, **times: int) -> Past:
    return Past.over(1, rows, [3, 10], [False, True], **times)


def remembered(past: Past, rows: np.ndarray = ROWS, siblings: Siblings = FAMILIES) -> np.ndarray:
    """What every row sees, as drawing goes along."""
    memory, found = Memory(past, siblings), np.zeros((len(rows), past.width), np.int64)
    while memory.count:
        at = memory.rows
        now = np.zeros((len(at), past.width), np.int32)
        memory.look(now)
        now[:, past.given : past.at] = rows[at]
        for label in past.labels:
            memory.drawn(now, past.given + label)
        memory.keep(now)
        found[at] = now
    return found


def column(past: Past, block: int, of: int) -> int:
    """Of the blocks of the row before, the one before that, the first."""
    return past.at + HEAD + 5 + 2 * block + of


def test_a_row_knows_where_it_stands() -> None:
    past = over()
    found = remembered(past)[:, past.at :]
    assert found[:, BEGUN].tolist() == [0, 1, 1, 1, 0, 1]
    assert found[:, STEP].tolist() == [0, 1, 2, 3, 0, 1]
    assert found[:, LEFT].tolist() == [3, 2, 1, 0, 1, 0]
    assert found[:, TOTAL].tolist() == [4, 4, 4, 4, 2, 2]


def test_a_row_knows_the_two_before_it_and_the_first() -> None:
    past = over()
    found = remembered(past)
    assert found[:, column(past, 0, LEVEL)].tolist() == [10, 5, 3, 9, 10, 7]  # 10 stands for none
    assert found[:, column(past, 1, LEVEL)].tolist() == [10, 10, 5, 3, 10, 10]
    assert found[:, column(past, 2, LEVEL)].tolist() == [10, 5, 5, 5, 10, 7]
    assert found[:, column(past, 0, LABEL)].tolist() == [3, 0, 1, 0, 3, 1]
    assert past.lag(past.given + LEVEL) == column(past, 0, LEVEL)


def test_a_row_knows_the_mean_and_the_most_frequent_so_far() -> None:
    past = over()
    found = remembered(past)
    mean, mode = column(past, 3, 0), column(past, 3, 1)
    assert found[:, mean].tolist() == [10, 5, 4, 5, 10, 7]
    assert found[:, mode].tolist() == [3, 0, 1, 0, 3, 1]  # of several the last


def test_a_row_knows_what_the_last_one_with_its_label_held() -> None:
    past = over()
    assert past.labels == (LABEL,)
    found, at = remembered(past), column(past, 4, 0)
    assert found[:, at : at + 3].tolist() == [[12] * 3, [0, 12, 12], [1, 0, 12], [0, 1, 12], [12] * 3, [12, 0, 12]]
    assert found[:, at + 6 : at + 9].tolist() == [[0] * 3, [16, 0, 0], [8, 8, 0], [10, 5, 0], [0] * 3, [0, 16, 0]]
    level = at + 9 + LEVEL
    assert found[:, level].tolist() == [10, 10, 5, 9, 10, 10]
    assert found[:, level + 1].tolist() == [10, 10, 5, 7, 10, 10]  # the mean of all with it


def test_all_columns_are_told_of_in_their_order() -> None:
    past = over(moments=4, rooms=5, gaps=6)
    assert past.width == past.at + len(past.seen) == remembered(past).shape[1]
    assert (remembered(past)[:, past.at :].max(axis=0) < [s.size for s in past.seen]).all()
    assert [s.needs for s in past.seen[-3:]] == [past.given + LABEL] * 3


def test_nothing_is_seen_of_a_row_itself_or_after_it() -> None:
    past = over()
    before = remembered(past)
    for row in range(len(ROWS)):
        other = ROWS.copy()
        other[row] = (ROWS[row] + 1) % [3, 10]
        after = remembered(past, other)
        assert (after[:row, past.at :] == before[:row, past.at :]).all()
        free = [past.at + i for i, s in enumerate(past.seen) if s.needs is None]
        assert (after[row, free] == before[row, free]).all()


def test_families_do_not_see_one_another() -> None:
    past = over()
    apart = remembered(past, ROWS[4:], Siblings(np.array([0, 2])))
    assert (remembered(past)[4:] == apart).all()


def test_of_many_labels_those_that_vary_most_are_followed() -> None:
    rng = np.random.default_rng(0)
    shares = [0.01, 0.5, 0.2, 0.4]
    rows = np.stack([rng.random(2_000) < s for s in shares], axis=1).astype(np.int32)
    assert Past.over(0, rows, [2] * 4, [False] * 4).labels == (1, 3)
    assert Past.over(0, rows, [2, 25, 2, 2], [False] * 4).labels == (2, 3)  # too many states
    assert Past.over(0, rows[:0], [2] * 4, [False] * 4).labels == ()


@pytest.mark.parametrize("past", [over(), over(moments=4, rooms=5, gaps=6), replace(over(), labels=())])
def test_a_past_is_read_as_it_was_written(past: Past) -> None:
    assert Past.from_json(past.to_json()) == past
