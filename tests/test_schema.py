import json

import pyarrow as pa
import pytest
from scenario import SCHEMA, SUBJECTS, VISITS

from twinlake.errors import DataError
from twinlake.schema import Column, Kind, Reference, Schema, Table, path_name, quoted


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
