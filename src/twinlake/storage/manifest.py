"""The manifest: what a release is, what it was made from and by what, and why it was let out."""

import datetime as dt
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from twinlake.card import Evidence
from twinlake.errors import LakeError
from twinlake.schema import Schema
from twinlake.tables import canonical, file_hash
from twinlake.verdict import Verdict

FORMAT = 1
DEPENDENCIES = ("duckdb", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a release: its path inside it, SHA-256, size, and rows where it holds rows."""

    path: str
    sha256: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a snapshot was made from and by what.

    Attributes:
        generator: the generator's name.
        licence: the licence of the generator.
        settings: the pipeline's public settings; a seed among them is refused, for it would undo the wall.
        source: keyed fingerprint of the real tables: tells whether two releases saw the same rows, and no more.
        versions: of Twinlake, Python and what the bytes depend on.
        commit: the git commit of the project, where it is a git repository.
    """

    generator: str
    licence: str
    settings: Mapping[str, Any]
    source: str
    versions: Mapping[str, str] = field(default_factory=lambda: installed_versions())
    commit: str | None = None

    def __post_init__(self) -> None:
        """Refuse a seed anywhere in the settings."""
        if where := next(_seeds(self.settings), None):
            raise ValueError(f"a manifest never holds a seed, but its settings do: {where}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything a consumer may know about a release. All of it is public.

    Attributes:
        created: when it was published, UTC, ISO 8601.
        snapshot: hash of the schema and all rows; what the verdicts are about.
        verdicts: as the card shows them; in full they stay in the vault.
        rows: rows of each table, in the schema's order.
        evidence: under which policy it was judged; None in manifests of earlier versions.
    """

    pipeline: str
    release: str
    created: str
    origin: Origin
    snapshot: str
    files: tuple[File, ...]
    schema: Schema
    verdicts: tuple[Verdict, ...]
    rows: Mapping[str, int]
    evidence: Evidence | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return {
            "format": FORMAT,
            "synthetic": True,
            "pipeline": self.pipeline,
            "release": self.release,
            "created": self.created,
            "origin": asdict(self.origin),
            "snapshot": self.snapshot,
            "files": [asdict(f) for f in self.files],
            "schema": self.schema.to_json(),
            "verdicts": [v.to_json() for v in self.verdicts],
            "rows": dict(self.rows),
            "evidence": self.evidence.to_json() if self.evidence else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The manifest that `to_json` wrote; raises ValueError for one of another format."""
        if data["format"] != FORMAT or data["synthetic"] is not True:
            raise ValueError(f"a manifest of format {data['format']}")
        schema = Schema.from_json(data["schema"])
        return cls(
            pipeline=data["pipeline"],
            release=data["release"],
            created=data["created"],
            origin=Origin(**data["origin"]),
            snapshot=data["snapshot"],
            files=tuple(File(**f) for f in data["files"]),
            schema=schema,
            verdicts=tuple(Verdict.from_json(v) for v in data["verdicts"]),
            rows={name: data["rows"][name] for name in schema.names},
            evidence=Evidence.from_json(told) if (told := data.get("evidence")) else None,
        )

    @property
    def text(self) -> str:
        """What `manifest.json` holds."""
        return canonical(self.to_json()) + "\n"

    @property
    def sha256(self) -> str:
        """SHA-256 of `manifest.json`."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `manifest.json` into a folder."""
        (folder / "manifest.json").write_text(self.text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a release's folder; raises LakeError where it is damaged."""
    file = folder / "manifest.json"
    try:
        return Manifest.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LakeError(
            f"the manifest can't be read ({type(error).__name__})",
            where=f"release {folder.parent.name}@{folder.name}",
            fix="Bring the folder back with: dvc checkout, or remove it",
        ) from None


def verify_files(folder: Path, manifest: Manifest) -> list[str]:
    """What differs between a release's folder and its manifest, a sentence each; none where nothing does."""
    listed = {f.path: f for f in manifest.files}
    found = (p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    there = {p.relative_to(folder).as_posix() for p in found} - {"manifest.json"}
    problems = [f"{path} is missing" for path in sorted(listed.keys() - there)]
    problems += [f"{path} does not belong to the release" for path in sorted(there - listed.keys())]
    for path in sorted(there & listed.keys()):
        file = folder / path
        if file.is_symlink() or not file.is_file():
            problems.append(f"{path} is no plain file")
        elif file_hash(file) != listed[path].sha256:
            problems.append(f"{path} has been changed")
    return problems


def installed_versions() -> dict[str, str]:
    """Versions of Twinlake, Python and the libraries that a release's bytes depend on."""
    names = ("twinlake", *DEPENDENCIES)
    return {"python": platform.python_version()} | {n: importlib.metadata.version(n) for n in names}


def git_commit(root: Path) -> str | None:
    """The commit that a project's folder is at, or None outside git."""
    try:
        told = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD"], capture_output=True, text=True
        )
    except FileNotFoundError:  # no git on this machine
        return None
    return told.stdout.strip() or None


def now() -> str:
    """This moment in UTC, ISO 8601, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _seeds(value: Any, path: str = "settings") -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "seed" and isinstance(inner, int | str):  # a table or column may be called seed
                yield f"{path}.seed"
            yield from _seeds(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _seeds(inner, path)
