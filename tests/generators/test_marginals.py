"""The baseline: right columns, no dependence."""

import numpy as np
import pyarrow as pa
from scenario import SUBJECTS, clinic

from twinlake.generators.marginals import Marginals
from twinlake.generators.registry import read_table_model
from twinlake.hashing import hash_rows
from twinlake.random import stream
from twinlake.schema import Column, Table

LEARNT = SUBJECTS.select(SUBJECTS.learnt)


def fitted(data: pa.Table, table: Table):
    return Marginals().fit(data, table, units=None, context=None, rng=stream(0))


def test_columns_keep_their_shares_and_lose_their_dependence():
    side = np.array(["left", "left", "right"] * 500)
    data = pa.table({"a": side, "b": side})
    twin = fitted(data, Table("t", (Column("a", pa.string()), Column("b", pa.string())))).sample(
        6_000, context=None, rng=stream(1)
    )
    a, b = (np.asarray(twin[c].to_pylist()) for c in "ab")
    assert abs(np.mean(a == "left") - 2 / 3) < 0.03
    assert abs(np.mean(a == b) - 5 / 9) < 0.03


def test_a_model_saved_and_read_draws_the_same_rows(tmp_path):
    model = fitted(clinic()["subjects"].select(list(LEARNT.names)), LEARNT)
    model.save(tmp_path / "m")
    one, two = (m.sample(300, context=None, rng=stream(1)) for m in (model, read_table_model(tmp_path / "m")))
    assert one.schema.equals(LEARNT.arrow)
    assert np.array_equal(hash_rows(one), hash_rows(two))


def test_rare_values_are_never_drawn():
    real = clinic()["subjects"].select(list(LEARNT.names))
    twin = fitted(real, LEARNT).sample(5_000, context=None, rng=stream(1))
    assert "Soglio" not in twin["city"].to_pylist()
    assert max(twin["income"].to_pylist()) < max(real["income"].to_pylist())


def test_an_empty_table_gives_an_empty_table():
    model = fitted(LEARNT.arrow.empty_table(), LEARNT)
    assert model.sample(0, context=None, rng=stream(1)).num_rows == 0
