import json
import os
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from projects import make_project, write_duckdb
from scenario import clinic

from twinlake.cli import main
from twinlake.cli.commands import main as group
from twinlake.storage.layout import Layout


def call(*args: str, at: Path | None = None) -> Result:
    before = Path.cwd()
    os.chdir(at or before)
    try:
        return CliRunner().invoke(main, args)
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Layout:
    """A project with one release, made by the command itself."""
    layout = make_project(tmp_path_factory.mktemp("cli") / "project")
    done = call("run", "clinic", at=layout.root)
    assert done.exit_code == 0, done.output
    return layout


@pytest.mark.parametrize("command", sorted(group.commands))
def test_every_command_explains_itself_with_an_example(command):
    told = call(command, "--help")
    assert told.exit_code == 0
    assert "Example: twinlake " + command in told.output


def test_a_run_ends_with_the_scorecard(served):
    told = call("run", "clinic", at=served.root)
    assert told.exit_code == 0
    assert "nothing changed since" in told.output
    assert "column_shape" in told.output
    assert "report.html" in told.output


def test_a_refused_run_ends_with_status_1(tmp_path):
    layout = make_project(tmp_path / "p")
    text = layout.pipeline_file("clinic").read_text()
    layout.pipeline_file("clinic").write_text(text.replace("membership: 0.95", "membership: 0.3"))
    told = call("run", "clinic", at=layout.root)
    assert told.exit_code == 1, told.output
    assert "membership" in told.output
    assert "Nothing was released" in told.output


def test_the_shadow_game_is_played_on_demand_and_an_undecided_one_ends_with_status_1(tmp_path):
    layout = make_project(tmp_path / "p", real=clinic(120))
    none = call("shadow", "clinic", at=layout.root)
    assert (none.exit_code, none.output.count("shadow_fits is 0")) == (2, 1)
    told = call("shadow", "clinic", "--fits", "2", at=layout.root)
    assert told.exit_code == 1, told.output
    assert "clinic · shadow game" in told.output
    assert "shadow_fits" in told.output


def test_check_is_happy_with_a_good_pipeline(served):
    told = call("check", at=served.root)
    assert (told.exit_code, told.output.strip()) == (0, "clinic: ready to run")


def test_check_tells_every_mistake_in_one_go(tmp_path):
    layout = make_project(tmp_path / "p")
    file = layout.pipeline_file("clinic")
    text = file.read_text().replace("unit: subjects", "unit: subject").replace("seed: 7", "sead: 7")
    file.write_text(text.replace("  visits:", "  visitz: {}\n  visits:").replace("name: marginals", "name: marginal"))
    told = call("check", "clinic", at=layout.root)
    assert told.exit_code == 2
    assert "clinic: 4 to mend" in told.output  # in the file's form, in its names, in the source, among generators
    assert told.output.count("Did you mean") == 4


def test_check_tells_what_the_rows_break(tmp_path):
    layout = make_project(tmp_path / "p")
    with duckdb.connect(str(layout.root / "clinic.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE loose AS SELECT * FROM subjects; INSERT INTO loose SELECT * FROM subjects LIMIT 3"
        )
        connection.execute(
            "CREATE TABLE lost AS SELECT id + 5 AS subject FROM subjects LIMIT 4; CREATE TABLE none (a INT)"
        )
        connection.execute("CREATE TABLE one AS SELECT 1 AS a")
    file = layout.pipeline_file("clinic")
    tables = '  loose: {key: id}\n  lost: {references: ["subject -> subjects"]}\n  none: {}\n  one: {}\n'
    file.write_text(file.read_text().replace("  visits:", tables + "  visits:"))
    told = call("check", "clinic", at=layout.root).output
    for word in ("loose", "lost", "none", "one"):
        assert word in told
    assert "has no suite" in told


def test_sql_answers_as_a_table_and_as_csv(served):
    told = call("sql", "SELECT count(*) AS people FROM clinic.subjects", at=served.root)
    assert [line.strip() for line in told.output.split("\n") if line.strip()] == ["people", "────────", "3000"]
    told = call("sql", "--csv", "SELECT id, sex FROM clinic.subjects LIMIT 2", at=served.root)
    assert told.output.splitlines()[0] == '"id","sex"'
    assert len(told.output.splitlines()) == 3


def test_sql_can_only_read(served, tmp_path):
    told = call("sql", f"COPY (SELECT 1) TO '{tmp_path / 'x'}'", at=served.root)
    assert told.exit_code == 2
    assert not (tmp_path / "x").exists()
    assert call("sql", "SELECT * FROM read_text('/etc/passwd')", at=served.root).exit_code == 2


def test_a_table_that_is_not_there_names_the_nearest(served):
    told = call("sql", "SELECT * FROM clinic.subject", at=served.root)
    assert told.exit_code == 2
    assert "subjects" in told.output
    assert "Traceback" not in told.output


def test_releases_are_listed(served):
    told = call("releases", "clinic", at=served.root)
    assert told.output.startswith("clinic@20")
    assert "subjects 3,000" in told.output


def test_the_report_says_where_the_page_is(served):
    told = call("report", "clinic", at=served.root)
    assert told.exit_code == 0
    page = Path(told.output.rpartition("the page: ")[2].strip())
    assert page.read_text().startswith("<!doctype html>")


def test_an_empty_lake_says_what_to_do(tmp_path):
    layout = make_project(tmp_path / "p")
    told = call("sql", "SELECT 1", at=layout.root)
    assert told.exit_code == 2
    assert "Make one with: twinlake run clinic" in told.output
    assert "no releases yet" in call("releases", at=layout.root).output


def test_init_drafts_a_project_that_is_ready_to_run_once_it_is_said_what_is_public(tmp_path):
    write_duckdb(tmp_path / "clinic.duckdb", clinic(3000))
    told = call("init", "duckdb:///clinic.duckdb", at=tmp_path)
    assert told.exit_code == 0, told.output
    assert "subjects.email (email)" in told.output
    assert "small tables, public if they are lookup lists anyone may see: wards" in told.output
    text = (tmp_path / "pipelines" / "clinic.yaml").read_text()
    assert "unit: subjects" in text
    assert "subjects from wards, whose rows would be nobody's" in " ".join(
        call("check", "clinic", at=tmp_path).output.split()
    )
    decided = text.replace("wards: {key: [ward, site]}", "wards: {key: [ward, site], public: true}")
    (tmp_path / "pipelines" / "clinic.yaml").write_text(decided)
    assert call("check", "clinic", at=tmp_path).exit_code == 0
    assert "there is a pipeline clinic already" in call("init", "duckdb:///clinic.duckdb", at=tmp_path).output
    suites = [json.loads(f.read_text()) for f in (tmp_path / "expectations" / "clinic").glob("*.json")]
    assert len(suites) == 3
    assert "Soglio" not in json.dumps(suites)


def test_init_keeps_suites_that_somebody_has_edited(tmp_path):
    layout = make_project(tmp_path / "p")
    layout.pipeline_file("clinic").unlink()
    before = layout.suite_file("clinic", "visits").read_text()
    assert call("init", "duckdb:///clinic.duckdb", at=layout.root).exit_code == 0
    assert layout.suite_file("clinic", "visits").read_text() == before


def test_init_takes_its_password_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    told = call("init", "postgresql://reader:${SHOP_PASSWORD}@127.0.0.1:1/shop", at=tmp_path)
    assert told.exit_code == 2
    assert "environment variable SHOP_PASSWORD is not set" in told.output


@pytest.mark.parametrize("name", ["a b", "1a", "../x", "é"])
def test_a_pipeline_needs_a_plain_name(tmp_path, name):
    layout = make_project(tmp_path / "p")
    told = call("init", "duckdb:///clinic.duckdb", name, at=layout.root)
    assert told.exit_code == 2
    assert "can't name a pipeline" in told.output


def test_a_forest_draws_in_shares_and_fills_in_from_the_command_line(tmp_path):
    people = clinic(600)["subjects"].drop_columns(["id", "mentor", "name", "email"])
    pq.write_table(people, tmp_path / "people.parquet")
    pq.write_table(people.slice(0, 40).drop_columns(["city"]), tmp_path / "known.parquet")
    assert call("fit", "people.parquet", "--out", "model", at=tmp_path).exit_code == 0
    shares = ("--rebalance", '{"city": {"Chur": 0.5}}')
    told = call("sample", "model", "--rows", "100", "--out", "drawn", *shares, at=tmp_path)
    assert told.exit_code == 0, told.output
    assert "effective sample size 100 of 100 rows" in told.output
    assert pq.read_table(tmp_path / "drawn" / "people")["city"].to_pylist().count("Chur") == 50
    told = call("sample", "model", "--out", "none", "--rebalance", "Chur", at=tmp_path)
    assert (told.exit_code, "rebalance can't be read" in told.output) == (2, True)
    told = call("impute", "model", "known.parquet", "--out", "filled", "--column", "born", at=tmp_path)
    assert told.exit_code == 0, told.output
    filled = pq.read_table(tmp_path / "filled" / "people")
    assert filled.num_rows == 40
    assert filled["city"].null_count == 0
    assert filled["income"].equals(people["income"].slice(0, 40))


def test_fit_sample_and_evaluate_work_on_plain_files(tmp_path):
    people = clinic(3000)["subjects"].drop_columns(["id", "mentor", "name", "email"])
    pq.write_table(people.slice(0, 1500), tmp_path / "people.parquet")
    pq.write_table(people.slice(1500), tmp_path / "others.parquet")
    assert call("fit", "people.parquet", "--out", "model", "--generator", "marginals", at=tmp_path).exit_code == 0
    told = call(
        "sample", "model", "--rows", "200", "--out", "drawn", "--where", "smoker AND city = 'Bern'", at=tmp_path
    )
    assert told.exit_code == 0, told.output
    drawn = pq.read_table(tmp_path / "drawn" / "people")
    assert drawn.num_rows == 200
    assert set(drawn["city"].to_pylist()) == {"Bern"}
    assert call("sample", "model", "--out", "whole", at=tmp_path).exit_code == 0
    files = ("--real", "people.parquet", "--holdout", "others.parquet", "--synthetic", "whole/people")
    told = call("evaluate", *files, at=tmp_path)
    assert "column_shape" in told.output
    assert told.exit_code in (0, 1)
    told = call(
        "evaluate",
        "--real",
        "people.parquet",
        "--holdout",
        "others.parquet",
        "--synthetic",
        "people.parquet",
        at=tmp_path,
    )
    assert told.exit_code == 1
    assert "replay" in told.output


def test_a_folder_that_holds_files_is_not_written_to(tmp_path):
    pq.write_table(clinic(100)["wards"], tmp_path / "wards.parquet")
    told = call("fit", "wards.parquet", "--out", ".", at=tmp_path)
    assert told.exit_code == 2
    assert "holds files already" in told.output


def test_outside_a_project_a_sentence_says_so(tmp_path):
    told = call("run", "clinic", at=tmp_path)
    assert told.exit_code == 2
    assert "no Twinlake project here" in told.output
