"""Stage 1 and 2: read the real tables in one consistent read, and hold some units back."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from twinlake.errors import DataError, ProjectError, TwinlakeError
from twinlake.progress import Progress
from twinlake.project.misfits import misfits
from twinlake.run.job import Job
from twinlake.run.purge import outdated
from twinlake.run.record import Record
from twinlake.run.rules import broken_rules, contradictions
from twinlake.run.wall import walled
from twinlake.schema import Orphans, Schema
from twinlake.sources.extract import extract as read_source
from twinlake.sources.orphans import Settled, settle
from twinlake.sources.problems import Note, problems
from twinlake.storage.catalog import check_name
from twinlake.storage.layout import keep
from twinlake.storage.tracked import refuse_tracked
from twinlake.tables import Tables, canonical, fingerprint, read_schema
from twinlake.units import assign_units, held, split


@dataclass(frozen=True, slots=True)
class Extract:
    """Real tables in the vault: what is learnt from and what is held back.

    Attributes:
        id: names the extract by its content and how it was split.
        fingerprint: SHA-256 of schema and rows; stays in the vault.
        rows: rows of each table of the source that were taken.
        orphans: what became of rows that point to no row, where the pipeline file says so.
    """

    id: str
    folder: Path
    fingerprint: str
    rows: Mapping[str, int]
    orphans: tuple[Settled, ...] = ()

    @property
    def schema(self) -> Schema:
        """The schema of the real tables."""
        return read_schema(self.folder / "learnt")

    @property
    def learnt(self) -> Tables:
        """Rows that generators learn from."""
        return Tables.open(self.folder / "learnt")

    @property
    def holdout(self) -> Tables:
        """Rows of other units, kept back to measure with."""
        return Tables.open(self.folder / "holdout")

    def whole(self, name: str) -> pa.Table:
        """All rows of a table: learnt and held back; rows that are nobody's stand on both sides and count once."""
        learnt, holdout = self.learnt[name], self.holdout[name]
        both = learnt.num_rows + holdout.num_rows == self.rows[name]
        return pa.concat_tables([learnt, holdout]) if both else learnt


def extract(job: Job, record: Record, *, progress: Progress | None = None) -> Record:
    """Read the source into the vault; an extract that is there already, whole, is kept."""
    check_name(job.name)  # now, and not only when it is published
    with walled(job.layout, job.name, "extracting"), job.layout.scratch(job.name) as scratch:
        refuse_tracked(job.layout)
        schema = job.schema()
        if found := mistakes(job, schema):
            raise ProjectError(found)
        read_source(job.source, schema, scratch / "all", progress=progress)
        settled = settle(scratch / "all", schema, scratch=scratch)
        taken = Tables.open(scratch / "all")
        if found := broken_rules(schema, lambda t: (b.select(list(t.names)) for b in taken.batches(t.name))):
            raise ProjectError(found)
        content = fingerprint(scratch / "all")
        name = _id(job, content)
        home = job.layout.real(job.name, name)
        if not _is_whole(job, name):
            shutil.rmtree(home, ignore_errors=True)
            _split(job, scratch)
            rows = {n: Tables.open(scratch / "all").rows(n) for n in schema.names}
            shutil.rmtree(scratch / "all")
            told = {"fingerprint": content, "rows": rows, "orphans": [asdict(s) for s in settled]}
            (scratch / "extract.json").write_text(canonical(told), encoding="utf-8")
            keep(scratch, home)
        saved = record.save(job.layout, extract=name)
        outdated(job.layout, job.name, keep_days=job.pipeline.vault.keep_days)
        return saved


def open_extract(job: Job, name: str) -> Extract:
    """The extract of that id."""
    folder = job.layout.real(job.name, name)
    try:
        told = json.loads((folder / "extract.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = "the real rows of that run are no longer in the vault"
        raise DataError(what, where=job.name, fix="Run again from the extract on") from None
    orphans = (Settled(**{**s, "handling": Orphans(s["handling"])}) for s in told.get("orphans", ()))
    return Extract(name, folder, told["fingerprint"], told["rows"], tuple(orphans))


def mistakes(job: Job, schema: Schema, *, note: Note | None = None) -> list[TwinlakeError]:
    """What keeps the source from being extracted; `note` is told what is done with rows that point to no row."""
    return [*misfits(job.pipeline, schema), *contradictions(schema), *problems(job.source, schema, note=note)]


def _is_whole(job: Job, name: str) -> bool:
    """Whether the extract is there and its files can be opened; a disk that filled up may have torn one."""
    try:
        there = open_extract(job, name)
        return all(side.rows(n) >= 0 for side in (there.learnt, there.holdout) for n in there.rows)
    except (OSError, ValueError, KeyError, TypeError, DataError):  # ArrowInvalid is a ValueError
        return False


def _id(job: Job, content: str) -> str:
    how = canonical(
        {"content": content, "unit": job.pipeline.unit, "share": job.pipeline.holdout, "seed": job.seed("split")}
    )
    return hashlib.sha256(how.encode()).hexdigest()[:20]


def _split(job: Job, scratch: Path) -> None:
    tables = Tables.open(scratch / "all")
    units, share, seed = assign_units(tables, job.pipeline.unit), job.pipeline.holdout, job.seed("split")
    for name in [job.pipeline.unit] if job.pipeline.unit else list(units):
        side = held(units[name], share=share, seed=seed)
        if side is not None and (side.all() or not side.any()):
            raise DataError(
                f"table {name} has {len(side)} rows, too few to hold {share:.0%} of its units back",
                where=f"{job.name}.yaml",
                allowed="every unit table needs some rows to learn from and some to measure with",
                fix=f"Add rows; or, if {name} is a lookup list that anyone may see, give it public: true",
            )
    split(tables, units, share=share, seed=seed, real=scratch / "learnt", holdout=scratch / "holdout")
