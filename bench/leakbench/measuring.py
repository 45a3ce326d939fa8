"""Cases, judged by several processes at once; each has its own peers beside it."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path

from bench.leakbench.results import Cell, Result, Shelf
from bench.leakbench.tools import Bench, version
from twinlake.random import stream

AT_ONCE = 4  # cases that a process is given at a time
Work = tuple[Cell, list[str]]


def measure(work: Sequence[Work], shelf: Shelf, *, home: Path, folder: Path, cores: int, timeout: float) -> None:
    """Every case in one of `cores` processes, kept as it comes; a peer may take `timeout` seconds for a case."""
    versions = {t: version(t) for t in sorted({t for _, tools in work for t in tools})}
    parts = [work[i : i + AT_ONCE] for i in range(0, len(work), AT_ONCE)]
    done, begun = 0, time.monotonic()
    with ProcessPoolExecutor(
        cores, mp_context=get_context("spawn"), initializer=_begin, initargs=(home, timeout)
    ) as pool:
        waiting = iter(parts)
        running = {pool.submit(_judged, part, folder, versions) for _, part in zip(range(2 * cores), waiting)}  # noqa: B905
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                results = future.result()
                shelf.add(results)
                done += len({r.cell for r in results})
                left = (time.monotonic() - begun) / max(1, done) * (len(work) - done)
                print(_progress(results[-1], done, len(work), left), flush=True)
                if (part := next(waiting, None)) is not None:
                    running.add(pool.submit(_judged, part, folder, versions))


_BENCH: list[Bench] = []


def _begin(home: Path, timeout: float) -> None:
    bench = Bench(home, timeout)
    _BENCH.append(bench)
    Finalize(bench, bench.close, exitpriority=10)


def _judged(part: Sequence[Work], folder: Path, versions: Mapping[str, str]) -> list[Result]:
    """What the tools say of some cases; a process's own."""
    results = []
    for cell, tools in part:
        world, leak, dose = cell.planned()
        sides = world.draw(cell.seed("sides"), snapshots=leak.snapshots, folder=folder)
        planted = leak.plant(world, sides, dose.amount, dose.how, stream(cell.seed("plant"), "plant"))
        for tool in tools:
            told = _BENCH[0].ask(tool, world, planted, cell.seed("judge"))
            results.append(Result(cell, tool, versions[tool], told))
    return results


def _progress(result: Result, done: int, of: int, left: float) -> str:
    cell, told = result.cell, result.told
    alarms = [g for g, (outcome, *_) in told.get("gates", {}).items() if outcome == "failed"]
    said = told.get("failed") or (", ".join(alarms) or "nothing" if "gates" in told else "told")
    return (
        f"{done:,}/{of:,}  {left / 60:.0f} min left  {cell.world} {cell.leak} {cell.dose} #{cell.repetition} "
        f"{result.tool} {told['wall']:.1f} s: {said}"
    )
