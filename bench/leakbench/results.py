"""What was measured, kept line by line, so that a run that was stopped goes on where it was."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.leakbench.catalogue import CLEAN, LEAKS, Dose, Leak
from bench.leakbench.worlds import WORLDS, World
from twinlake.random import derive


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One case: a table, a leak, a dose (0 plants nothing, 3 is the strongest), a repetition."""

    world: str
    leak: str
    dose: int
    repetition: int

    def planned(self) -> tuple[World, Leak, Dose]:
        """What that is."""
        leak = CLEAN if self.leak == CLEAN.name else LEAKS[self.leak]
        return WORLDS[self.world], leak, leak.doses[self.dose - 1] if self.dose else leak.none()

    def seed(self, what: str) -> int:
        """Of the sides, which leaks of one repetition share, or of what is drawn for this case alone."""
        if what == "sides":
            return derive(self.repetition, "leakbench", "clean" if self.leak == CLEAN.name else "leak") % 2**63
        return derive(self.repetition, "leakbench", what, self.world, self.leak, self.dose) % 2**63


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool said of a case; `version` is what that depends on."""

    cell: Cell
    tool: str
    version: str
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The file of all results; a later line about the same case replaces an earlier one."""

    path: Path

    def __iter__(self) -> Iterator[Result]:
        """All that was kept; a line that was cut off when a run was stopped is left out."""
        if not self.path.is_file():
            return
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    data = json.loads(line)
                except json.JSONDecodeError:
                    continue
                yield Result(Cell(**data["cell"]), data["tool"], data["version"], data["told"])

    def add(self, results: Iterable[Result]) -> None:
        """Keep results; each is one write, so that several processes may."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(asdict(r)) + "\n" for r in results)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, lines.encode())
        finally:
            os.close(file)

    def latest(self, versions: dict[str, str] | None = None) -> dict[tuple[Cell, str], Result]:
        """By case and tool; only those of these versions where they are given."""
        return {(r.cell, r.tool): r for r in self if versions is None or versions.get(r.tool) == r.version}

    def newest(self) -> dict[str, str]:
        """The version of each tool that was measured last."""
        return {r.tool: r.version for r in self}


def plan(
    worlds: Iterable[str], leaks: Iterable[str], repetitions: int, cleans: int, doses: Iterable[int] = (1, 2, 3)
) -> list[Cell]:
    """All cases, one repetition after the other, so that a run that is stopped has a part of every leak."""
    chosen, wanted, strengths = list(worlds), list(leaks), list(doses)
    cells = [Cell(w, CLEAN.name, 0, i) for i in range(cleans) for w in chosen]
    for i in range(repetitions):
        for w in chosen:
            for leak in (LEAKS[name] for name in wanted if not LEAKS[name].senseless(WORLDS[w])):
                cells += [Cell(w, leak.name, dose, i) for dose in strengths]
                if leak.snapshots > 1 or leak.name == "shadow":  # gates that look at more have clean runs of their own
                    cells.append(Cell(w, leak.name, 0, i))
    return sorted(cells, key=lambda c: c.repetition / max(1, cleans if c.leak == CLEAN.name else repetitions))
