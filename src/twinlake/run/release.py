"""Stage 6: let a snapshot out, if every gate passed; record it with DVC."""

from twinlake.generators.registry import licence
from twinlake.run.attempts import evidence
from twinlake.run.extract import Extract, open_extract
from twinlake.run.history import commit_release, reserve_release
from twinlake.run.job import Job
from twinlake.run.judge import expected_gates
from twinlake.run.pages import release_page
from twinlake.run.policy import settings_hash
from twinlake.run.record import Record
from twinlake.run.train import model_id
from twinlake.run.wall import walled
from twinlake.storage.manifest import Origin, git_commit
from twinlake.storage.publish import publish
from twinlake.storage.release import Release, releases
from twinlake.storage.secret import keyed
from twinlake.storage.versions import Version
from twinlake.storage.versions import record as record_version


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
            evidence=evidence(job, record),
            date=record.date,
            secret=job.secret,
            keep=job.pipeline.release.keep,
            report=lambda manifest: release_page(job, record, manifest),
            reserve=lambda manifest: reserve_release(job, record, manifest),
        )
        commit_release(job, out)
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
