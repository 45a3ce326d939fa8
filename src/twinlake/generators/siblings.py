"""Siblings: rows that have the same parent, one after the other, in their order."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]

MOST = 512
"""Rows that see one another at most: longer sequences are cut into runs of so many."""


@dataclass(frozen=True, slots=True)
class Siblings:
    """Where the rows of each parent begin; rows of one parent lie together.

    Attributes:
        starts: first row of each run and the end of the last, shape (runs + 1,).
    """

    starts: Places

    @classmethod
    def of(cls, parents: Places) -> Self:
        """The runs of rows whose parents have these places, shape (rows,); equal places lie together.

        A row without a parent, place -1, is alone.
        """
        change = np.ones(len(parents) + 1, np.bool_)
        change[1:-1] = (parents[1:] != parents[:-1]) | (parents[1:] < 0)
        starts = np.flatnonzero(change) if len(parents) else np.zeros(1, np.int64)
        return cls(_cut(starts.astype(np.int64)))

    @classmethod
    def alone(cls, rows: int) -> Self:
        """Rows without siblings."""
        return cls(np.arange(rows + 1, dtype=np.int64))

    @property
    def begins(self) -> npt.NDArray[np.bool_]:
        """Which rows are the first of their run, shape (rows,)."""
        found = np.zeros(int(self.starts[-1]), np.bool_)
        found[self.starts[:-1]] = True
        return found

    def take(self, runs: Places) -> tuple[Places, "Siblings"]:
        """The rows of some runs, one run after the other, and where each begins among them."""
        sizes = self.sizes[runs]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.repeat(self.starts[:-1][runs] - starts[:-1], sizes) + np.arange(starts[-1])
        return rows.astype(np.int64), Siblings(starts)

    @property
    def sizes(self) -> Places:
        """Rows of each run, shape (runs,)."""
        return np.diff(self.starts)


def _cut(starts: Places) -> Places:
    """The same runs, none longer than `MOST`."""
    sizes = np.diff(starts)
    if sizes.max(initial=0) <= MOST:
        return starts
    pieces = -(-sizes // MOST)
    first = np.repeat(starts[:-1], pieces)
    number = np.arange(len(first)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.append(first + number * MOST, starts[-1])
