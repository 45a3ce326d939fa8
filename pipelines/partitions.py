"""The dates a pipeline has snapshots of: its partitions.

Daily, not dynamic: whoever clicks "Materialize" finds today's date chosen already, a schedule needs no bookkeeping to
add it, and no instance has to remember any. They begin with the first run that the vault remembers, so that no date is
shown as missing on which Twinlake wasn't there yet; yesterday's is always among them, for a run that is late.
"""

import datetime as dt

import dagster as dg

from twinlake.project import Pipeline
from twinlake.run.record import recorded, today
from twinlake.storage.layout import Layout


def dates(pipeline: Pipeline, layout: Layout) -> dg.DailyPartitionsDefinition:
    """A partition for each day, from the first run to today, where the pipeline's clock is."""
    zone = pipeline.snapshot.timezone
    yesterday = dt.date.fromisoformat(today(zone)) - dt.timedelta(days=1)
    first = min([yesterday.isoformat(), *recorded(layout, pipeline.name)])
    return dg.DailyPartitionsDefinition(start_date=first, end_offset=1, timezone=zone)
