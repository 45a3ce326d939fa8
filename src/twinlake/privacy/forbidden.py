"""What no row of a twin may hold: hashes that are not allowed, by rule and column. Absolute rules of `replay`."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import is_quantity, measurable
from twinlake.hashing import Hashes, mix
from twinlake.privacy.holders import ABSENT, Hash, found, plain_hash, rare_anywhere, repeating, row_hash, value_hash
from twinlake.privacy.precision import is_precise
from twinlake.schema import Column, Kind, Schema, Table
from twinlake.spelling import plain
from twinlake.units import rare

RICH = 0.01  # a table is rich where fewer held-back rows than this coincide with a learnt row


@dataclass(frozen=True, slots=True)
class Forbidden:
    """One thing that a row of the twin must not hold: a hash that is among these.

    Attributes:
        part: the rule and the columns, as shown.
        columns: the columns it reads.
        hash: from rows to the hash of each.
        among: the hashes that are not allowed, sorted.
    """

    part: str
    columns: tuple[str, ...]
    hash: Hash
    among: Hashes

    def hits(self, data: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether each row breaks the rule, shape (rows,)."""
        return found(self.hash(data), self.among)[1]


def forbidden(
    learnt: pa.Table, holdout: pa.Table, schema: Schema, name: str, *, units: Hashes | None, k: int = 10
) -> tuple[Forbidden, ...]:
    """What no row of the twin's table may hold: rules a to e of `replay`, as far as a row breaks them by itself.

    Whoever draws a twin may use it, with `breaks`, to tell which rows to draw again.
    """
    table = schema[name]
    if table.public:
        return ()
    rules = [*_labels(learnt, holdout, table, units, k=k), *_personal(learnt, table), *_keys(learnt, table, schema)]
    if units is not None:
        rules += [*_rows(learnt, holdout, table, units, k=k), *_extremes(learnt, table, units, k=k)]
        rules += _precise(learnt, holdout, table, units)
    return tuple(rules)


def breaks(rules: Iterable[Forbidden], data: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether each row breaks any of the rules, shape (rows,)."""
    broken = np.zeros(data.num_rows, dtype=np.bool_)
    for rule in rules:
        broken |= rule.hits(data)
    return broken


def coincidence(learnt: pa.Table, holdout: pa.Table, table: Table) -> float:
    """The share of held-back rows that equal a learnt one."""
    columns = repeating(learnt, table)
    if not (columns and holdout.num_rows):
        return 0.0
    hashed = row_hash(columns)
    return float(np.isin(hashed(holdout), hashed(learnt)).mean())


def _rows(learnt: pa.Table, holdout: pa.Table, table: Table, units: Hashes, *, k: int) -> Iterator[Forbidden]:
    columns = repeating(learnt, table)
    if columns and coincidence(learnt, holdout, table) < RICH:
        hashed = row_hash(columns)
        yield Forbidden("row of fewer than k units", columns, hashed, rare(hashed(learnt), units, k=k))


def _labels(learnt: pa.Table, holdout: pa.Table, table: Table, units: Hashes | None, *, k: int) -> Iterator[Forbidden]:
    for name in table.learnt:
        column = table[name]
        exempt = column.public or column.labels is not None or column.type == pa.bool_()
        if not exempt and not is_quantity(column):
            hashed = value_hash(name)
            among = rare_anywhere(hashed(learnt), units, hashed(holdout), k=k)
            yield Forbidden(f"value of fewer than k units: {name}", (name,), hashed, among[among != ABSENT])


def _personal(learnt: pa.Table, table: Table) -> Iterator[Forbidden]:
    for column in table.columns:
        if column.kind is Kind.PERSONAL and not column.public:
            hashed = plain_hash(column.name, column.provider)
            yield Forbidden(f"personal value: {column.name}", (column.name,), hashed, _all(hashed, learnt))


def _keys(learnt: pa.Table, table: Table, schema: Schema) -> Iterator[Forbidden]:
    if len(table.key) != 1 or table[table.key[0]].public:
        return
    name = table.key[0]
    follows_public = any(schema[r.table].public for r in table.references if name in r.columns)
    if not follows_public and _room(table[name], learnt[name]) >= 100 * max(1, learnt.num_rows):
        hashed = plain_hash(name, None)
        yield Forbidden(f"key: {name}", (name,), hashed, _all(hashed, learnt))


def _all(hashed: Hash, learnt: pa.Table) -> Hashes:
    among = np.unique(hashed(learnt))
    return np.asarray(among[among != ABSENT], dtype=np.uint64)


def _room(column: Column, values: pa.ChunkedArray) -> float:
    """About how many keys of this type and shape there could be."""
    if pa.types.is_integer(column.type):
        return float(2.0**column.type.bit_width) if column.type.bit_width >= 32 else 0.0
    if pa.types.is_decimal(column.type):
        return float(10.0**column.type.precision)
    if column.type == pa.uuid():
        return 2.0**122
    if column.type not in (pa.string(), pa.binary()):
        return 0.0
    some = values.slice(0, 10_000)
    return _spellings(plain(some) if column.type == pa.string() else some)


def _spellings(values: pa.ChunkedArray | pa.Array) -> float:
    """The product, over positions, of how many different characters values have there."""
    words = [w for w in values.to_pylist() if w]
    length = min((len(w) for w in words), default=0)
    return math.prod(float(len({w[i] for w in words})) for i in range(min(length, 64)))


def _extremes(learnt: pa.Table, table: Table, units: Hashes, *, k: int) -> Iterator[Forbidden]:
    for name in table.learnt:
        if not is_quantity(table[name]) or table[name].public:
            continue
        values = measurable(learnt[name])
        bounds = pc.min_max(values)
        at = [i for i in (_rows_with(values, bounds[side]) for side in ("min", "max")) if len(i)]
        kept = [int(i[0]) for i in at if len(np.unique(units[i])) < k]
        among = np.unique(value_hash(name)(learnt.take(pa.array(kept, pa.int64()))))
        yield Forbidden(f"exact extreme: {name}", (name,), value_hash(name), among)


def _precise(learnt: pa.Table, holdout: pa.Table, table: Table, units: Hashes) -> Iterator[Forbidden]:
    owners = np.concatenate([units, mix(np.arange(holdout.num_rows, dtype=np.uint64) ^ np.uint64(0xA5A5A5A5))])
    for name in table.learnt:
        if not is_quantity(table[name]) or table[name].public:
            continue
        both = pa.chunked_array([*learnt[name].chunks, *holdout[name].chunks], table[name].type)
        if is_precise(both, owners):
            hashed = value_hash(name)
            yield Forbidden(f"value too precise for chance: {name}", (name,), hashed, _all(hashed, learnt))


def _rows_with(values: pa.Array, value: pa.Scalar) -> npt.NDArray[np.intp]:
    if not value.is_valid:
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(pc.equal(values, value).fill_null(False).to_numpy(zero_copy_only=False))
