"""Each problem of a source is planted and found, in DuckDB and in PostgreSQL alike; none is found in a sound one."""

from dataclasses import replace

import duckdb
import pytest

from twinlake.errors import SourceError
from twinlake.schema import Reference, Schema
from twinlake.sources.problems import problems
from twinlake.sources.registry import open_source

SOUND = (
    "CREATE TABLE wards (ward varchar, site smallint, note varchar)",
    "INSERT INTO wards VALUES ('n', 1, 'a'), ('n', 2, 'b'), ('s', 1, 'c')",
    "CREATE TABLE people (id int, mentor bigint, until date)",
    "INSERT INTO people VALUES (1, NULL, NULL), (2, 1, '2020-01-01'), (3, 1, NULL)",
    "CREATE TABLE visits (id int, w varchar, s smallint)",
    "INSERT INTO visits VALUES (1, 'n', 1), (2, NULL, 9), (NULL, 'q', NULL), (3, 's', 1)",
)


@pytest.fixture(params=["duckdb", "postgres"])
def make(request, tmp_path):
    """Opens a source made of SOUND and more statements."""

    def in_duckdb(*more):
        with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
            for statement in (*SOUND, *more):
                connection.execute(statement)
        return open_source("duckdb:///s.duckdb", root=tmp_path)

    def in_postgres(*more):
        server = request.getfixturevalue("postgres")
        return open_source(server.create("problems", *SOUND, *more), root=tmp_path)

    return in_duckdb if request.param == "duckdb" else in_postgres


def declared(source):
    schema = source.schema()
    tables = {
        "wards": {"key": ("ward", "site")},
        "people": {"key": ("id",), "references": (Reference(("mentor",), "people", ("id",)),)},
        "visits": {
            "references": (Reference(("id",), "people", ("id",)), Reference(("w", "s"), "wards", ("ward", "site")))
        },
    }
    return Schema(tuple(replace(t, **tables.get(t.name, {})) for t in schema))


def found(source, schema=None):
    return [str(e) for e in problems(source, schema or declared(source))]


def test_a_sound_source_has_none_and_null_points_nowhere(make):
    assert found(make()) == []


def test_all_are_found_in_one_go_each_with_its_count(make):
    source = make(
        "INSERT INTO wards VALUES ('n', 1, 'x'), ('n', 1, 'y'), ('s', NULL, 'z'), (NULL, NULL, 'z')",
        "INSERT INTO people VALUES (4, 970077, 'infinity'), (5, 78, NULL), (5, 5, NULL)",
        "INSERT INTO visits VALUES (9, 'n', 3), (1, 'n', 3)",
        "CREATE TABLE empty (x int)",
        "CREATE TABLE single (x int)", "INSERT INTO single VALUES (1)",
    )  # fmt: skip
    said = found(source)
    for part in (
        "table empty of", "table single of", "a twin can't be learnt from one row",
        "2 rows hold null in ward, site", "1 value of ward, site stand in more than one row",
        "1 value of id stand in more than one row", "1 row holds infinity in people.until",
        "reference people: mentor -> people(id): 2 rows point to no row of people",
        "reference visits: id -> people(id): 1 row points to no row of people",
        "reference visits: w, s -> wards(ward, site): 2 rows point to no row of wards",
    ):  # fmt: skip
        assert sum(part in line for line in said) == 1, (part, said)
    assert len(said) == 9
    assert all(line.endswith(".") and "\n" not in line and "970077" not in line for line in said)


def test_a_reference_to_columns_that_are_not_unique_is_found(make):
    source = make("CREATE TABLE stays (w varchar)", "INSERT INTO stays VALUES ('n'), ('s')")
    schema = source.schema(["stays", "wards"])
    stays = replace(schema["stays"], references=(Reference(("w",), "wards", ("ward",)),))
    said = found(source, Schema((stays, schema["wards"])))
    assert said == [
        "reference stays: w -> wards(ward): 1 of wards(ward) stand in more than one row; a reference points to one "
        "row. Refer to columns that are unique, or mend the rows."
    ]


def test_types_that_differ_across_a_reference_are_found_and_widths_of_integers_do_not(make):
    source = make("CREATE TABLE stays (p varchar, q smallint)", "INSERT INTO stays VALUES ('1', 1), ('2', 2)")
    schema = source.schema(["stays", "people"])
    people = replace(schema["people"], key=("id",))
    stays = replace(
        schema["stays"], references=(Reference(("p",), "people", ("id",)), Reference(("q",), "people", ("id",)))
    )
    said = found(source, Schema((people, stays)))
    assert len(said) == 1
    assert "types differ: stays.p is" in said[0]


def test_a_source_that_is_gone_is_a_sentence(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        problems(open_source("duckdb:///gone.duckdb", root=tmp_path), Schema(()))
