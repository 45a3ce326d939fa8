"""Portraits: what of a whole sequence is shown to the judge, worked out by hand."""

import json

import numpy as np

from twinlake.generators.forest.past import Past
from twinlake.generators.forest.portrait import Portrait
from twinlake.generators.siblings import Siblings

CODES = np.array([[4, 0, 5], [4, 0, 5], [4, 1, 9], [2, 1, 3]], np.int32)  # context, label, level
PAST = Past.over(1, CODES[:, 1:], [2, 10], [False, True])
FAMILIES = Siblings(np.array([0, 3, 4]))


def test_a_portrait_tells_of_the_whole_sequence() -> None:
    portrait = Portrait.of(PAST, CODES, set())
    told = portrait.draw(CODES, np.array([1, 1, 4, 0], np.int32), FAMILIES)
    assert told[:, 0].tolist() == [4, 2]  # the context
    assert told[:, 1].tolist() == [3, 1]  # how many
    assert told[:, 2:7].tolist() == [[2, 1, 4, 1, 85], [0, 0, 0, 0, 0]]  # moments: mean, ends, spread, ties in 255
    assert told[:, 7:12].tolist() == [[6, 5, 9, 1, 85], [3, 3, 3, 0, 0]]
    assert told[:, 12:].tolist() == [[170, 85, 85], [0, 255, 0]]  # shares of both labels, and repeats
    assert told.dtype == np.int32


def test_columns_apart_take_no_part() -> None:
    portrait = Portrait.of(PAST, CODES, {2})
    assert portrait.quantities == ()
    assert set(portrait.labels) == {1}


def test_states_that_nobody_holds_are_not_told() -> None:
    portrait = Portrait.of(Past.over(0, CODES[:, 1:2], [9], [False]), CODES[:, 1:2], set())
    assert portrait.labels == {0: (0, 1)}


def test_repeats_do_not_cross_families() -> None:
    codes = np.zeros((4, 3), np.int32)
    told = Portrait.of(PAST, codes, set()).draw(codes, codes[:, 0], Siblings(np.arange(5)))
    assert told[:, 6].tolist() == [0] * 4


def test_a_portrait_is_read_as_it_was_written() -> None:
    portrait = Portrait.of(PAST, CODES, set())
    assert Portrait.from_json(json.loads(json.dumps(portrait.to_json()))) == portrait
