"""One measurement: a generator, a data set, a seed. What was measured is kept as files and found again."""

import dataclasses
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.judge import Measured, judge, privacy
from bench.peers import Peer, code_hash, last_line, python_of
from bench.work import Task
from bench.worlds import ROOT, World, halves, thirds
from twinlake.random import stream

_JUDGES = [ROOT / "bench" / f"{name}.py" for name in ("judge", "membership", "worlds")]


@dataclass(frozen=True, slots=True)
class Run:
    """What one measurement found.

    Attributes:
        measures: by name, each with the standard error of one run; none where the generator failed.
        cost: seconds, speeds, sizes as the worker told them; none for real rows.
        failed: why there is nothing, or an empty text.
        cached: whether it was measured before.
    """

    measures: Mapping[str, Measured]
    cost: Mapping[str, float]
    failed: str = ""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Lab:
    """Where the data lies, where results are kept, and what all measurements have in common.

    Attributes:
        folder: the data.
        home: what is kept.
        budget: seconds that a peer may train which trains for as long as it is told.
        cores: for generators and judges.
        rows: of each data set at most; for trying things out.
        speeds: whether to measure the speeds of Twinlake's generators too.
    """

    folder: Path
    home: Path
    budget: float
    cores: int
    rows: int | None = None
    speeds: bool = True

    def real(self, world: World, seed: int) -> Run:
        """The held-out half against the learnt half in the place of a twin: what no honest generator goes beyond.

        Membership and copies are those of a third of the rows that was never learnt, between two other thirds.
        """
        kept = self._place(world, "real", seed, [])
        if (found := _found(kept / "judged.json")) is not None:
            return Run(found, {}, cached=True)
        data = world.read(self.folder, rows=self.rows)
        learnt, holdout = halves(data, seed)
        first, second, last = thirds(data, stream(seed, "thirds"))
        told = judge(world, learnt, holdout, learnt, seed=seed, cores=self.cores)
        told |= privacy(first, second, last, world, seed=seed)
        return Run(_keep(kept / "judged.json", told), {})

    def measure(self, world: World, peer: Peer, seed: int) -> Run:
        """Learn, draw and judge; what a worker made is judged again where only the judge has changed."""
        if not peer.told and world.base:
            world = dataclasses.replace(world, name=world.base, public=(), base="")
        settings = [dict(peer.settings), peer.version(), self.budget if peer.trains else None, self.cores, self.speeds]
        made = self._place(world, peer.name, seed, settings)
        cost = _cost(made / "told.json")
        if cost is None:
            try:
                cost = self._make(world, peer, seed, made)
            except (RuntimeError, FileNotFoundError) as error:
                return Run({}, {}, failed=re.sub(r"^[\w.]+(Error|Exception): ", "", str(error)))
        kept = made / f"judged-{code_hash(*_JUDGES)}.json"
        if (found := _found(kept)) is not None:
            return Run(found, cost, cached=True)
        learnt, holdout = halves(world.read(self.folder, rows=self.rows), seed)
        drawn = pq.read_table(made / "synthetic.parquet").cast(learnt.schema)
        told = judge(world, learnt, holdout, drawn, seed=seed, cores=self.cores)
        return Run(_keep(kept, told | privacy(learnt, holdout, drawn, world, seed=seed)), cost)

    def _make(self, world: World, peer: Peer, seed: int, out: Path) -> dict[str, float]:
        """Have a worker learn and draw; raises RuntimeError with its last words where it fails."""
        python = python_of(peer, self.home / "environments")
        out.mkdir(parents=True, exist_ok=True)
        learnt = halves(world.read(self.folder, rows=self.rows), seed)[0]
        pq.write_table(learnt, out / "learnt.parquet")
        Task(
            generator=peer.generator, settings=dict(peer.settings), learnt=out / "learnt.parquet", out=out,
            rows=learnt.num_rows, seed=seed, budget=self.budget, public=world.public, cores=self.cores,
            speeds=self.speeds,
        ).write(out / "task.json")  # fmt: skip
        threads = {name: str(self.cores) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")}
        done = subprocess.run(
            [python, "-W", "ignore", "-m", peer.worker, out / "task.json"], cwd=ROOT,
            env=os.environ | threads, capture_output=True, text=True,
        )  # fmt: skip
        (out / "log.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode:
            raise RuntimeError(last_line(done.stderr) or f"the worker ended with {done.returncode}")
        return dict(json.loads((out / "told.json").read_text(encoding="utf-8")))

    def _place(self, world: World, name: str, seed: int, settings: list[Any]) -> Path:
        """The folder of a measurement: named by hand, told apart by a hash of all that it depends on."""
        what = json.dumps([self.rows, list(world.public), settings or code_hash(*_JUDGES)], sort_keys=True)
        key = hashlib.sha256(what.encode()).hexdigest()[:12]
        return self.shelf(world, name) / f"{seed}-{key}"

    def shelf(self, world: World, name: str) -> Path:
        """Where all measurements of one generator on one data set lie."""
        return self.home / "runs" / (world.base or world.name) / name.lower().replace(" ", "-")


def _cost(path: Path) -> dict[str, float] | None:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _found(path: Path) -> dict[str, Measured] | None:
    if not path.is_file():
        return None
    return {name: Measured(*pair) for name, pair in json.loads(path.read_text(encoding="utf-8")).items()}


def _keep(path: Path, told: dict[str, Measured]) -> dict[str, Measured]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({name: [m.value, m.error] for name, m in told.items()}, indent=1), encoding="utf-8")
    return told
