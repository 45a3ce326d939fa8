"""Twinlake's generators beside those of SDV and MOSTLY AI on four data sets, in one command.

    pip install --group bench          # XGBoost, which judges; SDV comes with the extra `sdv`
    python bench/compare.py            # all; hours, most of them the peers' training
    python bench/compare.py --data adult --generators forest-fast,marginals --seeds 1 --rows 4000

Half of the rows is learnt, the other half judges. Measurements are kept in build/bench and found again, so a run that
was stopped goes on; `--fresh` measures again. A peer that can't be run has a row that says why. The page is made of all
that was asked for; it says how each thing is measured.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs from anywhere

from bench.page import Results, page
from bench.peers import PEERS, SHORT, Peer
from bench.runs import Lab, Run
from bench.worlds import FOLDER, ROOT, WORLDS, World, names_among


def main() -> int:
    asked = _arguments()
    lab = Lab(asked.folder, asked.home, asked.budget, asked.cores, asked.rows)
    worlds, peers = [WORLDS[w] for w in asked.data], [PEERS[SHORT[g]] for g in asked.generators]
    missing = [lab.folder / w.file for w in worlds if not (lab.folder / w.file).is_file()]
    if missing:
        print(f"There is no {missing[0]}. Say with --folder where the data lies.", file=sys.stderr)
        return 2
    if asked.fresh:
        for world in worlds:
            for name in ("real", *(p.name for p in peers)):
                shutil.rmtree(lab.shelf(world, name), ignore_errors=True)
    results: Results = {}
    for world, name, seed, run in measured(lab, worlds, peers, asked.seeds):
        results.setdefault(world.name, {}).setdefault(name, []).append(run)
        print(progress(world, name, seed, run), flush=True)
    asked.out.write_text(page(results, lab), encoding="utf-8")
    print(f"wrote {asked.out}")
    return 0


def measured(lab: Lab, worlds: list[World], peers: list[Peer], seeds: int) -> Iterator[tuple[World, str, int, Run]]:
    """Every measurement, the quick ones first."""
    for world in worlds:
        for seed in range(seeds):
            yield world, "real holdout", seed, lab.real(world, seed)
    for peer in sorted(peers, key=lambda p: p.trains):
        for world in worlds:
            for seed in range(1 if peer.trains else seeds):
                yield world, peer.name, seed, lab.measure(world, peer, seed)


def progress(world: World, name: str, seed: int, run: Run) -> str:
    """One line about one measurement."""
    head = f"{world.name:22} {name:22} seed {seed}"
    if run.failed:
        return f"{head}  could not run: {run.failed}"
    told = {name: m.value for name, m in run.measures.items()}
    cost = f"  fit {run.cost['fit_wall']:.1f} s  {run.cost['rows_per_second']:,.0f} rows/s" if run.cost else ""
    return (
        f"{head}  XGB {told['xgb']:.3f}  3-way {told['three_way']:.4f}  useful {told['useful']:.4f}  "
        f"membership {told['membership']:.3f}/{told['isolated']:.3f}{cost}{'  (kept)' if run.cached else ''}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=names_among(list(WORLDS)), default=list(WORLDS), help=", ".join(WORLDS))
    parser.add_argument("--generators", type=names_among(list(SHORT)), default=list(SHORT), help=", ".join(SHORT))
    parser.add_argument("--seeds", type=int, default=3, help="of all but the peers that train for --budget: they get 1")
    parser.add_argument("--budget", type=float, default=120, help="seconds of training for CTGAN, TVAE and TabularARGN")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the data lies")
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "bench", help="where measurements are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "RESULTS.md")
    parser.add_argument("--rows", type=int, help="of each data set at most, for trying things out")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
