"""The dates a pipeline has snapshots of: its partitions.

Daily, not dynamic: whoever clicks "Materialize" and "Latest" runs today's without typing a date, a schedule needs no
bookkeeping to add it, and no instance has to remember any. They begin with the first run that the vault remembers, so
that no date is shown as missing on which Twinlake wasn't there yet; before it with yesterday, for a run launched about
midnight.
"""

import datetime as dt

import dagster as dg

from twinlake.project import Pipeline
from twinlake.run.record import recorded, today
from twinlake.storage.layout import Layout


def dates(pipeline: Pipeline, layout: Layout) -> dg.DailyPartitionsDefinition:
    """A partition for each day, from the first run to today, by the pipeline's clock."""
    zone = pipeline.snapshot.timezone
    yesterday = dt.date.fromisoformat(today(zone)) - dt.timedelta(days=1)
    first = (*recorded(layout, pipeline.name), yesterday.isoformat())[0]
    return dg.DailyPartitionsDefinition(start_date=first, end_offset=1, timezone=zone)
