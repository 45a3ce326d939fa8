import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lakes import project

from twinlake.census import Census
from twinlake.errors import LakeError
from twinlake.storage.layout import Layout
from twinlake.storage.ledger import Entry, commit, read_censuses, read_ledger, reserve
from twinlake.storage.secret import SIZE, vault_secret

CENSUS = Census(np.arange(5, dtype=np.uint64), np.arange(5, dtype=np.uint64) * 7, np.array([1, 1, 0, 1, 0], bool))


def entry(release: str, snapshot: str = "", rows: int = 10) -> Entry:
    return Entry(
        release=release, snapshot=snapshot or f"hash of {release}", rows={"people": rows}, source={"people": 10},
        extract="extract", census="", told_by={"people": "(id int64)"}, settings="settings",
    )  # fmt: skip


def let_out(layout: Layout, one: Entry) -> None:
    reserve(layout, "clinic", one, {"people": CENSUS}, secret=vault_secret(layout))
    commit(layout, "clinic", one.release, one.snapshot, secret=vault_secret(layout))


def ledger(layout: Layout):
    return read_ledger(layout, "clinic", secret=vault_secret(layout))


def lines(layout: Layout) -> Path:
    return layout.ledger("clinic") / "releases.jsonl"


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Layout:
    """A ledger of three releases."""
    layout = project(tmp_path_factory.mktemp("ledger"))
    for day in (1, 2, 3):
        let_out(layout, entry(f"2026-11-0{day}"))
    return layout


@pytest.fixture
def layout(kept, tmp_path) -> Layout:
    return Layout(Path(shutil.copytree(kept.root, tmp_path / "project")))


def test_what_was_let_out_is_read_back_in_order(layout):
    assert [(e.release, e.committed) for e in ledger(layout).entries] == [(f"2026-11-0{d}", True) for d in (1, 2, 3)]
    assert ledger(layout).total("people") == 30
    assert ledger(layout).total("people", without="hash of 2026-11-02") == 20


def test_where_nothing_was_let_out_the_ledger_is_empty(tmp_path):
    assert ledger(project(tmp_path)).entries == ()


def test_the_same_rows_let_out_twice_count_once(layout):
    let_out(layout, entry("2026-11-04", "hash of 2026-11-03"))
    assert len(ledger(layout).entries) == 4
    assert ledger(layout).total("people") == 30


def test_reserving_and_committing_again_changes_nothing(layout):
    before = lines(layout).read_bytes()
    let_out(layout, entry("2026-11-03"))
    assert lines(layout).read_bytes() == before


def test_a_release_that_was_reserved_only_counts_as_let_out(layout):
    reserve(layout, "clinic", entry("2026-11-04"), {"people": CENSUS}, secret=vault_secret(layout))
    assert not ledger(layout).entries[-1].committed
    assert ledger(layout).total("people") == 40


def test_nobody_but_the_owner_reads_the_ledger(layout):
    assert all(f.stat().st_mode & 0o077 == 0 for f in (layout.ledger("clinic"), *layout.ledger("clinic").iterdir()))


def test_censuses_come_back_without_pickle(layout):
    found = read_censuses(layout, "clinic", ledger(layout).entries[0], tables=["people", "visits"])
    assert list(found) == ["people"]
    assert found["people"].units.tolist() == CENSUS.units.tolist()
    assert found["people"].learnt.tolist() == CENSUS.learnt.tolist()


def test_a_census_that_was_changed_is_refused(layout):
    one = ledger(layout).entries[0]
    (layout.ledger("clinic") / f"{one.census}.npz").write_bytes(b"other")
    with pytest.raises(LakeError, match="the list of the units behind a release is missing or was changed"):
        read_censuses(layout, "clinic", one, tables=["people"])


@pytest.mark.parametrize("at", range(6))
def test_a_line_that_is_edited_is_found(layout, at):
    whole = lines(layout).read_text().splitlines(keepends=True)
    told = json.loads(whole[at])
    next(iter(told["told"].values()))["release"] = "2026-10-01"
    whole[at] = json.dumps(told, sort_keys=True, separators=(",", ":")) + "\n"
    lines(layout).write_text("".join(whole))
    with pytest.raises(LakeError, match=rf"line {at + 1} of the ledger was edited.*Bring the folder ledger"):
        ledger(layout)


@pytest.mark.parametrize("at", range(6))
def test_a_line_that_is_taken_out_is_found(layout, at):
    whole = lines(layout).read_text().splitlines(keepends=True)
    lines(layout).write_text("".join(whole[:at] + whole[at + 1 :]))
    with pytest.raises(LakeError, match=r"edited, or one before it taken out|5 whole lines and had 6"):
        ledger(layout)


@pytest.mark.parametrize("file", ["releases.jsonl", "head.json"])
def test_a_file_that_is_taken_away_is_missed(layout, file):
    (layout.ledger("clinic") / file).unlink()
    with pytest.raises(LakeError, match="a file of the ledger is missing"):
        ledger(layout)


def test_a_count_that_is_edited_to_hide_lines_is_found(layout):
    head = layout.ledger("clinic") / "head.json"
    head.write_text(json.dumps(json.loads(head.read_text()) | {"lines": 4}))
    with pytest.raises(LakeError, match="the count of the ledger's lines was edited"):
        ledger(layout)


def test_lines_of_another_vault_are_not_taken_for_ours(layout, tmp_path):
    other = project(tmp_path / "other")
    vault_secret(other)
    other.secret_file.write_bytes(b"o" * SIZE)
    shutil.copytree(layout.ledger("clinic"), other.ledger("clinic"))
    with pytest.raises(LakeError, match="nobody can tell what was let out before"):
        ledger(other)


def test_a_tampered_ledger_takes_no_new_line(layout):
    lines(layout).write_text("".join(lines(layout).read_text().splitlines(keepends=True)[:-1]))
    before = lines(layout).read_bytes()
    with pytest.raises(LakeError, match="5 whole lines and had 6"):
        let_out(layout, entry("2026-11-04"))
    assert lines(layout).read_bytes() == before


@pytest.mark.parametrize("torn", [b"{", b'{"seal": "00", "told": {}}'])
def test_a_line_that_a_killed_process_tore_is_left_out_and_written_over(layout, torn):
    lines(layout).write_bytes(lines(layout).read_bytes() + torn)
    assert len(ledger(layout).entries) == 3
    let_out(layout, entry("2026-11-04"))
    assert [e.release for e in ledger(layout).entries][-1] == "2026-11-04"


KILLED = """
import os, signal, sys
from pathlib import Path
import twinlake.storage.ledger as accounts
from twinlake.storage.layout import Layout
from twinlake.storage.secret import vault_secret
sys.path.insert(0, sys.argv[2])
from test_ledger import CENSUS, entry
layout = Layout(Path(sys.argv[1]))
def killed(*_): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "before the head": accounts._save_head = killed
accounts.reserve(layout, "clinic", entry("2026-11-04"), {"people": CENSUS}, secret=vault_secret(layout))
killed()
"""


@pytest.mark.parametrize("when", ["before the head", "before the commit"])
def test_a_process_that_is_killed_after_reserving_has_let_the_release_out(layout, when):
    here = str(Path(__file__).parent)
    environment = os.environ | {"PYTHONPATH": str(Path(here).parent)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(layout.root), here, when], env=environment)
    assert done.returncode == -9
    last = ledger(layout).entries[-1]
    assert (last.release, last.committed) == ("2026-11-04", False)
    let_out(layout, entry("2026-11-04"))  # the next run finishes what was cut short
    assert ledger(layout).entries[-1] == replace(last, committed=True)
    assert ledger(layout).total("people") == 40
