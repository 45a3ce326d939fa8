"""Fidelity against membership, as leaf size, bagging and smoothing of `forest` change; the defaults' place among them.

    python bench/tradeoff.py [--data adult,california_housing] [--preset fast] [--seeds 3]

Writes docs/images/tradeoff.png and bench/tradeoff.csv. Each setting changes while the others keep their defaults.
Measurements are kept in build/bench like those of `compare.py`, whose measures these are.
"""

import argparse
import csv
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs from anywhere

from bench.peers import Peer
from bench.runs import Lab, Run
from bench.worlds import FOLDER, ROOT, WORLDS, World
from twinlake.generators.forest.generator import Forest

DEFAULT = Forest()
MOVES: dict[str, tuple[dict[str, Any], ...]] = {
    "leaf size": tuple({"min_leaf": n} for n in (10, 20, 50, 100, 200)),
    "bagging": tuple(
        {"trees": n, "share": s} for n, s in ((1, 1.0), (8, 0.63), (16, 0.4), (32, 0.4), (32, 0.3), (64, 0.2))
    ),
    "smoothing": tuple({"smoothing": n} for n in (1, 5, 10, 20, 50)),
}
COLOURS = {"leaf size": "#1b6ca8", "bagging": "#c8553d", "smoothing": "#588157"}


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of one move and what it measured: means over seeds with their standard errors, NaN for one."""

    world: str
    move: str
    setting: str
    default: bool
    fidelity: tuple[float, float]
    membership: tuple[float, float]
    isolated: tuple[float, float]


def main() -> int:
    asked = _arguments()
    lab = Lab(asked.folder, asked.home, budget=0, cores=asked.cores, rows=asked.rows, speeds=False)
    points = []
    for world in (WORLDS[name] for name in asked.data):
        for move, settings in MOVES.items():
            for changed in settings:
                points.append(measured(lab, world, move, changed, preset=asked.preset, seeds=asked.seeds))
                print(f"{world.name:22} {move:10} {points[-1].setting:24} XGB {points[-1].fidelity[0]:.3f}  "
                      f"membership {points[-1].membership[0]:.3f}", flush=True)  # fmt: skip
    write(points, asked.table)
    plot(points, asked.out, preset=asked.preset)
    print(f"wrote {asked.out} and {asked.table}")
    return 0


def measured(lab: Lab, world: World, move: str, changed: dict[str, Any], *, preset: str, seeds: int) -> Point:
    """A setting with the others at their defaults, over seeds."""
    setting = ", ".join(f"{k} {v}" for k, v in changed.items())
    default = all(getattr(DEFAULT, k) == v for k, v in changed.items())
    # the defaults are one measurement, whatever setting is looked at
    own = {"preset": preset} | ({} if default else changed)
    peer = Peer(f"forest {preset}", "forest", own, told=True)
    runs = [lab.measure(world, peer, seed) for seed in range(seeds)]
    if failed := [r.failed for r in runs if r.failed]:
        raise SystemExit(f"{world.name}, {setting}: {failed[0]}")
    fidelity, member, isolated = (_over(runs, name) for name in ("xgb", "membership", "isolated"))
    return Point(world.name, move, setting, default, fidelity, member, isolated)


def write(points: Sequence[Point], path: Path) -> None:
    """All points as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        measures = ("xgb_score", "membership_auc", "isolated_auc")
        out.writerow(["data", "move", "setting", "default", *(f"{m}{end}" for m in measures for end in ("", "_error"))])
        for p in points:
            values = [*p.fidelity, *p.membership, *p.isolated]
            out.writerow([p.world, p.move, p.setting, int(p.default), *(_cell(v) for v in values)])


def plot(points: Sequence[Point], path: Path, *, preset: str) -> None:
    """A panel per data set: membership AUC to the right, XGB score upwards; bars are one standard error."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    worlds = list(dict.fromkeys(p.world for p in points))
    figure, panels = plt.subplots(1, len(worlds), figsize=(6.2 * len(worlds), 4.8), squeeze=False, layout="constrained")
    for panel, world in zip(panels[0], worlds, strict=True):
        for move, colour in COLOURS.items():
            _line(panel, [p for p in points if p.world == world and p.move == move], move, colour)
        here = next(p for p in points if p.world == world and p.default)
        panel.plot(here.membership[0], here.fidelity[0], "*", ms=17, color="black", zorder=4, label="defaults")
        panel.axvline(0.5, color="0.7", lw=1, zorder=0)
        panel.axvline(0.52, color="0.7", lw=1, ls="--", zorder=0)
        panel.set(title=world, xlabel="membership AUC (0.5: private; dashed: the limit, 0.52)",
                  ylabel="XGB score (1: can't be told apart)")  # fmt: skip
        panel.grid(alpha=0.25)
    panels[0][0].legend(loc="lower right")
    figure.suptitle(f"forest, preset {preset}: likeness against membership")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)


def _line(panel: Any, points: Sequence[Point], move: str, colour: str) -> None:  # noqa: ANN401 - matplotlib's
    x, y = ([p.membership[0] for p in points], [p.fidelity[0] for p in points])
    wide = [np.nan_to_num([getattr(p, name)[1] for p in points]) for name in ("membership", "fidelity")]
    panel.errorbar(x, y, xerr=wide[0], yerr=wide[1], fmt="o-", ms=4, lw=1.4, elinewidth=0.6, color=colour, label=move)
    for p in points:
        text = " × ".join(word.split(" ")[-1] for word in p.setting.split(", "))
        panel.annotate(text, (p.membership[0], p.fidelity[0]), (4, 4), textcoords="offset points", size=7, color=colour)


def _over(runs: Sequence[Run], measure: str) -> tuple[float, float]:
    values = [r.measures[measure].value for r in runs]
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(np.mean(values)), error


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.5f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=lambda t: t.split(","), default=["adult", "california_housing"])
    parser.add_argument("--preset", choices=["fast", "quality"], default="fast")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the data lies")
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "bench", help="where measurements are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "tradeoff.png")
    parser.add_argument("--table", type=Path, default=ROOT / "bench" / "tradeoff.csv")
    parser.add_argument("--rows", type=int, help="of each data set at most, for trying things out")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
