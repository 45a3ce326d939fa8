"""What may be drawn of references: how many children parents have, twin beside real, hidden where few units stand."""

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from twinlake.fidelity.cardinality import count
from twinlake.fidelity.databases import Databases
from twinlake.random import stream
from twinlake.report.shares import ColumnShares, compare
from twinlake.run.extract import open_extract
from twinlake.run.job import Job
from twinlake.run.record import Record
from twinlake.run.sample import open_snapshot
from twinlake.schema import Column, Reference, Table
from twinlake.units import assign_units


def families(job: Job, record: Record) -> Mapping[str, tuple[ColumnShares, ...]]:
    """By table, the shares of parents with so many children, of each of its references."""
    extract, synthetic = open_extract(job, record.need("extract")), open_snapshot(job, record.need("snapshot"))
    units = assign_units(extract.holdout, job.pipeline.unit)
    sides = Databases(extract.learnt, extract.holdout, synthetic, units)
    return {
        t.name: tuple(_shares(job, sides, t, r) for r in t.references)
        for t in extract.schema
        if t.references and not t.public
    }


def _shares(job: Job, sides: Databases, table: Table, reference: Reference) -> ColumnShares:
    counted = count(sides, table, reference, stream(job.seed("gates"), "families", table.name, str(reference)))
    way = f"{', '.join(reference.columns)} → {reference.table}"
    column = Table("parents", (Column(way, pa.int64()),))
    real, twin = (pa.table({way: c}, schema=column.arrow) for c in (counted.holdout, counted.synthetic))
    k, units = job.pipeline.gates.privacy.min_units, sides.units[reference.table]
    shares = compare(real, twin, column, k=k, units=units)[0]
    return replace(shares, note=shares.note or f"{table.name} per row of {reference.table}")
