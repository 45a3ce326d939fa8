"""The real columns that may be related, as exact whole numbers: a few rows to guess from, all rows to be sure."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.arrays import one
from twinlake.generators.relations.ruler import Flags, Ruler
from twinlake.generators.states.census import Ints, unit_ids
from twinlake.hashing import Hashes
from twinlake.schema import Kind, Table

LEAST_ROWS = 100
_SAMPLED = 2_048
_FEW = 256


@dataclass(frozen=True)
class Group:
    """Columns that are null in the same rows, and all columns that are there wherever they are.

    Attributes:
        targets: the columns that share their nulls.
        names: all columns that are there in these rows, the targets included.
        ticks: of each of these columns in at most 2,048 rows, shape (columns, rows).
        complete: whether nulls of a target may come from an input: there are none, or another column has some too.
    """

    targets: tuple[str, ...]
    names: tuple[str, ...]
    ticks: Ints
    complete: bool


@dataclass(frozen=True)
class Sheet:
    """Columns of real rows, read when asked for and kept; `names` are those that may take part.

    Attributes:
        rulers: how the columns that may take part are read.
        fixed: columns that may be input, but not left out.
    """

    data: pa.Table
    table: Table
    units: Ints
    k: int
    rulers: dict[str, Ruler]
    fixed: frozenset[str]
    _cells: dict[str, pa.Array] = field(default_factory=dict)
    _read: dict[str, tuple[Ints, Flags]] = field(default_factory=dict)

    @classmethod
    def of(cls, data: pa.Table, table: Table, units: Hashes | None, *, k: int) -> "Sheet":
        """The measures of a table that identify nobody and fit a ruler, as far as a sample tells."""
        rulers = dict[str, Ruler]()
        sample = data.take(pa.array(spread(np.arange(data.num_rows))))
        apart = {*table.identifiers, *table.personal}
        for column in table.columns:
            if column.name in apart or column.kind not in (Kind.AUTO, Kind.NUMBER):
                continue
            ruler = Ruler.fitting(one(sample[column.name]))
            if ruler is not None:
                rulers[column.name] = ruler
        return cls(data, table, unit_ids(units, data.num_rows), k, rulers, frozenset(filter(None, [table.order_by])))

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that may take part, in the table's order."""
        return tuple(self.rulers)

    def cells(self, name: str) -> pa.Array:
        """All cells of a column."""
        if name not in self._cells:
            self._cells[name] = one(self.data[name])
        return self._cells[name]

    def ticks(self, name: str) -> tuple[Ints, Flags]:
        """All ticks of a column and where they are there; nowhere, if the ruler doesn't fit every cell."""
        if name not in self._read:
            cells, ruler = self.cells(name), self.rulers[name]
            self._read[name] = ruler.read(cells) if ruler.fits(cells) else _nothing(len(cells))
        return self._read[name]

    def valid(self, name: str) -> Flags:
        """Where a column is not null."""
        cells = self.cells(name)
        return np.ones(len(cells), np.bool_) if not cells.null_count else np.asarray(cells.is_valid())

    def sampled(self, name: str, rows: Ints) -> tuple[Ints, Flags]:
        """Ticks of some rows."""
        return self.rulers[name].read(self.cells(name).take(pa.array(rows)))

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Columns by their nulls; those with too few rows or units to learn a relation from are left out."""
        alike = dict[bytes, list[str]]()
        for name in self.names:
            alike.setdefault(np.packbits(self.valid(name)).tobytes(), []).append(name)
        return tuple(g for names in alike.values() if (g := self._group(tuple(names))) is not None)

    @cached_property
    def _common(self) -> tuple[Ints, dict[str, tuple[Ints, Flags]]]:
        rows = spread(np.arange(self.data.num_rows))
        return rows, {name: self.sampled(name, rows) for name in self.names}

    def _group(self, targets: tuple[str, ...]) -> Group | None:
        valid = self.valid(targets[0])
        rows = np.flatnonzero(valid)
        if len(rows) < LEAST_ROWS or not self.enough(rows):
            return None
        common, read = self._common
        there = valid[common]
        mine = {name: (ticks[there], known[there]) for name, (ticks, known) in read.items() if known[there].all()}
        if len(rows) > there.sum() < _FEW:
            mine = {name: self.sampled(name, spread(rows)) for name in mine}
        names = tuple(name for name, (_, known) in mine.items() if known.all())
        nulls = [self.cells(name).null_count for name in (*targets, *(n for n in names if n not in targets))]
        complete = not nulls[0] or len(targets) > 1 or any(nulls[1:])
        return Group(targets, names, np.array([mine[name][0] for name in names]), complete=complete)

    def enough(self, rows: Ints) -> bool:
        """Whether at least k units hold these rows."""
        some = rows[: 1000 * self.k]
        return len(np.unique(self.units[some])) >= self.k or len(np.unique(self.units[rows])) >= self.k

    def supported(self, name: str, rows: Flags) -> bool:
        """Whether at least k units stand off the most common value of a column, so that its weight is well known."""
        ticks, _ = self.ticks(name)
        some = ticks[spread(np.flatnonzero(rows))]
        values, counts = np.unique(some, return_counts=True)
        return len(some) > 0 and self.enough(np.flatnonzero(rows & (ticks != values[np.argmax(counts)])))


def spread(rows: Ints, most: int = _SAMPLED) -> Ints:
    """At most so many of the rows, ascending, one from each of equally long runs."""
    if len(rows) <= most:
        return rows
    jitter = np.arange(most) * 0.6180339887498949 % 1  # so that no period in the rows is met again and again
    return np.asarray(rows[((np.arange(most) + jitter) * len(rows) / most).astype(np.int64)])


def _nothing(rows: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    return np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
