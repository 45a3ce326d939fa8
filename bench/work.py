"""What every worker does alike: read its task, time its steps, tell what it found. Imports nothing of Twinlake.

A worker is a process of its own (`python -m bench.here TASK`): it learns `learnt.parquet`, writes `synthetic.parquet`
and says in `told.json` what that cost. So peers may live in other environments and one that fails takes nothing along.
"""

import json
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

LEAST_SECONDS = 2.0  # a speed is told from at least so long a run ...
MOST_ROWS = 4_000_000  # ... or so many rows


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is asked to do.

    Attributes:
        generator: its name.
        settings: its own.
        learnt: the Parquet file to learn from.
        out: the folder to write to.
        rows: to draw for the judge.
        seed: of all chance.
        budget: seconds of wall time that a generator which trains for as long as it is told may train.
        public: columns whose values may be shown however rare.
        cores: to use.
        speeds: whether to measure how fast rows are drawn, and what the model weighs.
    """

    generator: str
    settings: dict[str, Any]
    learnt: Path
    out: Path
    rows: int
    seed: int
    budget: float
    public: tuple[str, ...]
    cores: int
    speeds: bool = True

    @classmethod
    def read(cls, path: Path) -> Self:
        """The task of a file that `write` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**data | {"learnt": Path(data["learnt"]), "out": Path(data["out"]), "public": tuple(data["public"])})

    def write(self, path: Path) -> None:
        """Write the task to a file."""
        data = {name: getattr(self, name) for name in self.__slots__}
        path.write_text(json.dumps(data | {"learnt": str(self.learnt), "out": str(self.out)}), encoding="utf-8")


def main(work: Callable[[Task], dict[str, Any]]) -> None:
    """Do the task named on the command line and write what was told."""
    task = Task.read(Path(sys.argv[1]))
    told = work(task)
    (task.out / "told.json").write_text(json.dumps(told | {"peak_mb": peak_megabytes()}, indent=1), encoding="utf-8")


@contextmanager
def timed(told: dict[str, Any], step: str) -> Iterator[None]:
    """Put the wall and CPU seconds of a step into `told`; CPU seconds of child processes count once they ended."""
    wall, cpu = time.perf_counter(), _cpu()
    yield
    told[f"{step}_wall"], told[f"{step}_cpu"] = time.perf_counter() - wall, _cpu() - cpu


def speed(draw: Callable[[int], object], rows: int, *, most: int = MOST_ROWS) -> float:
    """Rows per second of `draw(rows)`, asked for more rows until it takes long enough to be told."""
    while True:
        start = time.perf_counter()
        draw(rows)
        seconds = time.perf_counter() - start
        if seconds >= LEAST_SECONDS or rows >= most:
            return rows / seconds
        rows = min(most, round(rows * max(2.0, min(20.0, 1.3 * LEAST_SECONDS / seconds))))


def folder_bytes(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def peak_megabytes() -> float:
    """VmHWM; `getrusage` would also count what the parent held before it started this process."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
