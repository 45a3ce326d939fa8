"""Gate `rules`: does every row hold the business rules of its table, and is what is unique unique?

The same count is made of real rows before anything is learnt: a rule that they break can't be held against the twin.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinlake.hashing import Hashes, hash_rows
from twinlake.rules import Lookup, Mask, needed, prefixes, reading
from twinlake.schema import Rule, Schema, Table
from twinlake.tables import Tables
from twinlake.verdict import Verdict

GATE = "rules"

Batches = Callable[[Table], Iterator[pa.RecordBatch]]
"""The rows of a table with some of its columns, a batch at a time."""


@dataclass(frozen=True, slots=True)
class Breaches:
    """How many rows of a table break what its rules ask.

    Attributes:
        rows: of the table.
        rules: rows that break each rule.
        unique: rows that repeat an earlier one, for each set of unique columns.
        any: rows that break any rule or repeat an earlier one.
    """

    rows: int
    rules: Mapping[Rule, int]
    unique: Mapping[tuple[str, ...], int]
    any: int


def rules(synthetic: Tables, schema: Schema, name: str) -> Verdict:
    """The share of rows of table `name` of the twin that hold every rule of `schema`; limit 1.

    A rule that is null on a row holds there, and rows with a null among unique columns repeat nothing, as in SQL.
    `parts` has the share of rows that hold each rule. Read a batch at a time; unique columns are compared by 64-bit
    hash.
    """
    table = schema[name]
    found = breaches(schema, table, lambda t: (b.select(list(t.names)) for b in synthetic.batches(t.name)))
    share = 1.0 - found.any / found.rows if found.rows else 1.0
    told = {str(r): n for r, n in found.rules.items()} | {_unique(u): n for u, n in found.unique.items()}
    return Verdict(
        gate=GATE, table=name, value=share, low=share, high=share, n=found.rows, limit=1.0, bound="at_least",
        passed=found.any == 0, reason=_reason(told, found),
        parts={what: 1.0 - n / max(found.rows, 1) for what, n in told.items()},
    )  # fmt: skip


def breaches(schema: Schema, table: Table, batches: Batches) -> Breaches:
    """How many rows of a table break its rules; parents are read with what rules look at, and kept in memory."""
    parents = _parents(schema, table, batches)
    own = {c for r in table.rules for c in r.columns} | {c for u in table.unique for c in u}
    own |= {c for prefix in parents for c in prefixes(table)[prefix].columns}
    read = {rule: reading(rule, table) for rule in table.rules}
    broken = dict.fromkeys(table.rules, 0)
    hashes: dict[tuple[str, ...], list[Hashes]] = {u: [] for u in table.unique}
    wrong: list[Mask] = []
    for batch in batches(table.select(tuple(n for n in table.names if n in own))):
        rows = pa.Table.from_batches([batch])
        beside = {prefix: found.beside(rows) for prefix, found in parents.items()}
        masks = {rule: r.broken(rows, beside) for rule, r in read.items()}
        broken = {rule: n + int(masks[rule].sum()) for rule, n in broken.items()}
        wrong.append(np.logical_or.reduce([*masks.values(), np.zeros(rows.num_rows, np.bool_)]))
        for columns, found in hashes.items():
            found.append(_keys(rows, columns))
    bad = np.concatenate(wrong) if wrong else np.zeros(0, np.bool_)
    repeats = {u: _repeats(np.concatenate(h) if h else np.zeros((0, 2), np.uint64)) for u, h in hashes.items()}
    whole = np.logical_or.reduce([bad, *repeats.values()])
    return Breaches(len(bad), broken, {u: int(r.sum()) for u, r in repeats.items()}, int(whole.sum()))


def _parents(schema: Schema, table: Table, batches: Batches) -> dict[str, Lookup]:
    """What rules look at in parents, by prefix."""
    found = {}
    for prefix, columns in needed(table.rules).items():
        reference = prefixes(table)[prefix]
        parent = schema[reference.table].select((*reference.to, *columns))
        read = pa.Table.from_batches(list(batches(parent)), parent.arrow)
        found[prefix] = Lookup.of(reference, read, columns)
    return found


def _keys(rows: pa.Table, columns: tuple[str, ...]) -> Hashes:
    """A hash of each row's unique columns, and 1 where none of them is null; shape (rows, 2)."""
    known = np.ones(rows.num_rows, np.bool_)
    for name in columns:
        known &= np.asarray(rows[name].is_valid())
    return np.stack([hash_rows(rows.select(list(columns))), known.astype(np.uint64)], axis=1)


def _repeats(keys: Hashes) -> Mask:
    """Which rows have the hash of an earlier one, shape (rows,); those with a null have not."""
    there = np.flatnonzero(keys[:, 1])
    first = np.unique(keys[there, 0], return_index=True)[1]
    found = np.zeros(len(keys), np.bool_)
    found[np.delete(there, first)] = True
    return found


def _unique(columns: tuple[str, ...]) -> str:
    return f"unique: {', '.join(columns)}"


def _reason(told: Mapping[str, int], found: Breaches) -> str:
    if not found.any:
        return f"all {found.rows:,} rows hold every rule"
    worst = sorted((what for what in told if told[what]), key=lambda what: (-told[what], what))
    shown = "; ".join(f"{what} ({told[what]:,})" for what in worst[:3])
    more = f"; and {len(worst) - 3} more" if len(worst) > 3 else ""
    return f"{found.any:,} of {found.rows:,} rows break a rule: {shown}{more}"
