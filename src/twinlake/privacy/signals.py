"""What in synthetic tables speaks of one real unit: how near rows come to its rows, and which of its cells they hold.

All scales are fixed on real rows before anything is drawn. Who was learnt from is not known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.columns import is_quantity, numbers
from twinlake.hashing import Hashes, hash_values
from twinlake.schema import Table
from twinlake.tables import Tables
from twinlake.units import assign_units, unit_tables

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Cells = Floats | Hashes
"""One column: quantities as floats (NaN: null), labels as hashes."""

NEIGHBOURS = 5
GENERAL = 10  # signals of a table that don't depend on its columns
_CHUNK = 500


@dataclass(frozen=True, slots=True, eq=False)
class Ruler:
    """A column's scale: quantities are measured by their ranks among real values, labels by their hash.

    Attributes:
        values: real values, ascending; None for labels.
    """

    values: Floats | None

    @classmethod
    def of(cls, cells: Cells) -> Self:
        """The scale that real cells give."""
        if cells.dtype != np.float64:
            return cls(None)
        known = np.asarray(cells, np.float64)
        return cls(np.sort(known[~np.isnan(known)]))

    def place(self, cells: Cells) -> Cells:
        """Mid-ranks from 0 to 1, NaN where null; or the labels as they are."""
        if self.values is None:
            return cells
        known = np.asarray(cells, np.float64)
        middle = (np.searchsorted(self.values, known, "left") + np.searchsorted(self.values, known, "right")) / 2
        return np.where(np.isnan(known), np.nan, middle / max(len(self.values), 1))

    def cell(self, cells: Cells) -> Ints:
        """Which of the real values each is nearest to, -1 where null; of labels which it is."""
        if self.values is None:
            return np.asarray(cells, np.uint64).view(np.int64)
        known, different = np.asarray(cells, np.float64), np.unique(self.values)
        nearest = np.searchsorted((different[1:] + different[:-1]) / 2, known, "right")
        return np.where(np.isnan(known), -1, nearest).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one table as rulers measure them: places on the scales, and cells, shape (rows, columns)."""

    places: list[Cells]
    cells: Ints

    @classmethod
    def of(cls, columns: Sequence[Cells], rulers: Sequence[Ruler]) -> Self:
        """Columns measured by their rulers."""
        measured = list(zip(rulers, columns, strict=True))
        return cls([r.place(c) for r, c in measured], np.column_stack([r.cell(c) for r, c in measured]))

    def __len__(self) -> int:
        """How many rows."""
        return len(self.cells)

    def take(self, at: npt.NDArray[np.intp]) -> "Rows":
        """Some of the rows."""
        return Rows([c[at] for c in self.places], self.cells[at])


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A target's rows of one table, ready to be looked for among synthetic ones.

    Attributes:
        own: its rows.
        weights: how much each of their cells tells: minus the logarithm of its share of real rows; (rows, columns).
        radii: half the distance to the nearest row of another unit, that distance, and the fifth; (rows, 3).
    """

    own: Rows
    weights: Floats
    radii: Floats

    @classmethod
    def of(cls, own: Rows, others: Rows) -> Self:
        """A target beside the rows of other units."""
        shares = [((others.cells == row).sum(axis=0) + 1) / (len(others) + 1) for row in own.cells]
        far = np.sort(apart(own.places, others.places), axis=1)
        fifth = far[:, min(NEIGHBOURS, far.shape[1]) - 1]
        weights = -np.log(np.array(shares)).reshape(own.cells.shape)
        return cls(own, weights, np.column_stack([far[:, 0] / 2, far[:, 0], fifth]))

    def signals(self, drawn: Rows) -> tuple[Floats, Floats]:
        """Ten signals of whole rows and one of each column, all high where the drawn rows speak of the target.

        They are means over the target's rows of: nearness of the nearest row and of the 5 nearest, nearness of the
        nearest to any of its rows, how many rows are within the radii (logarithms), the weight of the cells that the
        likest row shares, of the 5 likest and of the likest to any row, and how many rows share its cells
        (logarithms, mean over columns); and the last by column. Counting queries are those of Houssiau et al. 2022.
        """
        if not len(drawn) or not len(self.own):
            return np.zeros(GENERAL), np.zeros(self.own.cells.shape[1])
        far, few = apart(self.own.places, drawn.places), min(NEIGHBOURS, len(drawn))
        shared = self.own.cells[:, None, :] == drawn.cells[None, :, :]
        told = np.einsum("ijc,ic->ij", shared, self.weights)
        near, likest = np.sort(far, axis=1)[:, :few], -np.sort(-told, axis=1)[:, :few]
        within = [np.log1p((far <= r[:, None] + 1e-6).sum(axis=1)).mean() for r in self.radii.T]
        columns = np.log1p(shared.sum(axis=1)).mean(axis=0)
        return np.array([
            -near[:, 0].mean(), -near.mean(), -near[:, 0].min(), *within,
            likest[:, 0].mean(), likest.mean(), likest.max(), columns.mean(),
        ]), columns  # fmt: skip


def apart(one: Sequence[Cells], other: Sequence[Cells]) -> Floats:
    """Gower's (1971) distances between rows of the one and of the other, shape (rows, rows): means over columns."""
    total = np.zeros((len(one[0]), len(other[0])), np.float32)
    for a, b in zip(one, other, strict=True):
        if a.dtype != np.float64:
            total += a[:, None] != b[None, :]
            continue
        step = np.abs(a.astype(np.float32)[:, None] - b.astype(np.float32)[None, :])
        alone = np.isnan(a)[:, None] != np.isnan(b)[None, :]
        total += np.where(alone, np.float32(1), np.nan_to_num(step, nan=0.0))
    return np.asarray(total / len(one), np.float64)


def isolation(rows: Rows) -> Floats:
    """Mean distance of each row to its 5 nearest others (Meeus et al. 2023, "Achilles' Heels"), shape (rows,)."""
    found, few = np.empty(len(rows)), min(NEIGHBOURS, max(len(rows) - 1, 1))
    for start in range(0, len(rows), _CHUNK):
        at = np.arange(start, min(start + _CHUNK, len(rows)))
        far = apart(rows.take(at).places, rows.places)
        far[np.arange(len(at)), at] = np.inf
        found[at] = np.partition(far, few - 1, axis=1)[:, :few].mean(axis=1)
    return found


def cells_of(data: pa.Table, table: Table) -> list[Cells]:
    """The learnt columns of a table."""
    return [numbers(data[n]) if is_quantity(table[n]) else hash_values(data[n]) for n in table.learnt]


def portraits(tables: Tables, root: str, unit: str | None) -> list[Cells]:
    """The learnt columns of units' own rows; how many rows each has elsewhere, and the means of their quantities."""
    found = cells_of(tables[root], tables.schema[root])
    for name, owner in owners(tables, root, unit).items():
        if name == root:
            continue
        known, size = owner >= 0, tables[root].num_rows
        found.append(np.bincount(owner[known], minlength=size).astype(np.float64))
        for cells in cells_of(tables[name], tables.schema[name]):
            if cells.dtype == np.float64:
                found.append(_means(np.asarray(cells, np.float64), owner, size))
    return found


def owners(tables: Tables, root: str, unit: str | None) -> dict[str, Ints]:
    """The row of the root table that each row of its unit's tables belongs to, -1 where it belongs to none."""
    rows = np.arange(tables.rows(root))
    if unit is None:
        return {root: rows}
    units, found = assign_units(tables, unit), {root: rows}
    own = units[root]
    assert own is not None  # a root table holds units
    order = np.argsort(own, kind="stable")
    for name in (n for n in unit_tables(tables.schema, unit) if n != root):
        child = units[name]
        assert child is not None  # and so do those that lead to it
        at = np.minimum(np.searchsorted(own[order], child), len(own) - 1)
        found[name] = np.where(own[order][at] == child, order[at], -1) if len(own) else np.full(len(child), -1)
    return found


def _means(cells: Floats, owner: Ints, size: int) -> Floats:
    there = (owner >= 0) & ~np.isnan(cells)
    count = np.bincount(owner[there], minlength=size)
    total = np.bincount(owner[there], weights=cells[there], minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
