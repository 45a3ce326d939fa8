"""What a rule in SQL means, and which ones are no rules."""

import datetime as dt
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scenario import SCHEMA, VISITS, clinic

from twinlake.errors import DataError
from twinlake.rules import Lookup, check_types, make_rule, needed, parent_columns, prefixes, reading
from twinlake.schema import Column, Origin, Reference, Rule, Schema, Table, quoted

SUBJECTS = SCHEMA["subjects"]


def rule(sql: str, table: Table = VISITS, schema: Schema = SCHEMA) -> Rule:
    made = make_rule(sql, table, parent_columns(schema, table), origin=Origin.FILE)
    check_types(made, schema, table)
    return made


def told(sql: str, table: Table = VISITS) -> str:
    with pytest.raises(DataError) as error:
        rule(sql, table)
    return str(error.value)


def test_a_rule_knows_its_columns_and_those_of_its_parents():
    made = rule('"at"::DATE >= subjects.born AND visit_no < wards.beds')
    assert made.columns == ("id", "visit_no", "ward", "site", "at")  # with those that lead to the parents
    assert made.parents == (("subjects", "born"), ("wards", "beds"))
    assert needed([made]) == {"subjects": ("born",), "wards": ("beds",)}
    assert made.name == made.sql == str(made)


def test_names_may_be_quoted_written_in_any_case_and_after_the_own_table():
    assert rule('"the ""score"" ü" > 0').columns == ('the "score" ü',)
    assert rule("VISITS.Visit_No > 0 AND Subjects.BORN IS NOT NULL").parents == (("subjects", "born"),)


def test_a_row_of_the_own_table_goes_by_the_column_that_refers_to_it():
    assert set(prefixes(SUBJECTS)) == {"mentor"}
    assert rule("mentor.born < born AND subjects.bmi > 0", SUBJECTS).parents == (("mentor", "born"),)


def test_several_references_to_one_table_go_by_their_first_columns():
    flights = Table(
        "flights",
        (Column("origin", pa.string()), Column("dest", pa.string()), Column("a", pa.int8()), Column("b", pa.int8())),
        references=(
            Reference(("origin",), "airports", ("code",)), Reference(("dest",), "airports", ("code",)),
            Reference(("a", "b"), "airports", ("x", "y")), Reference(("a", "dest"), "airports", ("x", "code")),
        ),
    )  # fmt: skip
    assert list(prefixes(flights)) == ["origin", "dest", "a, b", "a, dest"]


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("", "a rule is empty"),
        ("visit_no >", "can't be read: syntax error"),
        ("at > '2024-01-01'", "names that are words of SQL stand in double quotes"),
        ("visit_no > 1; SELECT 1", "can't be read"),
        ("visit_no > 1 GROUP BY id", "can't be read"),
        ("visit_no > (SELECT 1)", "it asks another query"),
        ("id IN (SELECT 1)", "it asks another query"),
        ("sum(visit_no) > 1", "sum looks at other rows"),
        ("row_number() OVER () > 1", "it looks at other rows"),
        ("visit_no > random()", "random gives another answer each time"),
        ('"at" < now()', "now gives another answer each time"),
        ('"at" < CURRENT_TIMESTAMP', "CURRENT_TIMESTAMP gives another answer each time"),
        ("visit_no > $1", "it has a parameter"),
        ("visit_no + 1", "is neither true nor false"),
        ('visit_no > "at"', "Cannot compare values of type"),
        ("visit_mo > 1", 'names a column visit_mo that table visits does not have; its columns are id, visit_no, ward, '
         'site, at, the "score" ü. Did you mean "visit_no"?'),
        ('"at" > subject.born', 'names subject.born, and subject is no parent of visits; columns of the row stand '
         'alone, those of parents after subjects, wards. Did you mean "subjects"?'),
        ('"at" > subjects.bron', 'names a column bron that subjects does not have'),
    ],
)  # fmt: skip
def test_what_is_no_condition_on_a_row_and_its_parents_is_refused(sql: str, sentence: str):
    assert sentence in told(sql)


def test_a_refused_comparison_names_columns_and_not_their_places():
    assert "c0" not in told('visit_no > "at"').partition("can't be used")[2]


def test_rules_mean_what_duckdb_means_by_check_constraints():
    """Two ways to the same answer: a rule, and a CHECK constraint on a table."""
    sql = "visit_no % 2 = 0 OR ward IN ('north', 'east') AND \"at\" > '2024-06-01'"
    rows = clinic(40)["visits"]
    broken = reading(rule(sql), VISITS).broken(rows, {})
    with duckdb.connect() as connection:
        connection.register("given", rows)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE empty AS FROM given LIMIT 0")
        kinds = connection.sql("DESCRIBE empty").fetchall()
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind, *_ in kinds)
        connection.execute(f"CREATE TABLE checked ({columns}, CHECK ({sql}))")
        refused = []
        for i in range(rows.num_rows):
            connection.register("one", rows.slice(i, 1))
            try:
                connection.execute("INSERT INTO checked FROM one")
                refused.append(False)
            except duckdb.ConstraintException:
                refused.append(True)
    assert 0 < sum(refused) < len(refused)
    assert broken.tolist() == refused


def test_a_rule_over_parents_is_looked_up_by_reference():
    real = clinic(60)
    made = rule('"at"::DATE > subjects.born + 15000')
    found = Lookup.of(VISITS.references[0], real["subjects"], ["born"]).beside(real["visits"])
    born = dict(zip(real["subjects"]["id"].to_pylist(), real["subjects"]["born"].to_pylist(), strict=True))
    rows = real["visits"].to_pylist()
    expected = [r["at"].date() <= born[r["id"]] + dt.timedelta(days=15000) for r in rows]
    assert reading(made, VISITS).broken(real["visits"], {"subjects": found}).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_rows_that_refer_to_nothing_find_nulls():
    real = clinic(60)
    found = Lookup.of(VISITS.references[1], real["wards"].slice(0, 3), ["beds"]).beside(real["visits"])
    known = {(r["ward"], r["site"]): r["beds"] for r in real["wards"].slice(0, 3).to_pylist()}
    assert found["beds"].to_pylist() == [known.get((r["ward"], r["site"])) for r in real["visits"].to_pylist()]
    none = Lookup.of(VISITS.references[1], real["wards"].slice(0, 0), ["beds"]).beside(real["visits"])
    assert none["beds"].null_count == real["visits"].num_rows


def test_a_key_and_what_refers_to_it_may_differ_in_width():
    reference = Reference(("a",), "p", ("k",))
    parents = pa.table({"k": pa.array([1, 2], pa.int64()), "v": ["x", "y"]})
    rows = pa.table({"a": pa.array([2, None, 3], pa.int16())})
    assert Lookup.of(reference, parents, ["v"]).beside(rows)["v"].to_pylist() == ["y", None, None]


def test_a_constant_rule_has_an_answer_for_every_row():
    rows = clinic(20)["visits"]
    assert reading(rule("1 > 2"), VISITS).broken(rows, {}).all()
    assert not np.any(reading(rule("NULL"), VISITS).broken(rows, {}))


def test_rules_and_unique_columns_survive_json_and_old_json_has_none():
    ruled = replace(VISITS, rules=(rule('"at"::DATE > subjects.born'), rule("visit_no > 0")), unique=(("id", "at"),))
    schema = Schema((SCHEMA["wards"], SUBJECTS, ruled))
    assert Schema.from_json(schema.to_json()) == schema
    assert "rules" not in SCHEMA.to_json()["tables"][0]
    assert Schema.from_json(SCHEMA.to_json()) == SCHEMA


def test_selecting_columns_keeps_the_rules_that_still_have_theirs():
    ruled = replace(VISITS, rules=(rule('"at"::DATE > subjects.born'), rule("visit_no > 0")), unique=(("id", "at"),))
    assert [r.sql for r in ruled.select(("visit_no", "at")).rules] == ["visit_no > 0"]
    assert ruled.select(("id", "at")).rules == ruled.rules[:1]
    assert ruled.select(("visit_no", "at")).unique == ()


def test_a_rule_over_a_column_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="table visits has no column gone"):
        replace(VISITS, rules=(Rule("r", "gone > 1", Origin.FILE, ("gone",)),))
    with pytest.raises(DataError, match="table visits has no column gone"):
        replace(VISITS, unique=(("id", "gone"),))
