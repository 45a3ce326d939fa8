"""Dagster keeps no value that a step returns, tells nobody anything, and answers this machine only."""

import re
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
import yaml

from pipelines.definitions import ROOT, build
from pipelines.resources import resources

CANARY = "Mrs Real of Quohog Street"


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def run(assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance, **other: object) -> dg.ExecuteInProcessResult:
    own = other or {"io_manager": resources(ROOT)["io_manager"]}
    return dg.materialize(assets, instance=instance, resources=own, raise_on_error=False)


@dg.asset
def rows() -> pa.Table:  # somebody's new step that returns real rows
    return pa.table({"name": [CANARY]})


@dg.asset
def more(rows: pa.Table) -> None:  # one that asks for them
    assert rows


def kept(home: Path) -> list[Path]:
    return [p for p in home.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]


def test_a_step_that_returns_rows_fails_and_they_are_written_nowhere(instance, tmp_path):
    done = run([rows], instance)
    assert not done.success
    (failed,) = [e for e in done.all_events if e.event_type_value == "STEP_FAILURE"]
    assert "step rows returned a Table, and Dagster would pickle it" in str(failed.step_failure_data)
    assert kept(tmp_path) == []


def test_without_it_dagster_would_pickle_them(instance, tmp_path):
    """The plant: what the control is there for."""
    assert run([rows], instance, other=1).success
    assert kept(tmp_path)


def test_a_step_that_asks_for_another_ones_value_fails(instance):
    io = {"io_manager": resources(ROOT)["io_manager"]}
    done = dg.materialize([rows, more], selection=[more], instance=instance, resources=io, raise_on_error=False)
    assert not done.success
    assert "none is kept" in str([e for e in done.all_events if e.event_type_value == "STEP_FAILURE"])


def test_every_graph_of_the_project_has_it():
    made = build(ROOT).get_repository_def()
    held = {type(d.resource_defs["io_manager"]).__name__ for d in made.get_all_jobs()}
    told = [r for r in build(ROOT).resources.items() if r[0] == "io_manager"]
    assert len(held) == 1
    assert type(told[0][1]).__name__ == "NothingKept"


def test_the_ui_that_we_start_answers_this_machine_only():
    started = re.findall(r"(dagster dev|dagster-webserver)([^\n#]*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert started
    assert all("--host 127.0.0.1" in words for _, words in started)
    assert "0.0.0.0" not in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_dagster_tells_nobody_that_it_is_used():
    told = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    assert told["telemetry"] == {"enabled": False}
    assert not {"run_storage", "event_log_storage", "schedule_storage", "compute_logs"} & told.keys()  # none elsewhere


def test_dvc_tells_nobody_that_it_is_used():
    told = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    assert "analytics = false" in told
    assert "check_update = false" in told
