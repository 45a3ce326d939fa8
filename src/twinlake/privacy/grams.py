"""Grams: every window of so many symbols in a row, as a 64-bit hash. Symbols are letters, words or rows of a parent."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from twinlake.hashing import Hashes, mix

Places = npt.NDArray[np.intp]

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse among 64-bit numbers
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))


@dataclass(frozen=True, slots=True, eq=False)
class Rolling:
    """Symbols of which any window is hashed at once (Karp and Rabin 1987), modulo 2**64.

    Sums of powers, so that no symbol waits for the one before.

    Attributes:
        sums: of the symbols before each place, each times a power; shape (symbols + 1,).
        back: the inverse powers, shape (symbols + 1,).
    """

    sums: Hashes
    back: Hashes

    @classmethod
    def of(cls, symbols: Hashes) -> Self:
        """Ready to hash windows of well mixed hashes, shape (n,)."""
        sums = np.zeros(len(symbols) + 1, np.uint64)
        np.cumsum(symbols * _powers(_BASE, len(symbols)), out=sums[1:])
        return cls(sums, _powers(_INVERSE, len(symbols) + 1))

    def at(self, starts: Places, length: int | Places) -> Hashes:
        """The hash of the `length` symbols from each start on, shape (starts,)."""
        return mix((self.sums[starts + length] - self.sums[starts]) * self.back[starts])


def grams(symbols: Hashes, owners: Places, length: int) -> tuple[Hashes, Places]:
    """The hash of each window of `length` symbols of one owner, and the owner; shape (windows,) both.

    Args:
        symbols: well mixed hashes, shape (n,).
        owners: whose each symbol is, shape (n,); symbols of one owner stand in a row.
        length: symbols in a window.
    """
    n = len(symbols) - length + 1
    if n <= 0:
        return np.empty(0, np.uint64), np.empty(0, np.intp)
    starts = np.flatnonzero(owners[:n] == owners[length - 1 :])
    return Rolling.of(symbols).at(starts, length), owners[starts]


def _powers(base: np.uint64, n: int) -> Hashes:
    powers = np.full(n, base, np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, out=powers)
