"""What was let out before a snapshot: the ledger, who stood behind each release, and what the lake still holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from twinlake.census import Census, definitions, take_census
from twinlake.errors import DataError, LakeError
from twinlake.hashing import Hashes
from twinlake.privacy.history import Earlier, Gone, History
from twinlake.run.extract import Extract, open_extract
from twinlake.run.job import Job
from twinlake.run.policy import settings_hash
from twinlake.run.record import Record
from twinlake.storage.ledger import Entry, Ledger, commit, read_censuses, read_ledger, reserve
from twinlake.storage.manifest import Manifest
from twinlake.storage.publish import snapshot_hash
from twinlake.storage.release import Release, releases
from twinlake.tables import Tables
from twinlake.units import assign_units


@dataclass(frozen=True)
class Past:
    """All that was let out of a pipeline before one snapshot; read when it is asked for, a table at a time."""

    job: Job
    record: Record

    def of(self, table: str) -> History:
        """What was let out of a table; raises LakeError where the ledger can't be trusted."""
        before = [e for e in self._ledger.entries if e.snapshot != self._snapshot and table in e.rows]
        retained = self._retained(table)
        return History(
            now=self._now[table],
            retained=tuple(retained.values()),
            last=retained.get(before[-1].snapshot) if before else None,
            ever=self._ever(before, table),
            gone=self._gone(before[-1], table) if before else None,
            rows=self._ledger.total(table, without=self._snapshot),
            source=self._extract.rows[table],
        )

    def _ever(self, before: list[Entry], table: str) -> Iterator[tuple[str, Census]]:
        seen = set()
        for entry in before:
            census = None if entry.census in seen else self._census(entry, table)
            seen.add(entry.census)
            if census is not None:
                yield entry.release, census

    @cached_property
    def _extract(self) -> Extract:
        return open_extract(self.job, self.record.need("extract"))

    @cached_property
    def _snapshot(self) -> str:
        return snapshot_hash(self.job.layout.staging(self.job.name, self.record.need("snapshot")))

    @cached_property
    def _ledger(self) -> Ledger:
        return read_ledger(self.job.layout, self.job.name, secret=self.job.secret)

    @cached_property
    def _told_by(self) -> Mapping[str, str]:
        return definitions(self._extract.schema, self.job.pipeline.unit)

    @cached_property
    def _now(self) -> dict[str, Census]:
        return behind(self.job, self.record, self._ledger)[1]

    def _census(self, entry: Entry, table: str) -> Census | None:
        """Who stood behind a table of a release; None where units were told by something else than now."""
        if entry.told_by.get(table) != self._told_by[table]:
            return None
        return read_censuses(self.job.layout, self.job.name, entry, tables=[table]).get(table)

    def _retained(self, table: str) -> dict[str, Earlier]:
        """The releases that the lake still has, by the hash of their rows."""
        found = {}
        by_snapshot = {e.snapshot: e for e in self._ledger.entries}
        distinct = {r.manifest.snapshot: r for r in releases(self.job.layout, self.job.name)}
        for snapshot, release in distinct.items():
            if snapshot == self._snapshot or table not in release.manifest.schema.names:
                continue
            entry = by_snapshot.get(snapshot)
            census = self._census(entry, table) if entry else None
            why = "the vault's ledger does not know it" if entry is None else "units were told by something else then"
            unknown = why if census is None else ""
            found[snapshot] = Earlier(release.name, Tables.open(release.folder), census, unknown)
        return found

    def _gone(self, last: Entry, table: str) -> Gone | None:
        """The rows of units that the last release stood on and this one doesn't; None where its extract is gone."""
        before = self._census(last, table)
        try:
            extract = open_extract(self.job, last.extract)
            sides = {
                side: _rows(tables, self.job.pipeline.unit, table)
                for side, tables in ((True, extract.learnt), (False, extract.holdout))
            }
        except (DataError, OSError, ValueError):  # it has left the vault, or is torn
            return None
        if before is None:
            return None
        went = before.came(self._now[table])
        (learnt, units), (held, held_units) = (_of(*sides[side], went) for side in (True, False))
        return Gone(learnt, held, units, held_units)


def behind(job: Job, record: Record, ledger: Ledger) -> tuple[str, dict[str, Census]]:
    """The extract that the record's model learnt from, and who stands behind each table of it.

    A model may outlive its extract; then the ledger tells, if the model has made a release. Raises LakeError where
    neither is there.
    """
    name = record.need("model").rpartition("-")[2]
    try:
        extract = open_extract(job, name)
        return name, take_census(extract.learnt, extract.holdout, job.pipeline.unit)
    except DataError:  # the extract has left the vault
        made = [e for e in ledger.entries if e.extract == name]
    if not made:
        raise LakeError(
            "the rows that the model learnt have left the vault, so nobody can tell whom it learnt",
            where=f"pipeline {job.name}", fix="Learn a new model, or keep extracts longer (vault.keep_days)",
        )  # fmt: skip
    return name, read_censuses(job.layout, job.name, made[-1], tables=list(made[-1].rows))


def reserve_release(job: Job, record: Record, manifest: Manifest) -> None:
    """Write a release into the ledger before anybody can see it."""
    extract = open_extract(job, record.need("extract"))
    learnt, found = behind(job, record, read_ledger(job.layout, job.name, secret=job.secret))
    told_by = definitions(extract.schema, job.pipeline.unit)
    entry = Entry(
        release=manifest.release,
        snapshot=manifest.snapshot,
        rows={t: manifest.rows[t] for t in told_by},
        source={t: extract.rows[t] for t in told_by},
        extract=learnt,
        census="",
        told_by=told_by,
        settings=settings_hash(job),
        manifest=manifest.sha256,
        judged=extract.id,
    )
    reserve(job.layout, job.name, entry, found, secret=job.secret)


def commit_release(job: Job, release: Release) -> None:
    """Note in the ledger that a release stands in the lake."""
    commit(job.layout, job.name, release.name, release.manifest.snapshot, secret=job.secret)


def _rows(tables: Tables, unit: str | None, table: str) -> tuple[pa.Table, Hashes]:
    units = assign_units(tables, unit)[table]
    assert units is not None  # the gate is for tables of units
    return tables[table], units


def _of(rows: pa.Table, units: Hashes, among: Hashes) -> tuple[pa.Table, Hashes]:
    kept = np.isin(units, among)
    return rows.filter(pa.array(kept)), units[kept]
