"""What a case is made of: real rows that were learnt, real rows held back, fresh real rows in the twin's place."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

AT = "at"  # of a child: the position of its parent among the roots

At = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Side:
    """Units: one root row each, and the rows that belong to them.

    Attributes:
        root: one row per unit, index 0 to n - 1.
        child: the units' ordered rows with the position of their root in `at`, sorted by it; None where there are none.
    """

    root: pd.DataFrame
    child: pd.DataFrame | None = None

    def __len__(self) -> int:
        """How many units."""
        return len(self.root)

    def take(self, at: At) -> "Side":
        """These units in this order; a unit that is asked for twice comes twice, with its keys."""
        root = self.root.take(at).reset_index(drop=True)
        if self.child is None:
            return Side(root)
        starts = np.searchsorted(self.child[AT].to_numpy(), np.arange(len(self) + 1))
        counts = (starts[1:] - starts[:-1])[at]
        where = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in at] or [np.empty(0, np.intp)])
        child = self.child.take(where.astype(np.intp)).reset_index(drop=True)
        child[AT] = np.repeat(np.arange(len(at)), counts)
        return Side(root, child)

    def of(self, at: int) -> pd.DataFrame:
        """The children of one unit."""
        assert self.child is not None
        low, high = np.searchsorted(self.child[AT].to_numpy(), [at, at + 1])
        return self.child.iloc[low:high]

    def with_children(self, at: At, family: pd.DataFrame) -> "Side":
        """The same units, but those at `at` have these ordered rows: in `at` of the rows is the position in `at`."""
        assert self.child is not None
        left = self.child[~np.isin(self.child[AT].to_numpy(), at)]
        new = family.assign(**{AT: at[family[AT].to_numpy()]})
        child = pd.concat([left, new]).sort_values(AT, kind="stable").reset_index(drop=True)
        return replace(self, child=child)


@dataclass(frozen=True, slots=True)
class Sides:
    """Disjoint random samples of the same real rows.

    Attributes:
        learnt: what a generator would have learnt.
        held: what was held back.
        fresh: what a perfect generator would have drawn, once per snapshot.
    """

    learnt: Side
    held: Side
    fresh: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class Planted:
    """A case to judge.

    Attributes:
        learnt: as in `Sides`; by the release that is judged.
        held: as in `Sides`.
        snapshots: what was released, the last one is judged.
        learnt_before: what each earlier release had learnt, where that was not the same.
        held_before: what was held back from it.
        generator: draws a twin of the rows it is given; where the generator itself is on trial.
    """

    learnt: Side
    held: Side
    snapshots: tuple[Side, ...]
    learnt_before: tuple[Side, ...] = ()
    held_before: tuple[Side, ...] = ()
    generator: Callable[[Side, np.random.Generator], Side] | None = None

    @property
    def twin(self) -> Side:
        """The snapshot that is judged."""
        return self.snapshots[-1]


def clean(sides: Sides) -> Planted:
    """Nothing planted."""
    return Planted(sides.learnt, sides.held, sides.fresh)


def cells(column: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """A quantity as floats, null is NaN."""
    return np.asarray(column.to_numpy(np.float64, na_value=np.nan))


def like(values: npt.NDArray[np.float64], column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Floats as a column of the same type: whole numbers rounded."""
    index = column.index
    if pd.api.types.is_integer_dtype(column.dtype):
        return pd.Series(pd.array(np.round(values), dtype="Float64"), index=index).astype("Int64").astype(column.dtype)
    return pd.Series(values, index=index).astype(column.dtype)
