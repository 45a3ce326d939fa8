import numpy as np
import pyarrow as pa
import pytest
from scenario import clinic

from twinlake.hashing import hash_rows, hash_values, uniform


def test_equal_rows_hash_alike_however_they_are_chunked_or_encoded():
    subjects = clinic(100)["subjects"]
    plain = subjects.set_column(4, "sex", subjects["sex"].cast(pa.string()))
    pieces = pa.concat_tables([plain.slice(0, 30), plain.slice(30, 1), plain.slice(31)])
    assert np.array_equal(hash_rows(subjects), hash_rows(pieces))


def test_different_rows_hash_apart():
    assert len(np.unique(hash_rows(clinic(400)["subjects"]))) == 400


def test_null_nan_zero_and_empty_stay_apart():
    assert len(np.unique(hash_values(pa.array([None, float("nan"), 0.0, 1.0])))) == 4
    assert len(np.unique(hash_values(pa.array([None, "", "null"])))) == 3


def test_minus_zero_equals_zero():
    assert np.unique(hash_values(pa.array([0.0, -0.0]))).size == 1


def test_the_order_of_columns_matters():
    assert hash_rows(pa.table({"a": [1], "b": [2]})) != hash_rows(pa.table({"a": [2], "b": [1]}))


@pytest.mark.parametrize("values", [pa.array([], pa.string()), pa.array([], pa.int8()), pa.array([], pa.date32())])
def test_nothing_hashes_to_nothing(values):
    assert hash_values(values).shape == (0,)


def test_hashes_spread_evenly():
    spread = uniform(hash_values(pa.array(range(100_000))))
    assert abs(spread.mean() - 0.5) < 0.01
    assert 0 <= spread.min() < spread.max() < 1
