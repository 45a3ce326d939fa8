"""What a person may get wrong, one case each: one sentence, the right exit status, nothing half-written."""

import json
import os
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from postgres import Postgres
from projects import PRIVACY

from twinlake.cli import main
from twinlake.storage.lake import query
from twinlake.storage.layout import Layout

PEOPLE = """CREATE TABLE people AS SELECT i::INTEGER AS id, CASE WHEN hash(i) % 3 = 0 THEN 'a' ELSE 'b' END AS c
    FROM range(3000) AS t (i)"""
DRAFT = "source: duckdb:///s.duckdb\ntables:\n  people: {key: id}\ngenerator: {name: marginals, seed: 1}\n"


def call(root: Path, *args: str) -> Result:
    """Run a command in a project; nothing but an exit may leave it."""
    before = Path.cwd()
    os.chdir(root)
    try:
        done = CliRunner().invoke(main, args)
    finally:
        os.chdir(before)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    return done


def project(root: Path, *statements: str, pipeline: str = DRAFT, suites: tuple[str, ...] = ("people",)) -> Layout:
    """A project whose pipeline `p` reads the tables that the statements make; empty suites."""
    layout = Layout(root)
    layout.suites("p").mkdir(parents=True)
    layout.pipelines.mkdir(exist_ok=True)
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    layout.pipeline_file("p").write_text(pipeline, encoding="utf-8")
    for name in suites:
        layout.suite_file("p", name).write_text('{"name": "s", "expectations": []}', encoding="utf-8")
    with duckdb.connect(str(root / "s.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)
    return layout


def nothing_is_left(layout: Layout) -> bool:
    """Whether neither the lake, nor staging, nor the vault's scratch holds anything."""
    places = (layout.lake, layout.root / "data" / "staging", layout.own_vault("p") / "scratch")
    return not any(p.is_file() and p.name[0] != "." for place in places for p in place.rglob("*"))


@pytest.mark.parametrize(
    ("statements", "pipeline", "sentence"),
    [
        ((PEOPLE,), DRAFT + "holdut: 0.2\n", 'p.yaml:5: unknown key "holdut"'),
        ((PEOPLE,), DRAFT.replace("people:", "peple:"), 'the source has no table "peple"; the source has people.'),
        ((PEOPLE,), DRAFT.replace("key: id", "key: ident"), 'table "people" has no column "ident"; it has id, c.'),
        ((PEOPLE,), DRAFT + "columns: {people.cc: {drop: true}}\n", "there is no column people.cc"),
        ((PEOPLE,), DRAFT.replace("s.duckdb", "t.duckdb"), "t.duckdb"),
        (("CREATE TABLE people (id INTEGER)",), DRAFT, "has no rows; a twin needs rows to learn from."),
        (("CREATE TABLE people AS SELECT 1 AS id",), DRAFT, "has one row; a twin can't be learnt from one row."),
        (
            (PEOPLE, "INSERT INTO people SELECT * FROM people WHERE id < 2"), DRAFT,
            "2 values of id stand in more than one row; a key stands in one row only.",
        ),
        (
            (PEOPLE, "CREATE TABLE visits AS SELECT 4000 AS person, 'x' AS c FROM range(5)"),
            DRAFT.replace("generator", '  visits: {references: ["person -> people"]}\ngenerator'),
            "5 rows point to no row of people; a row points to one that is there, or holds null.",
        ),
    ],
    ids=["key", "table", "key column", "column", "file", "no rows", "one row", "duplicate key", "orphans"],
)  # fmt: skip
def test_a_mistake_is_one_sentence_from_check_and_from_run(tmp_path, statements, pipeline, sentence):
    layout = project(tmp_path, *statements, pipeline=pipeline, suites=("people", "visits"))
    before = {p for p in tmp_path.rglob("*.*") if "data" not in p.parts}
    for command in ("check", "run"):
        told = call(tmp_path, command, "p")
        assert told.exit_code == 2, told.output
        assert sentence in told.output
    assert nothing_is_left(layout)
    assert {p for p in tmp_path.rglob("*.*") if "data" not in p.relative_to(tmp_path).parts} == before


def test_a_wrong_password_is_one_sentence_and_is_not_repeated(postgres: Postgres, tmp_path):
    postgres.create("people", "CREATE TABLE people AS SELECT i AS id FROM generate_series(1, 50) AS t (i)")
    wrong = postgres.url("people", password="not-this-one")
    layout = project(tmp_path, pipeline=DRAFT.replace("duckdb:///s.duckdb", wrong))
    for args in (("check", "p"), ("run", "p"), ("init", wrong, "q")):
        told = call(tmp_path, *args)
        assert told.exit_code == 2
        assert "the server refused the user or the password" in told.output
        assert "not-this-one" not in told.output
    assert nothing_is_left(layout)
    assert not layout.pipeline_file("q").exists()


def test_a_suite_that_real_rows_fail_is_a_refusal_that_names_the_rule(tmp_path):
    layout = project(tmp_path, PEOPLE)
    rule = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "c", "value_set": ["a"]}}
    suite = {"name": "people", "expectations": [rule | {"severity": "critical"}]}
    layout.suite_file("p", "people").write_text(json.dumps(suite), encoding="utf-8")
    told = call(tmp_path, "run", "p")
    assert told.exit_code == 1
    assert "the suite is wrong, not the data" in " ".join(told.output.split())
    assert nothing_is_left(layout)


@pytest.mark.parametrize(
    "table",
    [
        PEOPLE.replace("i::INTEGER AS id, ", ""),
        "CREATE TABLE people AS SELECT NULL::INTEGER AS c FROM range(3000)",
        "CREATE TABLE people AS SELECT i AS id, NULL::TEXT AS c, NULL::DATE AS d, NULL::JSON AS j, NULL::UUID AS u "
        "FROM range(3000) AS t (i)",
        "CREATE TABLE people AS SELECT i::INTEGER AS id FROM range(3000) AS t (i)",
    ],
    ids=["one column", "one column of nulls", "columns of nulls", "a key alone"],
)
def test_a_table_of_hardly_anything_is_released(tmp_path, table):
    keyed = DRAFT if " AS id" in table else DRAFT.replace("{key: id}", "{}")
    layout = project(tmp_path, table, pipeline=keyed)
    told = call(tmp_path, "run", "p")
    assert told.exit_code == 0, told.output
    assert query(layout, "SELECT count(*) AS n FROM p.people").to_pylist() == [{"n": 3000}]


ODD = ["select", "a b", 'ü "x"', "日本", "a.b", "x/y", "..", "it's", "%s", "a -> b"]


def test_any_name_is_served_as_it_is(tmp_path):
    """Spaces, quotes, unicode, keywords, signs that paths, YAML and the notation of references use."""
    columns = ", ".join(f"(hash(i, {n}) % 4)::INTEGER AS {quoted(c)}" for n, c in enumerate(ODD))
    tables = [f"CREATE TABLE {quoted(t)} AS SELECT {columns} FROM range(400) AS t (i)" for t in ODD]
    root = tmp_path / "project"
    root.mkdir()
    with duckdb.connect(str(root / "s.duckdb")) as connection:
        for statement in tables:
            connection.execute(statement)
    assert call(root, "init", "duckdb:///s.duckdb", "p").exit_code == 0
    layout = Layout(root)
    loose = f"gates: {{fidelity: {{column_shape: 0.5, pair_trend: 0.5}}, privacy: {PRIVACY}}}\n"
    text = layout.pipeline_file("p").read_text().replace("forest", "marginals, seed: 1")
    layout.pipeline_file("p").write_text(text + loose)
    told = call(root, "run", "p")
    assert told.exit_code == 0, told.output
    for name in ODD:
        columns = ", ".join(f"max({quoted(c)})" for c in ODD)
        assert query(layout, f"SELECT {columns} FROM p.{quoted(name)}").to_pylist()


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
