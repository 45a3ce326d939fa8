from dataclasses import replace

import pyarrow as pa
import pytest
from scenario import SCHEMA

from twinlake.errors import ProjectError
from twinlake.project import Pipeline, declare
from twinlake.project.declare import dropped, missing_tables
from twinlake.schema import Kind, Origin, Rule, Schema

ALL = {n: {} for n in SCHEMA.names}


def pipeline(**settings):
    return Pipeline.model_validate({"name": "clinic", "source": "files:x", "tables": ALL, **settings})


def told(**settings) -> str:
    with pytest.raises(ProjectError) as error:
        declare(pipeline(**settings), SCHEMA)
    return str(error.value)


def test_the_catalogs_keys_and_references_hold_where_the_file_is_silent():
    schema = declare(pipeline(), SCHEMA)
    assert schema["visits"].key == SCHEMA["visits"].key
    assert schema["visits"].references == SCHEMA["visits"].references


def test_the_file_overrides_the_catalog():
    schema = declare(
        pipeline(tables={**ALL, "visits": {"key": ["id", "at"], "references": ["id -> subjects"]}}), SCHEMA
    )
    assert schema["visits"].key == ("id", "at")
    assert [str(r) for r in schema["visits"].references] == ["id -> subjects(id)"]


def test_a_reference_to_a_table_that_is_not_taken_is_left_out():
    tables = {k: v for k, v in ALL.items() if k != "wards"}
    assert [r.table for r in declare(pipeline(tables=tables), SCHEMA)["visits"].references] == ["subjects"]


def test_columns_are_made_personal_or_public():
    columns = {"subjects.city": {"kind": "personal", "as": "city"}, "wards.ward": {"public": True}}
    schema = declare(pipeline(columns=columns), SCHEMA)
    assert schema["subjects"]["city"].kind is Kind.PERSONAL
    assert schema["wards"]["ward"].public


def test_key_columns_are_never_null():
    assert not declare(pipeline(tables={**ALL, "subjects": {"key": "city"}}), SCHEMA)["subjects"]["city"].nullable


def test_dropped_columns_are_told_apart():
    assert dropped(pipeline(columns={"visits.at": {"drop": True}})) == {("visits", "at")}


def test_every_unknown_name_is_told_with_the_nearest():
    lines = told(
        tables={**ALL, "visits": {"key": "idd", "references": ["wards -> ward"]}},
        columns={"subject.city": {}, "subjects.citty": {}, "nodot": {}},
    ).splitlines()
    assert len(lines) == 6
    assert 'no table "subject" under tables:. Did you mean "subjects"?' in lines[0]
    assert 'table "subjects" has no column "citty"' in lines[1]
    assert '"nodot" names no column' in lines[2]
    assert 'Did you mean "id"?' in lines[3]
    assert 'Did you mean "wards"?' in lines[5]


def test_personal_needs_a_provider():
    assert "kind personal and as: go together" in told(columns={"subjects.city": {"kind": "personal"}})


def test_a_kind_must_suit_the_type():
    columns = {
        "subjects.bmi": {"kind": "text"},
        "subjects.city": {"kind": "number"},
        "visits.site": {"kind": "category"},
    }
    lines = told(columns=columns).splitlines()
    assert len(lines) == 2
    assert '"subjects.bmi" is float64, which kind text does not suit' in lines[0]
    assert '"subjects.city" is text, which kind number does not suit' in lines[1]


def test_both_sides_of_a_reference_have_as_many_columns():
    assert "has 1 columns here and 2 there" in told(tables={**ALL, "visits": {"references": ["ward -> wards"]}})


def test_tables_that_are_not_there_are_named():
    found = missing_tables(pipeline(tables={"peeple": {}}), ("people",))
    assert (
        str(found[0]) == 'clinic.yaml: the source has no table "peeple"; the source has people. Did you mean "people"?'
    )


def test_types_stay_the_catalogs():
    assert declare(pipeline(), SCHEMA)["subjects"]["income"].type == pa.decimal128(10, 2)


def test_the_files_rules_come_after_the_catalogs_and_its_unique_columns_too():
    asked = {"rules": ["visit_no > 0", '"at"::DATE > subjects.born'], "unique": ["at", ["id", "visit_no"]]}
    visits = declare(pipeline(tables={**ALL, "visits": asked}), SCHEMA)["visits"]
    assert [r.sql for r in visits.rules] == asked["rules"]
    assert visits.unique == (("at",),)  # the key is unique anyway


def test_the_catalogs_constraints_can_be_left_out():
    ruled = replace(SCHEMA["wards"], rules=(Rule("c", "beds > 0", Origin.CATALOG, ("beds",)),), unique=(("beds",),))
    catalog = Schema((ruled, SCHEMA["subjects"], SCHEMA["visits"]))
    kept = declare(pipeline(tables={**ALL, "wards": {"rules": ["beds < 99"]}}), catalog)["wards"]
    assert [r.sql for r in kept.rules] == ["beds > 0", "beds < 99"]
    left = declare(pipeline(tables={**ALL, "wards": {"rules": ["beds < 99"], "checks": False}}), catalog)["wards"]
    assert [r.sql for r in left.rules] == ["beds < 99"]
    assert left.unique == ()


def test_every_rule_that_can_not_be_used_is_told():
    wrong = {"visits": {"rules": ["visit_mo > 0", '"at" > 5']}, "wards": {"rules": ["ward.x > 1"]}}
    message = told(tables=ALL | wrong)
    assert message.count("clinic.yaml, tables.visits.rules: ") == 2
    assert message.count("clinic.yaml, tables.wards.rules: ") == 1


def test_unique_columns_must_be_there():
    assert 'has no column "att"' in told(tables={**ALL, "visits": {"unique": [["id", "att"]]}})
