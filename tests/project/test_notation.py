import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlake.project.notation import (
    parse_pointer,
    parse_reference,
    split_column,
    write_column,
    write_columns,
    write_reference,
)

names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).filter(lambda s: s.strip() == s)


def test_columns_point_to_the_key_of_a_table():
    assert parse_reference("id -> subjects") == (("id",), "subjects", None)


def test_columns_point_to_named_columns():
    assert parse_reference("ward, site -> wards(w, s)") == (("ward", "site"), "wards", ("w", "s"))


@given(st.lists(names, min_size=1, max_size=3), names, st.lists(names, min_size=1, max_size=3))
def test_any_reference_survives_its_notation(columns, table, to):
    assert parse_reference(write_reference(columns, table, to)) == (tuple(columns), table, tuple(to))


@pytest.mark.parametrize("text", ["id > subjects", "-> subjects", "id ->", "id -> a(b"])
def test_what_is_no_reference_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match='write it like "id -> subjects"'):
        parse_reference(text)


@given(names, names)
def test_any_column_survives_its_notation(table, column):
    assert split_column(write_column(table, column), [table]) == (table, column)


def test_a_dot_in_a_table_name_is_understood_from_the_tables():
    assert split_column("a.b.c", ["a.b"]) == ("a.b", "c")
    assert split_column("a.b.c", ["a"]) == ("a", "b.c")


@given(st.lists(names, min_size=1, max_size=3), names, st.lists(names, min_size=1, max_size=3))
def test_a_reference_is_named_by_its_columns_or_as_a_whole(columns, table, to):
    assert parse_pointer(write_columns(columns)) == (tuple(columns), None, None)
    assert parse_pointer(write_reference(columns, table, to)) == (tuple(columns), table, tuple(to))
