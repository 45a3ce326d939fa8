"""Publishing: a snapshot that passed every gate becomes a release in one step, or nothing changes.

The release is put together out of sight on the lake's own file system, brought to the disk, and renamed into place;
the catalog follows in the same way. Whatever ends the process on the way, the last release stays served, and the
next publishing clears up.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from twinlake.card import Evidence, coarse
from twinlake.errors import LakeError, Refused
from twinlake.schema import Schema, path_name
from twinlake.storage.bundle import check_bundle
from twinlake.storage.catalog import build_catalog, check_name, sync
from twinlake.storage.layout import Layout, private
from twinlake.storage.lock import short_lock
from twinlake.storage.manifest import File, Manifest, Origin, now
from twinlake.storage.release import Release, is_date, next_name, release_folders, releases
from twinlake.storage.verdicts import Gate, Judgement, read_verdicts
from twinlake.tables import file_hash, parts, read_schema
from twinlake.verdict import Verdict

_SHOWN = 0o444  # a release never changes; its files are nobody's to write
REPORT = "report.html"
_WHEN = 315_532_800  # 1980-01-01 UTC, the time of every file of a release


def snapshot_hash(folder: Path) -> str:
    """SHA-256 over the paths and SHA-256s of a snapshot's files: what its verdicts are about; 64 hexadecimal digits.

    Raises LakeError where the folder holds anything but its schema and the Parquet parts of its tables, or lacks some.
    """
    return files_hash(_files(folder, _schema(folder)))


def publish(
    layout: Layout,
    pipeline: str,
    staging: Path,
    *,
    origin: Origin,
    expected: Collection[Gate],
    evidence: Evidence,
    date: str,
    secret: bytes,
    keep: int,
    report: Callable[[Manifest], str],
    reserve: Callable[[Manifest], None] = lambda _: None,
) -> Release:
    """Make a snapshot the release of a date, and the catalog serve it.

    What is a release of that date already, with the same verdicts, is that release: publishing again finishes what was
    cut short.

    Args:
        layout: the project.
        pipeline: whose snapshot it is.
        staging: its folder; stays as it is.
        origin: what it was made from and by what, for the manifest.
        expected: every (table, gate) that must have passed.
        evidence: the policy that it must have been judged under, and what the manifest says of the attempts.
        date: what the release is named for, `2026-11-22`.
        secret: the vault's, which signed the verdicts.
        keep: how many releases stay; the oldest beyond go, never the one that is served.
        report: makes the page a person reads, self-contained HTML, from the manifest.
        reserve: writes the release down before anybody can see it; what it raises keeps the release back.

    Raises:
        Refused: where a gate failed or gave no verdict on exactly these bytes.
        LakeError: where verdicts were edited or given under another policy, the name can't be served, or the disk does
            not take it.
    """
    check_name(pipeline)
    if not is_date(date) or keep < 1:
        raise LakeError(f"can't release for {date} and keep {keep}", allowed="a date like 2026-11-22, and at least 1")
    with short_lock(layout, f"publish-{path_name(pipeline)}"), _told(layout, pipeline):
        _clear(layout, pipeline)
        built = _build(layout, pipeline, staging)
        files = _files(built, _schema(built))
        judgement = _passed(layout, pipeline, files_hash(files), expected, evidence, secret)
        there = releases(layout, pipeline)
        release = _already(there, judgement, evidence, date)
        if release is None:
            name = next_name([r.name for r in there], date)
            manifest = _manifest(
                pipeline, name, built, files=files, judgement=judgement, evidence=evidence, origin=origin
            )
            whole = _finish(built, manifest, report)
            check_bundle(built, secret=secret)
            reserve(whole)
            release = _place(layout, built, whole)
        _serve(layout, release, keep)
        _clear(layout, pipeline, staging)
        return release


def _passed(
    layout: Layout, pipeline: str, snapshot: str, expected: Collection[Gate], evidence: Evidence, secret: bytes
) -> Judgement:
    judgement = read_verdicts(layout, pipeline, snapshot, secret=secret)
    judged = (judgement.policy, judgement.version, judgement.attempt)
    if judged != (evidence.policy, evidence.version, evidence.attempt):
        changed = "limits or settings" if judgement.policy != evidence.policy else "Twinlake or the attempt"
        raise LakeError(
            f"the {changed} changed after it was judged", where=f"pipeline {pipeline}, snapshot {snapshot[:12]}",
            allowed="a release goes out on verdicts given under the very policy that it names",
            fix="Run the checks again",
        )  # fmt: skip
    if failing := judgement.failing(expected):
        raise Refused(pipeline, failing)
    return judgement


def _build(layout: Layout, pipeline: str, staging: Path) -> Path:
    """A copy of the snapshot on the lake's file system, the same bytes."""
    _check(staging, _schema(staging))
    built = private(private(layout.building) / path_name(pipeline)) / "new"
    built.mkdir(mode=0o755)
    for path in _paths(staging):
        target = built / path
        target.parent.mkdir(mode=0o755, exist_ok=True)
        shutil.copyfile(staging / path, target)  # a hard link would let whoever writes to staging change the release
    return built


def _manifest(
    pipeline: str,
    name: str,
    built: Path,
    *,
    files: tuple[File, ...],
    judgement: Judgement,
    evidence: Evidence,
    origin: Origin,
) -> Manifest:
    schema = _schema(built)
    rows = {t: sum(f.rows or 0 for f in files if f.path.startswith(f"{path_name(t)}/")) for t in schema.names}
    return Manifest(
        pipeline=pipeline, release=name, created=now(), origin=origin, snapshot=judgement.snapshot, files=files,
        schema=schema, verdicts=_card(judgement), rows=rows, evidence=evidence,
    )  # fmt: skip


def _finish(built: Path, manifest: Manifest, report: Callable[[Manifest], str]) -> Manifest:
    """Add the report and the manifest, and bring everything to the disk."""
    page = built / REPORT
    page.write_text(report(manifest), encoding="utf-8")
    whole = replace(manifest, files=(*manifest.files, _file(built, REPORT)))
    whole.save(built)
    for path in sorted(built.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(_SHOWN)
        os.utime(path, (_WHEN, _WHEN))  # when which file was written tells of sizes and of the machine
        sync(path)
    os.utime(built, (_WHEN, _WHEN))
    sync(built)
    return whole


def _place(layout: Layout, built: Path, manifest: Manifest) -> Release:
    home = layout.release(manifest.pipeline, manifest.release)
    home.parent.mkdir(parents=True, exist_ok=True)
    built.rename(home)
    sync(home.parent)
    return Release(home, manifest)


def _card(judgement: Judgement) -> tuple[Verdict, ...]:
    return tuple(coarse(v) for v in judgement.verdicts)


def _already(there: list[Release], judgement: Judgement, evidence: Evidence, date: str) -> Release | None:
    """The release of that date with the same snapshot, card and policy; other limits or suites make another one."""
    told = (judgement.snapshot, _card(judgement), evidence.policy)
    same = [r for r in there if _judged(r.manifest) == told and r.name[:10] == date]
    return same[-1] if same else None


def _judged(manifest: Manifest) -> tuple[str, tuple[Verdict, ...], str]:
    return manifest.snapshot, manifest.verdicts, manifest.evidence.policy if manifest.evidence else ""


def _serve(layout: Layout, release: Release, keep: int) -> None:
    """Let the catalog show the release, then take the oldest out of the lake: what it shows is always there."""
    folders = release_folders(layout, release.pipeline)
    old = [f for f in folders[:-keep] if f != release.folder]
    build_catalog(layout, without=old)
    for folder in old:
        gone = private(layout.building / path_name(release.pipeline)) / f"old-{folder.name}"
        folder.rename(gone)
        shutil.rmtree(gone)


def _clear(layout: Layout, pipeline: str, staging: Path | None = None) -> None:
    """Remove what an earlier publishing left behind; with `staging`, also the pipeline's other snapshots."""
    shutil.rmtree(layout.building / path_name(pipeline), ignore_errors=True)
    if staging is not None and staging.parent == layout.staging(pipeline, staging.name).parent:
        for other in staging.parent.iterdir():
            if other != staging:
                shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _told(layout: Layout, pipeline: str) -> Iterator[None]:
    """Turn what the disk refuses into a sentence, and leave nothing half-written."""
    try:
        yield
    except (OSError, duckdb.IOException) as error:
        said = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())
        raise LakeError(
            f"the lake can't be written: {said}", where=f"publishing {pipeline}",
            allowed="what was served before is still served",
            fix="See that the disk has room and that data/lake is writable, and run again",
        ) from None  # fmt: skip
    finally:
        shutil.rmtree(layout.building / path_name(pipeline), ignore_errors=True)


def _schema(folder: Path) -> Schema:
    try:
        return read_schema(folder)
    except (FileNotFoundError, ValueError, KeyError):
        raise LakeError("there is no whole snapshot", where=str(folder), fix="Run the sampling again") from None


def _paths(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def _files(folder: Path, schema: Schema) -> tuple[File, ...]:
    """The files of a snapshot; raises LakeError where one does not belong or a table has none."""
    _check(folder, schema)
    return tuple(_file(folder, path) for path in _paths(folder))


def _check(folder: Path, schema: Schema) -> None:
    own = {name: [f"{path_name(name)}/{p.name}" for p in parts(folder, name)] for name in schema.names}
    lacking = [name for name, paths in own.items() if not paths]
    links = {p for p in _paths(folder) if (folder / p).is_symlink()}
    stray = links | (set(_paths(folder)) - {"schema.json"}.union(*own.values()))
    if lacking or stray:
        told = f"table {lacking[0]} has no rows file" if lacking else f"{min(stray)} does not belong to it"
        raise LakeError(told, where=f"snapshot {folder.name}", fix="Remove the folder and run the sampling again")


def _file(folder: Path, path: str) -> File:
    file = folder / path
    try:
        rows = int(pq.read_metadata(file).num_rows) if path.endswith(".parquet") else None
    except pa.ArrowInvalid:
        raise LakeError(f"{path} is damaged", where=f"snapshot {folder.name}", fix="Run the sampling again") from None
    return File(path=path, sha256=file_hash(file), bytes=file.stat().st_size, rows=rows)


def files_hash(files: Iterable[File]) -> str:
    """The hash of a snapshot of these files."""
    told = "".join(f"{f.path}\x00{f.sha256}\n" for f in files)
    return hashlib.sha256(told.encode()).hexdigest()
