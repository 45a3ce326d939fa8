"""The vault keeps real rows and models no longer than they are needed.

What goes is unlinked. On disks that move blocks about (every SSD, every copying file system) no program can overwrite
what lay there: whoever must rule that out encrypts the disk.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinlake.errors import DataError, listed, nearest
from twinlake.project import read_pipeline
from twinlake.project.pipeline import VaultChoice
from twinlake.run.record import Record, recorded
from twinlake.schema import path_name
from twinlake.storage.layout import Layout
from twinlake.storage.lock import pipeline_lock
from twinlake.storage.release import release_folders

DAY = 86_400
STALE = 2  # days after which what is laid down for a moment was left behind by something that died


@dataclass(frozen=True, slots=True)
class Purged:
    """How many extracts, models, snapshots, logs and left-overs went, and their bytes."""

    counts: dict[str, int]
    bytes: int

    def __str__(self) -> str:
        """One sentence for a person."""
        told = [f"{n} {what if n != 1 else what.removesuffix('s')}" for what, n in self.counts.items() if n]
        return f"{listed(told)} removed, {self.bytes / 1e6:,.1f} MB" if told else "nothing to remove"


def purge(layout: Layout, pipeline: str, *, keep_days: int, everything: bool = False) -> Purged:
    """Remove what a pipeline no longer needs from the vault and from staging; raises BusyError while it runs.

    Args:
        layout: the project.
        pipeline: whose; it may have no pipeline file any more.
        keep_days: what is younger stays.
        everything: remove also what the newest run and the release that is served were made from, however young. The
            next run extracts and learns anew.
    """
    if keep_days < 0:
        raise DataError(f"can't keep {keep_days} days", allowed="a number from 0 on")
    if not layout.own_vault(pipeline).is_dir():
        there = sorted(p.name for p in layout.vault.iterdir() if (p / "runs").is_dir()) if layout.vault.is_dir() else []
        allowed = f"there are {listed(there)}" if there else ""
        raise DataError(f"the vault holds nothing of {pipeline}", allowed=allowed, fix=nearest(pipeline, there))
    with pipeline_lock(layout, pipeline):
        return outdated(layout, pipeline, keep_days=0 if everything else keep_days, everything=everything, alone=True)


def usual_days(layout: Layout, pipeline: str) -> int:
    """How many days the pipeline file keeps; the default where there is no file any more."""
    file = layout.pipeline_file(pipeline)
    return (read_pipeline(file, environment=False).vault if file.exists() else VaultChoice()).keep_days


def outdated(layout: Layout, pipeline: str, *, keep_days: int, everything: bool = False, alone: bool = False) -> Purged:
    """As `purge`, for whoever holds the pipeline; left-overs of the moment go at any age where nothing else runs."""
    kept = frozenset[str]() if everything else needed(layout, pipeline)
    now, gone = time.time(), dict[str, int]()
    freed = 0
    for what, path, least in _kept(layout, pipeline, keep_days, 0 if alone else STALE):
        if path.name not in kept and now - path.stat().st_mtime >= least * DAY:
            freed += _size(path)
            _remove(path)
            gone[what] = gone.get(what, 0) + 1
    return Purged(gone, freed)


def needed(layout: Layout, pipeline: str) -> frozenset[str]:
    """Names of the extracts, models and snapshots that the newest run and the served release were made from.

    What releases are compared with over time, the last one's rows, is among them.
    """
    dates = [*recorded(layout, pipeline)[-1:], *(f.name[:10] for f in release_folders(layout, pipeline)[-1:])]
    made = [Record.load(layout, pipeline, date) for date in dates]
    learnt = (r.model.rpartition("-")[2] for r in made if r.model)  # a model may be older than the newest rows
    return frozenset([*learnt, *(name for r in made for name in (r.extract, r.model, r.snapshot) if name)])


def _kept(layout: Layout, pipeline: str, keep_days: int, stale: int) -> Iterator[tuple[str, Path, int]]:
    """What there is, of which kind, and how many days it stays. Verdicts, records and the ledger stay for good."""
    own = layout.own_vault(pipeline)
    folders = {
        "extracts": (layout.real(pipeline, ""), keep_days),
        "models": (layout.model(pipeline, ""), keep_days),
        "logs": (layout.logs(pipeline), keep_days),
        "snapshots": (layout.data / "staging" / path_name(pipeline), keep_days),
        "left-overs": (own / "scratch", stale),
        "temporary files": (own / "tmp", stale),
    }
    for what, (folder, days) in folders.items():
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            yield what, path, days


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
