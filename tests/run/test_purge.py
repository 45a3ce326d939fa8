"""Real rows and models stay in the vault no longer than they are needed."""

import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from projects import job, make_project

from twinlake.cli import main
from twinlake.errors import BusyError, DataError
from twinlake.run.extract import extract, open_extract
from twinlake.run.purge import needed, purge
from twinlake.run.record import Record
from twinlake.run.run import run
from twinlake.storage.layout import Layout, private
from twinlake.storage.lock import pipeline_lock

OLD = 40


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Layout:
    """A project with one release of today's rows."""
    layout = make_project(tmp_path_factory.mktemp("purge") / "project")
    assert run(job(layout), date="2025-01-02").release
    return layout


def aged(path: Path, days: int = OLD) -> Path:
    """A file or folder of the vault that was last written so many days ago."""
    if not path.exists():
        private(path.parent)
        path.mkdir()
        (path / "rows").write_text("Mrs Real")
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return path


def planted(layout: Layout) -> list[Path]:
    own = layout.own_vault("clinic")
    return [
        aged(layout.real("clinic", "old")), aged(layout.model("clinic", "old")), aged(own / "scratch" / "died"),
        aged(own / "logs" / "old.log"), aged(own / "tmp" / "left"), aged(layout.staging("clinic", "refused")),
    ]  # fmt: skip


def test_what_is_old_and_needed_by_nothing_goes(ran):
    old = planted(ran)
    young = aged(ran.real("clinic", "young"), days=3)
    told = purge(ran, "clinic", keep_days=30)
    assert not any(p.exists() for p in old)
    assert young.exists()
    assert str(told).startswith("1 extract, 1 model, 1 log, 1 snapshot, 1 left-over, 1 temporary file removed, ")
    assert str(purge(ran, "clinic", keep_days=30)) == "nothing to remove"
    purge(ran, "clinic", keep_days=0)
    assert not young.exists()


def test_what_the_served_release_and_the_newest_run_came_from_stays_at_any_age(ran):
    made = Record.load(ran, "clinic", "2025-01-02")
    kept = [ran.real("clinic", made.extract), ran.model("clinic", made.model), ran.staging("clinic", made.snapshot)]
    assert {p.name for p in kept} == needed(ran, "clinic")
    own = Record.load(ran, "clinic", "2025-01-03").save(ran, extract="new", model="settings-older", snapshot="s")
    assert needed(ran, "clinic") >= {"new", "older", "settings-older", "s"}
    ran.record("clinic", own.date).unlink()
    for path in kept:
        aged(path)
    purge(ran, "clinic", keep_days=0)
    assert all(p.exists() for p in kept)
    assert run(job(ran), date="2025-01-02").title == "nothing changed since 2025-01-02"


def test_every_run_purges_by_the_pipeline_files_days(ran):
    old = aged(ran.real("clinic", "old"))
    extract(job(ran), Record.load(ran, "clinic", "2025-01-02"))
    assert not old.exists()


def test_purging_all_leaves_no_real_row_and_the_next_run_goes_on(tmp_path):
    layout = make_project(tmp_path / "p")
    assert run(job(layout), date="2025-01-02").release
    made = Record.load(layout, "clinic", "2025-01-02")
    purge(layout, "clinic", keep_days=30, everything=True)
    own = layout.own_vault("clinic")
    left = {p.relative_to(own).parts[0] for p in own.rglob("*") if p.suffix in (".parquet", ".npz")}
    assert left <= {"ledger"}  # keyed hashes of units, which releases to come are compared with
    with pytest.raises(DataError, match=r"clinic: the real rows of that run are no longer in the vault\. Run again"):
        open_extract(job(layout), made.need("extract"))
    assert run(job(layout), date="2025-01-02").title == "nothing changed since 2025-01-02"
    assert open_extract(job(layout), made.need("extract")).learnt.rows("subjects")


def test_a_pipeline_that_runs_is_not_purged(ran):
    with pipeline_lock(ran, "clinic"), pytest.raises(BusyError):
        purge(ran, "clinic", keep_days=0)


def test_a_name_without_a_vault_is_a_sentence(ran):
    with pytest.raises(DataError, match=r'holds nothing of clinc; there are clinic\. Did you mean "clinic"\?'):
        purge(ran, "clinc", keep_days=0)


def test_the_command_purges_also_where_the_pipeline_file_is_gone(ran, monkeypatch):
    monkeypatch.chdir(ran.root)
    old, young = aged(ran.real("clinic", "old")), aged(ran.real("clinic", "young"), days=3)
    told = CliRunner().invoke(main, ["purge", "clinic"])
    assert (told.exit_code, old.exists(), young.exists()) == (0, False, True), told.output
    text = ran.pipeline_file("clinic").read_text()
    ran.pipeline_file("clinic").unlink()
    try:
        assert CliRunner().invoke(main, ["purge", "clinic", "--keep-days", "1"]).exit_code == 0
    finally:
        ran.pipeline_file("clinic").write_text(text)
    assert not young.exists()


def test_files_of_the_vault_are_their_owners_only_even_where_the_folder_is_copied(ran):
    for home in (ran.vault, ran.data / "staging"):
        whole = (home, *home.rglob("*"))
        assert {p.name for p in whole if p.stat().st_mode & 0o077} <= {"run.lock"}  # it is empty
        assert len(whole) > 5
