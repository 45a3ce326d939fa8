"""What may be drawn of references: how many children parents have, twin beside real, hidden where few units stand."""

from collections.abc import Mapping

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
    title = _title(table, reference)
    column = Table("parents", (Column(title, pa.int64()),))
    real, twin = (pa.table({title: c}, schema=column.arrow) for c in (counted.holdout, counted.synthetic))
    k = job.pipeline.gates.privacy.min_units
    return compare(real, twin, column, k=k, units=sides.units[reference.table])[0]


def _title(table: Table, reference: Reference) -> str:
    """`flights per airport`, and by which columns where a table refers to another twice."""
    several = sum(r.table == reference.table for r in table.references) > 1
    way = f" by {', '.join(reference.columns)}" if several else ""
    return f"{table.name} per row of {reference.table}{way}"
