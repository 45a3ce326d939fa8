"""The rows of one parent in their order, as hashes: any number of them in a row, over any columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import is_quantity, measurable
from twinlake.hashing import Hashes, hash_rows, hash_values, mix
from twinlake.joining import places
from twinlake.privacy.grams import Places, Rolling, grams
from twinlake.schema import Reference, Table
from twinlake.tables import Tables

WHOLE = 4  # rows of a parent, without which all of them are too few to tell
_FIRST = np.uint64(0xA0761D6478BD642F)  # what the distance to the row before is where there is none


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of a table that have a parent, those of one parent together and in their order.

    Attributes:
        parent: the parent of each row, ascending, shape (rows,).
        owners: a hash of the privacy unit of each row, shape (rows,).
        rank: the place of each row in its order, shape (rows,); 0 where the table has none.
        cells: the hash of each value by column; `gap` is how far it is from the row before in its order.
        above: the hash of what is learnt of the parent, shape (rows,).
    """

    parent: Places
    owners: Hashes
    rank: Places
    cells: Mapping[str, Hashes]
    above: Hashes

    @classmethod
    def of(cls, tables: Tables, table: Table, reference: Reference, owners: Hashes | None) -> Self:
        """The rows of one side; where `owners` is None a parent's rows are one unit's."""
        data = tables.columns(table.name, dict.fromkeys([*reference.columns, *table.learnt]))
        up = tables.schema[reference.table]
        parents = tables.columns(up.name, dict.fromkeys([*reference.to, *up.learnt]))
        at = places(data.select(list(dict.fromkeys(reference.columns))), parents, reference)
        own = np.flatnonzero(at >= 0)
        rank = _rank(data, table)[own]
        order = own[np.lexsort((rank, at[own]))]
        data, at = data.take(pa.array(order)), at[order]
        cells = {c: hash_values(data[c]) for c in table.learnt}
        if table.order_by in table.learnt and is_quantity(table[str(table.order_by)]):
            cells["gap"] = _gaps(data[str(table.order_by)], at)
        rank = _rank(data, table)
        above = hash_rows(parents.select(list(up.learnt)))[at] if up.learnt else np.zeros(len(at), np.uint64)
        unit = mix(at.astype(np.uint64)) if owners is None else owners[order]
        return cls(at.astype(np.intp), unit, rank, cells, above)

    def grams(self, columns: tuple[str, ...], length: int, *, with_parent: bool = False) -> tuple[Hashes, Hashes]:
        """The hash of each `length` rows in a row over some columns, and whose they are; 0 is a parent's rows whole.

        Rows of the same rank have no order among them, nor have those of a table without one. Whole are at least four.
        """
        symbols = np.zeros(len(self.parent), np.uint64)
        for column in columns:
            symbols = mix(symbols ^ self.cells[column])
        order = np.lexsort((symbols, self.rank, self.parent))
        symbols = symbols[order]
        if with_parent:
            symbols = mix(symbols ^ self.above)
        if length:
            hashes, parents = grams(symbols, self.parent, length)
            return hashes, self.owners[np.searchsorted(self.parent, parents)]
        starts = np.flatnonzero(np.diff(self.parent, prepend=-1))
        sizes = np.diff(np.append(starts, len(self.parent)))
        long = sizes >= WHOLE
        hashes = Rolling.of(symbols).at(starts[long], sizes[long])
        return mix(hashes ^ sizes[long].astype(np.uint64)), self.owners[starts[long]]


def _rank(data: pa.Table, table: Table) -> Places:
    if table.order_by not in table.learnt:
        return np.zeros(data.num_rows, np.intp)
    cells = data[str(table.order_by)].combine_chunks()
    plain = measurable(cells) if is_quantity(table[str(table.order_by)]) else pa.array(hash_values(cells))
    return np.asarray(pc.rank(plain, sort_keys="ascending", tiebreaker="dense")).astype(np.intp)


def _gaps(cells: pa.ChunkedArray, parent: Places) -> Hashes:
    """The hash of how far each value is from the one before it of the same parent."""
    numbers: npt.NDArray[np.float64] = np.asarray(
        pc.fill_null(measurable(cells).cast(pa.float64(), safe=False), 0.0).to_numpy(zero_copy_only=False)
    )
    gaps = hash_values(pa.array(np.round(np.diff(numbers, prepend=0.0), 9)))
    gaps[np.diff(parent, prepend=-1) != 0] = _FIRST
    return gaps
