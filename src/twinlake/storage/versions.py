"""Versions of the lake: DVC remembers the bytes of every release, git which of them were served when.

The only file that knows DVC. A release is published before it is recorded: where recording fails, it stays out and
the sentence says what to repeat.
"""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinlake.errors import LakeError, TwinlakeError
from twinlake.storage.layout import Layout, tag_of
from twinlake.storage.lock import short_lock

STAGE = "release"
LOCK_FILE = "dvc.lock"
DVC_FILES = (LOCK_FILE, "dvc.yaml")  # a tag leads to its bytes only where both are in its commit
PLAIN = re.compile(r"[A-Za-z0-9_.-]+")  # what DVC takes for the name of a stage
PATIENCE = 900.0  # DVC copies and hashes a whole release while it holds the lock

TEMPLATE = """\
# What DVC keeps of each pipeline: the releases it has put into the lake. Real data is never an output.
# A run records its release here by itself; `dvc repro` is another way to run.
stages:
  release:
    foreach: []
    do:
      cmd: PATH="$PWD/.venv/bin:$PATH" twinlake run "${item}"
      deps:
        - pipelines/${item}.yaml
        - expectations/${item}
      outs:
        - data/lake/${item}:
            persist: true  # a run adds a release; the older ones stay
artifacts: {}
"""


@dataclass(frozen=True, slots=True)
class Version:
    """What was recorded of a release.

    Attributes:
        tag: the git tag that leads to its bytes, `adult@2026-11-22`; None where nothing was recorded.
        pushed: whether the remote has the bytes.
        sentence: for a person: what was done, why nothing was, or what failed and how to repeat it.
    """

    tag: str | None
    pushed: bool
    sentence: str


def record(layout: Layout, pipeline: str, release: str, *, remote: str | None) -> Version:
    """Record a published release with DVC and git, and push its bytes to a remote.

    Within `dvc repro`, or outside a git repository with DVC, nothing is recorded and the sentence says so. Never raises
    for what git, DVC or the remote refuse: the release is out, and the sentence says what to repeat.

    Args:
        layout: the project.
        pipeline: whose release it is.
        release: its name, `2026-11-22`.
        remote: name or URL of a DVC remote; None for the project's default one.
    """
    if why := _unversioned(layout, pipeline):
        return Version(None, False, why)
    tag = tag_of(pipeline, release)
    try:
        with short_lock(layout, "versions", patience=PATIENCE):
            _commit(layout, pipeline, tag)
            target = _remote(layout, remote)
    except TwinlakeError as error:
        again = (
            f'dvc commit -f "{STAGE}@{pipeline}" && git add {LOCK_FILE} && '
            f'git commit -m "data: release {tag}" -- {LOCK_FILE} && git tag -a -m "Release {tag}" "{tag}"'
        )
        return Version(None, False, f"{tag} is released, but not recorded: {error} To repeat it: {again}")
    try:
        _dvc(layout, "push", *target, f"{STAGE}@{pipeline}")
    except TwinlakeError as error:
        again = " ".join(["dvc push", *target, f'"{STAGE}@{pipeline}"'])
        return Version(tag, False, f"{tag} is released and recorded, but not pushed: {error} To repeat it: {again}")
    return Version(
        tag, True, f"recorded as git tag {tag} and pushed to {target[1] if target else 'the default remote'}"
    )


def add_pipeline(layout: Layout, pipeline: str) -> None:
    """Enter a pipeline in dvc.yaml, which is made where there is none; comments and order stay.

    A name that DVC can't take is left out; `record` says so of its releases.

    Raises:
        LakeError: where dvc.yaml has no stage `release` with a list of pipelines.
    """
    if not PLAIN.fullmatch(pipeline):
        return
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    file = layout.root / "dvc.yaml"
    try:
        document = yaml.load(file if file.exists() and file.stat().st_size else TEMPLATE)
        names = document["stages"][STAGE]["foreach"]
        if pipeline not in names:
            names.append(pipeline)
            names.fa.set_block_style()
    except (YAMLError, KeyError, TypeError, AttributeError):
        raise LakeError(
            f'there is no stage "{STAGE}" with a list of pipelines under foreach:', where="dvc.yaml",
            fix=f"Take the one of a new project as a model, or add {pipeline} by hand",
        ) from None  # fmt: skip
    artifacts = document.setdefault("artifacts", CommentedMap())
    artifacts.setdefault(re.sub(r"[._]", "-", pipeline), {"path": f"data/lake/{pipeline}", "type": "synthetic-dataset"})
    artifacts.fa.set_block_style()
    beside = file.with_name(".dvc.yaml.new")
    with beside.open("w", encoding="utf-8") as out:
        yaml.dump(document, out)
    beside.replace(file)


def _unversioned(layout: Layout, pipeline: str) -> str:
    """Why there is nothing to record to; empty where there is."""
    if "DVC_STAGE" in os.environ:
        return "not recorded here: dvc repro, which runs this, records it itself"
    if not (layout.root / ".dvc" / "config").is_file():
        return "not recorded: the project is no DVC repository (make it one with: git init && dvc init)"
    if _run(layout, "git", "rev-parse", "--git-dir").returncode:
        return "not recorded: the project is in no git repository (make it one with: git init)"
    if not PLAIN.fullmatch(pipeline):
        return "not recorded: DVC takes only letters, digits, dots, - and _ in a pipeline's name"
    if pipeline not in _stages(layout):
        return f'not recorded: dvc.yaml does not list "{pipeline}" under foreach:'
    return ""


def _stages(layout: Layout) -> list[str]:
    import yaml

    try:
        document = yaml.safe_load((layout.root / "dvc.yaml").read_text(encoding="utf-8"))
        return [str(name) for name in document["stages"][STAGE]["foreach"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return []


def _commit(layout: Layout, pipeline: str, tag: str) -> None:
    """Enter the lake's state in dvc.lock, commit DVC's own files alone, and tag the commit; what is done stays."""
    _dvc(layout, "commit", "--force", f"{STAGE}@{pipeline}")
    _git(layout, "add", "--", *DVC_FILES)
    if _run(layout, "git", "diff", "--quiet", "HEAD", "--", *DVC_FILES).returncode:
        _git(layout, *_identity(layout), "commit", "--quiet", "--message", f"data: release {tag}", "--", *DVC_FILES)
    if not _git(layout, "tag", "--list", tag):
        _git(layout, *_identity(layout), "tag", "--annotate", "--message", f"Release {tag}", tag)


def _remote(layout: Layout, remote: str | None) -> list[str]:
    """How `dvc push` is told of a remote; a URL is entered in this checkout's own DVC settings first."""
    if remote is None:
        return []
    if "/" not in remote and ":" not in remote:
        return ["--remote", remote]
    name = f"twinlake-{hashlib.sha256(remote.encode()).hexdigest()[:8]}"
    _dvc(layout, "remote", "add", "--local", "--force", "--quiet", name, remote)
    return ["--remote", name]


def _identity(layout: Layout) -> Iterator[str]:
    """Settings that name somebody as the author where git knows nobody."""
    for name, value in (("user.name", "Twinlake"), ("user.email", "twinlake@localhost")):
        told = _run(layout, "git", "config", name).returncode == 0
        part = name.split(".")[1].upper()
        if not told and not {f"GIT_AUTHOR_{part}", f"GIT_COMMITTER_{part}"} <= os.environ.keys():
            yield from ("-c", f"{name}={value}")


def _git(layout: Layout, *arguments: str) -> str:
    verb = next(a for a in arguments if a in ("add", "commit", "tag"))  # settings may stand before it
    return _checked(_run(layout, "git", *arguments), f"git {verb}")


def _dvc(layout: Layout, *arguments: str) -> str:
    return _checked(_run(layout, sys.executable, "-m", "dvc", "--wait-for-lock", *arguments), f"dvc {arguments[0]}")


def _checked(done: subprocess.CompletedProcess[str], what: str) -> str:
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise LakeError(f"{what} says: {said[0].removeprefix('ERROR: ') if said else done.returncode}")
    return done.stdout.strip()


def _run(layout: Layout, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(layout.dvc_site),
        "GIT_TERMINAL_PROMPT": "0",
    }
    try:
        return subprocess.run(command, cwd=layout.root, env=environment, capture_output=True, text=True)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{Path(command[0]).name} is not installed")
