"""SDV's Gaussian copula, CTGAN and TVAE as table generators. SDV itself runs in a process of its own, `_sdv.py`.

SDV sees frames made from states: quantities as numbers whose rare values and extremes were redrawn, labels as numbers
of their states; what it draws goes back through the same states to exact Arrow types. Columns have neutral names.

SDV's models are pickles, so they are not kept. What is saved is the lesson, those very frames, and whoever draws learns
it again: the same lesson and seed give the same model. A lesson is as private as rows are. SDV is under the Business
Source Licence 1.1.
"""

import atexit
import contextlib
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.errors import GeneratorError
from twinlake.generators._sdv import Columns, receive, send
from twinlake.generators.saved import read_arrays, read_head, table_from_json, table_to_json, write_model
from twinlake.generators.siblings import Siblings
from twinlake.generators.states.alphabet import Alphabet, alphabet_from_json, learn_alphabet
from twinlake.generators.states.census import K
from twinlake.generators.states.quantity import Quantity
from twinlake.hashing import Hashes
from twinlake.random import integer_seed
from twinlake.schema import Table
from twinlake.tables import canonical

_AT_ONCE = 4  # models that are held ready: each process takes some hundred megabytes


@dataclass(frozen=True, slots=True)
class Sdv:
    """One of SDV's generators.

    Attributes:
        name: `gaussian_copula`, `ctgan` or `tvae`.
        options: passed to SDV's class.
        rows: that are learnt from at most.
        k: values held by fewer privacy units are never drawn.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 100_000
    k: int = K

    licence = "BUSL-1.1"
    takes_context = False

    def __post_init__(self) -> None:
        """Refuse to be made where SDV is not installed."""
        if importlib.util.find_spec("sdv") is None:
            raise GeneratorError(
                f"generator {self.name} needs the extra `sdv`, which is not installed",
                allowed="forest and marginals work without it",
                fix="Run pip install 'twinlake[sdv]'",
            )

    def fit(
        self,
        data: pa.Table,
        table: Table,
        *,
        units: Hashes | None,
        context: pa.Table | None,
        siblings: Siblings | None = None,
        rng: np.random.Generator,
    ) -> "SdvModel":
        """Learn the columns of `table`. SDV can't be given columns row by row, so context is left out."""
        del context, siblings
        alphabets = tuple(learn_alphabet(data[c.name], c, units, k=self.k) for c in table.columns)
        missing = tuple(map(_missing, alphabets, data.columns))
        kept = np.sort(rng.permutation(data.num_rows)[: self.rows])
        columns = _columns(data.take(pa.array(kept)), alphabets, rng)
        told = {"generator": self.name, "options": dict(self.options), "seed": integer_seed(rng)}
        model = SdvModel(table, alphabets, missing, Lesson(told, columns if len(kept) else {}))
        if model.lesson.columns:
            _ready(model.lesson, table.name)  # now, so that what can't be learnt is told now
        return model


@dataclass(frozen=True, slots=True)
class Lesson:
    """What SDV learns: its settings and seed, and columns by neutral names, states int32 and quantities float64."""

    told: Mapping[str, Any]
    columns: Columns

    @property
    def digest(self) -> str:
        """SHA-256 of all of it; 64 hexadecimal digits."""
        digest = hashlib.sha256(canonical(self.told).encode())
        for name, cells in self.columns.items():
            digest.update(f"\x00{name}{cells.dtype}\x00".encode() + cells.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class SdvModel:
    """What one of SDV's generators learns, with the states its columns go through.

    Attributes:
        table: what is drawn.
        alphabets: the states of each column.
        missing: per column, the share of each kind of missing cell (`NULL`, `NAN` ...), shape (5,).
        lesson: what SDV learns; no column where none has two states.
    """

    table: Table
    alphabets: tuple[Alphabet, ...]
    missing: tuple[npt.NDArray[np.float64], ...]
    lesson: Lesson

    def sample(
        self, rows: int, *, context: pa.Table | None, siblings: Siblings | None = None, rng: np.random.Generator
    ) -> pa.Table:
        """Draw rows; the same model and rng give the same rows."""
        del context, siblings
        seed = integer_seed(rng)
        drawn: Columns = {}
        if self.lesson.columns and rows:
            drawn = _ready(self.lesson, self.table.name).draw(rows, seed)
        cells = [
            _cells(drawn.get(f"c{i}"), rows, alphabet, missing, rng)
            for i, (alphabet, missing) in enumerate(zip(self.alphabets, self.missing, strict=True))
        ]
        return pa.Table.from_arrays(cells, schema=self.table.arrow)

    def save(self, folder: Path) -> None:
        """Write the lesson to a new folder, as data."""
        content = {
            "table": table_to_json(self.table),
            "alphabets": [a.to_json() for a in self.alphabets],
            "lesson": dict(self.lesson.told),
        }
        arrays = {f"missing-{i:05d}": m for i, m in enumerate(self.missing)}
        arrays |= {f"lesson-{name}": cells for name, cells in self.lesson.columns.items()}
        write_model(folder, str(self.lesson.told["generator"]), content, arrays)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The model that `save` wrote; it is learnt when rows are first drawn."""
        head, arrays = read_head(folder), read_arrays(folder)
        columns = sorted((int(n.removeprefix("lesson-c")), n) for n in arrays if n.startswith("lesson-c"))
        return cls(
            table=table_from_json(head["table"]),
            alphabets=tuple(alphabet_from_json(a) for a in head["alphabets"]),
            missing=tuple(arrays[n] for n in sorted(arrays) if n.startswith("missing-")),
            lesson=Lesson(head["lesson"], {f"c{i}": arrays[n] for i, n in columns}),
        )


class _Process:
    """A process that has learnt one lesson; it ends when this object, or this process, does."""

    def __init__(self, lesson: Lesson, table: str) -> None:
        command = [sys.executable, "-P", "-m", "twinlake.generators._sdv"]
        self._lock = Lock()
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment())
        failed = self._asked(lesson.told, lesson.columns, table)[0].get("failed")
        if failed:
            self.end()
            raise GeneratorError(
                f"SDV's {lesson.told['generator']} could not learn table {table} ({failed})",
                fix="Use generator forest for this table",
            )

    def draw(self, rows: int, seed: int) -> Columns:
        """Rows, by neutral names."""
        return self._asked({"rows": rows, "seed": seed}, {}, "")[1]

    def end(self) -> None:
        """Let the process end."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # it has ended already
                    pipe.close()
        self._child.wait()

    def _asked(self, head: Mapping[str, Any], columns: Columns, table: str) -> tuple[dict[str, Any], Columns]:
        source, out = self._child.stdout, self._child.stdin
        assert source is not None and out is not None  # noqa: PT018 - both are pipes
        with self._lock:
            try:
                send(out, head, columns)  # type: ignore[arg-type]  # a pipe is a BinaryIO
                return receive(source)  # type: ignore[arg-type]  # as above
            except (EOFError, BrokenPipeError):
                self.end()
                _forget(self)
                where = f" while it learnt table {table}" if table else ""
                raise GeneratorError(
                    f"SDV's process ended{where} (status {self._child.returncode})",
                    fix="See that there is memory, or use generator forest for this table",
                ) from None


_READY: OrderedDict[str, _Process] = OrderedDict()


def _ready(lesson: Lesson, table: str) -> _Process:
    """The process that has learnt the lesson; begun where there is none."""
    name = lesson.digest
    if name not in _READY:
        while len(_READY) >= _AT_ONCE:
            _READY.popitem(last=False)[1].end()
        _READY[name] = _Process(lesson, table)
    _READY.move_to_end(name)
    return _READY[name]


@atexit.register
def end_all() -> None:
    """Let every process of SDV's end."""
    while _READY:
        _READY.popitem()[1].end()


def _forget(process: _Process) -> None:
    for name in [n for n, p in _READY.items() if p is process]:
        del _READY[name]


def _environment() -> dict[str, str]:
    """What SDV's process is told: where libraries are, and nothing that would make two of them differ."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT")
    return {n: os.environ[n] for n in kept if n in os.environ} | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}


def _missing(alphabet: Alphabet, cells: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """The share of each kind of missing cell among those that are missing, shape (5,)."""
    if not isinstance(alphabet, Quantity):
        return np.zeros(5)
    kinds = alphabet.scale.read(cells.combine_chunks())[1]
    counts = np.bincount(kinds[np.isin(kinds, alphabet.specials)], minlength=5).astype(np.float64)
    return np.asarray(counts / max(counts.sum(), 1))


def _columns(data: pa.Table, alphabets: tuple[Alphabet, ...], rng: np.random.Generator) -> Columns:
    """What SDV learns from: every real cell redrawn from its own state."""
    columns: Columns = {}
    for i, alphabet in enumerate(alphabets):
        codes = alphabet.encode(data.column(i).combine_chunks())
        if len(np.unique(codes)) < 2:
            continue
        if isinstance(alphabet, Quantity):
            columns[f"c{i}"] = np.asarray(alphabet.positions(alphabet.decode(codes, rng)), dtype=np.float64)
        else:
            columns[f"c{i}"] = codes.astype(np.int32)
    return columns


def _cells(
    drawn: npt.NDArray[Any] | None,
    rows: int,
    alphabet: Alphabet,
    missing: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> pa.Array:
    if drawn is None:
        return alphabet.decode(np.zeros(rows, np.int32), rng)
    if not isinstance(alphabet, Quantity):
        return alphabet.decode(drawn, rng)
    if not missing.any():
        return alphabet.at(np.nan_to_num(drawn, nan=float(np.mean(alphabet.ends))), np.zeros(rows, np.int8))
    return alphabet.at(drawn, rng.choice(5, rows, p=missing).astype(np.int8))
