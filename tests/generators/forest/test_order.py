"""Which columns tell of which, the order they are learnt in, and the ranks that trees see."""

import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators.forest.coding import Coding
from twinlake.generators.forest.order import (
    bins,
    determined,
    function_of,
    information,
    label_ranks,
    learning_order,
    telling,
    with_determined,
)
from twinlake.generators.states.alphabet import learn_alphabet
from twinlake.random import stream
from twinlake.schema import Column

FIRM = [np.ones(2, np.bool_)] * 2


def coding(cells: list) -> Coding:
    array = pa.array(cells)
    return Coding(learn_alphabet(array, Column("c", array.type), None))


def test_unrelated_columns_share_no_information():
    codes = stream(0).integers(0, 10, (20_000, 3)).astype(np.int32)
    codes[:, 2] = codes[:, 0]
    shared = information(codes, stream(1), list(range(codes.shape[1])))
    assert shared[0, 2] == pytest.approx(np.log(10), abs=0.02)
    assert shared[0, 1] < 0.002
    assert learning_order(shared, [10, 10, 10]) == [0, 2, 1]


def test_columns_look_only_at_those_that_tell_of_them():
    codes = stream(0).integers(0, 10, (5_000, 6)).astype(np.int32)
    codes[:, 4], codes[:, 5] = codes[:, 0] // 2, codes[:, 0]
    shared = information(codes, stream(1), list(range(codes.shape[1])))
    assert telling(shared[5], [0, 1, 2, 3, 4], most=32, rows=5_000) == [0, 4]
    assert telling(shared[5], [4, 1, 2, 0, 3], most=1, rows=5_000) == [0]


def test_two_columns_that_determine_one_another_are_drawn_once():
    codes = np.array([[0, 1], [1, 0]] * 50, np.int32)
    by = determined(codes, [0, 1], [], FIRM)
    assert by == {1: 0}
    assert with_determined([1, 0], {0: 1}) == [1, 0]


def test_a_column_few_units_hold_each_value_of_determines_nothing():
    codes = np.array([[0, 1], [1, 0]] * 50, np.int32)
    assert determined(codes, [0, 1], [], [np.array([True, False])] * 2) == {}


def test_a_column_that_is_constant_is_no_function():
    assert determined(np.array([[0, 0], [1, 0]] * 50, np.int32), [0, 1], [], FIRM) == {}


def test_a_relation_that_one_row_breaks_is_no_function():
    codes = np.array([[0, 0], [1, 1]] * 500, np.int32)
    codes[-1, 1] = 0
    assert determined(codes, [0, 1], [], FIRM) == {}


def test_what_a_state_goes_with_is_looked_up():
    x, y = np.array([0, 0, 2, 3], np.int32), np.array([1, 1, 0, 1], np.int32)
    assert function_of(x, y, 5).tolist() == [1, 1, 0, 1, 1]  # never seen: the most frequent one


def test_few_states_each_have_their_own_bin():
    assert bins(np.array([5, 0, 900])).tolist() == [0, 1, 2]


def test_many_states_share_256_bins_of_equal_frequency_in_their_order():
    counts = stream(0).integers(0, 50, 1_024)
    found = bins(counts)
    assert np.all(np.diff(found.astype(int)) >= 0)
    held = np.bincount(found, weights=counts, minlength=256)
    assert held.max() <= counts.sum() / 256 + counts.max()
    assert len(np.unique(found)) > 250


def test_many_states_without_rows_are_no_error():
    assert bins(np.zeros(1_000, np.int64)).max() <= 255


def test_labels_are_ranked_by_what_they_tell_of_a_quantity():
    rng = stream(0)
    place = rng.integers(0, 6, 6_000)
    words, values = np.array(list("dbface"))[place], place * 10 + rng.normal(0, 15, 6_000)
    one, other = coding(words.tolist()), coding(values.tolist())
    codes = np.c_[one.encode(pa.array(words)), other.encode(pa.array(values))].astype(np.int32)
    ranks = label_ranks(codes, 0, 1, one.size, other.size)[0][one.encode(pa.array(list("dbface")))]
    assert list(ranks) in (sorted(ranks), sorted(ranks, reverse=True))


def test_labels_have_two_orders_which_together_tell_four_kinds_apart():
    rng = stream(0)
    label, kind = rng.integers(0, 20, 8_000), 0
    kind = np.where(rng.random(8_000) < 0.9, label % 4, rng.integers(0, 4, 8_000))
    one, other = coding([f"{v:02d}" for v in label]), coding([f"k{v}" for v in kind])
    codes = np.c_[one.encode(pa.array([f"{v:02d}" for v in label])), other.encode(pa.array([f"k{v}" for v in kind]))]
    both = label_ranks(codes.astype(np.int32), 0, 1, one.size, other.size)
    assert [sorted(ranks) for ranks in both] == [list(range(one.size))] * 2  # each state its own rank
    places = np.stack(both)[:, one.encode(pa.array([f"{v:02d}" for v in range(20)]))]
    near = np.array([np.mean([places[:, v] for v in range(20) if v % 4 == k], axis=0) for k in range(4)])
    assert min(np.abs(near[a] - near[b]).max() for a in range(4) for b in range(a)) >= 3


def test_ranks_are_the_same_whatever_the_sign_of_a_direction():
    rng = stream(0)
    codes = rng.integers(0, 30, (3_000, 2)).astype(np.int32)
    one = Coding(learn_alphabet(pa.array([f"{v}" for v in range(30)] * 20), Column("c", pa.string()), None))
    twice = [label_ranks(codes[rows], 0, 1, one.size, one.size) for rows in (slice(None), rng.permutation(3_000))]
    assert all(np.array_equal(*pair) for pair in zip(*twice, strict=True))


def test_a_label_of_many_states_is_encoded_as_its_ranks_and_read_back():
    words = [f"word {i:03d}" for i in range(100)]
    plain = coding(words * 20)
    ranked = plain.ordered(stream(0).permutation(plain.size))
    codes = ranked.encode(pa.array(words))
    assert not np.array_equal(codes, plain.encode(pa.array(words)))
    assert ranked.decode(codes, stream(0)).cast(pa.string()).to_pylist() == words
    assert ranked.ordinal
    assert np.array_equal(ranked.safe[codes], plain.safe[plain.encode(pa.array(words))])
