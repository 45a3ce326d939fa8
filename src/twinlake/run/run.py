"""The whole way: extract … release, as one run that nobody else can disturb."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinlake.card import MOST_ATTEMPTS, Evidence, confidence, is_private
from twinlake.progress import Progress
from twinlake.run.attempts import evidence
from twinlake.run.extract import extract, open_extract
from twinlake.run.job import Job
from twinlake.run.judge import judge, judge_real
from twinlake.run.pages import refused_page
from twinlake.run.record import Record, today
from twinlake.run.release import current_release, release
from twinlake.run.sample import sample
from twinlake.run.train import train
from twinlake.storage.lock import pipeline_lock
from twinlake.storage.release import Release
from twinlake.storage.versions import Version
from twinlake.verdict import Verdict, blocking

SMALL = 100  # rows below which a table may be a lookup list


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        verdicts: of every gate that was reached.
        release: what was released, or what is served already; None where the snapshot was refused.
        version: how DVC recorded it; None where it did not.
        fresh: whether this run made the release, rather than finding that nothing had changed.
        evidence: under which policy the snapshot was judged, and how often it was tried; None where none was drawn.
        page: the full page of a refused snapshot, in the vault.
    """

    verdicts: tuple[Verdict, ...]
    release: Release | None
    version: Version | None
    fresh: bool
    evidence: Evidence | None = None
    page: Path | None = None

    @property
    def refused(self) -> bool:
        """Whether a gate kept the snapshot from going out."""
        return self.release is None

    @property
    def title(self) -> str:
        """What happened, in a few words."""
        if self.release is None:
            return "refused"
        return f"released as {self.release.name}" if self.fresh else f"nothing changed since {self.release.name}"

    def lines(self) -> list[str]:
        """What a person should know next, a sentence each."""
        tried = [f"Snapshots of the same real rows were {self.evidence.history}."] if self.evidence else []
        if self.release is None:
            small = sorted({v.table for v in self.verdicts if v.blocks and 0 < v.n < SMALL})
            return [
                *(f"{t} has few rows: if it is a lookup list that anyone may see, give it public: true" for t in small),
                *([f"All that was found, for whoever answers for the real rows: {self.page}"] if self.page else []),
                *tried,
                *([_again(self.verdicts, self.evidence)] if self.evidence else []),
                "Nothing was released; what was served before is still served.",
            ]
        return [
            *tried,
            *([self.version.sentence] if self.version and self.version.sentence else []),
            f"The page to read: {self.release.folder / 'report.html'}",
        ]


def run(job: Job, *, date: str | None = None, workers: int = 1, progress: Progress | None = None) -> Outcome:
    """Extract, train, sample, check and release; ends early where nothing changed or a gate blocks.

    Raises BusyError where another run of the pipeline is under way.
    """
    with pipeline_lock(job.layout, job.name):
        record = Record.load(job.layout, job.name, date or today(job.pipeline.snapshot.timezone))
        record = extract(job, record, progress=progress)
        if served := current_release(job, open_extract(job, record.need("extract"))):
            told = served.manifest
            return Outcome(told.verdicts, served, None, fresh=False, evidence=told.evidence)
        return _onward(job, record, workers, progress or _silent)


def _onward(job: Job, record: Record, workers: int, progress: Progress) -> Outcome:
    real = judge_real(job, record)
    if blocking(real):
        return Outcome(tuple(real), None, None, fresh=False)
    record = train(job, record, retrain=job.pipeline.retrain.every is None, progress=progress)
    record = sample(job, record, workers=workers, progress=progress)
    verdicts = tuple(judge(job, record, workers=workers, progress=progress))
    tried = evidence(job, record)
    if blocking(verdicts):
        page = refused_page(job, record.date, tried.attempt)
        return Outcome(verdicts, None, None, fresh=False, evidence=tried, page=page)
    progress("release", 0, 1)
    out, version = release(job, record)
    return Outcome(verdicts, out, version, fresh=True, evidence=tried)


def _again(verdicts: Sequence[Verdict], evidence: Evidence) -> str:
    """What running again would do."""
    if not any(v.blocks and is_private(v.gate) for v in verdicts):
        return "Running again draws the same snapshot, until something is changed."
    if evidence.attempt < MOST_ATTEMPTS:
        sure = f"{100 * confidence(evidence.attempt + 1):g} %"
        return f"Running again draws one other snapshot for this date, and asks {sure} confidence of its privacy gates."
    return "No attempt is left for this date with these rows and settings."


def _silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody follows."""
