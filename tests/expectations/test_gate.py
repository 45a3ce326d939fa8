import datetime as dt
import logging
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from scenario import SCHEMA, clinic

from twinlake.expectations.gate import expectations
from twinlake.expectations.suite import Expectation, Suite, Weight
from twinlake.schema import Column, Table
from twinlake.verdict import Severity, Verdict

PEOPLE, DATA = SCHEMA["subjects"], clinic(200)["subjects"]


def judged(*asked: Expectation, real: bool = False, data: pa.Table = DATA, table: Table = PEOPLE) -> Verdict:
    return expectations(Suite("s", asked, file="clinic/subjects.json"), data, table, real=real)[0]


def test_a_value_out_of_range_fails_and_is_not_quoted() -> None:
    range_ = Expectation("expect_column_values_to_be_between", {"column": "income", "max_value": 30_000}, line=7)
    for real in (True, False):
        verdict = judged(range_, real=real)
        assert not verdict.passed
        assert verdict.parts == {"expect_column_values_to_be_between (income)": 0.0}
        assert "clinic/subjects.json:7" in verdict.reason
    assert "values at" in judged(range_).reason


def test_what_real_rows_fail_is_a_wrong_suite() -> None:
    verdict = judged(Expectation("expect_column_values_to_be_unique", {"column": "sex"}, line=3), real=True)
    assert verdict.gate == "real_expectations"
    assert verdict.reason.startswith("the suite is wrong, not the data")
    assert verdict.blocks


def test_warnings_have_a_verdict_of_their_own_that_blocks_nothing() -> None:
    unique = Expectation("expect_column_values_to_be_unique", {"column": "city"}, Weight.WARNING)
    info = Expectation("expect_column_values_to_be_unique", {"column": "id"}, Weight.INFO)
    critical, warning = expectations(Suite("s", (unique, info)), DATA, PEOPLE, real=False)
    assert critical.passed
    assert (warning.gate, warning.severity, warning.value) == ("expectations_warning", Severity.WARNING, 0.5)
    assert not warning.blocks


def test_what_can_not_be_evaluated_fails_without_a_word_of_the_data(caplog: pytest.LogCaptureFixture) -> None:
    odd = Expectation("expect_column_values_to_be_between", {"column": "name", "min_value": 1, "max_value": 2})
    with caplog.at_level(logging.DEBUG):
        verdict = judged(odd, real=True)
    assert not verdict.passed
    assert "could not be evaluated" in verdict.reason
    assert "Real" not in verdict.reason.replace("real rows", "") + caplog.text


def test_numpy_truth_values_are_plain_ones() -> None:
    quantile = {"quantiles": [0.5], "value_ranges": [[10, 50]]}
    verdict = judged(
        Expectation("expect_column_quantile_values_to_be_between", {"column": "bmi", "quantile_ranges": quantile})
    )
    assert verdict.value == 1.0


def test_equal_expectations_are_each_counted() -> None:
    twice = Expectation("expect_column_values_to_be_unique", {"column": "id"})
    assert len(judged(twice, twice).parts) == 2


def test_dates_times_decimals_and_labels_are_compared_as_what_they_are() -> None:
    data = pa.table(
        {
            "day": pa.array([dt.date(1500, 2, 3), None, None]),
            "at": pa.array([dt.datetime(2024, 5, 1, 23, tzinfo=dt.UTC), None, None], pa.timestamp("us", "Asia/Tokyo")),
            "money": pa.array([Decimal("1.10"), None, None], pa.decimal128(10, 2)),
            "sex": pa.array(["f", None, "f"]).dictionary_encode(),
            "big": pa.array([2**60, 2**60 + 1, None]),
            "flag": pa.array([True, None, None]),
            "id": pa.array([b"\1" * 16, None, None], pa.binary(16)).cast(pa.uuid()),
            "doc": pa.array(["{}", None, "[]"]).cast(pa.json_()),
        }
    )
    table = Table("t", tuple(Column(f.name, f.type) for f in data.schema))
    between, among = "expect_column_values_to_be_between", "expect_column_values_to_be_in_set"
    asked = [
        Expectation(between, {"column": "day", "min_value": "1500-02-03", "max_value": "1500-02-04"}),
        Expectation(
            between, {"column": "at", "min_value": "2024-05-01T22:00:00", "max_value": "2024-05-02T09:00:00+09:00"}
        ),
        Expectation(between, {"column": "money", "min_value": 1.1, "max_value": 1.1}),
        Expectation(among, {"column": "sex", "value_set": ["f", "m"]}),
        Expectation("expect_column_values_to_be_unique", {"column": "big"}),
        Expectation(among, {"column": "flag", "value_set": [True]}),
        Expectation(among, {"column": "id", "value_set": ["01010101-0101-0101-0101-010101010101"]}),
        Expectation("expect_column_values_to_be_json_parseable", {"column": "doc"}),
        Expectation("expect_column_max_to_be_between", {"column": "at", "max_value": "2024-06-01"}),
    ]
    verdict = judged(*asked, data=data, table=table)
    assert verdict.passed, verdict.reason


def test_an_empty_table_has_too_few_rows() -> None:
    verdict = judged(Expectation("expect_table_row_count_to_be_between", {"min_value": 1}), data=DATA.slice(0, 0))
    assert not verdict.passed
    assert verdict.n == 0


def test_the_log_of_others_is_left_as_it_was() -> None:
    log = logging.getLogger("great_expectations")
    judged(Expectation("expect_column_values_to_be_unique", {"column": "id"}))
    assert not log.disabled
    assert np.isfinite(log.level)
