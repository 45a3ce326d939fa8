import numpy as np
import pyarrow as pa
import pytest
from scenario import SCHEMA, clinic

from twinlake.privacy.distance import closest_record, wilson
from twinlake.random import stream
from twinlake.schema import Column, Table
from twinlake.verdict import Verdict

PEOPLE = SCHEMA["subjects"]
REAL, HOLDOUT, TWIN = (clinic(1500, seed=s)["subjects"] for s in range(3))


def judged(synthetic: pa.Table, holdout: pa.Table = HOLDOUT, real: pa.Table = REAL, table: Table = PEOPLE) -> Verdict:
    return closest_record(real, holdout, synthetic, table, limit=0.55, rng=stream(1, "closest"))


def test_other_people_of_the_same_clinic_are_as_close_to_one_side_as_to_the_other() -> None:
    verdict = judged(TWIN)
    assert verdict.passed, verdict.reason
    assert verdict.low < 0.5 < verdict.high  # type: ignore[operator]


def test_twins_that_follow_learnt_rows_fail() -> None:
    half = pa.concat_tables([REAL.slice(0, 750), TWIN.slice(0, 750)])
    verdict = judged(half)
    assert not verdict.passed
    assert verdict.value == pytest.approx(0.75, abs=0.05)


def test_too_small_a_holdout_decides_nothing_and_says_how_many_rows_would() -> None:
    verdict = judged(TWIN, HOLDOUT.slice(0, 60))
    assert not verdict.passed
    assert "60 held-back rows are too few to decide; about" in verdict.reason


def test_the_same_seed_gives_the_same_verdict() -> None:
    assert judged(TWIN) == judged(TWIN)


def test_an_empty_twin_and_an_empty_holdout_can_not_pass() -> None:
    assert not judged(TWIN.slice(0, 0)).passed
    assert not judged(TWIN, HOLDOUT.slice(0, 0)).passed
    assert not judged(TWIN, REAL).passed


def test_a_table_without_learnt_columns_passes_with_a_reason() -> None:
    keys = PEOPLE.select(("id",))
    verdict = judged(TWIN.select(["id"]), HOLDOUT.select(["id"]), REAL.select(["id"]), keys)
    assert verdict.passed
    assert "no column" in verdict.reason


def test_a_table_of_ties_leaks_nothing() -> None:
    table = Table("t", (Column("a", pa.string()), Column("b", pa.float64())))
    same = pa.table({"a": ["x"] * 500, "b": pa.nulls(500, pa.float64())})
    other = pa.table({"a": ["x"] * 499 + ["y"], "b": pa.nulls(500, pa.float64())})
    verdict = judged(same, other, same, table)
    assert verdict.passed, verdict.reason
    assert verdict.value == pytest.approx(0.5)


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    from scipy.stats import binomtest

    found = binomtest(37, 100).proportion_ci(method="wilson")
    assert wilson(0.37, 100) == pytest.approx((found.low, found.high), abs=1e-4)


def test_a_wide_table_takes_seconds_and_bounded_memory() -> None:
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(100)]
    table = Table("t", tuple(Column(n, pa.float64()) for n in names))
    sides = [pa.table({n: rng.normal(size=1500) for n in names}) for _ in range(3)]
    assert judged(sides[2], sides[1], sides[0], table).value == pytest.approx(0.5, abs=0.1)
