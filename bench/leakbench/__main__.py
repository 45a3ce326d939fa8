"""LeakBench: 25 planted leaks in three doses, three tables, our privacy gates beside peers.

    python -m bench.leakbench                                        # all; many hours on two cores
    python -m bench.leakbench --tools twinlake --reps 5 --clean 20   # ours, a trial
    python -m bench.leakbench --tables rich --leaks copy,outlier --tools twinlake,mostlyai-qa
    python -m bench.leakbench --page                                 # the page again from what is kept

Real rows stand in the place of the twin, so that nothing leaks but what is planted. What was measured is kept in
build/bench/leakbench and found again until the code of the tool or of the cases changes (`--older`: even then). The
page is bench/LEAKBENCH.md.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
for _name in THREADS:  # before numpy is there: every process has one core
    os.environ.setdefault(_name, "1")

from bench.leakbench.catalogue import CLEAN, LEAKS  # noqa: E402
from bench.leakbench.cost import costs  # noqa: E402
from bench.leakbench.measuring import measure  # noqa: E402
from bench.leakbench.page import page  # noqa: E402
from bench.leakbench.results import Cell, Shelf, plan  # noqa: E402
from bench.leakbench.tools import NAMES, OURS, PEERS, version  # noqa: E402
from bench.leakbench.worlds import WORLDS  # noqa: E402
from bench.worlds import FOLDER, ROOT, names_among  # noqa: E402


def main() -> int:
    asked = _arguments()
    shelf = Shelf(asked.home / "results.jsonl")
    asked.home.mkdir(parents=True, exist_ok=True)
    if not asked.page:
        tools = _ready(asked.tools, asked.home)
        work = list(_missing(shelf, tools, asked))
        print(f"{sum(len(t) for _, t in work):,} measurements to make, of {len(work):,} cases", flush=True)
        measure(work, shelf, home=asked.home, folder=asked.data, cores=asked.cores, timeout=asked.timeout)
        if asked.cost:
            costs(asked.home, tools, asked.data, timeout=asked.timeout)
    asked.out.write_text(page(shelf, asked.home, asked.tools, older=asked.older), encoding="utf-8")
    print(f"wrote {asked.out}")
    return 0


def _ready(tools: Sequence[str], home: Path) -> list[str]:
    """The tools that can be run; those that can't are named with the reason."""
    good = []
    for tool in tools:
        try:
            if tool != OURS:
                PEERS[tool].python(home / "environments")
            good.append(tool)
        except RuntimeError as error:
            print(f"{tool} can't be run: {error}", file=sys.stderr)
            (home / f"{tool}.failed").write_text(str(error), encoding="utf-8")
    return good


def _missing(shelf: Shelf, tools: Sequence[str], asked: argparse.Namespace) -> Iterator[tuple[Cell, list[str]]]:
    kept = shelf.latest(None if asked.older else {t: version(t) for t in tools})
    for cell in plan(asked.tables, asked.leaks, asked.reps, asked.clean, asked.doses):
        wanted = [t for t in tools if asked.fresh or (cell, t) not in kept or "failed" in kept[cell, t].told]
        if cell.dose == 0 and cell.leak != CLEAN.name:
            wanted = [t for t in wanted if t == OURS]  # peers look at one release
        if cell.leak != CLEAN.name and not LEAKS[cell.leak].seen:
            wanted = [t for t in wanted if t == OURS]  # nothing differs in what peers are given
        if wanted:
            yield cell, wanted


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=names_among(list(WORLDS)), default=list(WORLDS), help=", ".join(WORLDS))
    parser.add_argument("--leaks", type=_leaks, default=list(LEAKS), help=", ".join(LEAKS) + "; or none")
    parser.add_argument("--tools", type=names_among(NAMES), default=list(NAMES), help=", ".join(NAMES))
    parser.add_argument("--reps", type=int, default=50, help="of every leak and dose")
    parser.add_argument("--clean", type=int, default=200, help="runs of each table where nothing is planted")
    parser.add_argument("--doses", type=lambda t: [int(d) for d in t.split(",")], default=[1, 2, 3])
    parser.add_argument("--data", type=Path, default=FOLDER, help="where the data lies")
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "bench" / "leakbench", help="what is kept")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "LEAKBENCH.md")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--timeout", type=float, default=600, help="seconds that a peer may take for one case")
    parser.add_argument("--cost", action="store_true", help="time every tool at 30,000 rows and 12 columns too")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--older", action="store_true", help="what other code measured counts as measured")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    return parser.parse_args()


def _leaks(text: str) -> list[str]:
    return [] if text == "none" else names_among(list(LEAKS))(text)


if __name__ == "__main__":
    sys.exit(main())
