"""How often tests of `copying` alarm where nothing leaks: many clean draws of each table, every attack by itself.

    python -m bench.leakbench.calibration --runs 1000

What was found is kept in build/bench/leakbench/calibration.json, and stands on the page that `bench.leakbench` writes.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):  # before numpy is there: every process has one core
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

from bench.leakbench.worlds import WORLDS  # noqa: E402
from bench.worlds import FOLDER, ROOT  # noqa: E402
from twinlake.privacy.closeness import closeness  # noqa: E402
from twinlake.privacy.copying import ORDER, SINGLE  # noqa: E402
from twinlake.privacy.order import follows  # noqa: E402
from twinlake.privacy.pool import learnt_columns, sides  # noqa: E402
from twinlake.privacy.relabel import relabel  # noqa: E402
from twinlake.random import derive, stream  # noqa: E402
from twinlake.units import assign_units  # noqa: E402

NOMINAL = (0.05, 0.01, 0.002)
UNITS = 500  # of each side
DRAWS = 999  # of labels
PART = 20  # runs that a process is given at a time


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000, help="of each table")
    parser.add_argument("--data", type=Path, default=FOLDER, help="where the data lies")
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "bench" / "leakbench", help="what is kept")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args()
    found = {world: calibrated(world, asked.runs, asked.data, asked.cores) for world in WORLDS}
    asked.home.mkdir(parents=True, exist_ok=True)
    told = {"runs": asked.runs, "units": UNITS, "tables": found}
    (asked.home / "calibration.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


def calibrated(world: str, runs: int, folder: Path, cores: int) -> dict[str, dict[str, float]]:
    """By attack, the share of clean runs with a p-value below each nominal significance."""
    parts = [range(start, min(start + PART, runs)) for start in range(0, runs, PART)]
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        chances = [c for part in pool.map(_chances, [world] * len(parts), parts, [folder] * len(parts)) for c in part]
    found = {a: {f"{at:g}": float(np.mean([c[a] < at for c in chances])) for at in NOMINAL} for a in chances[0]}
    print(world, found, flush=True)
    return found


def _chances(name: str, runs: Sequence[int], folder: Path) -> list[dict[str, float]]:
    return [_chance(name, run, folder) for run in runs]


def _chance(name: str, run: int, folder: Path) -> dict[str, float]:
    """The p-value of every attack on the roots of one draw in which nothing is planted."""
    world = WORLDS[name]
    drawn = world.draw(derive(run, "leakbench", "calibration") % 2**63, units=UNITS, folder=folder)
    learnt, held, twin = (world.tables(side) for side in (drawn.learnt, drawn.held, drawn.fresh[0]))
    table, rng = learnt.schema[world.root], stream(run, "leakbench", "calibration", name)
    units, others = (assign_units(side, world.root)[world.root] for side in (learnt, held))
    assert units is not None
    assert others is not None
    pool = sides(learnt[world.root], held[world.root], units=units, held_units=others, rng=rng)
    close = closeness(pool, twin[world.root], *learnt_columns(table), rng=rng)
    found = relabel(close.families, close.members, rng=rng, draws=DRAWS)
    return found | {SINGLE: close.single, ORDER: follows(learnt[world.root], twin[world.root], table, rng=rng)}


if __name__ == "__main__":
    sys.exit(main())
