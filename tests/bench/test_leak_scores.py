"""LeakBench counts right: thresholds, intervals, power, what one gate alone finds; results are found again."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from bench.leakbench.catalogue import LEAKS
from bench.leakbench.page import Board, page
from bench.leakbench.results import Cell, Result, Shelf, plan
from bench.leakbench.score import Null, Power, alone, macro, wilson, without
from bench.leakbench.tools import OURS
from bench.leakbench.worlds import WORLDS


def normal(runs: int, seed: int, shift: float = 0.0) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    return [{"one": a + shift, "two": b} for a, b in rng.normal(size=(runs, 2))]


def test_a_threshold_lets_one_in_twenty_clean_runs_through() -> None:
    null = Null.of(normal(200, 0))
    assert null.false_alarms == pytest.approx(0.05)
    fresh = [null.alarms(case) for case in normal(2_000, 1)]
    assert 0.02 < np.mean(fresh) < 0.09


def test_a_measure_beyond_every_clean_run_alarms() -> None:
    null = Null.of(normal(200, 0))
    assert null.alarms({"one": 9.0, "two": 0.0})
    assert null.alarms({"two": 9.0})
    assert not null.alarms({"one": 0.0, "two": -9.0})
    assert np.mean([null.alarms(case) for case in normal(200, 2, shift=4.0)]) > 0.9


def test_a_measure_that_is_the_same_in_all_clean_runs_alarms_where_it_is_higher() -> None:
    null = Null.of([{"hits": 0.0}] * 40)
    assert null.false_alarms == 0
    assert null.alarms({"hits": 1.0})
    assert not null.alarms({"hits": 0.0})


def test_what_could_not_be_measured_is_no_alarm() -> None:
    null = Null.of([{"hits": float(i)} for i in range(40)])
    assert not null.alarms({"hits": math.nan})
    assert not null.alarms({})


def test_intervals_are_wilsons() -> None:
    assert wilson(5, 100) == pytest.approx((0.02154, 0.11175), abs=1e-4)
    assert wilson(0, 50)[0] == 0
    assert wilson(50, 50)[1] == 1
    assert wilson(0, 0) == (0.0, 1.0)


def test_every_case_is_as_heavy_as_any_other() -> None:
    assert macro([Power(10, 10), Power(0, 2), Power(0, 0)]) == 0.5
    assert math.isnan(macro([]))


def test_a_gate_switched_off_loses_what_it_alone_found() -> None:
    alarms = [("replay",), ("replay", "copying"), ("copying",), ()]
    assert alone(alarms) == {"replay": 1, "copying": 1}
    assert without(alarms, "replay") == Power(2, 4)
    assert Power(19, 20).meets(0.95)
    assert not Power(18, 20).meets(0.95)
    assert not Power(0, 0).meets(0.0)


def test_a_plan_holds_every_sensible_case_once_and_spreads_the_leaks() -> None:
    cells = plan(["rich", "relational"], LEAKS, 2, 3)
    assert len(set(cells)) == len(cells)
    assert sum(c.leak == "clean" for c in cells) == 6
    assert not [c for c in cells if c.world == "rich" and c.leak == "sequence"]
    assert {c.dose for c in cells if c.leak == "averaging over 12"} == {0, 1, 2, 3}
    assert {c.leak for c in cells[: len(cells) // 2] if c.world == "relational"} == {*LEAKS, "clean"}


def test_a_stopped_run_goes_on_and_new_code_is_measured_anew(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "kept" / "results.jsonl")
    cell = Cell("rich", "copy", 1, 0)
    shelf.add([Result(cell, OURS, "old", {"gates": {}}), Result(cell, "sdmetrics", "a", {"failed": "x"})])
    with shelf.path.open("a") as file:
        file.write('{"cell": {"wor')  # cut off
    assert set(shelf.latest()) == {(cell, OURS), (cell, "sdmetrics")}
    assert not shelf.latest({OURS: "new"})
    assert shelf.newest() == {OURS: "old", "sdmetrics": "a"}


def results() -> list[Result]:
    """Ours finds every copy by one gate, a peer none; both are clean where nothing is planted."""
    found = []
    for i in range(20):
        gates = {"replay": ["passed", 0.0, True, 0.1], "copying": ["inconclusive", float(i), True, 0.1]}
        peer = {"measures": {"share": 0.5 + i / 1000}, "alarm": False, "wall": 1.0}
        found.append(Result(Cell("rich", "clean", 0, i), OURS, "v", {"gates": gates, "wall": 1.0}))
        found.append(Result(Cell("rich", "clean", 0, i), "mostlyai-qa", "v", peer))
    for dose in (1, 2, 3):
        failed = {"replay": ["failed", 3.0, True, 0.1], "copying": ["passed", 0.0, True, 0.1]}
        found.append(Result(Cell("rich", "copy", dose, 0), OURS, "v", {"gates": failed, "wall": 1.0}))
        missed = {"measures": {"share": 0.5}, "alarm": False, "wall": 1.0}
        found.append(Result(Cell("rich", "copy", dose, 0), "mostlyai-qa", "v", missed))
    return found


def test_a_board_tells_power_as_shipped_and_calibrated() -> None:
    ours = Board(OURS, [r for r in results() if r.tool == OURS])
    assert ours.shipped(("rich", "copy", 1)) == Power(1, 1)
    assert ours.shipped(("rich", "clean", 0)) == Power(0, 20)
    assert ours.calibrated(("rich", "copy", 1)) == Power(1, 1)
    peer = Board("mostlyai-qa", [r for r in results() if r.tool != OURS])
    assert peer.calibrated(("rich", "copy", 1)) == Power(0, 1)
    assert peer.nulls["rich"].false_alarms <= 0.05


def test_the_page_says_who_found_what_and_what_a_gate_is_for(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "results.jsonl")
    shelf.add(results())
    text = page(shelf, tmp_path, [OURS, "mostlyai-qa", "sdmetrics"])
    assert "| copy | 1 | 1.00 | 0.00 |" in text
    assert "| `replay` | 3 | 3 | rich: copy, 1" in text
    assert "| `copying` | 0 | 0 | **none** |" in text
    assert "3 of 3 reach their target" in text
    assert "not here: units have no ordered rows" in text
    assert "sdmetrics 0." not in text  # nothing is kept of it
    assert set(WORLDS) == {"rich", "coarse", "relational"}


def test_the_page_tells_how_often_each_attack_alarmed_in_clean_draws(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "results.jsonl")
    shelf.add(results())
    assert "were not calibrated one by one" in page(shelf, tmp_path, [OURS])
    told = {"runs": 1000, "units": 500, "tables": {"rich": {"single record": {"0.05": 0.04, "0.01": 0.007}}}}
    (tmp_path / "calibration.json").write_text(json.dumps(told), encoding="utf-8")
    text = page(shelf, tmp_path, [OURS])
    assert "in 1,000 clean draws of 500 units a side" in text
    assert "| single record | 0.040 | 0.007 |" in text
