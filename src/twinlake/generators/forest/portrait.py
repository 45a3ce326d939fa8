"""What a whole sequence looks like: one row of whole numbers for the rows of one parent, for a discriminator to judge.

Trees that draw a row at a time see the rows before it; whether all rows together look like one parent's, only a look
at all of them tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from twinlake.generators.forest.past import Past
from twinlake.generators.siblings import Siblings
from twinlake.generators.states.alphabet import Codes

Ints = npt.NDArray[np.int64]
_PARTS = 255  # a share is told in so many parts
_STATES = 12  # of a label whose shares are told, the most frequent ones


@dataclass(frozen=True, slots=True)
class Portrait:
    """Which columns of codes make a portrait.

    Attributes:
        given: how many columns the context has.
        quantities: columns whose mean, lowest, highest and spread are told.
        labels: columns of which the shares of some states are told, with these.
    """

    given: int
    quantities: tuple[int, ...]
    labels: Mapping[int, tuple[int, ...]]

    @classmethod
    def of(cls, past: Past, codes: Codes, apart: set[int]) -> Self:
        """The portrait of sequences with these codes; columns in `apart` take no part."""
        drawn = [i for i in range(past.given, past.at) if i not in apart]
        labels = {}
        for i in (i for i in drawn if not past.ordinal[i - past.given]):
            held = np.bincount(codes[:, i], minlength=past.sizes[i - past.given])
            labels[i] = tuple(int(s) for s in np.argsort(-held, kind="stable")[:_STATES] if held[s])
        return cls(past.given, tuple(i for i in drawn if past.ordinal[i - past.given]), labels)

    def draw(self, codes: Codes, moments: Codes, siblings: Siblings) -> Codes:
        """The portraits of sequences, shape (runs, what is told); `moments` are codes of the order column's values."""
        runs = _Runs(siblings)
        told: list[npt.NDArray[Any]] = [codes[runs.starts, i] for i in range(self.given)]
        told.append(np.minimum(siblings.sizes, _PARTS))
        for column in [moments, *(codes[:, i] for i in self.quantities)]:
            told += [*runs.spread(column), runs.share(runs.again(column))]
        for i, states in self.labels.items():
            told += [runs.share(codes[:, i] == s) for s in states]
            told.append(runs.share(runs.again(codes[:, i])))
        return np.asfortranarray(np.stack(told, axis=1).astype(np.int32))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        labels = [[i, list(states)] for i, states in self.labels.items()]
        return {"given": self.given, "quantities": list(self.quantities), "labels": labels}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The portrait that `to_json` wrote."""
        return cls(data["given"], tuple(data["quantities"]), {i: tuple(states) for i, states in data["labels"]})


class _Runs:
    """Sums over the rows of each run."""

    def __init__(self, siblings: Siblings) -> None:
        self.starts, self._sizes = siblings.starts[:-1], siblings.sizes

    def spread(self, column: Codes) -> tuple[Ints, Ints, Ints, Ints]:
        """Mean, lowest, highest and standard deviation, as whole numbers."""
        values = column.astype(np.int64)
        mean = np.add.reduceat(values, self.starts) // self._sizes
        square = np.add.reduceat((values - np.repeat(mean, self._sizes)) ** 2, self.starts) // self._sizes
        low, high = np.minimum.reduceat(values, self.starts), np.maximum.reduceat(values, self.starts)
        return mean, low, high, np.floor(np.sqrt(square)).astype(np.int64)

    def share(self, where: npt.NDArray[np.bool_]) -> Ints:
        """The share of rows, in 255 parts."""
        return np.asarray(np.add.reduceat(where.astype(np.int64), self.starts) * _PARTS // self._sizes)

    def again(self, column: Codes) -> npt.NDArray[np.bool_]:
        """Rows that hold what the row before them holds."""
        same = np.zeros(len(column), np.bool_)
        same[1:] = column[1:] == column[:-1]
        same[self.starts] = False
        return same
