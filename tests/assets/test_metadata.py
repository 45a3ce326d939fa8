"""What people see of assets and checks."""

import dagster as dg
import pyarrow as pa
import pytest
from scenario import SCHEMA, clinic

from assets import metadata
from twinlake.project import Pipeline
from twinlake.report.shares import compare
from twinlake.run.extract import Extract
from twinlake.schema import Column, Orphans, Table
from twinlake.sources.orphans import Settled
from twinlake.verdict import Severity, Verdict


def verdict(**told) -> Verdict:
    given = {
        "gate": "column_shape", "table": "people", "value": 0.97, "low": 0.96, "high": 0.98, "baseline": 0.99, "n": 10,
        "limit": 0.95, "bound": "at_least", "passed": True, "reason": "alike", "parts": {"age": 0.9, "sex": 0.99},
    }  # fmt: skip
    return Verdict(**{**given, **told})


def pipeline(**told) -> Pipeline:
    return Pipeline.model_validate({"name": "p", "source": "duckdb:///x.duckdb", "tables": {"people": None}, **told})


def test_numbers_of_a_verdict_are_numbers_so_that_they_are_plotted():
    shown = metadata.verdict(verdict())
    assert {n: shown[n].value for n in ("value", "low", "high", "baseline", "limit")} == {
        "value": 0.97, "low": 0.96, "high": 0.98, "baseline": 0.99, "limit": 0.95,
    }  # fmt: skip
    assert all(isinstance(shown[n], dg.FloatMetadataValue) for n in ("value", "low", "high", "baseline", "limit"))
    assert shown["n"] == dg.MetadataValue.int(10)
    assert shown["reason"].value == "alike"


def test_the_worst_parts_come_first():
    assert metadata.verdict(verdict())["worst parts"].value == "age 0.900, sex 0.990"


def test_a_gate_that_could_not_run_shows_no_numbers():
    shown = metadata.verdict(Verdict.could_not_run("replay", "people", why="the disk is full"))
    assert set(shown) == {"n", "outcome", "reason"}


def test_the_scorecard_marks_what_blocks_and_what_warns():
    text = metadata.scorecard([
        verdict(), verdict(passed=False), verdict(passed=False, severity=Severity.WARNING),
    ])  # fmt: skip
    assert [line.split(" | ")[0] for line in text.splitlines()[2:]] == ["| ✓", "| ✗", "| !"]


def test_names_are_never_read_as_markup():
    row = metadata.scorecard([verdict(table="a|b <img> *c* [d](e)\n# f")]).splitlines()
    assert len(row) == 3
    assert r"a\|b \<img\> \*c\* \[d\](e)" in row[2]


def test_a_schema_shows_types_nulls_keys_and_references():
    shown = metadata.column_schema(SCHEMA["visits"])
    assert [(c.name, c.type, c.constraints.nullable) for c in shown.columns][:2] == [
        ("id", "int64", False), ("visit_no", "int32", False),
    ]  # fmt: skip
    assert shown.constraints.other == [
        "key (id, visit_no)", "reference id -> subjects(id)", "reference ward, site -> wards(ward, site)",
    ]  # fmt: skip


def test_made_columns_have_no_real_column_behind_them():
    shares = compare(clinic()["subjects"], clinic(seed=1)["subjects"], SCHEMA["subjects"])
    shown = metadata.synthetic_table(SCHEMA["subjects"], 400, shares, (), "clinic")
    behind = shown["dagster/column_lineage"].lineage.deps_by_column
    assert set(behind) == set(SCHEMA["subjects"].names) - {"id", "mentor", "name", "email"}


def test_a_synthetic_table_carries_a_picture_of_its_references_where_it_has_some():
    counted = Table("subjects", (Column("id → subjects", pa.int64()),))
    count = compare(*[pa.table({"id → subjects": [0, 1, 2] * 50})] * 2, counted)
    shown = metadata.synthetic_table(SCHEMA["visits"], 400, (), count, "clinic")
    assert shown["references"].value.startswith("![visits: rows per row referred to](data:image/svg+xml;base64,")
    assert "references" not in metadata.synthetic_table(SCHEMA["wards"], 12, (), (), "clinic")


def test_a_synthetic_table_carries_its_picture_and_its_worst_columns():
    shares = compare(clinic()["subjects"], clinic(seed=1)["subjects"], SCHEMA["subjects"])
    shown = metadata.synthetic_table(SCHEMA["subjects"], 400, shares, (), "clinic")
    assert shown["columns"].value.startswith("![subjects: synthetic beside real shares](data:image/svg+xml;base64,")
    assert len(shown["furthest from real"].value.splitlines()) == 2 + metadata.WORST


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
        ("postgresql://u:p@h/d", {"postgres"}), ("duckdb:///x.duckdb", {"duckdb"}), ("files:x/*.parquet", {"parquet"}),
        ("files:x/*.csv", {"csv"}), ("files:x", {"file"}), ("", set()),
    ],
)  # fmt: skip
def test_the_kind_of_a_source_is_told_from_its_scheme(source, kinds):
    assert metadata.source_kind(pipeline(source=source)) == kinds


def test_a_real_table_tells_what_became_of_its_orphans(tmp_path):
    settled = (
        Settled("visits", "id -> subjects(id)", Orphans.DROP, 1200),
        Settled("wards", "x -> y(z)", Orphans.KEEP, 3),
        Settled("visits", "ward, site -> wards(ward, site)", Orphans.NULL, 3),
    )
    made = Extract("e", tmp_path, "f", {"visits": 5, "subjects": 7}, settled)
    shown = metadata.real_table(made, SCHEMA["visits"], pipeline())
    assert shown["orphans"].value == (
        "id -> subjects(id): 1,200 rows, drop; ward, site -> wards(ward, site): 3 rows, null"
    )
    assert "orphans" not in metadata.real_table(made, SCHEMA["subjects"], pipeline())
