import numpy as np
import pyarrow as pa
from scenario import clinic

from twinlake.generators.guard import Guard
from twinlake.generators.marginals import Marginals
from twinlake.generators.relational import RelationalGenerator, read_model
from twinlake.hashing import hash_rows
from twinlake.schema import Column, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units

COARSE = Table("t", tuple(Column(c, pa.int64()) for c in "ab"))


def coarse(n: int, values: int) -> Tables:
    """Rows of two numbers: with `values` near the square root of n, chance meets real rows all the time."""
    rng = np.random.default_rng(0)
    return Tables(Schema((COARSE,)), {"t": pa.table({c: rng.integers(0, values, n) for c in "ab"})})


def test_rows_of_a_rich_table_never_equal_a_rare_real_row(tmp_path):
    real = coarse(1000, 700)
    model = RelationalGenerator(Marginals()).fit(real, units=assign_units(real, None), seed=1)
    drawn = model.sample(tmp_path / "s", scale=30, seed=2)["t"]
    assert model.blueprints["t"].guard is not None
    assert not np.isin(hash_rows(drawn), hash_rows(real["t"])).any()


def test_without_the_guard_chance_would_have_met_real_rows():
    real = coarse(1000, 700)["t"]
    drawn = (
        Marginals()
        .fit(real, COARSE, units=hash_rows(real), context=None, rng=np.random.default_rng(1))
        .sample(30_000, context=None, rng=np.random.default_rng(2))
    )
    assert np.isin(hash_rows(drawn), hash_rows(real)).any()


def test_a_table_whose_rows_repeat_by_nature_needs_no_guard():
    real = coarse(1000, 5)
    assert Guard.learn(real["t"], assign_units(real, None)["t"], k=10) is None


def test_rows_that_are_nobodys_need_no_guard():
    assert Guard.learn(coarse(1000, 700)["t"], None, k=10) is None


def test_the_guard_is_saved_with_the_model(tmp_path):
    real = clinic(300)
    model = RelationalGenerator(Marginals()).fit(real, units=assign_units(real, "subjects"), seed=1)
    model.save(tmp_path / "m")
    before, after = (m.blueprints["subjects"].guard for m in (model, read_model(tmp_path / "m")))
    assert before is not None
    assert after is not None
    assert before.columns == after.columns
    assert np.array_equal(before.rare, after.rare)


def test_a_snapshot_has_as_many_rows_as_the_whole_source(tmp_path):
    real = coarse(1000, 5)
    model = RelationalGenerator(Marginals()).fit(real, units=assign_units(real, None), seed=1, rows={"t": 1250})
    assert model.sample(tmp_path / "s", scale=1.0, seed=2).rows("t") == 1250
