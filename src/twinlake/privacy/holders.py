"""What the rules of replay compare: hashes of rows and of values, and which of them few privacy units hold."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.columns import is_missing, is_quantity
from twinlake.hashing import Hashes, hash_rows, hash_values
from twinlake.schema import Table
from twinlake.spelling import plain
from twinlake.types import ENUM
from twinlake.units import Counts, rare

Hash = Callable[[pa.Table], Hashes]
ABSENT = np.uint64(0xD1B54A32D192ED03)  # what a null hashes to where nulls are nobody's secret


def rare_anywhere(learnt: Hashes, units: Hashes | None, holdout: Hashes, *, k: int) -> Hashes:
    """The hashes that fewer than `k` learnt units hold, or no learnt unit and fewer than `k` held-back rows; sorted."""
    unseen = holdout[~np.isin(holdout, learnt)]
    return np.asarray(np.union1d(rare(learnt, units, k=k), rare(unseen, None, k=k)), dtype=np.uint64)


def repeating(data: pa.Table, table: Table) -> tuple[str, ...]:
    """Learnt columns over which rows are compared: all but labels and text that are another in most rows.

    A twin makes such values up, so a row that is copied but for them would equal none; text has rules of its own.
    """
    return tuple(
        name for name in table.learnt
        if is_quantity(table[name]) or 2 * len(np.unique(hash_values(data[name]))) <= max(50, data.num_rows)
    )  # fmt: skip


def row_hash(columns: tuple[str, ...]) -> Hash:
    """A function from rows to the hash of each over `columns`."""
    return lambda data: hash_rows(data.select(list(columns)))


def value_hash(column: str) -> Hash:
    """A function from rows to the hash of each value of `column`; null and NaN are `ABSENT`."""
    return lambda data: np.where(is_missing(data[column]), ABSENT, hash_values(data[column]))


def plain_hash(column: str, provider: str | None) -> Hash:
    """As `value_hash`, text and whole numbers regardless of their spelling (see `spelling.plain`)."""

    def hashed(data: pa.Table) -> Hashes:
        array = data[column].combine_chunks()
        if array.type not in (pa.string(), ENUM) and not (provider and pa.types.is_integer(array.type)):
            return value_hash(column)(data)
        text = plain(array, provider)
        return np.where(np.asarray(text.is_null()), ABSENT, hash_values(text))

    return hashed


def found(hashes: Hashes, among: Hashes) -> tuple[Counts, npt.NDArray[np.bool_]]:
    """Where each hash would be in the sorted `among`, and whether it is there; shape (hashes,) both."""
    if not len(among):
        return np.zeros(len(hashes), dtype=np.intp), np.zeros(len(hashes), dtype=np.bool_)
    at = np.minimum(np.searchsorted(among, hashes), len(among) - 1)
    return at, np.asarray(among[at] == hashes)
