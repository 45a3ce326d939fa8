"""The generators that are compared, how each is run, and the environment of the one that can't live in ours."""

import hashlib
import importlib.metadata
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.worlds import ROOT

ENGINE = "mostlyai-engine==2.7.3"


@dataclass(frozen=True, slots=True)
class Peer:
    """A generator with its settings.

    Attributes:
        name: as the command line and the page call it.
        generator: as its worker calls it.
        settings: its own; none are its defaults.
        worker: the module that runs it.
        trains: whether it trains for as long as the budget allows; such a peer is measured with one seed.
        told: whether it can be told that a column's values may be shown.
    """

    name: str
    generator: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    worker: str = "bench.here"
    trains: bool = False
    told: bool = False

    @property
    def ours(self) -> bool:
        """Whether it is one of Twinlake's own."""
        return self.told and self.worker == "bench.here"

    def version(self) -> str:
        """What the result depends on: the package of a peer, the code of our own generators."""
        if self.worker == "bench.argn":
            return ENGINE
        return code_hash(ROOT / "src" / "twinlake" / "generators") if self.ours else _installed("sdv")


PEERS = {
    p.name: p
    for p in (
        Peer("forest fast", "forest", {"preset": "fast"}, told=True),
        Peer("forest quality", "forest", {"preset": "quality"}, told=True),
        Peer("marginals", "marginals", told=True),
        Peer("SDV GaussianCopula", "sdv_gaussian_copula"),
        Peer("SDV CTGAN", "sdv_ctgan", trains=True),
        Peer("SDV TVAE", "sdv_tvae", trains=True),
        Peer("MOSTLY AI TabularARGN", "argn", worker="bench.argn", trains=True, told=True),
    )
}
SHORT = {
    "forest-fast": "forest fast", "forest-quality": "forest quality", "marginals": "marginals",
    "gaussian_copula": "SDV GaussianCopula", "ctgan": "SDV CTGAN", "tvae": "SDV TVAE", "argn": "MOSTLY AI TabularARGN",
}  # fmt: skip


def python_of(peer: Peer, home: Path) -> Path:
    """The Python that runs a peer; MOSTLY AI's environment is made below `home` where it is missing.

    Raises:
        RuntimeError: where it can't be made; says why.
    """
    return engine_python(home / "mostlyai-engine") if peer.worker == "bench.argn" else Path(sys.executable)


def engine_python(folder: Path) -> Path:
    """The Python of an environment that holds MOSTLY AI's engine; raises RuntimeError where it can't be made."""
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.is_file() and ready.read_text(encoding="utf-8") == ENGINE:
        return python
    print(f"making the environment of {ENGINE} in {folder} (once; minutes)", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ENGINE])
    if not _imports(python):
        # of torch's companions only those that match its build can be imported; the engine's tables need neither
        _run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "torchvision", "torchaudio"])
        if not _imports(python):
            raise RuntimeError(f"{ENGINE} is installed and can't be imported")
    ready.write_text(ENGINE, encoding="utf-8")
    return python


def code_hash(*places: Path) -> str:
    """A hash of Python files and of those below folders; 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for place in places:
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _imports(python: Path) -> bool:
    return subprocess.run([python, "-W", "ignore", "-c", "import mostlyai.engine"], capture_output=True).returncode == 0


def _run(command: list[Any]) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(last_line(done.stderr) or f"{command[2]} failed")


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _installed(package: str) -> str:
    try:
        return f"{package}=={importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{package} is not installed"
