"""A stranger's query takes no more than it may, and its process holds nothing that it should not."""

import csv
import io
import os
import resource
import time

import pytest
from lakes import project, released
from scenario import clinic

from twinlake.errors import LakeError
from twinlake.run.ask import ask
from twinlake.storage.lake import Limits, query

LITTLE = Limits(seconds=2, memory=300 << 20)
ENDLESS = [
    "SELECT count(*) FROM range(1_000_000_000_000) a, range(1_000_000_000_000) b",
    "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t",
    "SELECT * FROM range(100_000_000) ORDER BY hash(range)",
    f"SELECT count(*) FROM {', '.join(f'range(100) t{i}' for i in range(30))}",
]
HUGE = [
    "SELECT * FROM range(1_000_000_000_000)",
    "SELECT list(range) FROM range(100_000_000)",
    "SELECT string_agg(range::VARCHAR) FROM range(1_000_000_000)",
    "SELECT range(1_000_000_000)",
    "SELECT repeat(repeat('x', 1_000_000), range) FROM range(1000, 2000)",
]


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    layout = project(tmp_path_factory.mktemp("ask"))
    released(layout, "2026-11-22", tables=clinic(20))
    return layout


@pytest.mark.slow
@pytest.mark.parametrize("sql", ENDLESS)
def test_a_query_that_never_ends_is_ended(layout, sql):
    begun = time.monotonic()
    with pytest.raises(LakeError, match="SQL: the query took longer than it may"):
        query(layout, sql, limits=LITTLE)
    assert time.monotonic() - begun < 10


@pytest.mark.slow
@pytest.mark.parametrize("sql", HUGE)
def test_a_query_whose_answer_or_work_is_too_large_is_refused(layout, sql):
    with pytest.raises(LakeError, match=r"more memory than it may take|the answer is larger than|longer than it may"):
        ask(layout, sql, limits=LITTLE)


def test_a_single_value_of_gigabytes_ends_its_own_process_only(layout):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LakeError, match=r"memory|longer|Error"):
        ask(layout, "SELECT repeat('x', 8_000_000_000)", limits=LITTLE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # in KiB


@pytest.mark.slow
def test_one_endless_step_is_ended_from_outside(layout):
    """DuckDB looks at the clock between steps only; this is one step of about a minute."""
    begun = time.monotonic()
    with pytest.raises(LakeError, match="longer than it may"):
        ask(layout, "SELECT levenshtein(repeat('ab', 60_000), repeat('cd', 60_000))", limits=LITTLE)
    assert time.monotonic() - begun < 30


def test_no_variable_of_ours_can_be_read_as_a_table(layout):
    import duckdb
    import pyarrow as pa

    mine = pa.table({"x": ["a real row"]})
    assert duckdb.connect().sql("FROM mine").fetchall() == [("a real row",)]  # so DuckDB does by itself
    for name in ("mine", "layout", "batches", "found", "con"):
        with pytest.raises(LakeError, match="the lake has no table"):
            query(layout, f"SELECT * FROM {name}")
    assert mine.num_rows == 1


def test_the_asking_process_is_told_no_password(layout, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    for sql in ("FROM duckdb_secrets()", "FROM duckdb_settings()", "FROM duckdb_variables()", "FROM duckdb_logs"):
        assert "canary" not in ask(layout, sql, csv=True)
    with pytest.raises(LakeError, match="getenv does not exist"):
        ask(layout, "SELECT getenv('PGPASSWORD')")
    assert os.environ["PGPASSWORD"] == "canary"


def test_an_answer_and_a_mistake_come_back_as_they_are(layout):
    assert ask(layout, "SELECT count(*) AS n, 'ü' AS t FROM clinic.subjects", csv=True) == '"n","t"\n20,"ü"'
    with pytest.raises(LakeError) as ours:
        ask(layout, "SELECT * FROM clinic.subject")
    with pytest.raises(LakeError) as theirs:
        query(layout, "SELECT * FROM clinic.subject")
    assert str(ours.value) == str(theirs.value)
    with pytest.raises(LakeError, match="read-only"):
        ask(layout, "DROP VIEW clinic.subjects")


FORMULAS = "SELECT '=cmd()' AS \"=a\", '@SUM(1)' AS b, '\tx' AS c, -5 AS d, 'a=b' AS e, ['=x'] AS f, NULL::VARCHAR AS g"


def test_a_spreadsheet_runs_nothing_of_a_csv_without_formulas(layout):
    told = list(csv.reader(io.StringIO(ask(layout, FORMULAS, csv=True, formulas=False))))
    assert told == [["'=a", "b", "c", "d", "e", "f", "g"], ["'=cmd()", "'@SUM(1)", "'\tx", "-5", "a=b", "['=x']", ""]]
    kept = list(csv.reader(io.StringIO(ask(layout, FORMULAS, csv=True))))
    assert kept[1][0] == "=cmd()"
