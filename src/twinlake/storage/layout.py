"""Where everything lives: the one place that knows paths. No content is read or written here."""

import shutil
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from twinlake.errors import ProjectError, TwinlakeError
from twinlake.schema import path_name


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one project.

    The vault and staging are readable by their owner only: the vault holds real rows and models, staging holds
    snapshots that no gate has passed yet.
    """

    root: Path

    @classmethod
    def find(cls, start: Path) -> "Layout":
        """The project that `start` lies in: the nearest folder upwards with `pipelines/` beside its project files."""
        here = start.resolve()
        for folder in (here, *here.parents):
            if (folder / "pipelines").is_dir() and any((folder / n).is_file() for n in ("dvc.yaml", "pyproject.toml")):
                return cls(folder)
        raise ProjectError([TwinlakeError(
            "no Twinlake project here or in any folder above", where=str(start),
            allowed="a project has a folder pipelines/ beside dvc.yaml or pyproject.toml",
            fix="Change into the project, or start one with: twinlake init URL NAME",
        )])  # fmt: skip

    @classmethod
    def find_or(cls, start: Path) -> "Layout":
        """The project that `start` lies in; where there is none, a new one at `start`."""
        try:
            return cls.find(start)
        except ProjectError:
            return cls(start.resolve())

    @property
    def pipelines(self) -> Path:
        """The folder of pipeline files."""
        return self.root / "pipelines"

    def pipeline_file(self, pipeline: str) -> Path:
        """The file that says what a pipeline is."""
        return self.pipelines / f"{pipeline}.yaml"

    def suites(self, pipeline: str) -> Path:
        """The folder of a pipeline's suites."""
        return self.root / "expectations" / pipeline

    def suite_file(self, pipeline: str, table: str) -> Path:
        """The suite of a table."""
        return self.suites(pipeline) / f"{path_name(table)}.json"

    @property
    def data(self) -> Path:
        """All that git ignores."""
        return self.root / "data"

    @property
    def vault(self) -> Path:
        """Real rows, models, seeds, verdicts, logs. Private."""
        return self.data / "vault"

    @property
    def secret_file(self) -> Path:
        """The secret of the vault."""
        return self.vault / "secret"

    def own_vault(self, pipeline: str) -> Path:
        """One pipeline's part of the vault."""
        return self.vault / path_name(pipeline)

    def real(self, pipeline: str, fingerprint: str) -> Path:
        """One extract of the real tables."""
        return self.own_vault(pipeline) / "real" / fingerprint

    def model(self, pipeline: str, id_: str) -> Path:
        """One model."""
        return self.own_vault(pipeline) / "model" / id_

    def verdicts(self, pipeline: str, snapshot: str) -> Path:
        """The file of a snapshot's verdicts; `snapshot` is its hash."""
        return self.own_vault(pipeline) / "verdicts" / f"{snapshot}.json"

    def ledger(self, pipeline: str) -> Path:
        """The folder of the account of everything that was let out."""
        return self.own_vault(pipeline) / "ledger"

    def attempts(self, pipeline: str) -> Path:
        """The file that counts which snapshots were judged, and how that ended."""
        return self.own_vault(pipeline) / "attempts.jsonl"

    def full_page(self, pipeline: str, name: str) -> Path:
        """A page with all that the gates found, for whoever answers for the real rows."""
        return self.own_vault(pipeline) / "pages" / f"{name}.html"

    def shadow(self, pipeline: str, settings: str) -> Path:
        """The file of the outcome of a shadow game; `settings` is the hash of what was played."""
        return self.own_vault(pipeline) / "shadow" / f"{settings}.json"

    def record(self, pipeline: str, date: str) -> Path:
        """The file that says what the run of a date has made so far."""
        return self.own_vault(pipeline) / "runs" / f"{date}.json"

    def logs(self, pipeline: str) -> Path:
        """The folder of texts that may quote real rows."""
        return self.own_vault(pipeline) / "logs"

    def run_lock(self, pipeline: str) -> Path:
        """The file that a run of the pipeline holds locked."""
        return self.own_vault(pipeline) / "run.lock"

    def temporary(self, pipeline: str) -> Path:
        """The folder where libraries put what they need for a moment while real rows are near."""
        private(self.vault)
        return private(self.own_vault(pipeline) / "tmp")

    @contextmanager
    def scratch(self, pipeline: str) -> Iterator[Path]:
        """A new empty folder in the vault; gone afterwards unless it was renamed to where it belongs."""
        private(self.vault)
        home = private(self.own_vault(pipeline) / "scratch")
        folder = Path(mkdtemp(dir=home))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def staging(self, pipeline: str, snapshot: str) -> Path:
        """A snapshot on its way to the gates. The folder it goes into is made, readable by the owner only."""
        return private(private(self.data / "staging") / path_name(pipeline)) / snapshot

    @property
    def lake(self) -> Path:
        """All that consumers ever see."""
        return self.data / "lake"

    def releases(self, pipeline: str) -> Path:
        """The folder of a pipeline's releases."""
        return self.lake / path_name(pipeline)

    def release(self, pipeline: str, name: str) -> Path:
        """The folder of a release."""
        return self.releases(pipeline) / name

    @property
    def building(self) -> Path:
        """Where releases are put together and taken apart: on the lake's file system, hidden, the owner's only."""
        return self.lake / ".building"

    @property
    def catalog(self) -> Path:
        """The DuckDB file that consumers open."""
        return self.lake / "catalog.duckdb"

    @property
    def locks(self) -> Path:
        """The folder of short-lived locks of the lake and of DVC."""
        return self.data / ".locks"

    @property
    def spill(self) -> Path:
        """Where a query that outgrows memory puts what it can't hold."""
        return self.data / ".spill"

    @property
    def dvc_site(self) -> Path:
        """Where DVC keeps its own bookkeeping."""
        return self.data / ".dvc-site"


def private(folder: Path) -> Path:
    """The folder, made where it is missing and open to its owner only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def keep(folder: Path, home: Path) -> None:
    """Put a finished folder of the vault where it belongs, each file and folder open to its owner only.

    The vault itself is closed already; this lasts where somebody copies the folder.
    """
    closed(folder)
    home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.rename(home)


def closed(folder: Path) -> None:
    """Close a folder and all in it to everybody but the owner."""
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)


def tag_of(pipeline: str, release: str) -> str:
    """`adult@2026-11-22`: how a release is called everywhere; signs that git tags can't hold are quoted."""
    return f"{urllib.parse.quote(pipeline, safe='')}@{release}"
