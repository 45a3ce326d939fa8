"""Rows on their way to hold the rules of their table: what they break, and what may change of them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from twinlake.generators.arrays import one, replaced
from twinlake.hashing import hash_rows
from twinlake.rules import Mask, Reading, reading
from twinlake.schema import Table

Places = npt.NDArray[np.int64]
Parents = Mapping[str, pa.Table]
Shun = Callable[[pa.Table], Places]
"""The places of rows that shall not be, whatever the rules say."""


@dataclass(frozen=True, slots=True)
class Laws:
    """What rows must hold, and which of their columns may change for it.

    Rules over parents, or columns of parents, that are not at hand are let be.
    """

    table: Table
    readings: tuple[Reading, ...]
    movable: frozenset[str]
    shun: Shun | None = None

    @classmethod
    def of(
        cls, table: Table, there: Collection[str], movable: Collection[str] | None, parents: Parents, *,
        shun: Shun | None = None,
    ) -> Self:  # fmt: skip
        """Those of a table, of whose columns some are there; what is learnt may change if nothing else is said."""
        wanted = table.learnt if movable is None else movable
        known = {(prefix, name) for prefix, parent in parents.items() for name in parent.column_names}
        rules = (rule for rule in table.rules if known.issuperset(rule.parents))
        return cls(table, tuple(reading(rule, table) for rule in rules), frozenset(wanted) & set(there), shun)


@dataclass(frozen=True, slots=True)
class Draft:
    """Rows on their way."""

    laws: Laws
    rows: pa.Table
    parents: Parents
    rng: np.random.Generator = field(repr=False)

    def bad(self) -> Places:
        """The places of rows that break a rule, repeat an earlier row, or shall not be."""
        wrong = breaking(self.laws.readings, self.rows, self.parents) | repeating(self.rows, self.laws.table)
        if self.laws.shun is not None:
            wrong[self.laws.shun(self.rows)] = True
        return np.flatnonzero(wrong).astype(np.int64)

    def broken(self) -> Places:
        """The places of rows that break a rule."""
        return np.flatnonzero(breaking(self.laws.readings, self.rows, self.parents)).astype(np.int64)

    def holds(self, places: Places, new: pa.Table) -> Mask:
        """Whether rows at some places would hold all rules with other values; shape (places,)."""
        at = pa.array(places)
        there = self.rows.take(at)
        for name in (n for n in new.column_names if n in there.column_names):
            there = there.set_column(there.column_names.index(name), name, new[name])
        needs = {prefix: parent.take(at) for prefix, parent in self.parents.items()}
        return ~breaking(self.laws.readings, there, needs)

    def put(self, places: Places, new: pa.Table) -> Self:
        """With the values of `new` at these places, in the columns that may change."""
        rows = self.rows
        for name in (n for n in new.column_names if n in self.laws.movable):
            rows = rows.set_column(rows.column_names.index(name), name, _replaced(rows[name], places, new[name]))
        return type(self)(self.laws, rows, self.parents, self.rng)


def breaking(readings: Iterable[Reading], rows: pa.Table, parents: Parents) -> Mask:
    """Which rows break any of some rules; shape (rows,)."""
    found = np.zeros(rows.num_rows, np.bool_)
    for read in readings:
        found |= read.broken(rows, parents)
    return found


def _replaced(column: pa.ChunkedArray, places: Places, new: pa.ChunkedArray) -> pa.Array:
    old, fresh = one(column), one(new)
    if old.type != fresh.type:  # words as such beside words in a dictionary
        old, fresh = (a.dictionary_decode() if pa.types.is_dictionary(a.type) else a for a in (old, fresh))
    return replaced(old, places, fresh.cast(old.type))


def repeated(rows: pa.Table, columns: Sequence[str]) -> Mask:
    """Whether an earlier row has the same values and no null among them; shape (rows,)."""
    null = np.zeros(rows.num_rows, np.bool_)
    for name in columns:
        null |= np.asarray(one(rows[name]).is_null())
    found = np.zeros(rows.num_rows, np.bool_)
    there = np.flatnonzero(~null)
    hashes = hash_rows(rows.select(list(columns)))
    found[there] = pd.Series(hashes[there]).duplicated().to_numpy()
    return found


def repeating(rows: pa.Table, table: Table) -> Mask:
    """Which rows have what is unique in common with an earlier row; shape (rows,)."""
    found = np.zeros(rows.num_rows, np.bool_)
    for columns in table.unique:
        found |= repeated(rows, columns)
    return found
