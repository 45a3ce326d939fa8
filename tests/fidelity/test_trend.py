import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scenario import SCHEMA, clinic

from twinlake.fidelity.trend import pair_trend
from twinlake.random import stream
from twinlake.schema import Column, Table
from twinlake.verdict import Verdict

PEOPLE = SCHEMA["subjects"]
REAL, HOLDOUT, TWIN = (clinic(1000, seed=s)["subjects"] for s in range(3))


def judged(
    twin: pa.Table, holdout: pa.Table = HOLDOUT, real: pa.Table = REAL, table: Table = PEOPLE, *, limit: float = 0.95
) -> Verdict:
    return pair_trend(real, holdout, twin, table, limit=limit, rng=stream(1, "trend"))


def shuffled(data: pa.Table) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        [data[n].take(pa.array(rng.permutation(data.num_rows))) for n in data.column_names], schema=data.schema
    )


def linked(seed: int, *, apart: bool = False) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=1500)
    data = pa.table({"x": x, "y": 2 * x + rng.normal(size=1500) / 4, "z": np.where(x > 0, "up", "down")})
    return shuffled(data) if apart else data


LINKED = Table("t", (Column("x", pa.float64()), Column("y", pa.float64()), Column("z", pa.string())))


def test_other_people_of_the_same_clinic_pass() -> None:
    verdict = judged(TWIN)
    assert verdict.passed, verdict.reason
    assert len(verdict.parts) <= 20


def test_columns_drawn_apart_fail() -> None:
    assert judged(linked(2), linked(1), linked(0), LINKED).passed
    verdict = judged(linked(2, apart=True), linked(1), linked(0), LINKED)
    assert not verdict.passed
    assert verdict.parts["x × y"] == pytest.approx(0.5, abs=0.05)
    assert next(iter(verdict.parts)) in verdict.reason


def test_a_column_that_became_constant_has_lost_its_trend() -> None:
    flat = linked(2).set_column(1, "y", pa.array(np.zeros(1500)))
    assert judged(flat, linked(1), linked(0), LINKED).parts["x × y"] == pytest.approx(0.5, abs=0.05)


def _sdmetrics(holdout: pa.Table, twin: pa.Table, table: Table, quantities: set[str]) -> dict[str, float]:
    import pandas as pd
    from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity

    def plain(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        counted = column.cast(pa.int32()) if column.type == pa.date32() else column
        return counted.cast(pa.float64() if name in quantities else pa.string())

    def frame(data: pa.Table) -> pd.DataFrame:
        return pa.table({n: plain(data[n], n) for n in table.names}).to_pandas()

    a, b, scores = frame(holdout), frame(twin), {}
    for i, first in enumerate(table.names):
        for second in table.names[i + 1 :]:
            pair = [first, second]
            if quantities.issuperset(pair):
                scores[f"{first} × {second}"] = CorrelationSimilarity.compute(a[pair], b[pair])
            else:
                binned = [n for n in pair if n in quantities]
                scores[f"{first} × {second}"] = ContingencySimilarity.compute(a[pair].copy(), b[pair].copy(), binned)
    return scores


@pytest.mark.filterwarnings("ignore")
def test_values_are_those_of_sdmetrics_on_the_clinic() -> None:
    table = PEOPLE.select(("born", "sex", "city", "income", "bmi", "smoker"))
    sides = [t.select(list(table.names)) for t in (REAL, HOLDOUT, TWIN)]
    verdict = judged(sides[2], sides[1], sides[0], table)
    scores = _sdmetrics(sides[1], sides[2], table, {"born", "income", "bmi"})
    assert verdict.value == pytest.approx(np.mean(list(scores.values())), abs=0.005)
    for pair, score in verdict.parts.items():
        assert score == pytest.approx(scores[pair], abs=0.01), pair


@pytest.mark.filterwarnings("ignore")
def test_values_are_those_of_sdmetrics_on_adult() -> None:
    data = pq.read_table("examples/adult/people.parquet")
    names = ("age", "education", "occupation", "hours-per-week", "native-country", "capital-gain", "income")
    quantities = {"age", "hours-per-week", "capital-gain"}
    table = Table("people", tuple(Column(n, pa.int64() if n in quantities else pa.string()) for n in names))
    order = np.random.default_rng(0).permutation(data.num_rows)
    sides = [data.select(list(names)).take(pa.array(order[i : i + 6000])).cast(table.arrow) for i in (0, 6000, 12_000)]
    verdict = judged(sides[2], sides[1], sides[0], table)
    scores = _sdmetrics(sides[1], sides[2], table, quantities)
    assert verdict.value == pytest.approx(np.mean(list(scores.values())), abs=0.005)
    for pair, score in verdict.parts.items():
        assert score == pytest.approx(scores[pair], abs=0.01), pair


def test_one_column_has_nothing_to_pair() -> None:
    table = PEOPLE.select(("city",))
    verdict = judged(TWIN.select(["city"]), HOLDOUT.select(["city"]), REAL.select(["city"]), table)
    assert verdict.passed
    assert verdict.value == 1.0


def test_empty_sides_fail_and_columns_of_nulls_are_left_out() -> None:
    assert not judged(TWIN.slice(0, 0)).passed
    table = Table("t", (Column("a", pa.float64()), Column("b", pa.float64())))
    nothing = pa.table({"a": pa.nulls(50, pa.float64()), "b": pa.nulls(50, pa.float64())})
    assert judged(nothing, nothing, nothing, table).passed


def test_large_numbers_far_from_zero_keep_their_trend() -> None:
    table = Table("t", (Column("at", pa.timestamp("ns")), Column("x", pa.float64())))

    def draw(seed: int) -> pa.Table:
        x = np.random.default_rng(seed).normal(size=800)
        at = (1.7e18 + 3e13 * x).astype("datetime64[ns]")
        return pa.table({"at": at, "x": -x}, schema=table.arrow)

    verdict = judged(draw(2), draw(1), draw(0), table)
    assert verdict.value == pytest.approx(1.0, abs=1e-3)


def test_a_column_of_one_moment_in_nanoseconds_is_compared() -> None:
    table = Table("t", (Column("at", pa.timestamp("ns")), Column("x", pa.string())))
    rows = pa.table({"at": np.full(50, 1.7e18).astype("datetime64[ns]"), "x": ["a", "b"] * 25}, schema=table.arrow)
    assert judged(rows, rows, rows, table).value == 1.0


@pytest.mark.slow
def test_three_hundred_columns_take_seconds() -> None:
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(300)]
    table = Table("wide", tuple(Column(n, pa.string() if i % 2 else pa.float64()) for i, n in enumerate(names)))

    def draw() -> pa.Table:
        return pa.table(
            {n: rng.integers(0, 8, 3000).astype(str) if i % 2 else rng.normal(size=3000) for i, n in enumerate(names)}
        )

    verdict = judged(draw(), draw(), draw(), table, limit=0.9)
    assert verdict.passed, verdict.reason
    assert len(verdict.parts) == 20
