"""How often a snapshot may be tried: twice a date, then at half of α. Drawing until one passes proves nothing."""

from twinlake.card import MOST_ATTEMPTS, Evidence, is_private
from twinlake.errors import DataError
from twinlake.run.extract import Extract, open_extract
from twinlake.run.job import Job
from twinlake.run.policy import overrides, policy_hash
from twinlake.run.record import Record
from twinlake.storage.attempts import Attempt, add_attempt, read_attempts
from twinlake.storage.publish import snapshot_hash
from twinlake.verdict import Outcome, Verdict, blocking
from twinlake.version import VERSION


def next_attempt(job: Job, date: str, extract: Extract) -> int:
    """Which attempt of the date a snapshot drawn now is: the one after the last that a privacy gate refused, from 1.

    Raises DataError where none is left. A new source, date, generator or gate setting begins anew; a new seed does not,
    and what only gates of likeness or of rules refused counts for nothing.
    """
    own = _own(job, date, extract)
    if not own or own[-1].privacy is Outcome.PASSED:
        return own[-1].number if own else 1
    if own[-1].number >= MOST_ATTEMPTS:
        raise _spent(job, date)
    return own[-1].number + 1


def attempt_of(job: Job, date: str, extract: Extract, snapshot: str) -> int:
    """Which attempt of the date a snapshot is, by its hash: one that was judged before stays what it was."""
    before = [a.number for a in _own(job, date, extract) if a.snapshot == snapshot]
    return before[-1] if before else next_attempt(job, date, extract)


def note_attempt(job: Job, date: str, extract: Extract, snapshot: str, *, number: int, verdicts: list[Verdict]) -> None:
    """Count a snapshot that was judged."""
    stopped = blocking(verdicts)
    outcomes = {v.outcome for v in stopped if is_private(v.gate)}
    worst = next((o for o in (Outcome.FAILED, Outcome.INCONCLUSIVE) if o in outcomes), Outcome.PASSED)
    made = Attempt(
        date=date, real=extract.fingerprint, policy=policy_hash(job), snapshot=snapshot, number=number,
        passed=not stopped, privacy=worst,
    )  # fmt: skip
    add_attempt(job.layout, job.name, made, secret=job.secret)


def evidence(job: Job, record: Record) -> Evidence:
    """Under which policy the record's snapshot is judged, and how often snapshots of the same real rows were."""
    extract = open_extract(job, record.need("extract"))
    snapshot = snapshot_hash(job.layout.staging(job.name, record.need("snapshot")))
    every = [a for a in read_attempts(job.layout, job.name, secret=job.secret) if a.real == extract.fingerprint]
    policy = policy_hash(job)
    tried = {(a.snapshot, a.policy) for a in every} | {(snapshot, policy)}
    return Evidence(
        recipient=job.pipeline.gates.privacy.recipient,
        policy=policy,
        version=VERSION,
        attempt=attempt_of(job, record.date, extract, snapshot),
        judged=len(tried),
        settings=len({p for _, p in tried}),
        overrides=overrides(job),
    )


def _own(job: Job, date: str, extract: Extract) -> list[Attempt]:
    """The attempts of a date with these rows under these settings, oldest first."""
    asked = (date, extract.fingerprint, policy_hash(job))
    return [a for a in read_attempts(job.layout, job.name, secret=job.secret) if (a.date, a.real, a.policy) == asked]


def _spent(job: Job, date: str) -> DataError:
    fixed = job.pipeline.generator.seed is not None
    again = "another date draws the same rows, for the file fixes the seed" if fixed else "another date draws anew"
    return DataError(
        f"privacy gates have refused {MOST_ATTEMPTS} snapshots of {date}, and a third is not drawn",
        where=f"pipeline {job.name}",
        allowed=f"a date has one attempt and one more, until the source or the settings change; {again}",
        fix="Read why in the pages of both in the vault, and change what they name: settings of the generator, more "
        "units, a larger holdout. A new seed alone asks the same question again",
    )
