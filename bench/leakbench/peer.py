"""What every adapter of a peer does alike; imports nothing of Twinlake, for peers live in environments of their own.

An adapter is a process (`python -m bench.leakbench.peer_sdmetrics`) that reads one folder per line and answers with one
line of JSON: measures by name, higher is worse, and the peer's own verdict where it has one. In the folder lie
`learnt.npz`, `held.npz` and `twin.npz`, one array per column, and `about.json` says which columns are labels.
"""

import json
import os
import re
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Asked:
    """One case as a peer sees it.

    Attributes:
        learnt: what the generator has learnt.
        held: what was held back.
        twin: what is judged.
        labels: the columns that are labels; the others are quantities.
        secret: the column that inference attacks go for.
        seed: of the peer's own draws.
    """

    learnt: pd.DataFrame
    held: pd.DataFrame
    twin: pd.DataFrame
    labels: tuple[str, ...]
    secret: str
    seed: int

    def known(self) -> list[str]:
        """What an attacker knows: all but the secret."""
        return [c for c in self.learnt.columns if c != self.secret]


@dataclass(frozen=True)
class Told:
    """What a peer says: measures by name, higher is worse, and its own verdict, None where it has none."""

    measures: Mapping[str, float]
    alarm: bool | None = None


def serve(judge: Callable[[Asked], Told]) -> None:
    """Answer until the input ends."""
    warnings.filterwarnings("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a peer prints must not get among the answers
    for line in sys.stdin:
        answers.write(json.dumps(_answer(judge, Path(line.strip()))) + "\n")
        answers.flush()


def _answer(judge: Callable[[Asked], Told], folder: Path) -> dict[str, object]:
    try:
        asked = _read(folder)
        np.random.seed(asked.seed)  # noqa: NPY002 - peers draw from it
        start = time.process_time()
        told = judge(asked)
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:300]}
    measures = {name: float(value) for name, value in told.measures.items()}
    spent = time.process_time() - start
    return {"measures": measures, "alarm": told.alarm, "cpu": spent, "peak_mb": peak_megabytes()}


def _read(folder: Path) -> Asked:
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    sides = [_frame(folder / f"{side}.npz", about["columns"]) for side in ("learnt", "held", "twin")]
    return Asked(sides[0], sides[1], sides[2], tuple(about["labels"]), about["secret"], about["seed"])


def _frame(path: Path, columns: list[str]) -> pd.DataFrame:
    """Quantities as floats, labels as text: every peer takes those."""
    with np.load(path) as file:
        arrays = [file[str(i)] for i in range(len(columns))]
    return pd.DataFrame({
        c: a if a.dtype == np.float64 else a.astype(object) for c, a in zip(columns, arrays, strict=True)
    })  # fmt: skip


def write_case(folder: Path, sides: Mapping[str, pd.DataFrame], *, secret: str, seed: int) -> None:
    """What an adapter reads."""
    first = next(iter(sides.values()))
    labels = [c for c in first.columns if first[c].dtype == object]
    for name, frame in sides.items():
        kinds = [str if c in labels else np.float64 for c in frame.columns]
        columns = [
            frame[c].to_numpy(k, na_value=np.nan) if k is np.float64 else frame[c].astype(str).to_numpy(str)
            for c, k in zip(frame.columns, kinds, strict=True)
        ]
        np.savez(folder / f"{name}.npz", allow_pickle=False, **{str(i): a for i, a in enumerate(columns)})
    about = {"columns": list(first.columns), "labels": labels, "secret": secret, "seed": seed}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def peak_megabytes() -> float:
    """The highest resident set of this process so far."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) / 1024 if found else float("nan")
