"""What the clock starts, and for which date."""

import datetime as dt

import dagster as dg
import pytest
from projects import PIPELINE

from pipelines.definitions import build

RETRAIN = 'retrain: {every: "0 2 1 * *"}\n'


def loaded(root, text: str) -> dg.RepositoryDefinition:
    (root / "pipelines").mkdir()
    (root / "pipelines/clinic.yaml").write_text(text, encoding="utf-8")
    return build(root).get_repository_def()


def test_a_schedule_stands_in_the_file_and_is_on(tmp_path):
    found = loaded(tmp_path, PIPELINE + RETRAIN).schedule_defs
    assert {(s.name, s.cron_schedule, s.job_name) for s in found} == {
        ("clinic_schedule", "0 3 * * *", "clinic"), ("clinic_retrain_schedule", "0 2 1 * *", "clinic_retrain"),
    }  # fmt: skip
    assert {s.default_status for s in found} == {dg.DefaultScheduleStatus.RUNNING}


def test_without_a_schedule_there_is_only_the_job(tmp_path):
    found = loaded(tmp_path, PIPELINE.replace('snapshot: {every: "0 3 * * *"}\n', ""))
    assert not found.schedule_defs
    assert found.has_job("clinic")
    assert not found.has_job("clinic_retrain")


@pytest.mark.parametrize(("zone", "date"), [("UTC", "{}-21"), ("Asia/Tokyo", "{}-22"), ("America/Lima", "{}-21")])
def test_a_tick_is_for_the_date_of_the_pipelines_clock(tmp_path, zone, date):
    text = PIPELINE.replace('every: "0 3 * * *"', f'every: "0 3 * * *", timezone: {zone}')
    repository = loaded(tmp_path, text)
    [schedule] = repository.schedule_defs
    now = dt.datetime.now(dt.UTC)
    month = f"{now.year + 1}-11"
    with dg.DagsterInstance.ephemeral() as instance:
        at = dt.datetime(now.year + 1, 11, 21, 18, 0, tzinfo=dt.UTC)
        context = dg.build_schedule_context(instance, scheduled_execution_time=at, repository_def=repository)
        [request] = schedule.evaluate_tick(context).run_requests or []
    assert schedule.execution_timezone == zone
    assert request.partition_key == date.format(month)


def test_the_retrain_job_stops_at_the_model(tmp_path):
    job = loaded(tmp_path, PIPELINE + RETRAIN).get_job("clinic_retrain")
    made = {k.to_user_string() for k in job.asset_layer.selected_asset_keys}
    assert made == {"clinic/real_wards", "clinic/real_subjects", "clinic/real_visits", "clinic/model"}


def test_the_shadow_game_has_a_job_and_a_schedule_where_the_file_says_when(tmp_path):
    found = loaded(tmp_path, PIPELINE + 'shadow: {every: "0 1 * * 0"}\n')
    assert ("clinic_shadow_schedule", "0 1 * * 0") in {(s.name, s.cron_schedule) for s in found.schedule_defs}
    assert found.has_job("clinic_shadow")
