"""The tools that are compared: ours, and peers as processes in environments of their own."""

import importlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench.leakbench.peer import write_case
from bench.leakbench.sides import Planted
from bench.leakbench.worlds import World
from bench.peers import code_hash, last_line
from bench.work import peak_megabytes
from bench.worlds import ROOT

OURS = "twinlake"
HERE = Path(__file__).parent
_CASES = [HERE / f"{n}.py" for n in ("worlds", "sides", "catalogue", "copies", "generators", "fragments", "closeness")]


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool that reads one table of each side.

    Attributes:
        name: as the command line and the page call it.
        adapter: its module.
        packages: what its environment holds.
        verdict: how its own verdict is read, "" where it ships none.
    """

    name: str
    adapter: str
    packages: tuple[str, ...]
    verdict: str = ""

    def version(self) -> str:
        """What its answers depend on."""
        return f"{self.packages[0]} {code_hash(HERE / f'{self.adapter}.py', HERE / 'peer.py', *_CASES)}"

    def python(self, home: Path) -> Path:
        """The Python of its environment below `home`, made where it is missing; raises RuntimeError."""
        folder = home / self.packages[0].split("==")[0]
        python, ready, wanted = folder / "bin" / "python", folder / "ready", " ".join(self.packages)
        if ready.is_file() and ready.read_text(encoding="utf-8") == wanted:
            return python
        print(f"making the environment of {wanted} in {folder} (once; minutes)", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *self.packages]
        done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(last_line(done.stderr) or f"{wanted} can't be installed")
        ready.write_text(wanted, encoding="utf-8")
        return python


PEERS: Mapping[str, Peer] = {
    p.name: p
    for p in (
        Peer("sdmetrics", "peer_sdmetrics", ("sdmetrics==0.32.0",)),
        Peer("anonymeter", "peer_anonymeter", ("anonymeter==1.1.0",), "the 95 % interval of a risk lies above zero"),
        Peer(
            "mostlyai-qa", "peer_mostlyai", ("mostlyai-qa==1.10.11",),
            "share of closer records above 50 % by a one-sided test at 5 %",
        ),
        # newer versions of opacus need a newer torch than synthcity allows
        Peer("synthcity", "peer_synthcity", ("synthcity==0.2.12", "opacus<1.5", "setuptools<81")),
    )
}  # fmt: skip
NAMES = (OURS, *PEERS)


def version(tool: str) -> str:
    """What a tool's answers depend on: our code, or a peer's package and adapter, and the cases themselves."""
    if tool != OURS:
        return PEERS[tool].version()
    source = ROOT / "src" / "twinlake"
    return code_hash(source / "privacy", source / "run" / "gates.py", HERE / "ours.py", *_CASES)


@dataclass
class Bench:
    """The tools of one process; peers run beside it and are asked one case after the other."""

    home: Path
    timeout: float

    def __post_init__(self) -> None:
        """No peer runs yet."""
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._scratch = Path(tempfile.mkdtemp(prefix="leakbench-"))

    def close(self) -> None:
        """Stop the peers."""
        for process in self._running.values():
            process.kill()
            process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def ask(self, tool: str, world: World, planted: Planted, seed: int) -> dict[str, Any]:
        """What a tool says: `gates` (ours) or `measures` and `alarm` (peers), seconds, or why it `failed`."""
        wall, cpu = time.perf_counter(), time.process_time()
        told = self._ours(world, planted, seed) if tool == OURS else self._peer(tool, world, planted, seed)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu} | told

    def _ours(self, world: World, planted: Planted, seed: int) -> dict[str, Any]:
        judge = importlib.import_module("bench.leakbench.ours").judge  # peers alone need nothing of it
        said = {name: gate.to_json() for name, gate in judge(world, planted, seed).items()}
        return {"gates": said, "peak_mb": peak_megabytes()}

    def _peer(self, tool: str, world: World, planted: Planted, seed: int) -> dict[str, Any]:
        sides = {"learnt": planted.learnt, "held": planted.held, "twin": planted.twin}
        frames = {name: world.frame(side) for name, side in sides.items()}
        write_case(self._scratch, frames, secret=world.secret, seed=seed % 2**31)
        process = self._running.get(tool) or self._start(tool)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{self._scratch}\n")
            process.stdin.flush()
            return dict(json.loads(_line(process.stdout, self.timeout)))
        except (TimeoutError, BrokenPipeError, json.JSONDecodeError) as error:
            self._running.pop(tool).kill()
            process.wait()
            why = f"no answer in {self.timeout:.0f} s" if isinstance(error, TimeoutError) else "its process ended"
            return {"failed": why}

    def _start(self, tool: str) -> "subprocess.Popen[str]":
        peer = PEERS[tool]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1")
        log = (self.home / f"{tool}.log").open("a", encoding="utf-8")
        self._running[tool] = subprocess.Popen(
            [peer.python(self.home / "environments"), "-W", "ignore", "-m", f"bench.leakbench.{peer.adapter}"],
            cwd=ROOT, env=os.environ | threads | {"CUDA_VISIBLE_DEVICES": ""}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        return self._running[tool]


def _line(stream: IO[str], timeout: float) -> str:
    """The next answer; what a peer's packages print while they are imported is none. Raises TimeoutError."""
    import select

    while select.select([stream], [], [], timeout)[0]:
        line = stream.readline()
        if line.startswith("{") or not line:
            return line
    raise TimeoutError
