"""What one judgement costs at 30,000 rows of 13 columns: seconds and memory of each tool, in a process of its own."""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from bench.leakbench.copies import blurred
from bench.leakbench.sides import Planted, Side
from bench.leakbench.tools import Bench
from bench.leakbench.worlds import KEY, WORLDS, new_keys
from twinlake.random import stream

ROWS, HELD = 30_000, 7_500  # held back is a fifth, as a pipeline does by default


def costs(home: Path, tools: Sequence[str], folder: Path, *, timeout: float) -> None:
    """Measure every tool and keep what was found."""
    path = home / "costs.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for tool in tools:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[tool] = pool.submit(_cost, home, tool, folder, timeout).result()
        print(f"{tool} at {ROWS:,} rows: {found[tool]}", flush=True)
        path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def _cost(home: Path, tool: str, folder: Path, timeout: float) -> dict[str, Any]:
    bench, world = Bench(home, timeout), WORLDS["rich"]
    small = world.draw(0, folder=folder)
    try:
        bench.ask(tool, world, Planted(small.learnt, small.held, small.fresh), 0)  # imports and compiled kernels
        return bench.ask(tool, world, large(folder), 0)
    finally:
        bench.close()


def large(folder: Path) -> Planted:
    """Real rows drawn with replacement and blurred: there are not so many real ones."""
    world = WORLDS["rich"]
    some = world.draw(0, units=10_000, folder=folder)
    rng = stream(0, "leakbench", "cost")
    made: list[Side] = []
    for side, rows in ((some.learnt, ROWS), (some.held, HELD), (some.fresh[0], ROWS)):
        drawn = blurred(world, side.take(rng.integers(0, len(side), rows)), side, 0.1, 0.0, rng)
        root = drawn.root.assign(**{KEY: new_keys(rows, rng)})
        root["email"] = [f"{a}{i}" for i, a in enumerate(root["email"])]
        made.append(Side(root))
    return Planted(made[0], made[1], (made[2],))


def share_of(told: dict[str, Any]) -> dict[str, float]:
    """CPU seconds by gate."""
    return {gate: float(np.round(said[3], 3)) for gate, said in told.get("gates", {}).items()}
