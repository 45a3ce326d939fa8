import numpy as np
import pyarrow as pa
import pytest
from scenario import SCHEMA, clinic

from twinlake.errors import DataError
from twinlake.schema import Column, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units, held, split, unit_tables


def test_descendants_belong_to_their_root():
    assert set(unit_tables(SCHEMA, "subjects")) == {"subjects", "visits"}


def test_without_a_unit_every_row_is_one():
    assert set(unit_tables(SCHEMA, None)) == set(SCHEMA.names)


def test_a_unit_that_is_no_table_is_told_with_the_nearest():
    with pytest.raises(DataError, match=r'unit "subject" is no table; tables are .*Did you mean "subjects"'):
        unit_tables(SCHEMA, "subject")


def test_a_child_has_its_parents_unit():
    real = clinic()
    units = assign_units(real, "subjects")
    owner = dict(zip(real["subjects"]["id"].to_pylist(), units["subjects"], strict=True))
    assert all(owner[i] == u for i, u in zip(real["visits"]["id"].to_pylist(), units["visits"], strict=True))


def test_a_held_back_unit_has_no_row_in_what_is_learnt(tmp_path):
    real = clinic()
    split(real, assign_units(real, "subjects"), share=0.2, seed=7, real=tmp_path / "r", holdout=tmp_path / "h")
    learnt, back = Tables.open(tmp_path / "r"), Tables.open(tmp_path / "h")
    assert not set(learnt["subjects"]["id"].to_pylist()) & set(back["subjects"]["id"].to_pylist())
    assert set(back["visits"]["id"].to_pylist()) <= set(back["subjects"]["id"].to_pylist())
    assert learnt.rows("subjects") + back.rows("subjects") == real.rows("subjects")
    assert 40 < back.rows("subjects") < 120


def test_rows_that_are_nobodys_stand_on_both_sides(tmp_path):
    real = clinic()
    split(real, assign_units(real, "subjects"), share=0.2, seed=7, real=tmp_path / "r", holdout=tmp_path / "h")
    assert Tables.open(tmp_path / "r")["wards"].equals(Tables.open(tmp_path / "h")["wards"])


def test_a_unit_stays_on_its_side_when_others_come(tmp_path):
    few, many = clinic(200), clinic(400)
    sides = [held(assign_units(t, "subjects")["subjects"], share=0.2, seed=7) for t in (few, many)]
    assert few["subjects"]["id"].equals(many["subjects"]["id"].slice(0, 200))
    assert np.array_equal(sides[0], sides[1][:200])


def test_equal_rows_without_a_key_are_as_many_units():
    table = Table("t", (Column("a", pa.int64()), Column("b", pa.string())))
    rows = pa.table({"a": [1, 1, 2] * 50, "b": ["x", "x", "y"] * 50})
    units = assign_units(Tables(Schema((table,)), {"t": rows}), None)["t"]
    assert len(np.unique(units)) == 150
    side = held(units, share=0.2, seed=7)
    assert (
        set(rows.filter(pa.array(side))["b"].to_pylist())
        == set(rows.filter(pa.array(~side))["b"].to_pylist())
        == {"x", "y"}
    )


def test_another_seed_holds_back_others():
    units = assign_units(clinic(), "subjects")["subjects"]
    assert not np.array_equal(held(units, share=0.2, seed=1), held(units, share=0.2, seed=2))
