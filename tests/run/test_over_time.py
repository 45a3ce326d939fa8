"""Releases of one pipeline one after the other: what the ledger keeps of them, and what `over_time` says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from projects import job, make_project, write_duckdb
from scenario import clinic

from twinlake.cli import main
from twinlake.errors import LakeError
from twinlake.run.run import Outcome, run
from twinlake.storage.layout import Layout
from twinlake.storage.ledger import Ledger, read_ledger
from twinlake.storage.release import releases
from twinlake.tables import Tables
from twinlake.verdict import Verdict

DATE = "2026-11-22"


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Layout:
    """A project with one release."""
    layout = make_project(tmp_path_factory.mktemp("over_time") / "project")
    assert not run(job(layout), date=DATE).refused
    return layout


@pytest.fixture
def again(served, tmp_path) -> Layout:
    """A copy of that project to change."""
    return Layout(Path(shutil.copytree(served.root, tmp_path / "project", symlinks=True)))


def ledger(layout: Layout) -> Ledger:
    return read_ledger(layout, "clinic", secret=job(layout).secret)


def edited(subjects: int) -> Tables:
    """The clinic where the first subjects took up smoking, or gave it up."""
    tables = clinic(3000)
    people = tables["subjects"]
    smoker = [not s if i < subjects else s for i, s in enumerate(people["smoker"].to_pylist())]
    people = people.set_column(people.column_names.index("smoker"), "smoker", pa.array(smoker))
    return Tables(tables.schema, {**tables, "subjects": people})


def said(outcome: Outcome) -> dict[str, Verdict]:
    return {v.table: v for v in outcome.verdicts if v.gate == "over_time"}


def test_every_release_stands_in_the_ledger_with_its_rows(served):
    (entry,) = ledger(served).entries
    made = releases(served, "clinic")[0]
    assert (entry.release, entry.snapshot, entry.committed) == (DATE, made.manifest.snapshot, True)
    assert entry.rows == {t: made.manifest.rows[t] for t in ("subjects", "visits")}  # wards are nobody's
    assert entry.source["subjects"] == 3000


def test_nothing_that_came_before_is_nothing_to_compare_with(served):
    verdicts = [v for v in releases(served, "clinic")[0].manifest.verdicts if v.gate == "over_time"]
    assert {v.table for v in verdicts} == {"subjects", "visits"}
    assert all(v.passed and v.value == 0 for v in verdicts)


@pytest.mark.slow
def test_a_night_on_which_three_people_changed_makes_no_release(again):
    write_duckdb(again.root / "clinic.duckdb", edited(4))  # of whom three were learnt
    outcome = run(job(again), date="2026-11-23")
    assert outcome.refused
    verdict = said(outcome)["subjects"]
    assert verdict.blocks
    assert verdict.inconclusive
    assert "at least 10 are needed" in verdict.reason
    assert "Wait until more have changed: the last release stays served" in verdict.reason
    assert said(outcome)["visits"].passed
    assert [r.name for r in releases(again, "clinic")] == [DATE]
    assert len(ledger(again).entries) == 1


def test_when_enough_have_changed_there_is_a_release(again):
    write_duckdb(again.root / "clinic.duckdb", edited(60))
    outcome = run(job(again), date="2026-11-23")
    assert said(outcome)["subjects"].passed, said(outcome)["subjects"].reason
    assert outcome.fresh
    assert [e.release for e in ledger(again).entries] == [DATE, "2026-11-23"]


@pytest.mark.slow
def test_rows_of_releases_that_are_gone_count(again):
    text = again.pipeline_file("clinic").read_text().replace("keep: 2", "keep: 1")
    again.pipeline_file("clinic").write_text(text)
    write_duckdb(again.root / "clinic.duckdb", edited(60))
    assert run(job(again), date="2026-11-23").fresh
    assert [r.name for r in releases(again, "clinic")] == ["2026-11-23"]
    assert ledger(again).total("subjects") == 6000
    again.pipeline_file("clinic").write_text(text.replace("privacy: {", "privacy: {total_rows: 2.5, "))
    write_duckdb(again.root / "clinic.duckdb", edited(120))
    outcome = run(job(again), date="2026-11-24")
    assert outcome.refused
    assert "9,000 rows in all, 3 times the source's, over the limit of 2.5" in said(outcome)["subjects"].reason


def test_a_release_on_a_ledger_that_was_tampered_with_is_refused(again):
    file = again.ledger("clinic") / "releases.jsonl"
    file.write_text(file.read_text().replace('"subjects":3000', '"subjects":3', 1))
    write_duckdb(again.root / "clinic.duckdb", edited(60))
    outcome = run(job(again), date="2026-11-23")
    assert outcome.refused
    assert "line 1 of the ledger was edited" in said(outcome)["subjects"].reason
    assert "nobody can tell what was let out before" in said(outcome)["subjects"].reason


def test_a_release_that_the_ledger_does_not_know_has_to_leave_first(again):
    shutil.rmtree(again.ledger("clinic"))
    write_duckdb(again.root / "clinic.duckdb", edited(60))
    outcome = run(job(again), date="2026-11-23")
    assert outcome.refused
    assert said(outcome)["subjects"].inconclusive
    assert (
        f"nobody can tell whom release {DATE} learnt: the vault's ledger does not know it"
        in said(outcome)["subjects"].reason
    )


KILLED = """
import os, signal, sys
from pathlib import Path
import twinlake.storage.publish as publishing
from twinlake.run.job import Job
from twinlake.run.run import run
def killed(*args): os.kill(os.getpid(), signal.SIGKILL)
publishing._place = killed
run(Job.open("clinic", start=Path(sys.argv[1])), date="2026-11-23")
"""


@pytest.mark.slow
def test_a_run_that_is_killed_between_reserving_and_placing_has_let_its_rows_out(again):
    write_duckdb(again.root / "clinic.duckdb", edited(60))
    ended = subprocess.run([sys.executable, "-c", KILLED, str(again.root)], env={**os.environ})
    assert ended.returncode == -9
    assert [(e.release, e.committed) for e in ledger(again).entries] == [(DATE, True), ("2026-11-23", False)]
    assert ledger(again).total("subjects") == 6000
    assert [r.name for r in releases(again, "clinic")] == [DATE]
    write_duckdb(again.root / "clinic.duckdb", edited(63))  # three more than what may have been seen
    assert "2026-11-23" in said(run(job(again), date="2026-11-24"))["subjects"].reason
    write_duckdb(again.root / "clinic.duckdb", edited(60))
    assert run(job(again), date="2026-11-23").fresh  # the same rows again finish what was cut short
    assert [(e.release, e.committed) for e in ledger(again).entries] == [(DATE, True), ("2026-11-23", True)]


@pytest.mark.slow
def test_a_model_that_outlives_its_extract_still_has_the_people_whom_it_learnt(again):
    text = again.pipeline_file("clinic").read_text().replace("snapshot: {", "snapshot: {rows: 0.9x, ")
    again.pipeline_file("clinic").write_text(text + 'retrain: {every: "0 2 1 * *"}\n')
    write_duckdb(again.root / "clinic.duckdb", edited(4))  # the model did not learn of them
    outcome = run(job(again), date="2026-11-23")
    assert said(outcome)["subjects"].passed
    assert len({e.extract for e in ledger(again).entries}) == 1
    shutil.rmtree(again.real("clinic", ledger(again).entries[0].extract))
    write_duckdb(again.root / "clinic.duckdb", edited(5))
    assert said(run(job(again), date="2026-11-24"))["subjects"].passed
    assert len({e.census for e in ledger(again).entries}) == 1


def test_the_ledger_never_stands_in_what_goes_out(served):
    told = (releases(served, "clinic")[0].folder / "manifest.json").read_text()
    assert ledger(served).entries[0].census not in told
    assert not set(json.loads(told)) & {"census", "extract", "ledger"}


@pytest.mark.slow
def test_people_are_told_what_was_let_out_in_all_and_when_the_limit_comes(again, monkeypatch):
    monkeypatch.chdir(again.root)
    told = CliRunner().invoke(main, ["releases", "clinic"])
    assert told.exit_code == 0
    assert "let out in all, 1 release, those that are gone included:" in told.output
    assert "subjects: 3,000 rows, 1.0 times the source's; the limit of 400 allows 399 more" in told.output
    write_duckdb(again.root / "clinic.duckdb", edited(60))
    assert run(job(again), date="2026-11-23").fresh
    told = CliRunner().invoke(main, ["releases", "clinic"])
    assert "allows 398 more like the last, at this pace until 2027-12-26" in told.output


def test_where_there_is_no_vault_nothing_is_told_of_it(again, monkeypatch):
    monkeypatch.chdir(again.root)
    shutil.rmtree(again.vault)
    told = CliRunner().invoke(main, ["releases", "clinic"])
    assert told.exit_code == 0
    assert "let out in all" not in told.output
    assert not again.vault.exists()


def test_a_tampered_ledger_is_told_in_a_sentence(again, monkeypatch):
    monkeypatch.chdir(again.root)
    (again.ledger("clinic") / "head.json").unlink()
    told = CliRunner().invoke(main, ["releases", "clinic"])
    assert told.exit_code == 2
    assert "a file of the ledger is missing" in told.output
    with pytest.raises(LakeError, match="a file of the ledger is missing"):
        ledger(again)
