from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from scenario import SCHEMA, clinic

from twinlake.expectations.structure import structure
from twinlake.schema import Column, Orphans, Reference, Schema, Table
from twinlake.tables import Tables

CLINIC = clinic(60)


def put(name: str, data: pa.Table, schema: Schema = SCHEMA) -> Tables:
    return Tables(schema, {**{n: CLINIC[n] for n in CLINIC}, name: data})


def changed(name: str, column: str, values: list[object]) -> Tables:
    data = CLINIC[name]
    at = data.column_names.index(column)
    return put(name, data.set_column(at, data.schema.field(column), pa.array(values, data.schema.field(column).type)))


@pytest.mark.parametrize("name", SCHEMA.names)
def test_the_clinic_fits_its_own_schema(name: str, tmp_path: Path) -> None:
    assert structure(CLINIC, SCHEMA, name).passed
    CLINIC.save(tmp_path)
    assert structure(Tables.open(tmp_path), SCHEMA, name).passed


def test_a_key_that_occurs_again_is_counted() -> None:
    ids = CLINIC["subjects"]["id"].to_pylist()
    verdict = structure(changed("subjects", "id", [ids[0], ids[0], ids[0], *ids[3:]]), SCHEMA, "subjects")
    assert verdict.parts["key that occurs again: id"] == 2
    assert not verdict.passed


def test_a_reference_to_nobody_is_counted_and_null_points_nowhere() -> None:
    wards = CLINIC["visits"]["ward"].to_pylist()
    pointing = sum(w is not None for w in wards)
    verdict = structure(changed("visits", "ward", ["moon" if w else None for w in wards]), SCHEMA, "visits")
    assert verdict.parts == {"reference: ward, site -> wards(ward, site)": pointing}


def test_a_null_in_a_column_that_forbids_it_is_counted() -> None:
    at = [None, None, *CLINIC["visits"]["at"].to_pylist()[2:]]
    data = CLINIC["visits"].set_column(
        4, pa.field("at", pa.timestamp("us", "UTC")), pa.array(at, pa.timestamp("us", "UTC"))
    )
    loose = replace(SCHEMA["visits"], columns=tuple(replace(c, nullable=True) for c in SCHEMA["visits"].columns))
    schema = Schema(tuple(loose if t.name == "visits" else t for t in SCHEMA))
    verdict = structure(put("visits", data, schema), SCHEMA, "visits")
    assert verdict.parts == {"null: at": 2}


def test_a_label_that_is_not_declared_is_counted() -> None:
    sexes = CLINIC["subjects"]["sex"].to_pylist()
    data = CLINIC["subjects"].set_column(4, "sex", pa.array(["q", *sexes[1:]]).dictionary_encode())
    assert structure(put("subjects", data), SCHEMA, "subjects").parts == {"label that is not declared: sex": 1}


def test_missing_added_and_retyped_columns_are_counted(tmp_path: Path) -> None:
    columns = tuple(c for c in SCHEMA["wards"].columns if c.name != "beds")
    columns = (*(replace(c, type=pa.int64()) if c.name == "site" else c for c in columns), Column("new", pa.bool_()))
    other = Schema((Table("wards", columns),))
    data = pa.table({"ward": ["north"], "site": [1], "new": [True]}, schema=other["wards"].arrow)
    Tables(other, {"wards": data}).save(tmp_path)
    verdict = structure(Tables.open(tmp_path), SCHEMA, "wards")
    assert verdict.parts == {"missing column: beds": 1, "column that is not in the schema: new": 1, "type: site": 1}
    assert (
        structure(Tables(other, {"wards": data}), SCHEMA, "visits").reason
        == "could not run: the twin has no such table"
    )


def test_a_reference_is_followed_across_types() -> None:
    parent = Table("parent", (Column("id", pa.decimal128(10, 0), nullable=False),), key=("id",))
    child = Table("child", (Column("of", pa.int32()),), references=(Reference(("of",), "parent", ("id",)),))
    schema = Schema((parent, child))
    parents = pa.table({"id": pa.array([1, 2]).cast(pa.decimal128(19, 0)).cast(pa.decimal128(10, 0))})
    children = pa.table({"of": pa.array([1, 2, 3, None], pa.int32())})
    data = Tables(schema, {"parent": parents, "child": children})
    assert structure(data, schema, "child").value == 1


def test_orphans_are_counted_unless_the_schema_keeps_them() -> None:
    parent = Table("parent", (Column("id", pa.int64(), nullable=False),), key=("id",))
    reference = Reference(("of",), "parent", ("id",))
    data = {"parent": pa.table({"id": [1, 2]}), "child": pa.table({"of": [1, 3, 4, None]})}
    for how in Orphans:
        child = Table("child", (Column("of", pa.int64()),), references=(replace(reference, orphans=how),))
        schema = Schema((parent, child))
        tables = {n: d.cast(schema[n].arrow) for n, d in data.items()}
        verdict = structure(Tables(schema, tables), schema, "child")
        assert verdict.value == (0 if how is Orphans.KEEP else 2)
        assert verdict.passed == (how is Orphans.KEEP)
