"""The vault and staging are nobody's to version: git and DVC are told to pass them by, and a run refuses otherwise."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twinlake.errors import LakeError
from twinlake.storage.layout import Layout, private
from twinlake.storage.writing import write_whole

_NAMES = (".gitignore", ".dvcignore")  # both read one in any folder; `*` takes in the file itself


def refuse_tracked(layout: Layout) -> None:
    """Let git and DVC ignore the vault and staging; raises LakeError where one of them holds a part already."""
    homes = (layout.vault, layout.data / "staging")
    for home in homes:
        for name in _NAMES:
            file = private(home) / name
            if not file.exists():
                write_whole(file, "*\n")
    for home in homes:
        where = home.relative_to(layout.root).as_posix()
        if _by_git(layout.root, where):
            raise LakeError(
                f"git tracks files of {where}", where="real rows would be published with the code",
                fix=f"Take them out with: git rm -r --cached {where}; what was pushed has to be rewritten there too",
            )  # fmt: skip
        if out := next(_by_dvc(layout.root, home), None):
            raise LakeError(
                f"{out} makes {where} an output of DVC", where="real rows would be pushed to its remote",
                allowed="DVC keeps data/lake/NAME and nothing else of data", fix="Take that output out",
            )  # fmt: skip


def _by_git(root: Path, where: str) -> bool:
    try:
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "--", where], capture_output=True, text=True)
    except FileNotFoundError:  # no git on this machine
        return False
    return bool(listed.stdout.strip())


def _by_dvc(root: Path, home: Path) -> Iterator[str]:
    """The files of DVC that have an output which holds the folder, or lies in it."""
    import yaml

    own = [root / "dvc.yaml", root / "dvc.lock", *root.glob("*.dvc"), *(root / "data").glob("*.dvc")]
    for file in (f for f in (*own, *(root / "data").glob("*/*.dvc")) if f.is_file()):
        try:
            told = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue  # whoever runs DVC is told of it
        for out in _outs(told):
            path = (file.parent / out).resolve()
            if path.is_relative_to(home) or home.is_relative_to(path):
                yield file.relative_to(root).as_posix()


def _outs(told: Any) -> Iterator[str]:  # noqa: ANN401 - any YAML
    """The paths under every `outs:`, which DVC writes as texts, as `{path: ...}` or as `{PATH: {...}}`."""
    if isinstance(told, dict):
        for key, value in told.items():
            if key == "outs" and isinstance(value, list):
                for out in value:
                    yield str(out.get("path", next(iter(out))) if isinstance(out, dict) and out else out)
            else:
                yield from _outs(value)
    elif isinstance(told, list):
        for inner in told:
            yield from _outs(inner)
