"""The second demo: its file is right, and Dagster runs it from end to end."""

import datetime as dt
import re
import shutil
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from projects import PRIVACY

from pipelines.definitions import ROOT, build
from twinlake.run.preflight import preflight
from twinlake.storage.lake import query
from twinlake.storage.layout import Layout
from twinlake.storage.release import releases

CUT = "tailnum IS NULL OR ascii(tailnum[4]) % 4 = 0"  # by a digit in the middle of the tail number


@pytest.fixture
def layout(tmp_path) -> Layout:
    """A checkout with nothing but this demo."""
    for folder in ("examples/flights", "expectations/flights"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "pipelines").mkdir()
    shutil.copy(ROOT / "pipelines/flights.yaml", tmp_path / "pipelines")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    return Layout(tmp_path)


def shrink(layout: Layout) -> None:
    """Some planes and their flights, a generator that is quick, and limits that it meets."""
    folder = layout.root / "examples/flights"
    with duckdb.connect(config={"file_search_path": str(folder)}) as db:
        for name in ("flights", "planes"):
            db.execute(f"COPY (SELECT * FROM '{name}.parquet' WHERE {CUT}) TO '{folder}/{name}.cut' (FORMAT parquet)")
    for name in ("flights", "planes"):
        Path(folder / f"{name}.cut").rename(folder / f"{name}.parquet")
    file = layout.pipeline_file("flights")
    text = re.sub("generator: .*", "generator: {name: marginals, seed: 7}", file.read_text(encoding="utf-8"))
    text = text.replace("column_shape: 0.95, pair_trend: 0.9}", "column_shape: 0.8, pair_trend: 0.6}")
    file.write_text(re.sub("privacy: {.*}", f"privacy: {PRIVACY}", text), encoding="utf-8")


def test_the_demo_has_no_mistake_and_check_tells_its_orphans(layout) -> None:
    notes: list[str] = []
    assert preflight("flights", start=layout.root, note=notes.append) == []
    assert len(notes) == 3
    assert any("8,673 rows point to no row of planes" in n for n in notes)


def test_the_data_is_small_and_tells_its_licence(layout) -> None:
    files = list((layout.root / "examples/flights").glob("*.parquet"))
    assert len(files) == 5
    assert sum(f.stat().st_size for f in files) < 1_500_000
    assert "CC0" in (layout.root / "examples/flights/README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_dagster_runs_a_smaller_cut_to_a_release_with_its_references(layout) -> None:
    shrink(layout)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    with dg.DagsterInstance.ephemeral() as instance:
        done = build(layout.root).resolve_job_def("flights").execute_in_process(partition_key=today, instance=instance)
    assert done.success
    page = (releases(layout, "flights")[0].folder / "report.html").read_text(encoding="utf-8")
    assert "Across tables" in page
    assert "origin, time_hour → weather" in page
    lost = "SELECT count(*) AS n FROM flights.flights f ANTI JOIN flights.weather w USING (origin, time_hour)"
    assert query(layout, lost).to_pylist() == [{"n": 0}]
