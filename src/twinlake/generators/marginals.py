"""`marginals`: every column on its own, as the histogram of its states. The baseline that measures are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.saved import read_arrays, table_from_json, table_to_json, write_model
from twinlake.generators.siblings import Siblings
from twinlake.generators.states.alphabet import Alphabet, alphabet_from_json, decode, learn_alphabet
from twinlake.generators.states.census import K
from twinlake.hashing import Hashes
from twinlake.schema import Table


@dataclass(frozen=True, slots=True)
class Marginals:
    """Learns each column on its own.

    Attributes:
        k: values held by fewer privacy units are never drawn.
    """

    k: int = K

    name = "marginals"
    takes_context = False
    licence = "Apache-2.0"

    def fit(
        self,
        data: pa.Table,
        table: Table,
        *,
        units: Hashes | None,
        context: pa.Table | None,
        siblings: Siblings | None = None,
        rng: np.random.Generator,
    ) -> "MarginalsModel":
        """Learn the states of each column and their shares; context tells nothing about independent columns."""
        del context, siblings, rng
        alphabets = tuple(learn_alphabet(data[c.name], c, units, k=self.k) for c in table.columns)
        return MarginalsModel(table, alphabets, tuple(map(_shares, alphabets, data.columns)))


@dataclass(frozen=True, slots=True)
class MarginalsModel:
    """The states of each column and the share of rows in each, shape (states,)."""

    table: Table
    alphabets: tuple[Alphabet, ...]
    shares: tuple[npt.NDArray[np.float64], ...]

    def sample(
        self, rows: int, *, context: pa.Table | None, siblings: Siblings | None = None, rng: np.random.Generator
    ) -> pa.Table:
        """Draw rows, each cell on its own."""
        del context, siblings
        codes = np.empty((rows, len(self.alphabets)), np.int32, order="F")
        for i, shares in enumerate(self.shares):
            codes[:, i] = rng.choice(len(shares), rows, p=shares)
        return decode(codes, self.alphabets, self.table, rng)

    def save(self, folder: Path) -> None:
        """Write the model to a new folder."""
        content = {"table": table_to_json(self.table), "alphabets": [a.to_json() for a in self.alphabets]}
        write_model(folder, "marginals", content, {f"shares-{i:05d}": s for i, s in enumerate(self.shares)})

    @classmethod
    def read(cls, folder: Path, head: Mapping[str, Any]) -> Self:
        """The model that `save` wrote."""
        arrays = read_arrays(folder)
        alphabets = tuple(alphabet_from_json(a) for a in head["alphabets"])
        return cls(table_from_json(head["table"]), alphabets, tuple(arrays[k] for k in sorted(arrays)))


def _shares(alphabet: Alphabet, cells: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    counts = np.bincount(alphabet.encode(cells.combine_chunks()), minlength=alphabet.size).astype(np.float64)
    return counts / counts.sum() if len(cells) else np.full(alphabet.size, 1 / alphabet.size)
