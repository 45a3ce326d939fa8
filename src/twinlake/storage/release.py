"""Releases: immutable folders of the lake, and how one is found by name or by date."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinlake.errors import LakeError, listed, nearest
from twinlake.storage.layout import Layout, tag_of
from twinlake.storage.manifest import Manifest, read_manifest

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Release:
    """A snapshot that passed every gate: `adult@2026-11-22` and the folder that holds it."""

    folder: Path
    manifest: Manifest

    @property
    def pipeline(self) -> str:
        """The pipeline that made it."""
        return self.manifest.pipeline

    @property
    def name(self) -> str:
        """Its name within the pipeline: its date, and from the second of a day on a number: `2026-11-22.2`."""
        return self.manifest.release

    @property
    def id(self) -> str:
        """Its name in the whole lake."""
        return f"{self.pipeline}@{self.name}"

    @property
    def tag(self) -> str:
        """Its name as a git tag."""
        return tag_of(self.pipeline, self.name)


def release_folders(layout: Layout, pipeline: str | None = None) -> list[Path]:
    """The folders of complete releases, by pipeline, oldest first."""
    if pipeline is not None:
        homes = [layout.releases(pipeline)]
    else:
        homes = sorted(layout.lake.iterdir()) if layout.lake.is_dir() else []
    found = [p.parent for home in homes if home.name[:1] != "." for p in home.glob("*/manifest.json")]
    return sorted((p for p in found if _NAME.fullmatch(p.name)), key=lambda p: (p.parent.name, order(p.name)))


def releases(layout: Layout, pipeline: str | None = None) -> list[Release]:
    """All releases of a pipeline, or of all, by pipeline, oldest first; half a folder is no release.

    Raises LakeError where a manifest of the pipeline asked for is damaged; among all, such a release is left out, so
    that one damaged folder does not keep the others from being served.
    """
    folders = release_folders(layout, pipeline)
    found = (_read(folder) if pipeline is None else Release(folder, read_manifest(folder)) for folder in folders)
    return [release for release in found if release is not None]


def _read(folder: Path) -> Release | None:
    try:
        return Release(folder, read_manifest(folder))
    except LakeError:
        return None


def latest(found: Sequence[Release]) -> dict[str, Release]:
    """The newest release of each pipeline."""
    return {r.pipeline: r for r in found}


def find_release(layout: Layout, name: str, *, at: str | None = None) -> Release:
    """The release that `adult@2026-11-22` names; `adult` alone is the latest, or the latest `at` a name or date.

    A date that no release has by name finds the latest on or before it. Raises LakeError with the nearest where
    there is none.
    """
    pipeline, _, wanted = name.rpartition("@") if "@" in name else (name, "", "")
    wanted = wanted or at or ""
    found = releases(layout, pipeline)
    if not found:
        there = sorted({r.pipeline for r in releases(layout)})
        if not there:
            raise empty(layout)
        raise LakeError(
            f'no pipeline "{pipeline}" has a release', where="the lake", allowed=f"it serves {listed(there)}",
            fix=nearest(pipeline, there),
        )  # fmt: skip
    chosen = choose(found, wanted) if wanted else found[-1]
    if chosen is None:
        names = [r.name for r in found]
        raise LakeError(
            f'{pipeline} has no release "{wanted}"', where="the lake", allowed=f"there are {listed(names[::-1])}",
            fix=nearest(wanted, names),
        )  # fmt: skip
    return chosen


def choose(found: Sequence[Release], wanted: str) -> Release | None:
    """Of one pipeline's releases, oldest first: the one of that name, else the latest on or before that date."""
    named = [r for r in found if r.name == wanted]
    dated = [r for r in found if r.name[:10] <= wanted] if is_date(wanted) else []
    matching = named or dated
    return matching[-1] if matching else None


def next_name(taken: Sequence[str], date: str) -> str:
    """The name of a date's next release: the date, then `date.2`, `date.3` ..."""
    numbers = [order(n)[1] for n in taken if n[:10] == date]
    return f"{date}.{max(numbers) + 1}" if numbers else date


def order(name: str) -> tuple[str, int]:
    """What sorts names by date, then by number; raises ValueError for a text that is no release's name."""
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f'"{name}" is no name of a release')
    return found[1], int(found[2] or 1)


def is_date(text: str) -> bool:
    """Whether a text is a day of the calendar, `2026-11-22`."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def empty(layout: Layout) -> LakeError:
    """What to say of a lake that holds nothing yet."""
    names = sorted(p.stem for p in layout.pipelines.glob("*.yaml"))
    first = names[0] if len(names) == 1 else "NAME"
    return LakeError("the lake holds no release yet", fix=f"Make one with: twinlake run {first}")
