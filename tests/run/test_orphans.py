"""Orphans on the whole way: what check tells, what the extract holds, what a twin may not hold."""

import json
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from projects import PRIVACY

from twinlake.cli import main
from twinlake.errors import ProjectError
from twinlake.expectations.structure import structure
from twinlake.run.extract import Extract, extract, open_extract
from twinlake.run.job import Job
from twinlake.run.preflight import preflight
from twinlake.run.record import Record
from twinlake.run.run import run
from twinlake.schema import Orphans
from twinlake.storage.layout import Layout
from twinlake.storage.release import releases
from twinlake.tables import Tables

TABLES = """
CREATE TABLE planes AS SELECT i AS id, i % 3 AS model FROM range(200) AS t (i);
CREATE TABLE flights AS SELECT i AS id, CASE WHEN i % 5 > 0 THEN i % 220 END AS plane, i % 4 AS gate
    FROM range(3000) AS t (i);
CREATE TABLE meals AS SELECT i AS id, i // 2 AS flight, i % 7 AS dish FROM range(6000) AS t (i);
"""
PIPELINE = """source: {source}
tables:
  planes: {{key: id}}
  flights: {{key: id, references: ["plane -> planes"], {orphans}}}
  meals: {{key: id, references: ["flight -> flights"]}}
generator: {{name: marginals, seed: 1}}
gates: {{fidelity: {{column_shape: 0.5, pair_trend: 0.5}}, privacy: {privacy}}}
"""
LOST = sum(i % 5 > 0 and i % 220 >= 200 for i in range(3000))  # flights whose plane is not there


def project(root: Path, orphans: str = "", source: str = "duckdb:///s.duckdb") -> Job:
    layout = Layout(root)
    layout.suites("p").mkdir(parents=True, exist_ok=True)
    layout.pipelines.mkdir(exist_ok=True)
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    text = PIPELINE.format(orphans=f"orphans: {orphans}" if orphans else "", source=source, privacy=PRIVACY)
    layout.pipeline_file("p").write_text(text, encoding="utf-8")
    for name in ("planes", "flights", "meals"):
        layout.suite_file("p", name).write_text('{"name": "s", "expectations": []}', encoding="utf-8")
    if not (root / "s.duckdb").exists():
        with duckdb.connect(str(root / "s.duckdb")) as connection:
            connection.execute(TABLES)
    return Job.open("p", start=root)


def extracted(job: Job) -> Extract:
    return open_extract(job, extract(job, Record("p", "2026-11-22")).need("extract"))


def orphans(made: Extract) -> int:
    planes, flights = made.whole("planes")["id"].to_pylist(), made.whole("flights")["plane"].to_pylist()
    return sum(p is not None and p not in set(planes) for p in flights)


def test_unhandled_orphans_keep_everything_from_running(tmp_path):
    job = project(tmp_path)
    (said,) = map(str, preflight("p", start=tmp_path))
    assert f"reference flights: plane -> planes(id): {LOST} rows point to no row of planes" in said
    with pytest.raises(ProjectError, match=f"{LOST} rows point to no row of planes"):
        extract(job, Record("p", "2026-11-22"))


@pytest.mark.parametrize(
    ("how", "rows", "left"),
    [("drop", {"planes": 200, "flights": 3000 - LOST, "meals": 6000 - 2 * LOST}, 0),
     ("null", {"planes": 200, "flights": 3000, "meals": 6000}, 0),
     ("{plane: keep}", {"planes": 200, "flights": 3000, "meals": 6000}, LOST)],
)  # fmt: skip
def test_the_extract_holds_what_the_file_says(tmp_path, how, rows, left):
    made = extracted(project(tmp_path, how))
    assert made.rows == rows
    assert orphans(made) == left
    told = {(s.table, s.handling): s.rows for s in made.orphans}
    word = Orphans(how.strip("{}").removeprefix("plane: "))
    assert told == {("flights", word): LOST} | ({("meals", word): 2 * LOST} if word is Orphans.DROP else {})
    assert sorted(p.name for p in made.folder.iterdir()) == ["extract.json", "holdout", "learnt"]


def test_each_way_is_an_extract_of_its_own(tmp_path):
    made = {extracted(project(tmp_path, how)).id for how in ("drop", "null", "keep")}
    assert len(made) == 3
    assert extracted(project(tmp_path, "null")).id in made


def test_an_extract_that_tells_of_no_orphans_is_read(tmp_path):
    made = extracted(project(tmp_path, "null"))
    file = made.folder / "extract.json"
    told = json.loads(file.read_text())
    told.pop("orphans")
    file.write_text(json.dumps(told))
    assert open_extract(project(tmp_path, "null"), made.id).orphans == ()


def test_files_and_postgres_are_handled_alike(tmp_path, postgres):
    job = project(tmp_path, "drop")
    rows = dict(extracted(job).rows)
    with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
        connection.execute(f"EXPORT DATABASE '{tmp_path / 'files'}' (FORMAT parquet)")
        data = {n: connection.sql(f"FROM {n}").to_arrow_table() for n in rows}
    url = postgres.create("orphans", *(f"CREATE TABLE {n} ({_ddl(d)})" for n, d in data.items()))
    for name, table in data.items():
        postgres.ingest("orphans", name, table)
    for source in ("files:files/*.parquet", url):
        made = extracted(project(tmp_path, "drop", source))
        assert (dict(made.rows), orphans(made)) == (rows, 0)


def _ddl(table):
    return ", ".join(f"{name} bigint" for name in table.column_names)


def test_check_notes_what_is_handled(tmp_path, monkeypatch):
    project(tmp_path, "{plane: null}")
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(main, ["check", "p"])
    assert told.exit_code == 0
    assert told.output.splitlines() == [
        "p: ready to run",
        f"  note: reference flights: plane -> planes(id): {LOST} rows point to no row of planes; such rows lose their "
        "reference.",
    ]


@pytest.mark.parametrize("how", ["drop", "null"])
def test_the_twin_has_no_orphans(tmp_path, how):
    job = project(tmp_path, how)
    outcome = run(job, date="2026-11-22")
    assert not outcome.refused, [v.reason for v in outcome.verdicts if v.blocks]
    twin = Tables.open(releases(job.layout, "p")[0].folder)
    assert all(structure(twin, twin.schema, name).passed for name in twin)
    planes = set(twin["planes"]["id"].to_pylist())
    assert all(p is None or p in planes for p in twin["flights"]["plane"].to_pylist())


def test_a_twin_whose_orphans_are_kept_is_released_with_as_many(tmp_path):
    job = project(tmp_path, "keep")
    outcome = run(job, date="2026-11-22")
    assert not outcome.refused, [v.reason for v in outcome.verdicts if v.blocks]
    twin = Tables.open(releases(job.layout, "p")[0].folder)
    planes, real = set(twin["planes"]["id"].to_pylist()), set(range(220))
    lost = [p for p in twin["flights"]["plane"].to_pylist() if p is not None and p not in planes]
    assert len(lost) / twin.rows("flights") == pytest.approx(LOST / 3000, abs=0.02)  # not one more for planes held back
    assert not set(lost) & real


def test_what_keeps_a_pipeline_from_running_is_told_in_one_go(tmp_path):
    job = project(tmp_path, "null, order_by: gone")
    assert 'table "flights" has no column "gone"' in str(preflight("p", start=tmp_path)[0])
    text = job.layout.pipeline_file("p").read_text()
    unit = text.replace("tables:", "unit: meals\ntables:").replace("orphans: null, order_by: gone", "order_by: plane")
    job.layout.pipeline_file("p").write_text(unit.replace("planes: {key: id}", "planes: {key: id, order_by: model}"))
    said = "\n".join(map(str, preflight("p", start=tmp_path)))
    for part in ("tables.planes.order_by: planes refers to no table", f"{LOST} rows point", "unit: no reference leads"):
        assert part in said
    assert len(said.splitlines()) == 3
