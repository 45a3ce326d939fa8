import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scenario import SCHEMA, clinic

from twinlake.expectations.draft import draft_suite
from twinlake.expectations.gate import expectations
from twinlake.expectations.suite import Suite, to_gx
from twinlake.schema import Column, Table
from twinlake.units import assign_units

CLINIC = clinic(400)


def told(suite: Suite) -> str:
    return json.dumps([to_gx(e) for e in suite.expectations], ensure_ascii=False)


@pytest.mark.parametrize("name", SCHEMA.names)
def test_real_rows_pass_their_first_suite_and_so_do_others_of_their_kind(name: str) -> None:
    suite = draft_suite(SCHEMA[name], CLINIC[name], units=assign_units(CLINIC, "subjects")[name])
    assert expectations(suite, CLINIC[name], SCHEMA[name], real=True)[0].passed
    verdict = expectations(suite, clinic(400, seed=3)[name], SCHEMA[name], real=False)[0]
    assert verdict.passed, verdict.reason


def test_adult_passes_its_first_suite() -> None:
    data = pq.read_table("examples/adult/people.parquet")
    fields = zip(data.schema.names, data.schema.types, strict=True)
    table = Table("people", tuple(Column(n, pa.string() if "string" in str(t) else t) for n, t in fields))
    data = data.cast(table.arrow)
    suite = draft_suite(table, data)
    assert expectations(suite, data, table, real=True)[0].passed
    assert "Holand-Netherlands" not in told(suite)


def test_keys_references_and_personal_columns_tell_no_value() -> None:
    suite = draft_suite(SCHEMA["subjects"], CLINIC["subjects"])
    assert "Real" not in told(suite)
    for column in ("name", "email", "mentor"):
        assert not [e for e in suite.expectations if e.columns == (column,)]


def test_a_rare_label_and_an_exact_extreme_are_not_written() -> None:
    people = CLINIC["subjects"]
    text = told(draft_suite(SCHEMA["subjects"], people))
    assert "Soglio" not in text
    for column in ("income", "bmi", "born"):
        values = sorted(v for v in people[column].to_pylist() if v is not None and v == v)
        assert str(values[0]) not in text
        assert str(values[-1]) not in text


def test_the_ends_of_a_range_do_not_move_with_one_person() -> None:
    table = Table("t", (Column("x", pa.float64()),))
    values = np.random.default_rng(0).normal(size=1000)
    with_giant = values.copy()
    with_giant[0] = 1e9
    one, other = (draft_suite(table, pa.table({"x": v})).expectations[-1].kwargs for v in (values, with_giant))
    assert abs(one["max_value"] - other["max_value"]) <= 0.2


def test_a_label_held_often_by_one_unit_is_not_written() -> None:
    table = Table("t", (Column("word", pa.string()),))
    data = pa.table({"word": ["secret"] * 50 + ["often"] * 100})
    units = np.array([1] * 50 + list(range(100)), dtype=np.uint64)
    assert "secret" not in told(draft_suite(table, data, units=units))
    assert "secret" in told(draft_suite(table, data))


def test_a_label_close_to_rare_does_not_bind_the_twin() -> None:
    table = Table("t", (Column("word", pa.string()),))
    data = pa.table({"word": ["some"] * 12 + ["often"] * 988})
    assert draft_suite(table, data).expectations[-1].kwargs["mostly"] == 0.96


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_few_rows_and_empty_columns_give_a_suite_that_holds(rows: int) -> None:
    table = Table("t", (Column("a", pa.float64()), Column("b", pa.string()), Column("c", pa.time64("us"))))
    data = pa.table(
        {"a": [float("inf")] * rows, "b": pa.nulls(rows, pa.string()), "c": pa.nulls(rows, pa.time64("us"))}
    )
    suite = draft_suite(table, data)
    assert expectations(suite, data, table, real=True)[0].passed == (rows > 0)
