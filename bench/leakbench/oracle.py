"""How many ordinary copies could be found at all in the coarse table, by who knows how frequent every row is?

    python -m bench.leakbench.oracle --runs 40

Strangers are alike there, so a twin that equals a learnt row may be chance. The oracle counts the twins that equal each
unit, weighs them by how rare the unit's row is among all 30,000 from which every side is drawn, and deals the labels
anew. No gate knows these frequencies. What was found is kept in build/bench/leakbench/oracle.json, for the page.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.leakbench.results import Cell
from bench.leakbench.sides import Side
from bench.leakbench.worlds import WORLDS, World
from bench.worlds import FOLDER, ROOT
from twinlake.random import stream

EXPECTED = 20  # copies of all learnt units, for the weights
FEWEST = 0.3  # rows of the population that a row of one unit counts for
DRAWS = 1_999  # of labels
EVIDENCE = 0.01

Floats = npt.NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="of each dose")
    parser.add_argument("--data", type=Path, default=FOLDER, help="where the data lies")
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "bench" / "leakbench", help="what is kept")
    asked = parser.parse_args()
    found, known = {}, everybody(asked.data)
    for dose in (0, 1, 2, 3):
        cells = [Cell("coarse", "copy", dose, run) for run in range(asked.runs)]
        label = cells[0].planned()[2].label
        found[label] = float(np.mean([chance(cell, asked.data, known) < EVIDENCE for cell in cells]))
        print(f"copy {label}: found in {found[label]:.0%} of {asked.runs}", flush=True)
    asked.home.mkdir(parents=True, exist_ok=True)
    (asked.home / "oracle.json").write_text(json.dumps({"runs": asked.runs, "found": found}), encoding="utf-8")
    return 0


def everybody(folder: Path, *, third: int = 10_000) -> "pd.Series[str]":
    """The rows of the whole population: three sides that are as large as they can be."""
    world = WORLDS["coarse"]
    sides = world.draw(0, units=third, folder=folder)
    return pd.concat([_rows(world, s) for s in (sides.learnt, sides.held, sides.fresh[0])])


def chance(cell: Cell, folder: Path, known: "pd.Series[str]") -> float:
    """The p-value of one case."""
    world, leak, dose = cell.planned()
    sides = world.draw(cell.repetition, folder=folder)
    told = leak.plant(world, sides, dose.amount, dose.how, stream(cell.repetition, "oracle", cell.dose))
    units = pd.concat([_rows(world, told.learnt), _rows(world, told.held)])
    scores = weighed(units, _rows(world, told.twin), known)
    members = np.arange(len(units)) < len(told.learnt)
    return dealt_anew(scores, members, stream(cell.repetition, "oracle", "deals"))


def weighed(units: "pd.Series[str]", twins: "pd.Series[str]", everybody: "pd.Series[str]") -> Floats:
    """For each unit, the twins that equal it, shared by the units that are alike, times the weight of one.

    The weight is the logarithm of how much more often a twin equals a unit of which every fiftieth was copied.
    """
    count = twins.value_counts().reindex(units).fillna(0).to_numpy(float)
    alike = units.value_counts().reindex(units).to_numpy(float)
    others = everybody.value_counts().reindex(units).to_numpy(float) - 1
    by_chance = len(twins) * np.maximum(others, FEWEST) / len(everybody)
    return np.asarray(count / alike * np.log1p(EXPECTED / (len(units) / 2) / by_chance))


def dealt_anew(scores: Floats, members: npt.NDArray[np.bool_], rng: np.random.Generator) -> float:
    """Chance of learnt units with scores so high in sum, were the labels dealt anew."""
    real = float(scores[members].sum())
    dealt = [float(scores[rng.permutation(members)].sum()) for _ in range(DRAWS)]
    return (1 + sum(d >= real - 1e-9 for d in dealt)) / (1 + DRAWS)


def _rows(world: World, side: Side) -> "pd.Series[str]":
    """Learnt columns of each unit as one text."""
    return side.root[list(world.columns())].astype(str).agg("|".join, axis=1)


if __name__ == "__main__":
    sys.exit(main())
