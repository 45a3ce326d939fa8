import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pytest
from scenario import SCHEMA, SUBJECTS, VISITS

from twinlake.errors import DataError
from twinlake.schema import Column, Kind, Orphans, Reference, Schema, Table, path_name, quoted


def table(name, *columns, key=(), references=()):
    return Table(name, tuple(Column(c, pa.int64()) for c in columns), key, references)


def test_a_schema_survives_json():
    assert Schema.from_json(json.loads(json.dumps(SCHEMA.to_json()))) == SCHEMA


def test_identifiers_and_personal_columns_are_never_learnt():
    assert SUBJECTS.identifiers == ("id", "mentor")
    assert SUBJECTS.personal == ("name", "email")
    assert not {*SUBJECTS.identifiers, *SUBJECTS.personal} & set(SUBJECTS.learnt)


def test_parents_come_before_children():
    names = [t.name for t in SCHEMA.ordered()]
    assert names.index("subjects") < names.index("visits")
    assert names.index("wards") < names.index("visits")


def test_a_circle_is_cut_where_a_reference_may_be_null():
    a = Table(
        "a", (Column("id", pa.int64(), False), Column("b", pa.int64())), ("id",), (Reference(("b",), "b", ("id",)),)
    )
    b = Table(
        "b",
        (Column("id", pa.int64(), False), Column("a", pa.int64(), False)),
        ("id",),
        (Reference(("a",), "a", ("id",)),),
    )
    assert [t.name for t in Schema((b, a)).ordered()] == ["a", "b"]


def test_a_circle_without_null_is_refused_by_name():
    a = Table(
        "a",
        (Column("id", pa.int64(), False), Column("b", pa.int64(), False)),
        ("id",),
        (Reference(("b",), "b", ("id",)),),
    )
    b = Table(
        "b",
        (Column("id", pa.int64(), False), Column("a", pa.int64(), False)),
        ("id",),
        (Reference(("a",), "a", ("id",)),),
    )
    with pytest.raises(DataError, match="in a circle: "):
        Schema((a, b)).ordered()


def test_a_key_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(DataError, match=r'table t has no column ids; it has id\. Did you mean "id"'):
        table("t", "id", key=("ids",))


def test_a_reference_to_nowhere_is_refused():
    with pytest.raises(DataError, match="there is no table people; tables are t"):
        Schema((table("t", "id", references=(Reference(("id",), "people", ("id",)),)),))


def test_a_provider_needs_kind_personal():
    with pytest.raises(ValueError, match="goes with kind personal"):
        Column("a", pa.string(), provider="email")
    with pytest.raises(ValueError, match="goes with kind personal"):
        Column("a", pa.string(), kind=Kind.PERSONAL)


def test_selecting_columns_keeps_only_what_they_hold():
    assert VISITS.select(("id", "at")).key == ()
    assert VISITS.select(("id", "at")).references == VISITS.references[:1]


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", 'say "hi"', "Größe 表", "select", "x" * 300, "a%2Fb"])
def test_any_name_makes_one_safe_folder(name, tmp_path):
    folder = tmp_path / path_name(name)
    folder.mkdir()
    assert folder.parent == tmp_path
    assert folder.resolve().parent == tmp_path


def test_different_names_make_different_folders():
    names = ["a/b", "a%2Fb", "x" * 300, "x" * 301, ".a", "%2Ea"]
    assert len({path_name(n) for n in names}) == len(names)


def test_sql_names_are_quoted():
    assert quoted('a"b') == '"a""b"'


def test_how_orphans_are_handled_survives_json_and_old_json_refuses_them():
    reference = Reference(("a",), "t", ("id",))
    assert reference.to_json() == {"columns": ["a"], "table": "t", "to": ["id"]}
    assert Reference.from_json(reference.to_json()).orphans is Orphans.REFUSE
    for how in Orphans:
        handled = Reference(("a",), "t", ("id",), how)
        assert Reference.from_json(json.loads(json.dumps(handled.to_json()))) == handled


def test_the_columns_that_are_emptied_serve_no_key_and_no_other_reference():
    def blanks(*references, key=(), nullable=("a", "b")):
        columns = tuple(Column(c, pa.int64(), c in nullable) for c in ("a", "b", "c"))
        child = Table("child", columns, key, references)
        parent = Table("parent", (Column("x", pa.int64()), Column("y", pa.int64())))
        return Schema((parent, child)).blanks(child, references[0])

    pair, single = Reference(("a", "b"), "parent", ("x", "y")), Reference(("a",), "parent", ("x",))
    assert blanks(pair) == ("a", "b")
    assert blanks(pair, single) == ("b",)
    assert blanks(single, pair) == ("a",)  # both or none
    assert blanks(pair, nullable=("b", "c")) == ("b",)
    assert blanks(pair, key=("b",)) == ("a",)
    assert blanks(pair, Reference(("c",), "child", ("a",))) == ("b",)
    assert blanks(single, nullable=()) == ()


def test_a_circle_is_named_from_the_table_that_refers():
    def refers(name, to):
        return table(name, "id", key=("id",), references=(Reference(("id",), to, ("id",)),))

    firm = [refers(n, to) for n, to in ("ab", "bc", "ca")]
    firm = [replace(t, columns=(Column("id", pa.int64(), False),)) for t in firm]
    with pytest.raises(DataError) as told:
        Schema(tuple(firm)).ordered()
    names = str(told.value).partition("circle: ")[2].partition(";")[0].split(" -> ")
    assert all(f"{a}{b}" in ("ab", "bc", "ca") for a, b in pairwise(names))
    assert "a: id -> b(id)" in str(told.value)


def test_the_order_of_tables_is_the_same_everywhere():
    code = """if True:
        import pyarrow as pa
        from twinlake.schema import Column, Reference, Schema, Table
        names = [f"t{i}" for i in range(12)]
        columns = tuple(Column(n, pa.int64()) for n in ("id", *names))
        every = tuple(Reference((n,), n, ("id",)) for n in names)
        child = Table("child", columns, ("id",), every)
        print([t.name for t in Schema((child, *(Table(n, columns, ("id",)) for n in names))).ordered()])"""
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
