"""SDV 2.0's Gaussian copula, CTGAN and TVAE as table generators. The only file that imports sdv and torch, and late.

SDV sees frames made from states: quantities as numbers whose rare values and extremes were redrawn, labels as the names
of their states; what it draws goes back through the same states to exact Arrow types. Columns have neutral names.

SDV models are pickles, and reading a pickle can execute code: each is saved with a keyed hash (HMAC-SHA256, RFC 2104)
and read only where the hash matches. SDV is under the Business Source Licence 1.1.
"""

import contextlib
import hashlib
import hmac
import importlib.util
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from twinlake.errors import GeneratorError, ModelError
from twinlake.generators.saved import read_arrays, table_from_json, table_to_json, write_model
from twinlake.generators.siblings import Siblings
from twinlake.generators.states.alphabet import Alphabet, alphabet_from_json, learn_alphabet
from twinlake.generators.states.census import K
from twinlake.generators.states.quantity import Quantity
from twinlake.hashing import Hashes
from twinlake.random import integer_seed
from twinlake.schema import Table

_NAME = "rows"  # what SDV calls the table
_CLASSES = {
    "gaussian_copula": "GaussianCopulaSynthesizer",
    "ctgan": "CTGANSynthesizer",
    "tvae": "TVAESynthesizer",
}


@dataclass(frozen=True, slots=True)
class Sdv:
    """One of SDV's generators.

    Attributes:
        name: `gaussian_copula`, `ctgan` or `tvae`.
        options: passed to SDV's class.
        rows: that are learnt from at most.
        secret: the key of the hash that a saved model carries; without one, models can't be saved.
        k: values held by fewer privacy units are never drawn.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 100_000
    secret: bytes | None = field(default=None, repr=False)
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
        frame = _frame(data.take(pa.array(kept)), alphabets, rng)
        synthesizer = self._learnt(frame, table, integer_seed(rng)) if frame.shape[1] and len(frame) else None
        return SdvModel(self.name, table, alphabets, missing, synthesizer, self.secret)

    def _learnt(self, frame: pd.DataFrame, table: Table, seed: int) -> Any:  # noqa: ANN401 - sdv has no types
        import sdv.single_table
        from sdv.metadata import Metadata

        sdtypes = {n: {"sdtype": "categorical" if d.hasobject else "numerical"} for n, d in frame.dtypes.items()}
        metadata = Metadata.load_from_dict(
            {"METADATA_SPEC_VERSION": "V2", "tables": {_NAME: {"columns": sdtypes}}, "relationships": []}
        )
        with _seeded(seed):
            try:
                synthesizer = getattr(sdv.single_table, _CLASSES[self.name])(metadata, **self.options)
                synthesizer.fit({_NAME: frame})
            except Exception as error:
                # from None: SDV's own text may quote values
                what = f"SDV's {self.name} could not learn table {table.name} ({type(error).__name__})"
                raise GeneratorError(what, fix="Use generator forest for this table") from None
        return synthesizer


@dataclass(frozen=True, slots=True)
class SdvModel:
    """A fitted SDV synthesizer with the states its columns go through.

    Attributes:
        name: of the generator.
        table: what is drawn.
        alphabets: the states of each column.
        missing: per column, the share of each kind of missing cell (`NULL`, `NAN` ...), shape (5,).
        synthesizer: SDV's object, or None where no column has two states.
        secret: the key that saving needs.
    """

    name: str
    table: Table
    alphabets: tuple[Alphabet, ...]
    missing: tuple[npt.NDArray[np.float64], ...]
    synthesizer: Any
    secret: bytes | None = field(default=None, repr=False)

    def sample(
        self, rows: int, *, context: pa.Table | None, siblings: Siblings | None = None, rng: np.random.Generator
    ) -> pa.Table:
        """Draw rows; the same model and rng give the same rows."""
        del context, siblings
        seed = integer_seed(rng)
        frame = pd.DataFrame(index=range(rows))
        if self.synthesizer is not None and rows:
            with _seeded(seed):
                self.synthesizer.reset_sampling()
                self.synthesizer._set_random_state(seed)
                frame = self.synthesizer.sample(num_rows=rows)[_NAME].reset_index(drop=True)
        cells = [
            _cells(frame.get(f"c{i}"), rows, alphabet, missing, rng)
            for i, (alphabet, missing) in enumerate(zip(self.alphabets, self.missing, strict=True))
        ]
        return pa.Table.from_arrays(cells, schema=self.table.arrow)

    def save(self, folder: Path) -> None:
        """Write the model to a new folder, with the keyed hash of all of it; raises ModelError without a key."""
        import cloudpickle  # type: ignore[import-untyped]  # it carries no types

        if not self.secret:
            raise ModelError(
                f"a model of {self.name} is a pickle and can't be saved without a key",
                fix="Make the generator with table_generator(name, secret=...)",
            )
        content = {"table": table_to_json(self.table), "alphabets": [a.to_json() for a in self.alphabets]}
        write_model(folder, self.name, content, {f"missing-{i:05d}": m for i, m in enumerate(self.missing)})
        (folder / "sdv.pkl").write_bytes(cloudpickle.dumps(self.synthesizer))
        (folder / "sdv.hmac").write_text(_keyed_hash(_files(folder), self.secret) + "\n", encoding="ascii")

    @classmethod
    def read(cls, folder: Path, *, secret: bytes | None) -> Self:
        """The model that `save` wrote; raises ModelError, and executes nothing, where its hash does not match."""
        files, head = _trusted(folder, secret)
        import cloudpickle

        arrays = read_arrays(folder)
        return cls(
            name=head["generator"],
            table=table_from_json(head["table"]),
            alphabets=tuple(alphabet_from_json(a) for a in head["alphabets"]),
            missing=tuple(arrays[k] for k in sorted(arrays)),
            synthesizer=cloudpickle.loads(files["sdv.pkl"]),  # the very bytes that were hashed
            secret=secret,
        )


def _missing(alphabet: Alphabet, cells: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """The share of each kind of missing cell among those that are missing, shape (5,)."""
    if not isinstance(alphabet, Quantity):
        return np.zeros(5)
    kinds = alphabet.scale.read(cells.combine_chunks())[1]
    counts = np.bincount(kinds[np.isin(kinds, alphabet.specials)], minlength=5).astype(np.float64)
    return np.asarray(counts / max(counts.sum(), 1))


def _frame(data: pa.Table, alphabets: tuple[Alphabet, ...], rng: np.random.Generator) -> pd.DataFrame:
    """What SDV learns from: every real cell redrawn from its own state."""
    columns: dict[str, Any] = {}
    for i, alphabet in enumerate(alphabets):
        codes = alphabet.encode(data.column(i).combine_chunks())
        if len(np.unique(codes)) < 2:
            continue
        if isinstance(alphabet, Quantity):
            columns[f"c{i}"] = alphabet.positions(alphabet.decode(codes, rng))
        else:
            columns[f"c{i}"] = np.array([f"s{c}" for c in range(alphabet.size)], dtype=object)[codes]
    return pd.DataFrame(columns)


def _cells(
    drawn: pd.Series | None,
    rows: int,
    alphabet: Alphabet,
    missing: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> pa.Array:
    if drawn is None:
        return alphabet.decode(np.zeros(rows, np.int32), rng)
    if not isinstance(alphabet, Quantity):
        states = drawn.fillna("s0").str.removeprefix("s").to_numpy()
        return alphabet.decode(np.asarray(states, dtype=np.int32), rng)
    positions = drawn.to_numpy(np.float64)
    if not missing.any():
        return alphabet.at(np.nan_to_num(positions, nan=float(np.mean(alphabet.ends))), np.zeros(rows, np.int8))
    return alphabet.at(positions, rng.choice(5, rows, p=missing).astype(np.int8))


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seeds the global generators that SDV draws from, on one thread, and puts all back as it was."""
    import torch

    before = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.get_num_threads()  # noqa: NPY002 - SDV draws from it
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - SDV draws from it
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # sums must not depend on the number of threads
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002 - SDV draws from it
        torch.set_rng_state(before[2])
        torch.set_num_threads(before[3])


def _files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("model.json", "arrays.npz", "sdv.pkl")}


def _keyed_hash(files: Mapping[str, bytes], secret: bytes) -> str:
    lengths = ",".join(f"{name}:{len(content)}" for name, content in files.items())
    digest = hmac.new(secret, lengths.encode(), hashlib.sha256)
    for content in files.values():
        digest.update(content)
    return digest.hexdigest()


def _trusted(folder: Path, secret: bytes | None) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a saved model and its head, once their keyed hash is found right."""
    if not secret:
        raise ModelError(
            "a model of SDV is a pickle and is not read without the key it was saved with", where=str(folder)
        )
    try:
        files = _files(folder)
        recorded = (folder / "sdv.hmac").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise ModelError("the saved model is not complete", where=str(folder), fix="Fit the model again") from None
    if not hmac.compare_digest(recorded, _keyed_hash(files, secret)):
        raise ModelError(
            "the saved model does not match its keyed hash, so it is not read", where=str(folder),
            fix="Fit the model again, or give the key it was saved with",
        )  # fmt: skip
    return files, json.loads(files["model.json"])
