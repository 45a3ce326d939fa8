"""The account of what a pipeline let out, in lines for a person: rows in total, and when the limit is reached."""

import datetime as dt
from collections.abc import Iterator

from twinlake.privacy.history import releases_left
from twinlake.run.job import Job
from twinlake.storage.layout import Layout
from twinlake.storage.ledger import Ledger, read_ledger


def account(pipeline: str, layout: Layout) -> list[str]:
    """A line per table, of all releases that were ever let out; nothing where there is no vault that would know.

    Raises LakeError where the ledger can't be trusted.
    """
    if not layout.ledger(pipeline).exists():
        return []
    job = Job.open(pipeline, start=layout.root)
    ledger = read_ledger(layout, pipeline, secret=job.secret)
    return list(_lines(ledger, job.pipeline.gates.privacy.total_rows)) if ledger.entries else []


def _lines(ledger: Ledger, limit: float) -> Iterator[str]:
    last, pace = ledger.entries[-1], _days_apart(ledger)
    count = len(ledger.entries)
    yield f"let out in all, {count:,} release{'' if count == 1 else 's'}, those that are gone included:"
    for table, source in last.source.items():
        total = ledger.total(table)
        left = releases_left(total, last.rows[table], limit * source)
        day = dt.date.fromisoformat(last.release[:10])
        when = _after(day, left * pace) if pace else ""
        yield (
            f"  {table}: {total:,} rows, {total / max(1, source):,.1f} times the source's; "
            f"the limit of {limit:g} allows {left:,} more like the last{when}"
        )


def _days_apart(ledger: Ledger) -> float:
    """Days from one release to the next, so far; 0 where there was one day only."""
    days = [dt.date.fromisoformat(e.release[:10]) for e in ledger.entries]
    return (max(days) - min(days)).days / max(1, len(days) - 1)


def _after(day: dt.date, days: float) -> str:
    try:
        return f", at this pace until {day + dt.timedelta(days=days)}"
    except OverflowError:
        return ""
