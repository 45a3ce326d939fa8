"""Each problem of a source is planted and found, in DuckDB and in PostgreSQL alike; none is found in a sound one."""

from dataclasses import replace

import duckdb
import pytest

from twinlake.errors import SourceError
from twinlake.schema import Orphans, Reference, Schema
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
        (tmp_path / "s.duckdb").unlink(missing_ok=True)
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


def test_a_table_without_rows_that_others_point_to_is_one_sentence(make):
    said = found(make("DELETE FROM wards"))
    assert len(said) == 1
    assert "has no rows, but 2 rows point to it by visits: w, s -> wards(ward, site); " in said[0]
    assert said[0].endswith("Fill it, or leave it and what refers to it out of the pipeline file.")
    said = found(make("DELETE FROM wards", "UPDATE visits SET w = NULL"))
    assert len(said) == 1
    assert "has no rows; a twin needs rows to learn from" in said[0]


def test_whole_numbers_and_decimals_of_equal_scale_fit_and_nothing_else_does(make):
    types = ("int", "bigint", "numeric(8, 2)", "numeric(12, 2)", "numeric(12, 3)", "varchar", "date", "timestamp")
    columns = ", ".join(f"CAST(NULL AS {t}) AS c{i}" for i, t in enumerate(types))
    source = make(f"CREATE TABLE kinds AS SELECT {columns}", "INSERT INTO kinds (c0) VALUES (1), (2)")
    kinds = source.schema(["kinds"])["kinds"]
    pairs = [(i, j) for i in range(len(types)) for j in range(i + 1, len(types))]
    references = tuple(Reference((f"c{i}",), "kinds", (f"c{j}",)) for i, j in pairs)
    nulls = replace(kinds, references=references)
    said = [s for s in found(source, Schema((nulls,))) if "types differ" in s]
    assert len(said) == len(pairs) - 2
    assert not [s for s in said if "c0 -> kinds(c1)" in s or "c2 -> kinds(c3)" in s]
    assert all("whole numbers of any width fit each other, and so do decimals with as many digits" in s for s in said)


def test_json_is_no_reference(make):
    source = make("CREATE TABLE notes (a json, b json)", """INSERT INTO notes VALUES ('1', '1'), ('2', '1')""")
    schema = source.schema(["notes"])
    notes = replace(schema["notes"], references=(Reference(("a",), "notes", ("b",)),))
    (said,) = found(source, Schema((notes,)))
    assert said.startswith("reference notes: a -> notes(b): notes.a holds json, which can't be compared; ")


def test_a_tree_that_is_never_null_needs_a_row_that_is_its_own_parent(make):
    tree = ("CREATE TABLE units (id int PRIMARY KEY, above int NOT NULL)",)

    def told(*rows):
        source = make(*tree, f"INSERT INTO units VALUES {', '.join(rows)}")
        units = replace(source.schema(["units"])["units"], references=(Reference(("above",), "units", ("id",)),))
        return found(source, Schema((units,)))

    (said,) = told("(1, 2)", "(2, 1)", "(3, 1)")
    assert said == (
        "reference units: above -> units(id): every row of units points to another one and none may hold null, so "
        "none can be the first; the first row of a tree holds null or points to itself. Allow null in the source, or "
        "leave the reference out of the pipeline file."
    )
    assert told("(1, 1)", "(2, 1)", "(3, 1)") == []


def test_orphans_that_are_handled_are_noted_and_no_mistake(make):
    source = make("INSERT INTO visits VALUES (9, 'n', 3), (1, 'n', 3)", "INSERT INTO people VALUES (4, 970077, NULL)")
    schema = declared(source)
    ways = dict(zip(("people", "visits", "wards"), (Orphans.KEEP, Orphans.NULL, Orphans.REFUSE), strict=True))
    handled = Schema(tuple(
        replace(t, references=tuple(replace(r, orphans=ways[t.name]) for r in t.references)) for t in schema
    ))  # fmt: skip
    notes = []
    assert problems(source, handled, note=notes.append) == problems(source, handled) == []
    assert notes == [
        "reference people: mentor -> people(id): 1 row points to no row of people; such rows are kept, and the twin "
        "has some too.",
        "reference visits: id -> people(id): 1 row points to no row of people; such rows lose their reference.",
        "reference visits: w, s -> wards(ward, site): 2 rows point to no row of wards; such rows lose their reference.",
    ]


def test_orphans_are_refused_with_the_ways_out(make):
    schema = declared(source := make("INSERT INTO visits VALUES (9, NULL, 3)"))
    (said,) = found(source, schema)
    assert said.endswith(
        'Mend the rows, or say under visits what becomes of them: orphans: {"id": drop}, where drop may also be null '
        "or keep."
    )
    firm = replace(schema["visits"], columns=tuple(replace(c, nullable=False) for c in schema["visits"].columns))
    (said,) = found(source, Schema(tuple(firm if t.name == "visits" else t for t in schema)))
    assert said.endswith("where drop may also be keep.")


def test_a_table_of_orphans_alone_can_not_lose_them(make):
    source = make("CREATE TABLE lost AS SELECT 99 AS id UNION ALL SELECT 98")
    schema = source.schema(["lost", "people"])
    people = replace(schema["people"], key=("id",))
    lost = replace(schema["lost"], references=(Reference(("id",), "people", ("id",), Orphans.DROP),))
    (said,) = found(source, Schema((people, lost)))
    assert "2 rows point to no row of people, and without them none is left" in said
