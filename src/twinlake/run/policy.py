"""What was decided before a snapshot was judged: settings, suites, limits, and what the file asks less of."""

import hashlib
from collections.abc import Iterator
from typing import Any

from twinlake.project.pipeline import PRIVACY_LIMITS, GateLimit, PrivacyGates
from twinlake.run.job import Job
from twinlake.tables import canonical
from twinlake.verdict import Severity
from twinlake.version import VERSION

_JUDGED = ("unit", "holdout", "tables", "columns", "gates")


def suites_hash(job: Job) -> str:
    """Hash of the pipeline's suite files; 20 hexadecimal digits."""
    digest = hashlib.sha256()
    for file in sorted(job.layout.suites(job.name).glob("*.json")):
        digest.update(f"\x00{file.name}\x00".encode() + file.read_bytes())
    return digest.hexdigest()[:20]


def settings_hash(job: Job) -> str:
    """Hash of the pipeline file, its suites and Twinlake's version: all that a release depends on beside the rows."""
    told = {
        "pipeline": job.pipeline.model_dump(mode="json", exclude={"source"}),
        "suites": suites_hash(job),
        "version": VERSION,
    }
    return hashlib.sha256(canonical(told).encode()).hexdigest()[:20]


def policy_hash(job: Job) -> str:
    """Hash of what a snapshot is drawn and judged by: as `settings_hash`, without the seed, schedules and words.

    Who changes the seed alone, or the description, asks the same question again.
    """
    file: dict[str, Any] = job.pipeline.model_dump(mode="json", exclude={"source"})
    told = {
        "pipeline": {name: file[name] for name in _JUDGED},
        "generator": {name: value for name, value in file["generator"].items() if name != "seed"},
        "snapshot": {name: file["snapshot"][name] for name in ("rows", "locale")},
        "suites": suites_hash(job),
        "version": VERSION,
    }
    return hashlib.sha256(canonical(told).encode()).hexdigest()[:20]


def overrides(job: Job) -> tuple[str, ...]:
    """Where the pipeline file asks less of a privacy gate than the recipient's class does, a sentence each."""
    return tuple(_overrides(job.pipeline.gates.privacy))


def _overrides(chosen: PrivacyGates) -> Iterator[str]:
    usual = PrivacyGates.model_validate({"recipient": chosen.recipient})
    for name in PrivacyGates.model_fields:
        own, asked = getattr(chosen, name), getattr(usual, name)
        if not isinstance(own, GateLimit):
            continue
        if own.severity is Severity.WARNING:
            yield f"{name} warns, where it would block"
        if own.limit > asked.limit or (own.limit != asked.limit and name not in PRIVACY_LIMITS):
            yield f"{name} is held against {own.limit:g}, where {chosen.recipient} recipients are given {asked.limit:g}"
    if chosen.holdout_units < usual.holdout_units:
        yield f"{chosen.holdout_units} held-back units suffice, where {usual.holdout_units} are asked for"
