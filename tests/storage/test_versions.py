import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from lakes import project, released
from scenario import clinic

from twinlake.errors import LakeError
from twinlake.storage.lake import query
from twinlake.storage.release import releases
from twinlake.storage.versions import Version, add_pipeline, record

ROOT = Path(__file__).parents[2]
STAND_IN = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from lakes import released
from twinlake.storage.layout import Layout
from twinlake.storage.versions import record
assert sys.argv[1:] == ["run", "clinic"]
layout = Layout(Path.cwd())
assert record(layout, "clinic", released(layout, "2026-11-22", seed=1).name, remote=None).tag is None
"""
HERE = {**os.environ, "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A project in git with this repository's own DVC settings; git knows nobody's name."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    layout = project(tmp_path / "project")
    (layout.root / "dvc.yaml").unlink()
    (layout.root / ".dvc").mkdir()
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copy(ROOT / name, layout.root / name)
    add_pipeline(layout, "clinic")
    git(layout, "init", "--quiet")
    git(layout, "add", ".")
    git(layout, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "--quiet", "--message", "start")
    return layout


def git(layout, *arguments: str) -> str:
    return run(layout, "git", *arguments)


def dvc(layout, *arguments: str) -> str:
    return run(layout, sys.executable, "-m", "dvc", *arguments)


def run(layout, *command: str) -> str:
    done = subprocess.run(command, cwd=layout.root, env=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def out(layout, date, rows=20, **more) -> Version:
    """Publish and record a release."""
    release = released(layout, date, seed=rows, tables=clinic(rows, rows), **more)
    return record(layout, release.pipeline, release.name, remote=None)


def test_a_release_is_committed_tagged_and_pushed(layout):
    version = out(layout, "2026-11-22")
    assert version == Version("clinic@2026-11-22", True, version.sentence)
    assert version.sentence == "recorded as git tag clinic@2026-11-22 and pushed to the default remote"
    assert git(layout, "cat-file", "-t", "clinic@2026-11-22") == "tag"
    assert git(layout, "show", "--name-only", "--format=%s|%an", "HEAD").split() == (
        ["data:", "release", "clinic@2026-11-22|Twinlake", "dvc.lock"]
    )
    assert git(layout, "status", "--porcelain") == ""
    assert "up to date" in dvc(layout, "status", "release@clinic")
    assert any((layout.data / "dvc-remote").rglob("*.dir"))
    before = git(layout, "rev-parse", "HEAD")
    assert record(layout, "clinic", "2026-11-22", remote=None) == version  # again: nothing changes
    assert git(layout, "rev-parse", "HEAD") == before


def test_a_release_that_is_gone_comes_back_by_its_tag(layout):
    out(layout, "2026-11-21", 20)
    out(layout, "2026-11-22", 30, keep=1)
    assert [r.name for r in releases(layout)] == ["2026-11-22"]
    dvc(layout, "get", ".", "data/lake/clinic/2026-11-21", "--rev", "clinic@2026-11-21", "--out", "old")
    rows = json.loads((layout.root / "old" / "manifest.json").read_text())["rows"]
    assert rows["subjects"] == 20
    git(layout, "checkout", "--quiet", "clinic@2026-11-21")
    dvc(layout, "checkout", "release@clinic")
    assert query(layout, "SELECT count(*) AS n FROM clinic.subjects").to_pylist() == [{"n": 20}]


def test_only_dvc_lock_is_committed_whatever_else_is_under_way(layout):
    (layout.root / "half.py").write_text("half done")
    git(layout, "add", "half.py")
    (layout.root / "pipelines" / "clinic.yaml").write_text("source: other\n")
    out(layout, "2026-11-22")
    assert git(layout, "show", "--name-only", "--format=", "HEAD") == "dvc.lock"
    assert git(layout, "diff", "--name-only", "--cached") == "half.py"
    assert git(layout, "diff", "--name-only") == "pipelines/clinic.yaml"


def test_real_rows_never_get_near_dvc(layout):
    real = layout.real("clinic", "abc")
    real.mkdir(parents=True)
    (real / "canary.parquet").write_bytes(b"CANARY-7f3a")
    out(layout, "2026-11-22")
    kept = [p for home in (layout.root / ".dvc", layout.data / "dvc-remote") for p in home.rglob("*") if p.is_file()]
    assert len(kept) > 10
    assert not any(b"CANARY-7f3a" in p.read_bytes() for p in kept)
    assert "vault" not in (layout.root / "dvc.lock").read_text()


@pytest.mark.slow
def test_two_pipelines_record_at_once(layout):
    for folder in ("pipelines/other.yaml", "expectations/other"):
        source = layout.root / folder.replace("other", "clinic")
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, layout.root / folder)
    add_pipeline(layout, "other")
    code = (
        "import sys; from pathlib import Path; from twinlake.storage.layout import Layout;"
        "from twinlake.storage.versions import record;"
        "print(record(Layout(Path(sys.argv[1])), sys.argv[2], '2026-11-22', remote=None).sentence)"
    )
    for pipeline in ("clinic", "other"):
        released(layout, "2026-11-22", pipeline=pipeline)
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(layout.root), p], env=HERE, stdout=subprocess.PIPE, text=True)
        for p in ("clinic", "other", "clinic", "other")
    ]
    said = [process.communicate()[0] for process in running]
    assert all(s.startswith("recorded as git tag ") for s in said), said
    assert git(layout, "tag").split() == ["clinic@2026-11-22", "other@2026-11-22"]
    assert "up to date" in dvc(layout, "status")


def test_another_remote_may_be_a_url(layout, tmp_path):
    release = released(layout, "2026-11-22")
    version = record(layout, "clinic", release.name, remote=str(tmp_path / "bucket"))
    assert version.pushed
    assert any((tmp_path / "bucket").rglob("*.dir"))
    assert git(layout, "status", "--porcelain") == ""  # the URL stands in this checkout's own settings only


def test_a_remote_that_is_not_there_leaves_the_release_recorded(layout):
    release = released(layout, "2026-11-22")
    version = record(layout, "clinic", release.name, remote="nowhere")
    assert (version.tag, version.pushed) == ("clinic@2026-11-22", False)
    assert "released and recorded, but not pushed: dvc push says: " in version.sentence
    assert version.sentence.endswith('To repeat it: dvc push --remote nowhere "release@clinic"')


def test_what_git_refuses_leaves_the_release_out_and_says_how_to_repeat(layout):
    hook = layout.root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'not on a Sunday' >&2\nexit 1\n")
    hook.chmod(0o755)
    version = out(layout, "2026-11-22")
    assert version.tag is None
    assert version.sentence.startswith(
        "clinic@2026-11-22 is released, but not recorded: git commit says: not on a Sunday. To repeat it: dvc commit"
    )
    assert query(layout, "SELECT count(*) AS n FROM clinic.subjects").to_pylist() == [{"n": 20}]
    hook.unlink()
    subprocess.run(version.sentence.split("To repeat it: ")[1].replace("dvc ", f"{sys.executable} -m dvc ", 1).replace(
        "git ", "git -c user.name=a -c user.email=a@b.example "), shell=True, cwd=layout.root, env=HERE, check=True,
        capture_output=True)  # fmt: skip
    assert git(layout, "tag") == "clinic@2026-11-22"


def test_within_dvc_repro_it_is_dvc_that_records(layout, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "release@clinic")
    version = out(layout, "2026-11-22")
    assert version == Version(None, False, "not recorded here: dvc repro, which runs this, records it itself")
    assert git(layout, "tag") == ""


def test_dvc_repro_runs_the_stage_and_keeps_older_releases(layout):
    out(layout, "2026-11-21", 20)
    binary = layout.root / ".venv" / "bin" / "twinlake"  # stands in for the command line, to try the stage as it is
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!{sys.executable}\n{STAND_IN.format(tests=str(ROOT / 'tests'))}")
    binary.chmod(0o755)
    (layout.root / "pipelines" / "clinic.yaml").write_text("source: other\n")
    dvc(layout, "repro", "release@clinic")
    assert [r.name for r in releases(layout)] == ["2026-11-21", "2026-11-22"]
    assert "up to date" in dvc(layout, "status", "release@clinic")
    assert git(layout, "tag") == "clinic@2026-11-21"


def test_without_git_or_dvc_the_sentence_says_why(tmp_path):
    layout = project(tmp_path)
    assert "is no DVC repository" in record(layout, "clinic", "2026-11-22", remote=None).sentence
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    assert "is in no git repository" in record(layout, "clinic", "2026-11-22", remote=None).sentence


def test_a_pipeline_that_dvc_does_not_know_is_not_recorded(layout):
    assert 'does not list "other"' in record(layout, "other", "2026-11-22", remote=None).sentence
    assert "DVC takes only letters" in record(layout, "my shop", "2026-11-22", remote=None).sentence


def test_a_pipeline_is_added_and_every_comment_stays(tmp_path):
    layout = project(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", layout.root / "dvc.yaml")
    before = (ROOT / "dvc.yaml").read_text()
    add_pipeline(layout, "clinic")
    add_pipeline(layout, "clinic")
    add_pipeline(layout, "my shop")
    after = (layout.root / "dvc.yaml").read_text()
    expected = before.replace("      - flights\n", "      - flights\n      - clinic\n")
    assert after == expected + "  clinic:\n    path: data/lake/clinic\n    type: synthetic-dataset\n"


def test_a_new_project_gets_the_same_dvc_yaml(tmp_path):
    layout = project(tmp_path)
    add_pipeline(layout, "adult")
    add_pipeline(layout, "flights")
    assert (layout.root / "dvc.yaml").read_text() == (ROOT / "dvc.yaml").read_text()


@pytest.mark.parametrize("text", ["stages: {}\n", "- a\n", "stages: [\n", "stages: {release: {foreach: 7}}\n"])
def test_a_dvc_yaml_of_another_shape_is_left_alone(tmp_path, text):
    layout = project(tmp_path)
    (layout.root / "dvc.yaml").write_text(text)
    with pytest.raises(LakeError, match=r'dvc\.yaml: there is no stage "release" with a list of pipelines'):
        add_pipeline(layout, "clinic")
    assert (layout.root / "dvc.yaml").read_text() == text


def test_every_pipeline_of_this_repository_is_in_dvc_yaml():
    listed = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["release"]["foreach"]
    assert sorted(listed) == sorted(p.stem for p in (ROOT / "pipelines").glob("*.yaml"))
