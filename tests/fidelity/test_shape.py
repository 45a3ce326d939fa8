import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from scenario import SCHEMA, clinic

from twinlake.fidelity.shape import column_shape
from twinlake.random import stream
from twinlake.schema import Column, Table
from twinlake.verdict import Verdict

PEOPLE = SCHEMA["subjects"]
REAL, HOLDOUT, TWIN = (clinic(1000, seed=s)["subjects"] for s in range(3))


def judged(twin: pa.Table, holdout: pa.Table = HOLDOUT, real: pa.Table = REAL, table: Table = PEOPLE) -> Verdict:
    return column_shape(real, holdout, twin, table, limit=0.95, rng=stream(1, "shape"))


def with_column(data: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return data.set_column(data.column_names.index(name), data.schema.field(name), values)


def test_other_people_of_the_same_clinic_pass() -> None:
    verdict = judged(TWIN)
    assert verdict.passed, verdict.reason
    assert verdict.low < verdict.value < verdict.high  # type: ignore[operator]
    assert set(verdict.parts) == set(PEOPLE.learnt)


def test_a_shifted_column_shows_in_its_part_and_enough_of_them_fail() -> None:
    shifted = with_column(TWIN, "bmi", pa.array(TWIN["bmi"].to_numpy() + 20))
    verdict = judged(shifted)
    assert verdict.parts["bmi"] < 0.1
    assert not verdict.passed
    assert "bmi" in verdict.reason


def test_lost_nulls_and_added_nulls_count() -> None:
    half = pa.array(TWIN["bmi"].to_numpy(), mask=np.arange(1000) % 2 == 0)
    assert judged(with_column(TWIN, "bmi", half)).parts["bmi"] < 0.62
    assert judged(with_column(TWIN, "order", pa.array(["new"] * 1000))).parts["order"] == 0


def test_values_are_those_of_sdmetrics() -> None:
    from sdmetrics.single_column import KSComplement, TVComplement

    table = PEOPLE.select(("born", "sex", "income", "smoker"))
    sides = [t.select(list(table.names)) for t in (HOLDOUT, TWIN)]
    parts = judged(sides[1], sides[0], REAL.select(list(table.names)), table).parts
    frames = [s.set_column(2, "income", s["income"].cast(pa.float64())).to_pandas(date_as_object=False) for s in sides]
    for name, metric in [("born", KSComplement), ("income", KSComplement), ("smoker", TVComplement)]:
        assert parts[name] == pytest.approx(metric.compute(frames[0][name], frames[1][name]), abs=1e-5), name


def test_a_rare_label_replaced_by_a_fresh_one_is_no_loss() -> None:
    masked = with_column(TWIN, "city", pa.array(["Xyz" if c == "Soglio" else c for c in TWIN["city"].to_pylist()]))
    assert judged(masked).parts["city"] == judged(TWIN).parts["city"]


def test_with_few_rows_the_baseline_takes_the_place_of_the_limit() -> None:
    few = [clinic(40, seed=s)["subjects"] for s in range(3)]
    verdict = judged(few[2], few[1], few[0])
    assert verdict.baseline is not None
    assert verdict.baseline < 0.95
    assert verdict.passed, verdict.reason


def test_chunks_and_encodings_do_not_change_the_verdict() -> None:
    pieces = pa.concat_tables([TWIN.slice(0, 300), TWIN.slice(300)])
    assert judged(pieces) == judged(TWIN)


@pytest.mark.parametrize("twin", [TWIN.slice(0, 0)])
def test_an_empty_twin_fails(twin: pa.Table) -> None:
    assert not judged(twin).passed
    assert judged(twin).value is None


def test_an_empty_holdout_fails_and_an_empty_table_passes() -> None:
    none = TWIN.slice(0, 0)
    assert not judged(TWIN, none).passed
    assert judged(none, none, none).passed


def test_every_type_can_be_compared() -> None:
    rows = 30
    day = dt.date(1500, 1, 1)
    data = pa.table(
        {
            "money": pa.array([Decimal(f"{i}.10") for i in range(rows)], pa.decimal128(38, 2)),
            "day": pa.array([day + dt.timedelta(days=i) for i in range(rows)]),
            "at": pa.array(np.arange(rows), pa.timestamp("ns", "Asia/Tokyo")),
            "time": pa.array(np.arange(rows, dtype=np.int32)).cast(pa.time32("s")),
            "took": pa.array(np.arange(rows), pa.duration("us")),
            "doc": pa.array(["{}"] * rows).cast(pa.json_()),
            "id": pa.array([bytes([i]) * 16 for i in range(rows)], pa.binary(16)).cast(pa.uuid()),
            "blob": pa.array([b"x"] * rows),
            "infinite": pa.array([float("inf")] * rows),
            "none": pa.nulls(rows, pa.int16()),
            "one": pa.array([1] * rows),
        }
    )
    table = Table("t", tuple(Column(f.name, f.type) for f in data.schema))
    verdict = judged(data, data, data, table)
    assert set(verdict.parts.values()) == {1.0}
    assert verdict.passed
