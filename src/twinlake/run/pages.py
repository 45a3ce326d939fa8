"""The page of a release, and the full one that stays in the vault: of a release or of a snapshot that was refused."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

from twinlake.card import Evidence, coarse
from twinlake.errors import LakeError
from twinlake.report.page import page
from twinlake.report.shares import ColumnShares, compare
from twinlake.run.extract import open_extract
from twinlake.run.families import families
from twinlake.run.job import Job
from twinlake.run.record import Record
from twinlake.run.sample import open_snapshot
from twinlake.run.wall import walled
from twinlake.storage.layout import private
from twinlake.storage.manifest import Manifest
from twinlake.storage.release import Release
from twinlake.storage.verdicts import read_verdicts
from twinlake.storage.writing import write_whole
from twinlake.units import assign_units
from twinlake.verdict import Verdict


def comparisons(job: Job, record: Record) -> Mapping[str, tuple[ColumnShares, ...]]:
    """What plots show of each table that is no lookup list: shares of the snapshot and of the holdout."""
    extract, synthetic = open_extract(job, record.need("extract")), open_snapshot(job, record.need("snapshot"))
    k, holdout = job.pipeline.gates.privacy.min_units, extract.holdout
    units = assign_units(holdout, job.pipeline.unit)  # ten visits of one patient are no crowd
    judged = [t for t in extract.schema if not t.public]
    return {t.name: compare(holdout[t.name], synthetic[t.name], t, k=k, units=units[t.name]) for t in judged}


def release_page(job: Job, record: Record, manifest: Manifest) -> str:
    """The page that goes out with a release: of privacy, the card."""
    return page(
        pipeline=manifest.pipeline,
        release=manifest.release,
        created=dt.datetime.fromisoformat(manifest.created),
        manifest_rows=_facts(job, manifest),
        verdicts=[coarse(v) for v in manifest.verdicts],
        evidence=manifest.evidence,
        comparisons=comparisons(job, record),
        families=families(job, record),
        schema=manifest.schema,
    )


def keep_page(job: Job, record: Record, verdicts: Sequence[Verdict], evidence: Evidence) -> Path:
    """Write the full page of a snapshot that was refused into the vault."""
    snapshot = open_snapshot(job, record.need("snapshot"))
    drawn = ", ".join(f"{n} {snapshot.rows(n):,}" for n in snapshot.schema.names)
    html = page(
        pipeline=job.name,
        release=None,
        created=dt.datetime.now(dt.UTC).replace(microsecond=0),
        manifest_rows=[("Rows", drawn), *_settings(job), ("Snapshot", record.need("snapshot"))],
        verdicts=verdicts,
        evidence=evidence,
        comparisons=comparisons(job, record),
        families=families(job, record),
        schema=snapshot.schema,
        full=True,
    )
    return _keep(job, refused_page(job, record.date, evidence.attempt), html)


def refused_page(job: Job, date: str, attempt: int) -> Path:
    """Where the page of a refused snapshot is."""
    return job.layout.full_page(job.name, f"{date}-refused" + (f"-{attempt}" if attempt > 1 else ""))


def full_page(job: Job, release: Release) -> Path:
    """Write the full page of a release into the vault, with all that the gates found, and say where.

    Plots are on it where the real rows that it was judged on are still the last of that date.
    Raises LakeError where the verdicts are gone or were edited.
    """
    with walled(job.layout, job.name, "writing the full page"):
        manifest = release.manifest
        judged = read_verdicts(job.layout, job.name, manifest.snapshot, secret=job.secret)
        if tuple(coarse(v) for v in judged.verdicts) != tuple(coarse(v) for v in manifest.verdicts):
            raise LakeError(
                "the vault's verdicts are not those that it was released on", where=f"release {release.id}",
                allowed="its snapshot has been judged again since, under other settings",
            )  # fmt: skip
        record = Record.load(job.layout, job.name, release.name[:10])
        drawn = record.release == release.name and _is_there(job, record)
        html = page(
            pipeline=manifest.pipeline,
            release=manifest.release,
            created=dt.datetime.fromisoformat(manifest.created),
            manifest_rows=_facts(job, manifest),
            verdicts=judged.verdicts,
            evidence=manifest.evidence,
            comparisons=comparisons(job, record) if drawn else {},
            families=families(job, record) if drawn else {},
            schema=manifest.schema,
            full=True,
        )
        return _keep(job, job.layout.full_page(job.name, release.name), html)


def _is_there(job: Job, record: Record) -> bool:
    """Whether the rows of a record are still there."""
    extract, snapshot = record.extract, record.snapshot
    return (
        extract is not None
        and snapshot is not None
        and job.layout.real(job.name, extract).is_dir()
        and job.layout.staging(job.name, snapshot).is_dir()
    )


def _keep(job: Job, file: Path, html: str) -> Path:
    private(job.layout.vault)
    private(file.parent)
    write_whole(file, html)
    return file


def _settings(job: Job) -> list[tuple[str, str]]:
    return [
        ("Privacy unit", job.pipeline.unit or "each row"),
        ("Held back", f"{job.pipeline.holdout:.0%} of the units"),
        ("Rare values", f"those of fewer than {job.pipeline.gates.privacy.min_units} units never leave the vault"),
    ]


def _facts(job: Job, manifest: Manifest) -> list[tuple[str, str]]:
    origin = manifest.origin
    return [
        ("Rows", ", ".join(f"{t} {n:,}" for t, n in manifest.rows.items())),
        ("Generator", f"{origin.generator} (licence {origin.licence})"),
        *_settings(job),
        ("Snapshot", manifest.snapshot),
        ("Source, keyed", origin.source),
        ("Project at", origin.commit or "no git commit"),
        ("Versions", ", ".join(f"{n} {v}" for n, v in origin.versions.items())),
        *(("File", f"{f.path}: {f.sha256} ({f.bytes:,} bytes)") for f in manifest.files),
    ]
