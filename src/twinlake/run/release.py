"""Stage 6: let a snapshot out, if every gate passed; record it with DVC."""

import datetime as dt
import hashlib
from collections.abc import Mapping

from twinlake.generators.registry import licence
from twinlake.report.page import page
from twinlake.report.shares import ColumnShares, compare
from twinlake.run.extract import Extract, open_extract
from twinlake.run.families import families
from twinlake.run.job import Job
from twinlake.run.judge import expected_gates, suites_hash
from twinlake.run.record import Record
from twinlake.run.sample import open_snapshot
from twinlake.run.train import model_id
from twinlake.run.wall import walled
from twinlake.storage.manifest import Manifest, Origin, git_commit
from twinlake.storage.publish import publish
from twinlake.storage.release import Release, releases
from twinlake.storage.secret import keyed
from twinlake.storage.versions import Version
from twinlake.storage.versions import record as record_version
from twinlake.tables import canonical
from twinlake.units import assign_units
from twinlake.version import VERSION


def release(job: Job, record: Record) -> tuple[Release, Version]:
    """Publish the record's snapshot and record it with DVC; raises Refused where a gate failed or gave no verdict."""
    with walled(job.layout, job.name, "releasing"):
        extract = open_extract(job, record.need("extract"))
        out = publish(
            job.layout,
            job.name,
            job.layout.staging(job.name, record.need("snapshot")),
            origin=_origin(job, extract),
            expected=expected_gates(job, extract.schema),
            date=record.date,
            secret=job.secret,
            keep=job.pipeline.release.keep,
            report=lambda manifest: _page(job, record, manifest),
        )
        record.save(job.layout, release=out.name, settings=settings_hash(job))
        return out, record_version(job.layout, job.name, out.name, remote=job.pipeline.release.remote)


def current_release(job: Job, extract: Extract) -> Release | None:
    """The latest release, if it was made from the same rows and model with the same settings; else None."""
    there = releases(job.layout, job.name)
    if not there:
        return None
    made = Record.load(job.layout, job.name, there[-1].name[:10])
    model = model_id(job, extract, retrain=job.pipeline.retrain.every is None)
    now = (there[-1].name, extract.id, model, settings_hash(job))
    return there[-1] if (made.release, made.extract, made.model, made.settings) == now else None


def settings_hash(job: Job) -> str:
    """Hash of the pipeline file, its suites and Twinlake's version: all that a release depends on beside the rows."""
    told = {
        "pipeline": job.pipeline.model_dump(mode="json", exclude={"source"}),
        "suites": suites_hash(job),
        "version": VERSION,
    }
    return hashlib.sha256(canonical(told).encode()).hexdigest()[:20]


def comparisons(job: Job, record: Record) -> Mapping[str, tuple[ColumnShares, ...]]:
    """What plots show of each table that is no lookup list: shares of the snapshot and of the holdout."""
    extract, synthetic = open_extract(job, record.need("extract")), open_snapshot(job, record.need("snapshot"))
    k, holdout = job.pipeline.gates.privacy.min_units, extract.holdout
    units = assign_units(holdout, job.pipeline.unit)  # ten visits of one patient are no crowd
    judged = [t for t in extract.schema if not t.public]
    return {t.name: compare(holdout[t.name], synthetic[t.name], t, k=k, units=units[t.name]) for t in judged}


def _origin(job: Job, extract: Extract) -> Origin:
    learnt = [job.pipeline.tables[t.name].generator for t in extract.schema if not t.public]
    names = sorted({(own or job.pipeline.generator).name for own in learnt or [None]})
    return Origin(
        generator=", ".join(names),
        licence=", ".join(sorted({licence(n) for n in names})),
        settings=job.pipeline.public_settings(),
        source=keyed(job.secret, f"fingerprint {extract.fingerprint}"),
        commit=git_commit(job.layout.root),
    )


def _page(job: Job, record: Record, manifest: Manifest) -> str:
    return page(
        pipeline=manifest.pipeline,
        release=manifest.release,
        created=dt.datetime.fromisoformat(manifest.created),
        manifest_rows=_facts(job, manifest),
        verdicts=manifest.verdicts,
        comparisons=comparisons(job, record),
        families=families(job, record),
        schema=manifest.schema,
    )


def _facts(job: Job, manifest: Manifest) -> list[tuple[str, str]]:
    origin = manifest.origin
    return [
        ("Rows", ", ".join(f"{t} {n:,}" for t, n in manifest.rows.items())),
        ("Generator", f"{origin.generator} (licence {origin.licence})"),
        ("Privacy unit", job.pipeline.unit or "each row"),
        ("Held back", f"{job.pipeline.holdout:.0%} of the units"),
        ("Rare values", f"those of fewer than {job.pipeline.gates.privacy.min_units} units never leave the vault"),
        ("Snapshot", manifest.snapshot),
        ("Source, keyed", origin.source),
        ("Project at", origin.commit or "no git commit"),
        ("Versions", ", ".join(f"{n} {v}" for n, v in origin.versions.items())),
        *(("File", f"{f.path}: {f.sha256} ({f.bytes:,} bytes)") for f in manifest.files),
    ]
