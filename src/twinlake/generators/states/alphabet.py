"""The alphabet of any column, learnt and read back; and whole tables as codes."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.states.census import K
from twinlake.generators.states.label import Label
from twinlake.generators.states.quantity import Quantity
from twinlake.hashing import Hashes
from twinlake.schema import Column, Kind, Table
from twinlake.types import is_discrete

Codes = npt.NDArray[np.int32]


class Alphabet(Protocol):
    """The states of one column: cells to codes 0..size-1 and back, emitting nothing that fewer than k units hold."""

    @property
    def size(self) -> int:
        """How many states; at least one."""
        ...

    @property
    def ordinal(self) -> bool:
        """Whether codes follow the order of values."""
        ...

    @property
    def safe(self) -> npt.NDArray[np.bool_]:
        """Whether each state is one value that at least k units hold, or a declared one, shape (size,)."""
        ...

    @property
    def apart(self) -> npt.NDArray[np.bool_]:
        """Whether each state stands outside the order of values: null, NaN, infinities, the rest; shape (size,)."""
        ...

    def encode(self, cells: pa.Array) -> Codes:
        """The state of each cell, shape (rows,)."""
        ...

    def decode(self, codes: Codes, rng: np.random.Generator, *, compact: bool = False) -> pa.Array:
        """A cell for each state, shape (rows,), of its type; `compact` text and bytes as dictionaries of that type."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        ...


def learn_alphabet(cells: pa.Array | pa.ChunkedArray, column: Column, units: Hashes | None, *, k: int = K) -> Alphabet:
    """The alphabet of a column from its real cells; `units` is the privacy unit of each cell, shape (rows,)."""
    array = whole(cells)
    if is_label(column):
        return Label.learn(array, column, units, k=k)
    return Quantity.learn(array, units, k=k)


def alphabet_from_json(data: Mapping[str, Any]) -> Alphabet:
    """The alphabet that `to_json` wrote."""
    kinds: dict[str, type[Label] | type[Quantity]] = {"label": Label, "quantity": Quantity}
    return kinds[data["alphabet"]].from_json(dict(data))


def is_label(column: Column) -> bool:
    """Whether values are labels: by type, or because the pipeline file says category."""
    return is_discrete(column.type) or column.kind is Kind.CATEGORY


class Encoder(Protocol):
    """What makes codes of cells: an alphabet, or what replaces its codes."""

    def encode(self, cells: pa.Array) -> Codes:
        """The code of each cell, shape (rows,)."""
        ...


def encode(data: pa.Table, alphabets: Sequence[Encoder]) -> Codes:
    """A table as codes, shape (rows, columns); each column is contiguous."""
    codes = np.empty((data.num_rows, len(alphabets)), np.int32, order="F")
    for i, alphabet in enumerate(alphabets):
        codes[:, i] = alphabet.encode(whole(data.column(i)))
    return codes


def decode(
    codes: Codes, alphabets: Sequence[Alphabet], table: Table, rng: np.random.Generator, *, compact: bool = False
) -> pa.Table:
    """Codes of shape (rows, columns) as rows of `table`; `compact` as `Alphabet.decode` has it."""
    cells = [a.decode(codes[:, i], rng, compact=compact) for i, a in enumerate(alphabets)]
    fields = [pa.field(c.name, cell.type, c.nullable) for c, cell in zip(table.columns, cells, strict=True)]
    return pa.Table.from_arrays(cells, schema=pa.schema(fields))


def whole(cells: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array, whatever the chunking."""
    if not isinstance(cells, pa.ChunkedArray):
        return cells
    return pa.concat_arrays(cells.unify_dictionaries().chunks) if cells.num_chunks else cells.combine_chunks()
