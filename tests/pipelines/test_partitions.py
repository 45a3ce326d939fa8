"""The dates that can be run."""

import datetime as dt

from pipelines.partitions import dates
from twinlake.project import Pipeline
from twinlake.run.record import Record, today
from twinlake.storage.layout import Layout


def pipeline(zone: str = "UTC") -> Pipeline:
    tables = {"people": None}
    return Pipeline.model_validate({"name": "p", "source": "files:x", "tables": tables, "snapshot": {"timezone": zone}})


def test_today_can_be_run_and_is_the_last(tmp_path):
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        assert dates(pipeline(zone), Layout(tmp_path)).get_last_partition_key() == today(zone)


def test_a_late_run_of_yesterday_is_possible_before_anything_has_run(tmp_path):
    yesterday = dt.date.fromisoformat(today()) - dt.timedelta(days=1)
    assert dates(pipeline(), Layout(tmp_path)).get_partition_keys() == [yesterday.isoformat(), today()]


def test_dates_begin_with_the_first_run_that_the_vault_remembers(tmp_path):
    layout = Layout(tmp_path)
    for date in ("2026-03-02", "2026-03-01"):
        Record("p", date).save(layout, extract="x")
    assert dates(pipeline(), layout).get_first_partition_key() == "2026-03-01"
