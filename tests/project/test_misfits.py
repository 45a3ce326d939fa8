"""What a file asks that its schema can't give is one sentence each; what it can give is none."""

from dataclasses import replace

import pyarrow as pa
import pytest
from scenario import SCHEMA

from twinlake.project import Pipeline, declare
from twinlake.project.misfits import misfits
from twinlake.schema import Column, Orphans, Reference, Schema, Table

ALL = {"wards": {"public": True}, "subjects": {}, "visits": {}}
ODD = tuple(
    Column(n, t) for n, t in (("flag", pa.bool_()), ("extra", pa.json_()), ("token", pa.uuid()), ("photo", pa.binary()))
)


def told(schema=SCHEMA, **settings) -> list[str]:
    tables = {**ALL, **settings.pop("tables", {})}
    pipeline = Pipeline.model_validate({"name": "clinic", "source": "files:x", "tables": tables, **settings})
    return [str(m) for m in misfits(pipeline, declare(pipeline, schema))]


def odd() -> Schema:
    """The clinic, with columns in visits that have no order."""
    return Schema(tuple(replace(t, columns=(*t.columns, *ODD)) if t.name == "visits" else t for t in SCHEMA))


def ring(*names: str, nullable: bool) -> Schema:
    """Tables of which each refers to the next, and the last to the first."""
    pairs = zip(names, (*names[1:], names[0]), strict=True)
    return Schema(tuple(
        Table(n, (Column("id", pa.int64(), False), Column("next", pa.int64(), nullable)), ("id",),
              (Reference(("next",), to, ("id",)),))
        for n, to in pairs
    ))  # fmt: skip


def test_a_sound_file_has_none():
    assert told() == []
    assert told(unit="subjects", tables={"visits": {"order_by": "at", "orphans": {"ward, site": None}}}) == []


@pytest.mark.parametrize("column", [c.name for c in ODD])
def test_rows_can_not_be_ordered_by_what_has_no_order(column):
    (said,) = told(odd(), tables={"visits": {"order_by": column}})
    assert said.startswith(f"clinic.yaml, tables.visits.order_by: {column} is ")
    assert said.endswith(
        "which has no order; rows are ordered by a number, a date, a time or a text. Name another column, or leave "
        "order_by out."
    )


@pytest.mark.parametrize("column", ["at", "visit_no", "ward", 'the "score" ü'])
def test_rows_are_ordered_by_times_numbers_and_texts(column):
    assert told(tables={"visits": {"order_by": column}}) == []


def test_rows_can_not_be_ordered_by_what_is_made_up():
    columns = {"visits.ward": {"kind": "personal", "as": "city"}}
    (said,) = told(tables={"visits": {"order_by": "ward"}}, columns=columns)
    assert "ward is personal, and made-up values have no order" in said


def test_rows_without_a_parent_have_no_order():
    (said,) = told(tables={"wards": {"order_by": "beds"}})
    assert said == (
        "clinic.yaml, tables.wards.order_by: wards refers to no table, so its rows have no parent to be ordered in. "
        "Name its parent under references:, or leave order_by out."
    )


def test_orphans_of_an_unknown_reference_get_the_nearest():
    (said,) = told(tables={"visits": {"orphans": {"ward": "drop"}}})
    assert said.startswith(
        'clinic.yaml, tables.visits.orphans: "ward" is no reference of visits; its references are id'
    )
    (said,) = told(tables={"subjects": {"orphans": {"mentr": "drop"}}})
    assert said.endswith('Did you mean "mentor"?')


def test_a_table_without_references_has_no_orphans():
    (said,) = told(tables={"wards": {"public": True, "orphans": "drop"}})
    assert said == "clinic.yaml, tables.wards.orphans: wards refers to no table, so it has no orphans. Leave it out."


def test_null_needs_a_column_that_may_be_null():
    (said,) = told(tables={"visits": {"orphans": None}})
    assert said == (
        "clinic.yaml, tables.visits.orphans: no column of id -> subjects(id) can be emptied; null needs a column that "
        'may be null and that nothing else refers to. Write drop or keep; for one reference of several: {"id": drop}.'
    )


def test_a_public_table_refers_to_public_ones_only():
    (said,) = told(tables={"visits": {"public": True}, "wards": {}})[:1]
    assert "a public table refers to subjects, whose keys are made afresh" in said


def test_a_circle_without_null_is_named_the_way_it_refers():
    tables = {n: {} for n in "abc"}
    pipeline = Pipeline.model_validate({"name": "p", "source": "files:x", "tables": tables})
    (said,) = (str(m) for m in misfits(pipeline, ring(*"abc", nullable=False)))
    assert "in a circle: " in said
    assert any(way in said for way in ("a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"))
    assert all(f"{n}: next -> {to}(id)" in said for n, to in ("ab", "bc", "ca"))
    assert said.endswith("Allow null in the source, or leave one of them out of the pipeline file.")
    assert misfits(pipeline, ring(*"abc", nullable=True)) == []


def test_a_unit_that_no_table_leads_to_is_told():
    apart = {"references": ["ward, site -> wards"]}
    (said,) = told(unit="subjects", tables={"visits": apart})
    assert said.startswith(
        "clinic.yaml, unit: no reference leads to subjects from visits, whose rows would be nobody's and never attacked"
    )
    assert told(unit="subjects", tables={"visits": {**apart, "public": True}}) == []
    (said,) = told(unit="wards")
    assert said.startswith("clinic.yaml, unit: wards is public, so its rows are nobody's.")


def test_a_table_that_the_unit_does_not_reach_is_told_though_it_reaches_others():
    (said,) = told(unit="subjects", tables={"wards": {}})
    assert "no reference leads to subjects from wards, whose rows" in said
    assert said.endswith("write public: true where rows tell of nobody, or leave unit out.")


def test_how_orphans_are_handled_is_said_for_all_or_by_reference():
    def handled(orphans):
        tables = {**ALL, "visits": {"orphans": orphans}}
        pipeline = Pipeline.model_validate({"name": "clinic", "source": "files:x", "tables": tables})
        return [r.orphans for r in declare(pipeline, SCHEMA)["visits"].references]

    assert handled("drop") == [Orphans.DROP, Orphans.DROP]
    assert handled({"ward , site": None}) == [Orphans.REFUSE, Orphans.NULL]
    assert handled({"ward, site -> wards": "null", "id -> subjects(id)": "keep"}) == [Orphans.KEEP, Orphans.NULL]
    assert handled({"ward, site -> subjects": "drop"}) == [Orphans.REFUSE, Orphans.REFUSE]
