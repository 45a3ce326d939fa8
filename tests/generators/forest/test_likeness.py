import numpy as np

from twinlake.generators.forest.likeness import likeness
from twinlake.random import stream

STATES, FAMILIES = 600, 6


def fleet(rows: int = 12_000) -> np.ndarray:
    """A label of many states, its family with some noise, an unrelated column, a quantity that follows the family."""
    rng = stream(0, "fleet")
    label = rng.integers(0, STATES, rows)
    family = label % FAMILIES
    mixed = np.where(rng.random(rows) < 0.1, rng.integers(0, FAMILIES, rows), family)
    return np.stack([label, mixed, rng.integers(0, 40, rows), family * 50 + rng.integers(0, 40, rows)], 1).astype(
        np.int32
    )


def ranked(codes: np.ndarray, *, seed: int = 1) -> np.ndarray:
    return likeness(codes, 0, [STATES, FAMILIES, 40, 300], [1, 2, 3], stream(seed))


def test_every_state_has_its_own_rank():
    assert sorted(ranked(fleet())) == list(range(STATES))


def test_states_that_go_with_similar_rows_are_neighbours():
    order = np.argsort(ranked(fleet()))
    assert np.count_nonzero(np.diff(order % FAMILIES)) < 2 * FAMILIES  # 500 if they stood at random


def test_the_order_is_the_same_in_every_run():
    assert np.array_equal(ranked(fleet(), seed=1), ranked(fleet(), seed=2))


def test_states_that_no_column_tells_of_keep_their_order():
    codes = fleet()[:, [0, 2]]
    codes[:, 1] = 0
    assert np.array_equal(likeness(codes, 0, [STATES, 1], [1], stream(0)), np.arange(STATES))


def test_states_without_rows_have_a_rank_too():
    codes = fleet()
    assert sorted(likeness(codes[codes[:, 0] < 100], 0, [STATES, 6, 40, 300], [1, 2, 3], stream(0))) == list(
        range(STATES)
    )
    assert sorted(likeness(codes[:0], 0, [STATES, 6, 40, 300], [1, 2, 3], stream(0))) == list(range(STATES))
