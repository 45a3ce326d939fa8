"""A column's codes as trees see them: its alphabet's, or for labels of many states their ranks by likeness."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.states.alphabet import Alphabet, Codes, whole

MANY = 64
"""Labels with more states than this are ordered by likeness and cut like quantities."""


@dataclass(frozen=True, slots=True)
class Coding:
    """An alphabet and, where its states are ordered by likeness, the rank of each code, shape (states,)."""

    alphabet: Alphabet
    ranks: Codes | None = None
    _codes: Codes | None = field(init=False, compare=False, repr=False)  # the alphabet's code of each rank

    def __post_init__(self) -> None:
        """Turn the ranks round once."""
        object.__setattr__(self, "_codes", None if self.ranks is None else np.argsort(self.ranks).astype(np.int32))

    @property
    def size(self) -> int:
        """How many codes."""
        return self.alphabet.size

    @property
    def ordinal(self) -> bool:
        """Whether neighbouring codes are alike."""
        return self.alphabet.ordinal or self.ranks is not None

    @property
    def safe(self) -> npt.NDArray[np.bool_]:
        """See `Alphabet.safe`."""
        return self._ranked(self.alphabet.safe)

    @property
    def apart(self) -> npt.NDArray[np.bool_]:
        """See `Alphabet.apart`."""
        return self._ranked(self.alphabet.apart)

    @property
    def points(self) -> npt.NDArray[np.bool_]:
        """Which states leaves keep one by one: all of labels, those outside the order, single values of quantities."""
        if self.ranks is not None:
            return self.apart
        return self.apart | self.safe if self.ordinal else np.ones(self.size, np.bool_)

    def ordered(self, ranks: Codes) -> Self:
        """The same, with its codes replaced by their ranks."""
        return type(self)(self.alphabet, ranks.astype(np.int32))

    def encode(self, cells: pa.Array | pa.ChunkedArray) -> Codes:
        """The code of each cell, shape (rows,)."""
        codes = self.alphabet.encode(whole(cells))
        return codes if self.ranks is None else self.ranks[codes]

    def decode(self, codes: Codes, rng: np.random.Generator) -> pa.Array:
        """A cell for each code, shape (rows,); text and bytes as dictionaries."""
        plain = codes if self._codes is None else self._codes[codes]
        return self.alphabet.decode(plain, rng, compact=True)

    def _ranked(self, of_codes: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        return of_codes if self._codes is None else of_codes[self._codes]
