import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from projects import PIPELINE, job, make_project, parquet_bytes, part, write_duckdb, write_suite
from scenario import SCHEMA, clinic

from twinlake.errors import BusyError, DataError, LakeError, ProjectError, Refused, SourceError, WalledError
from twinlake.run.extract import extract, open_extract
from twinlake.run.judge import judge, judge_real
from twinlake.run.record import Record
from twinlake.run.release import release
from twinlake.run.run import run
from twinlake.run.sample import open_snapshot, sample
from twinlake.run.train import train
from twinlake.storage.lake import query
from twinlake.storage.layout import Layout
from twinlake.storage.lock import pipeline_lock
from twinlake.storage.release import releases
from twinlake.tables import Tables, conform

DATE = "2026-11-22"


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Layout:
    """A project with one release."""
    layout = make_project(tmp_path_factory.mktemp("served") / "project")
    assert not run(job(layout), date=DATE).refused
    return layout


@pytest.fixture
def again(served, tmp_path) -> Layout:
    """A copy of that project to change."""
    return Layout(Path(shutil.copytree(served.root, tmp_path / "project", symlinks=True)))


def drawn(layout: Layout) -> Record:
    """Everything up to the snapshot, under a new seed."""
    layout.pipeline_file("clinic").write_text(PIPELINE.replace("seed: 7", "seed: 8"))
    one = job(layout)
    return sample(one, train(one, extract(one, Record("clinic", "2026-11-23"))))


def test_a_run_ends_in_a_release_that_answers_sql(served):
    found = query(served, "SELECT count(*) AS n, count(DISTINCT id) AS keys FROM clinic.subjects").to_pylist()
    assert found == [{"n": 3000, "keys": 3000}]


def test_the_twin_fits_the_source(served):
    twin = Tables.open(releases(served, "clinic")[0].folder)
    for table in twin.schema:
        assert twin[table.name].schema.types == SCHEMA[table.name].arrow.types
        assert twin[table.name].column_names == list(SCHEMA[table.name].names)


def test_a_lookup_list_is_carried_over_and_people_are_not(served):
    twin, real = Tables.open(releases(served, "clinic")[0].folder), clinic(3000)
    assert sorted(twin["wards"].to_pylist(), key=str) == sorted(real["wards"].to_pylist(), key=str)
    assert not set(twin["subjects"]["email"].to_pylist()) & set(real["subjects"]["email"].to_pylist())
    assert not set(twin["subjects"]["id"].to_pylist()) & set(real["subjects"]["id"].to_pylist())
    assert "Soglio" not in twin["subjects"]["city"].to_pylist()


def test_a_second_run_finds_nothing_to_do(again):
    before = releases(again, "clinic")
    outcome = run(job(again), date="2026-11-25")
    assert not outcome.fresh
    assert outcome.release is not None
    assert outcome.release.name == DATE
    assert releases(again, "clinic") == before


def test_changed_rows_make_a_new_release_and_the_old_one_stays(again):
    write_duckdb(again.root / "clinic.duckdb", clinic(2900))
    outcome = run(job(again), date="2026-11-23")
    assert outcome.fresh
    assert [r.name for r in releases(again, "clinic")] == [DATE, "2026-11-23"]
    assert query(again, "SELECT count(*) AS n FROM clinic.subjects").to_pylist() == [{"n": 2900}]
    assert query(again, "SELECT count(*) AS n FROM clinic.subjects", at=DATE).to_pylist() == [{"n": 3000}]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_on_one_worker_and_on_two(served, tmp_path):
    other = make_project(tmp_path / "other")
    run(job(other), date=DATE, workers=2)
    first, second = (parquet_bytes(releases(where, "clinic")[0].folder) for where in (served, other))
    assert first == second


def test_another_seed_gives_other_rows(again):
    drawn(again)
    outcome = run(job(again), date="2026-11-23")
    first, second = (parquet_bytes(r.folder)["subjects/part-00000.parquet"] for r in releases(again, "clinic"))
    assert outcome.fresh
    assert first != second


def test_without_a_seed_each_date_draws_other_rows(again):
    again.pipeline_file("clinic").write_text(PIPELINE.replace(", seed: 7", ""))
    one = job(again)
    trained = train(one, extract(one, Record("clinic", "2026-11-23")))
    other = Record.load(again, "clinic", "2026-11-24").save(again, extract=trained.extract, model=trained.model)
    assert sample(one, trained).snapshot != sample(one, other).snapshot


def test_a_bad_snapshot_is_refused_and_the_old_release_still_answers(again):
    record = drawn(again)
    one = job(again)
    file = part(again.staging("clinic", record.need("snapshot")), "subjects")
    learnt = open_extract(one, record.need("extract")).learnt["subjects"]
    twin = pq.read_table(file)
    copied = [*SCHEMA["subjects"].learnt]
    for name in copied:  # the planted fault: real people under made-up names
        at = twin.column_names.index(name)
        real = learnt[name].take(pa.array([i % learnt.num_rows for i in range(twin.num_rows)]))
        twin = twin.set_column(at, twin.schema.field(name), real.cast(twin.schema.field(name).type))
    file.unlink()
    pq.write_table(conform(twin, SCHEMA["subjects"]), file)
    verdicts = judge(one, record)
    assert ("subjects", "replay") in {(v.table, v.gate) for v in verdicts if v.blocks}
    with pytest.raises(Refused, match="replay"):
        release(one, record)
    assert [r.name for r in releases(again, "clinic")] == [DATE]
    assert query(again, "SELECT count(*) AS n FROM clinic.subjects").to_pylist() == [{"n": 3000}]


def test_a_snapshot_that_nobody_judged_is_not_released(again):
    record = drawn(again)
    with pytest.raises(LakeError, match="nobody has judged this snapshot"):
        release(job(again), record)


def test_a_snapshot_that_changed_after_it_was_judged_is_not_released(again):
    record = drawn(again)
    judge(job(again), record)
    file = part(again.staging("clinic", record.need("snapshot")), "visits")
    rows = pq.read_table(file)
    file.unlink()
    pq.write_table(rows.slice(1), file)
    with pytest.raises(LakeError, match="nobody has judged this snapshot"):
        release(job(again), record)


def test_a_verdict_edited_by_hand_is_noticed(again):
    record = drawn(again)
    judge(job(again), record)
    for file in again.verdicts("clinic", "x").parent.glob("*.json"):
        file.write_text(file.read_text().replace('"passed": true', '"passed": true '))
        told = json.loads(file.read_text())
        told["judgement"]["verdicts"][0]["limit"] = 0.5
        file.write_text(json.dumps(told))
    with pytest.raises(LakeError, match="edited after they were given"):
        release(job(again), record)


def test_a_suite_that_real_rows_fail_stops_the_run_before_it_learns(again):
    write_suite(again, "subjects", "expect_column_values_to_be_in_set", {"column": "city", "value_set": ["Bern"]})
    outcome = run(job(again), date="2026-11-23")
    assert outcome.refused
    failed = [v for v in outcome.verdicts if v.blocks]
    assert [(v.table, v.gate) for v in failed] == [("subjects", "real_expectations")]
    assert "Soglio" not in failed[0].reason
    assert "city" in failed[0].reason


def test_a_table_without_a_suite_is_a_mistake(again):
    again.suite_file("clinic", "visits").unlink()
    with pytest.raises(ProjectError, match="table visits has no suite"):
        run(job(again), date="2026-11-23")


def test_two_runs_of_one_pipeline_do_not_meet(again):
    with pipeline_lock(again, "clinic"), pytest.raises(BusyError, match="pipeline clinic: another run holds it"):
        run(job(again))


def test_what_was_not_foreseen_leaves_without_its_text(again, monkeypatch):
    one = job(again)
    (again.own_vault("clinic") / "runs" / "2026-11-24.json").write_text('{"Soglio": "987654.32"}')
    with pytest.raises(DataError, match="has no extract"):
        train(one, Record("clinic", "2026-11-24"))

    class Broken:
        label = "broken"

        def names(self):
            raise RuntimeError("row (Soglio, 987654.32)")

    one.__dict__["source"] = Broken()
    with pytest.raises(WalledError) as told:
        extract(one, Record("clinic", "2026-11-24"))
    assert "Soglio" not in str(told.value)
    assert told.value.__cause__ is None
    logs = list(again.logs("clinic").glob("*.log"))
    assert "Soglio" in logs[0].read_text()
    assert logs[0].stat().st_mode & 0o077 == 0


def test_a_model_is_kept_while_nothing_it_depends_on_changes(again):
    one = job(again)
    record = train(one, extract(one, Record("clinic", "2026-11-23")))
    models = list(again.model("clinic", "x").parent.iterdir())
    assert [m.name for m in models] == [record.model]


def test_with_a_schedule_of_its_own_a_model_outlives_a_change_of_rows(again):
    again.pipeline_file("clinic").write_text(PIPELINE + 'retrain: {every: "0 2 1 * *"}\n')
    one = job(again)
    first = train(one, extract(one, Record("clinic", "2026-11-23")))
    write_duckdb(again.root / "clinic.duckdb", clinic(2900))
    second = train(one, extract(one, Record("clinic", "2026-11-24")), retrain=False)
    assert second.extract != first.extract
    assert second.model == first.model


@pytest.mark.parametrize(
    ("changed", "error", "sentence"),
    [
        (("clinic.duckdb", "clinik.duckdb"), SourceError, "clinik.duckdb"),
        (("  visits:", "  visitz: {}\n  visits:"), ProjectError, 'Did you mean "visits"?'),
        (("subjects.name", "subjects.nam"), ProjectError, 'Did you mean "name"?'),
        (("name: marginals", "name: marginal"), Exception, 'Did you mean "marginals"?'),
    ],
)
def test_bad_input_is_told_in_a_sentence_and_nothing_is_left(again, changed, error, sentence):
    again.pipeline_file("clinic").write_text(PIPELINE.replace(*changed))
    with pytest.raises(error) as told:
        run(job(again), date="2026-11-23")
    assert sentence in str(told.value)
    assert [r.name for r in releases(again, "clinic")] == [DATE]
    assert not list((again.own_vault("clinic") / "scratch").iterdir())


def test_rows_that_break_their_keys_are_told_before_anything_is_extracted(again):
    with duckdb.connect(str(again.root / "clinic.duckdb")) as connection:
        connection.execute("CREATE TABLE loose AS SELECT * FROM subjects UNION ALL (SELECT * FROM subjects LIMIT 3)")
        connection.execute("CREATE TABLE lost AS SELECT id + 1 AS subject, city FROM subjects LIMIT 4")
    tables = '  loose: {key: id}\n  lost: {references: ["subject -> subjects"]}\n  visits:'
    again.pipeline_file("clinic").write_text(PIPELINE.replace("  visits:", tables))
    with pytest.raises(ProjectError) as told:
        run(job(again), date="2026-11-23")
    assert "loose" in str(told.value)
    assert "4 rows point to no row of subjects" in str(told.value)


def test_a_run_that_is_killed_leaves_the_last_release_served_and_the_next_one_succeeds(again):
    write_duckdb(again.root / "clinic.duckdb", clinic(2900))
    code = f"""
import os, signal
import twinlake.storage.publish as publishing
from twinlake.run.job import Job
from twinlake.run.run import run
from pathlib import Path
def killed(*args): os.kill(os.getpid(), signal.SIGKILL)
publishing._place = killed
run(Job.open("clinic", start=Path({str(again.root)!r})), date="2026-11-23")
"""
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ})
    assert ended.returncode == -9
    assert query(again, "SELECT count(*) AS n FROM clinic.subjects").to_pylist() == [{"n": 3000}]
    assert run(job(again), date="2026-11-23").fresh
    assert query(again, "SELECT count(*) AS n FROM clinic.subjects").to_pylist() == [{"n": 2900}]


def test_snapshots_are_drawn_in_fresh_order(served):
    one = job(served)
    record = Record.load(served, "clinic", DATE)
    ids = open_snapshot(one, record.need("snapshot"))["subjects"]["id"].to_pylist()
    assert ids != sorted(ids)


def test_the_real_tables_are_judged_once_per_extract_and_suite(served):
    one = job(served)
    record = Record.load(served, "clinic", DATE)
    assert judge_real(one, record) == judge_real(one, record)
    assert len(list(open_extract(one, record.need("extract")).folder.glob("suites-*.json"))) == 1


def test_the_manifest_names_the_generators_that_learnt_a_table_and_no_other(again):
    own = "{generator: {name: marginals}, "
    text = PIPELINE.replace("name: marginals", "name: gaussian_copula")
    text = text.replace("subjects: {", f"subjects: {own}").replace("visits: {", f"visits: {own}")
    again.pipeline_file("clinic").write_text(text)
    outcome = run(job(again), date="2026-11-23")
    assert outcome.release is not None
    assert outcome.fresh
    assert (outcome.release.manifest.origin.generator, outcome.release.manifest.origin.licence) == (
        "marginals",
        "Apache-2.0",
    )
