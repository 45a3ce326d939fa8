"""What `twinlake run` and `twinlake report` say of privacy, and where the rest is."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from projects import make_project

from twinlake.cli import main
from twinlake.storage.layout import Layout


def call(layout: Layout, *args: str) -> Result:
    before = Path.cwd()
    os.chdir(layout.root)
    try:
        return CliRunner().invoke(main, args)
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> tuple[Layout, Result]:
    layout = make_project(tmp_path_factory.mktemp("report") / "project")
    done = call(layout, "run", "clinic")
    assert done.exit_code == 0, done.output
    return layout, done


def test_a_run_says_how_often_snapshots_of_these_rows_were_judged(served):
    assert "Snapshots of the same real rows were judged once under 1 setting." in served[1].output


def test_a_report_claims_what_was_passed_and_names_what_was_not_tested(served):
    told = call(served[0], "report", "clinic").output
    assert "Passed the policy for INTERNAL recipients." in told
    assert "Not tested:" in told


def test_the_full_page_is_written_into_the_vault_and_only_where_asked_for(served):
    layout, _ = served
    pages = layout.full_page("clinic", "x").parent
    assert not list(pages.glob("*")) if pages.exists() else True
    told = call(layout, "report", "clinic", "--vault")
    assert told.exit_code == 0, told.output
    page = Path(told.output.rpartition("in the vault: ")[2].strip())
    assert page.is_relative_to(layout.vault)
    assert page.stat().st_mode & 0o077 == 0
    assert "It stays in the vault." in page.read_text(encoding="utf-8")


def test_a_full_page_whose_verdicts_were_edited_is_not_written(served):
    layout, _ = served
    (file,) = layout.verdicts("clinic", "x").parent.glob("*.json")
    text = file.read_text()
    file.write_text(text.replace('"limit": 0.0', '"limit": 0.5', 1))
    told = call(layout, "report", "clinic", "--vault")
    file.write_text(text)
    assert told.exit_code == 2
    assert "edited after they were given" in told.output
