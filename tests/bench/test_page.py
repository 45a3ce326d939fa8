"""The page of the bench: intervals, alarms, and rows of peers that could not run."""

import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.compare import main
from bench.frames import to_arrow, to_frame
from bench.judge import Measured
from bench.page import ALARM, REAL, copy_alarm, page, spread
from bench.peers import PEERS, Peer
from bench.runs import Lab, Run
from bench.work import Task
from bench.worlds import WORLDS, World

LAB = Lab(Path("data"), Path("home"), budget=120, cores=2)
COST = {
    "fit_wall": 2.0, "fit_cpu": 3.0, "rows_per_second": 1e6, "written_per_second": 5e5, "model_bytes": 2e6,
    "peak_mb": 300.0,
}  # fmt: skip


def run(auc: float = 0.5, *, cost: dict[str, float] | None = None) -> Run:
    names = (
        "xgb",
        "shape",
        "trend",
        "three_way",
        "useful",
        "membership",
        "isolated",
        "copies_learnt",
        "copies_holdout",
    )
    return Run({"auc": Measured(auc, 0.003)} | {n: Measured(0.9, 0.01) for n in names}, cost or {})


def test_the_interval_over_seeds_is_students() -> None:
    mean, half = spread([1.0, 2.0, 3.0])
    assert (mean, round(half, 3)) == (2.0, round(4.30 / math.sqrt(3), 3))
    assert math.isnan(spread([1.0])[1])


def test_better_than_real_by_more_than_two_errors_raises_the_alarm() -> None:
    real = [run(0.5), run(0.501), run(0.499)]
    assert copy_alarm([run(0.45), run(0.451), run(0.449)], real, "auc", -1)
    assert not copy_alarm([run(0.498), run(0.499), run(0.497)], real, "auc", -1)
    assert not copy_alarm([run(0.55), run(0.56), run(0.57)], real, "auc", -1)


def test_seeds_that_differ_widely_raise_no_alarm() -> None:
    assert not copy_alarm([run(0.40), run(0.60), run(0.44)], [run(), run(), run()], "auc", -1)


def test_one_seed_is_held_against_the_error_of_one_run() -> None:
    assert copy_alarm([run(0.48)], [run(0.5), run(0.5)], "auc", -1)
    assert not copy_alarm([run(0.495)], [run(0.5)], "auc", -1)


def test_the_page_shows_alarms_ratios_and_why_a_peer_could_not_run() -> None:
    results = {"adult": {
        REAL: [run(), run()],
        "forest fast": [run(0.4, cost=COST), run(0.4, cost=COST)],
        "SDV CTGAN": [run(0.99, cost=COST | {"fit_wall": 120.0, "rows_per_second": 2e4, "epochs": 3})],
        "MOSTLY AI TabularARGN": [Run({}, {}, failed="no such package")],
    }}  # fmt: skip
    text = page(results, LAB)
    rows = {line.split("|")[1].strip(" *"): line for line in text.splitlines()[::-1] if line.startswith("|")}
    assert ALARM in rows["forest fast"]
    assert ALARM not in rows["SDV CTGAN"]
    assert "no such package" in rows["MOSTLY AI TabularARGN"]
    assert "120 (3 epochs)" in text
    assert "60.0, 50.0" in text


def test_every_world_and_peer_of_the_command_line_has_a_note_where_rare_values_matter() -> None:
    for name in WORLDS:
        text = page({name: {REAL: [run()]}}, LAB)
        assert ("tailnum" in text) == name.startswith("flights")


def test_missing_data_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["compare.py", "--data", "adult", "--folder", str(tmp_path)])
    assert main() == 2
    assert "Say with --folder where the data lies" in capsys.readouterr().err


def test_what_a_peer_drew_comes_back_in_the_types_it_was_given() -> None:
    table = pa.table({
        "whole": pa.array([1, None, 3], pa.int32()),
        "real": pa.array([0.5, None, 1.5]),
        "word": pa.array(["a", None, "c"]),
        "at": pa.array([0, None, 10**15], pa.timestamp("us", "UTC")),
    })  # fmt: skip
    assert to_arrow(to_frame(table), table.schema).equals(table)


def test_a_measurement_is_kept_and_one_that_failed_is_tried_again(tmp_path: Path) -> None:
    world = World("tiny", "tiny.parquet", "b")
    rows = {"a": [float(i % 7) for i in range(600)], "b": [("x", "y")[i % 2] for i in range(600)]}
    pq.write_table(pa.table(rows), tmp_path / "tiny.parquet")
    lab = Lab(tmp_path, tmp_path / "home", budget=1, cores=1)
    peer = PEERS["marginals"]
    first, second = lab.measure(world, peer, 0), lab.measure(world, peer, 0)
    assert (first.failed, first.cached, second.cached) == ("", False, True)
    assert first.measures.keys() == second.measures.keys()
    broken = Peer("marginals", "marginals", {"nonsense": 1}, told=True)
    for _ in range(2):
        assert "has no setting nonsense" in lab.measure(world, broken, 0).failed


def test_a_task_is_read_as_it_was_written(tmp_path: Path) -> None:
    task = Task("forest", {"trees": 3}, tmp_path / "in", tmp_path, 10, 1, 2.0, ("a",), 2)
    task.write(tmp_path / "task.json")
    assert json.loads((tmp_path / "task.json").read_text())["rows"] == 10
    assert Task.read(tmp_path / "task.json") == task
