"""Neither git nor DVC ever takes real rows, whatever somebody adds."""

import os
import subprocess
import sys

import pytest
from lakes import project

from twinlake.errors import LakeError
from twinlake.storage.tracked import refuse_tracked

ROW = b"CANARY-7f3a"


@pytest.fixture
def layout(tmp_path):
    """A new project under git and DVC that says nothing of what to ignore."""
    layout = project(tmp_path)
    call(layout, "git", "init", "-q")
    call(layout, sys.executable, "-m", "dvc", "init", "-q")
    refuse_tracked(layout)
    for home in (layout.own_vault("clinic"), layout.data / "staging" / "clinic"):
        home.mkdir()
        (home / "rows.parquet").write_bytes(ROW)
    (layout.data / "lake").mkdir()
    (layout.data / "lake" / "rows.parquet").write_bytes(b"synthetic")
    return layout


def call(layout, *command: str) -> str:
    alone = os.environ | {"DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(command, cwd=layout.root, env=alone, capture_output=True, text=True).stdout


def test_adding_everything_adds_nothing_of_the_vault(layout):
    call(layout, "git", "add", "--all")
    assert call(layout, "git", "ls-files", "data").split() == ["data/lake/rows.parquet"]
    refuse_tracked(layout)


def test_what_was_forced_into_git_is_refused(layout):
    call(layout, "git", "add", "--force", "data/vault/clinic/rows.parquet")
    with pytest.raises(LakeError, match=r"git tracks files of data/vault\. Take them out with: git rm -r --cached"):
        refuse_tracked(layout)


def test_dvc_keeps_nothing_of_the_vault_though_the_whole_folder_is_added(layout):
    call(layout, sys.executable, "-m", "dvc", "add", "data")
    kept = [p.read_bytes() for p in (layout.root / ".dvc" / "cache").rglob("*") if p.is_file()]
    assert b"synthetic" in kept
    assert not any(ROW in content for content in kept)
    with pytest.raises(LakeError, match=r"data\.dvc makes data/vault an output of DVC"):
        refuse_tracked(layout)


@pytest.mark.parametrize("out", ["data/vault", "./data", "data/staging/clinic", "data/lake/../vault/clinic"])
@pytest.mark.parametrize("written", ["[{}]", "[{{{}: {{persist: true}}}}]", "[{{path: {}}}]"])
def test_a_stage_that_puts_out_the_vault_is_refused(layout, out, written):
    (layout.root / "dvc.yaml").write_text(f"stages:\n  s:\n    cmd: x\n    outs: {written.format(out)}\n")
    with pytest.raises(LakeError, match=r"dvc\.yaml makes data/"):
        refuse_tracked(layout)


def test_the_lake_is_nobodys_worry(layout):
    outs = "[data/lake/clinic, model.bin, {data/lake/${item}: {persist: true}}]"
    (layout.root / "dvc.yaml").write_text(f"stages:\n  s:\n    foreach: [a]\n    do: {{cmd: x, outs: {outs}}}\n")
    refuse_tracked(layout)
