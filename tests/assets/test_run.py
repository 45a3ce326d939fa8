"""Whole runs in process: what is made, what is refused, what is skipped, and what never leaves the vault."""

import shutil
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from dagsters import DATE, LATER, NEXT, ended, launch, sentence, told
from projects import PIPELINE, PRIVACY, make_project, write_duckdb, write_suite
from scenario import SCHEMA, clinic

from twinlake.run.record import Record
from twinlake.schema import quoted
from twinlake.storage.lake import query
from twinlake.storage.layout import Layout
from twinlake.storage.lock import pipeline_lock
from twinlake.storage.release import releases
from twinlake.tables import Tables

CANARY, EXTREME = "Kanarienvogelberg", "8765432.19"
ODD = f"""\
source: duckdb:///clinic.duckdb
tables: {{'say "x" ü/1': {{key: group}}, select: {{key: group}}, order items: {{key: group}}}}
generator: {{name: marginals, seed: 7}}
gates: {{fidelity: {{column_shape: 0.8, pair_trend: 0.7}}, privacy: {PRIVACY}}}
"""
STAGES = ["real", "real_checks", "model", "synthetic", "gates", "release"]


def with_canaries() -> Tables:
    """A clinic in which one subject holds a city and an income that nobody else does."""
    real = clinic(1500)
    people = real["subjects"]
    city = pa.array([CANARY, *people["city"].to_pylist()[1:]])
    income = people["income"].to_pylist()
    income[1] = pa.scalar(EXTREME).cast(pa.decimal128(10, 2)).as_py()
    for name, values in (("city", city), ("income", pa.array(income, pa.decimal128(10, 2)))):
        people = people.set_column(people.column_names.index(name), name, values)
    return Tables(SCHEMA, {**real, "subjects": people})


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A project with one release that Dagster has made, the run, and the instance's home."""
    root = tmp_path_factory.mktemp("released")
    layout, home = make_project(root / "project", real=with_canaries()), root / "home"
    home.mkdir()
    with dg.instance_for_test(temp_dir=str(home)) as instance:
        return layout, launch(layout, instance), home


@pytest.fixture
def again(released, tmp_path) -> Layout:
    """A copy of that project to change."""
    return Layout(Path(shutil.copytree(released[0].root, tmp_path / "project", symlinks=True)))


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def change(layout: Layout, old: str, new: str) -> None:
    layout.pipeline_file("clinic").write_text(PIPELINE.replace(old, new))


def materialized(result: dg.ExecuteInProcessResult, asset: str) -> dg.AssetMaterialization:
    events = result.get_asset_materialization_events()
    return next(e.materialization for e in events if e.asset_key and e.asset_key.to_user_string() == asset)


def test_a_run_goes_all_the_way_to_a_release_that_answers_sql(released):
    layout, result, _ = released
    assert result.success
    assert ended(result, "SUCCESS") == STAGES
    assert query(layout, "SELECT count(*) > 0 AS there FROM clinic.visits").to_pylist() == [{"there": True}]


def test_real_tables_show_counts_and_types_only(released):
    shown = materialized(released[1], "clinic/real_subjects").metadata
    assert set(shown) == {"dagster/row_count", "dagster/column_schema", "table", "held back", "extract"}
    assert shown["dagster/row_count"].value == 1500


def test_versions_are_those_of_the_data(released):
    layout, result, _ = released
    record, made = Record.load(layout, "clinic", DATE), releases(layout, "clinic")[0]

    def version(asset: str) -> str:
        return (materialized(result, asset).tags or {})["dagster/data_version"]

    assert version("clinic/real_visits") == record.extract
    assert version("clinic/model") == record.model
    assert version("clinic/synthetic_visits") == version("clinic/release") == made.manifest.snapshot


def test_checks_carry_the_numbers_of_verdicts(released):
    found = {(e.asset_key.to_user_string(), e.check_name): e for e in released[1].get_asset_check_evaluations()}
    shown = found["clinic/synthetic_subjects", "column_shape"]
    assert shown.passed
    assert shown.severity is dg.AssetCheckSeverity.ERROR
    assert shown.metadata["limit"].value == 0.8
    assert 0.8 < shown.metadata["value"].value <= 1


def test_a_release_says_where_its_report_is_and_what_to_try(released):
    shown = materialized(released[1], "clinic/release").metadata
    assert Path(shown["report"].value).is_file()
    assert shown["release"].value == f"clinic@{DATE}"
    assert "clinic" in shown["try"].value


def test_no_value_of_a_real_row_is_told_to_dagster_and_nothing_is_pickled(released):
    *_, home = released
    texts = list(told(home))
    assert any("dagster/row_count" in text for text in texts)  # the log is read, not skipped
    for canary in (CANARY, "Soglio", "real17@clinic.example", "Ada Real", EXTREME):
        assert not any(canary in text for text in texts)
    assert not [f for f in (home / "storage").rglob("*") if f.is_file() and f.parent.name != "compute_logs"]


def test_nothing_is_run_again_where_nothing_has_changed(again, instance):
    result = launch(again, instance, date=NEXT)
    assert result.success
    assert ended(result, "SUCCESS") == ["real", "real_checks", "model"]
    assert ended(result, "SKIPPED") == ["synthetic", "gates", "release"]
    assert [r.name for r in releases(again, "clinic")] == [DATE]


def test_a_refused_snapshot_fails_its_check_and_the_old_release_still_serves(again, instance):
    change(again, "membership: 0.95", "membership: 0.3")
    result = launch(again, instance, date=NEXT)
    failed = [e.check_name for e in result.get_asset_check_evaluations() if not e.passed]
    assert not result.success
    assert set(failed) == {"membership"}
    assert ended(result, "FAILURE") == ["gates"]
    assert "release" not in ended(result, "SUCCESS")
    assert [r.name for r in releases(again, "clinic")] == [DATE]
    assert query(again, "SELECT count(*) > 0 AS there FROM clinic.subjects").to_pylist() == [{"there": True}]

    alone = launch(again, instance, date=NEXT, only=["clinic/release"])
    assert not alone.success
    assert "the snapshot is not released, for it failed" in sentence(alone)
    assert [r.name for r in releases(again, "clinic")] == [DATE]


def test_a_gate_that_only_warns_lets_the_release_out(again, instance):
    change(again, "membership: 0.95", "membership: {limit: 0.3, severity: warning}")
    result = launch(again, instance, date=NEXT)
    failed = {e.severity for e in result.get_asset_check_evaluations() if not e.passed}
    assert result.success
    assert failed == {dg.AssetCheckSeverity.WARN}
    assert [r.name for r in releases(again, "clinic")] == [DATE, NEXT]


def test_a_suite_that_real_rows_fail_stops_the_run_before_anything_is_learnt(again, instance):
    cities = {"column": "city", "value_set": ["Bern", "Basel", "Chur"]}
    write_suite(again, "subjects", "expect_column_values_to_be_in_set", cities)
    result = launch(again, instance, date=NEXT)
    assert ended(result, "FAILURE") == ["real_checks"]
    assert "model" not in ended(result, "SUCCESS")
    assert CANARY not in repr(result.all_events)


def test_a_stage_on_its_own_says_what_is_missing(again, instance):
    result = launch(again, instance, date=NEXT, only=["clinic/release"])
    assert sentence(result) == f"clinic has no extract for {NEXT}. Run the stage that makes the extract first."


def test_a_second_run_at_once_is_told_who_holds_the_pipeline(again, instance):
    with pipeline_lock(again, "clinic"):
        result = launch(again, instance, date=NEXT)
    assert ended(result, "FAILURE") == ["real"]
    assert "another run holds it" in sentence(result)


def test_wrong_input_is_a_sentence_and_is_not_tried_again(again, instance):
    change(again, "duckdb:///clinic.duckdb", "duckdb:///elsewhere.duckdb")
    result = launch(again, instance, date=NEXT)
    failed = next(e for e in result.all_events if e.event_type_value == "STEP_FAILURE").step_failure_data
    assert "elsewhere.duckdb" in sentence(result)
    assert failed.error.cause is None
    assert failed.error.context is None


def test_tables_of_any_name_go_all_the_way(tmp_path, instance):
    names = ['say "x" ü/1', "select", "order items"]
    layout = make_project(tmp_path / "project", pipeline=ODD)
    with duckdb.connect(str(layout.root / "clinic.duckdb")) as connection:
        for name in names:
            connection.execute(
                f"""CREATE TABLE {quoted(name)} AS
                SELECT i AS "group", i % 7 AS "a|b", 'v' || (i % 3) AS "%" FROM range(900) t(i)"""
            )
            write_suite(layout, name, "expect_table_row_count_to_be_between", {"min_value": 1})
    result = launch(layout, instance)
    assert result.success, sentence(result)
    assert query(layout, 'SELECT count(*) AS n FROM clinic."say ""x"" ü/1"').to_pylist() == [{"n": 900}]
    shown = [e.materialization.metadata["table"].value for e in result.get_asset_materialization_events()
             if "synthetic" in str(e.asset_key)]  # fmt: skip
    assert shown == names


def test_between_two_retrainings_snapshots_use_the_newest_model_and_a_new_one_is_used_at_once(again, instance):
    again.pipeline_file("clinic").write_text(PIPELINE + 'retrain: {every: "0 2 1 * *"}\n')
    write_duckdb(again.root / "clinic.duckdb", clinic(1600))
    first = launch(again, instance, date=NEXT)
    kept = Record.load(again, "clinic", NEXT)
    assert first.success
    assert kept.model == Record.load(again, "clinic", DATE).model

    retrained = launch(again, instance, job="clinic_retrain", date=LATER)
    assert ended(retrained, "SUCCESS") == ["real", "real_checks", "model"]
    learnt = Record.load(again, "clinic", LATER)
    assert (learnt.extract, learnt.snapshot) == (kept.extract, None)
    assert learnt.model != kept.model

    launch(again, instance, date=LATER)
    assert [r.name for r in releases(again, "clinic")] == [NEXT, LATER]
    assert Record.load(again, "clinic", LATER).model == learnt.model
