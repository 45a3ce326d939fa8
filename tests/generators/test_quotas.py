"""Whole numbers with given sums: exact whatever is asked, and like what they shall be like."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twinlake.generators.quotas import quotas


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_sums_of_rows_and_columns_are_exact(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    like = rng.gamma(0.3, 100, (rows, columns)) * (rng.random((rows, columns)) < 0.5)
    total = int(rng.integers(0, 500))
    left, right = (rng.multinomial(total, rng.dirichlet(np.full(n, 0.3))) for n in (rows, columns))
    found = quotas(like, left, right)
    assert (found >= 0).all()
    assert found.sum(axis=1).tolist() == left.tolist()
    assert found.sum(axis=0).tolist() == right.tolist()


def test_cells_without_links_stay_so_where_the_sums_allow_it() -> None:
    found = quotas(np.array([[50.0, 0.0], [0.0, 50.0]]), np.array([1000, 2000]), np.array([1000, 2000]))
    assert found.tolist() == [[1000, 0], [0, 2000]]


def test_odds_are_kept_when_sums_change() -> None:
    like = np.array([[40.0, 10.0], [20.0, 30.0]])
    found = quotas(like, np.array([30_000, 70_000]), np.array([60_000, 40_000]))
    odds = [t[0, 0] * t[1, 1] / (t[0, 1] * t[1, 0]) for t in (like, found)]
    assert abs(odds[0] - odds[1]) < 0.02
