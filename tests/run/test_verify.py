"""Who did not make a release can see whether it is what was judged, and why it was let out."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from projects import job, make_project, parquet_bytes, part

from twinlake.cli import main
from twinlake.run.run import run
from twinlake.run.verify import Look, verify
from twinlake.storage.catalog import build_catalog
from twinlake.storage.layout import Layout
from twinlake.storage.ledger import Ledger, read_ledger
from twinlake.storage.release import find_release
from twinlake.storage.secret import vault_secret
from twinlake.tables import file_hash


def call(layout: Layout, *args: str) -> Result:
    before = Path.cwd()
    os.chdir(layout.root)
    try:
        return CliRunner().invoke(main, ("verify", *args))
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Layout:
    layout = make_project(tmp_path_factory.mktemp("verify") / "project")
    run(job(layout), date="2026-11-22")
    return layout


@pytest.fixture
def layout(made, tmp_path) -> Layout:
    copy = Layout(Path(shutil.copytree(made.root, tmp_path / "project")))
    for file in [*copy.lake.rglob("*")]:
        file.chmod(0o755 if file.is_dir() else 0o644)
    build_catalog(copy)  # it tells of the place where it stands
    return copy


def folder(layout: Layout) -> Path:
    return find_release(layout, "clinic").folder


def looks(layout: Layout, **how: bool) -> dict[str, Look]:
    return {look.what: look for look in verify(folder(layout), layout, **how)}


def broken(layout: Layout) -> dict[str, str]:
    return {what: look.said for what, look in looks(layout).items() if not look.holds}


def test_what_was_released_holds_and_every_gate_says_the_same_again(layout):
    told = looks(layout, again=True)
    assert all(look.holds for look in told.values()), told
    assert list(told) == ["files", "what is in it", "verdicts", "ledger", "catalog", "gates again"]
    said = "gates say the same again. Not asked: over_time, real_expectations, real_expectations_warning"
    assert said in told["gates again"].said


def test_a_changed_byte_is_found(layout):
    file = part(folder(layout), "subjects")
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert "subjects/part-00000.parquet has been changed" in broken(layout)["files"]


def test_a_file_that_was_added_or_is_missing_is_found(layout):
    (folder(layout) / "notes.txt").write_text("x")
    (folder(layout) / "report.html").unlink()
    found = broken(layout)
    assert "notes.txt does not belong to the release" in found["files"]
    assert "report.html is missing" in found["files"]
    assert "notes.txt is no file of a release" in found["what is in it"]


def rewritten(layout: Layout, change) -> None:
    file = folder(layout) / "manifest.json"
    told = json.loads(file.read_text())
    change(told)
    file.write_text(json.dumps(told))


def test_rows_put_in_with_a_manifest_to_match_are_found(layout):
    other = part(folder(layout), "visits")
    rewritten(layout, lambda told: told["files"].sort(key=lambda f: -f["bytes"]))
    assert "other rows than those that were judged" in broken(layout)["files"]
    assert other.exists()


def test_a_card_that_shows_something_better_is_found(layout):
    def better(told) -> None:
        told["verdicts"][-1]["limit"] = 0.01

    rewritten(layout, better)
    assert broken(layout) == {
        "verdicts": "the card shows others than the vault holds",
        "ledger": "the manifest is not the one that was let out",
    }


def test_a_card_that_tells_what_stays_in_the_vault_is_found(layout):
    (file,) = layout.verdicts("clinic", "x").parent.glob("*.json")
    full = json.loads(file.read_text())["judgement"]["verdicts"]
    rewritten(layout, lambda told: told.update(verdicts=full))
    assert broken(layout)["verdicts"] == "the card shows others than the vault holds"


def test_another_page_is_found_though_the_manifest_was_made_to_match(layout):
    page = folder(layout) / "report.html"
    page.write_text("<p>All is well</p>")
    told = {"sha256": file_hash(page), "bytes": page.stat().st_size}
    rewritten(layout, lambda m: next(f for f in m["files"] if f["path"] == "report.html").update(told))
    assert broken(layout) == {"ledger": "the manifest is not the one that was let out"}


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("evidence", {"recipient": "public"}), ("evidence", {"overrides": []}), ("evidence", {"judged": 1}),
        ("rows", {"visits": 1}), ("origin", {"generator": "another"}), ("origin", {"licence": "another"}),
    ],
)  # fmt: skip
def test_whatever_else_the_manifest_claims_is_what_it_claimed_when_it_was_let_out(layout, where, change):
    def changed(told) -> None:
        told[where] |= change
        told["created"] = "2020-01-01T00:00:00+00:00"

    rewritten(layout, changed)
    assert broken(layout)["ledger"] == "the manifest is not the one that was let out"


def test_a_damaged_file_ends_no_look_at_the_others(layout):
    (folder(layout) / "schema.json").write_text("{")
    told = looks(layout)
    assert [look.holds for look in told.values()] == [False, False, True, True, True]
    assert told["what is in it"].said == "it can't be looked at (JSONDecodeError)"


def test_a_release_of_an_earlier_version_is_not_taken_for_verified(layout, monkeypatch):
    found = read_ledger(layout, "clinic", secret=vault_secret(layout))
    (entry,) = found.entries
    monkeypatch.setattr("twinlake.run.verify.read_ledger", lambda *_, **__: Ledger((replace(entry, manifest=""),)))
    assert broken(layout)["ledger"].startswith("an earlier version let it out")


def test_another_class_of_policy_is_found(layout):
    rewritten(layout, lambda told: told["evidence"].update(policy="0" * 20))
    assert "another policy, version or attempt" in broken(layout)["verdicts"]


def test_one_byte_of_a_verdict_is_found(layout):
    (file,) = layout.verdicts("clinic", "x").parent.glob("*.json")
    text = file.read_text()
    file.write_text(text.replace('"passed":true', '"passed":false', 1).replace('"passed": true', '"passed": false', 1))
    assert file.read_text() != text
    assert broken(layout) == {
        "verdicts": "its verdicts were edited after they were given. Run the checks again",
    }


def test_a_release_that_the_ledger_does_not_know_is_found(layout):
    rewritten(layout, lambda told: told.update(release="2026-11-21"))
    assert broken(layout) == {
        "ledger": "it does not know this release: verify it in the project that made it",
        "catalog": "this folder of the lake is not that of clinic@2026-11-21",
    }


def test_a_ledger_that_was_edited_is_found(layout):
    file = layout.ledger("clinic") / "releases.jsonl"
    file.write_text(file.read_text().replace("2026", "2025", 1))
    assert "edited" in broken(layout)["ledger"]


def test_gates_that_would_say_something_else_today_are_told(layout, monkeypatch):
    synthetic, real = folder(layout), next(layout.own_vault("clinic").glob("real/*/learnt"))
    for name, data in parquet_bytes(real).items():  # the twin is what was learnt
        (synthetic / name).write_bytes(data)
    assert looks(layout, again=True)["gates again"].said == "not asked, for something above does not hold"
    monkeypatch.setattr("twinlake.run.verify.verify_files", lambda *_: [])  # who has the secret could have sealed it
    told = looks(layout, again=True)
    assert not told["gates again"].holds
    assert "subjects · replay failed, and passed then" in told["gates again"].said


def test_a_link_is_no_part_of_a_release_wherever_it_leads(layout):
    real = next(layout.own_vault("clinic").glob("real/*/learnt/visits"))
    (folder(layout) / "visits" / "part-00001.parquet").symlink_to(real, target_is_directory=True)
    found = broken(layout)
    assert "visits/part-00001.parquet does not belong to the release" in found["files"]
    assert "visits/part-00001.parquet is no file of a release" in found["what is in it"]


def test_what_is_no_plain_file_is_not_waited_for(layout):
    (folder(layout) / "report.html").unlink()
    os.mkfifo(folder(layout) / "report.html")
    assert "report.html is no plain file" in broken(layout)["files"]


def test_a_catalog_that_serves_other_rows_is_found(layout):
    with duckdb.connect(str(layout.catalog)) as con:
        con.execute("DROP VIEW clinic.visits")
        con.execute("CREATE TABLE clinic.visits AS SELECT 42 AS id")
    assert "it serves something else than the releases" in broken(layout)["catalog"]


def test_a_release_moved_to_another_name_is_found(layout):
    folder(layout).rename(layout.release("clinic", "2026-12-31"))
    assert "is not that of clinic@2026-11-22" in broken(layout)["catalog"]


def test_an_account_of_attempts_that_was_taken_away_is_found(layout):
    layout.attempts("clinic").unlink()
    assert broken(layout) == {"ledger": "the account of attempts holds none that passed with these rows"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("clinic@2026-12-31", "there is no release clinic@2026-12-31"),
        ("./pipelines", "./pipelines is no release's folder: it has no manifest.json"),
        ("klinic", 'no pipeline "klinic" has a release'),
    ],
)
def test_what_names_no_release_is_said_in_a_sentence(layout, name, said):
    told = call(layout, name)
    assert told.exit_code == 2
    assert said in told.output


def test_under_other_settings_nothing_is_asked_again(layout):
    file = layout.pipeline_file("clinic")
    file.write_text(file.read_text().replace("holdout_units: 10", "holdout_units: 11"))
    told = looks(layout, again=True)["gates again"]
    assert not told.holds
    assert told.said.startswith("not run: the pipeline file, its suites or Twinlake's version are not those")


def test_rows_that_have_left_the_vault_can_not_be_asked_about(layout):
    shutil.rmtree(layout.own_vault("clinic") / "real")
    told = looks(layout, again=True)
    assert told["verdicts"].holds
    assert told["gates again"].said.startswith("the real rows of that run are no longer in the vault")


def test_the_command_prints_a_line_each_and_says_by_its_status_whether_all_holds(layout):
    done = call(layout, "clinic")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == str(folder(layout))
    assert [line[0] for line in done.stdout.splitlines()[1:]] == ["✓"] * 5
    part(folder(layout), "visits").unlink()
    done = call(layout, "clinic@2026-11-22")
    assert done.exit_code == 1
    assert "✗  files: visits/part-00000.parquet is missing" in done.stdout


def test_a_copy_is_looked_at_where_there_is_no_vault(layout, tmp_path):
    copy = Path(shutil.copytree(folder(layout), tmp_path / "away" / "2026-11-22"))
    shutil.rmtree(layout.vault)
    told = call(layout, str(copy))
    assert told.exit_code == 2
    assert "there is no vault here" in told.output
    assert not layout.secret_file.exists()
    both = call(layout, str(copy), "--public", "--again")
    assert both.exit_code == 2
    assert "--public is without a vault" in both.output
    alone = call(layout, str(copy), "--public")
    assert alone.exit_code == 0, alone.output
    assert [line[:1] for line in alone.stdout.splitlines()[1:3]] == ["✓", "✓"]
    assert "nothing here is signed" in alone.stdout
