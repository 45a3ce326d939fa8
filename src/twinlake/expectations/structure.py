"""Gate `structure`: does the twin fit? Columns, types, nullability, keys, references and labels of the source."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.hashing import Hashes, hash_rows
from twinlake.joining import typed
from twinlake.schema import Orphans, Reference, Schema, Table
from twinlake.tables import Tables
from twinlake.verdict import Verdict

GATE = "structure"


def structure(synthetic: Tables, schema: Schema, name: str) -> Verdict:
    """How many columns and rows of table `name` of the twin do not fit `schema`; limit 0.

    Rules, each counted in `parts` where it is broken: a column is missing, is not in the schema, or has another type;
    a value is null where the catalog forbids it; a key is null or occurs again; a reference that is not null points
    to no row, unless the schema keeps such rows; a label of an enum is not declared. Keys are compared by 64-bit hash.
    Read a batch at a time.
    """
    table = schema[name]
    if name not in synthetic:
        return Verdict.could_not_run(GATE, name, why="the twin has no such table")
    wrong = _columns(synthetic, table)
    if not wrong:
        wrong = Counter(dict(_values(synthetic, table)))
        wrong.update(dict(_keys(synthetic, table)))
        firm = [r for r in table.references if r.orphans is not Orphans.KEEP]
        wrong.update({f"reference: {r}": _dangling(synthetic, table, schema, r) for r in firm})
    parts = {rule: float(count) for rule, count in wrong.items() if count}
    value = float(sum(parts.values()))
    return Verdict(
        gate=GATE, table=name, value=value, low=value, high=value, n=synthetic.rows(name), limit=0.0,
        bound="at_most", passed=value == 0, reason=_reason(parts, synthetic.rows(name)), parts=parts,
    )  # fmt: skip


def _columns(synthetic: Tables, table: Table) -> Counter[str]:
    """Columns that are missing, added or of another type, in the first batch of each kind."""
    if table.name not in synthetic:
        return Counter({"missing table": 1})
    found = {b.schema.remove_metadata() for b in synthetic.batches(table.name)} or {synthetic.schema[table.name].arrow}
    wrong: Counter[str] = Counter()
    for there in sorted(found, key=str):
        names = set(there.names)
        wrong.update({f"missing column: {c.name}": 1 for c in table.columns if c.name not in names})
        wrong.update({f"column that is not in the schema: {n}": 1 for n in there.names if n not in table.names})
        wrong.update(
            {f"type: {c.name}": 1 for c in table.columns if c.name in names and there.field(c.name).type != c.type}
        )
    return wrong


def _values(synthetic: Tables, table: Table) -> Iterator[tuple[str, int]]:
    nulls: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    required = [c.name for c in table.columns if not c.nullable or c.name in table.key]
    declared = [c for c in table.columns if c.labels is not None]
    for batch in synthetic.batches(table.name):
        nulls.update({n: batch[n].null_count for n in required})
        labels.update({c.name: _undeclared(batch[c.name], c.labels or ()) for c in declared})
    yield from ((f"null: {n}", count) for n, count in nulls.items())
    yield from ((f"label that is not declared: {n}", count) for n, count in labels.items())


def _undeclared(values: pa.Array, labels: tuple[str, ...]) -> int:
    text = values.cast(pa.string())
    known = pc.is_in(text, value_set=pa.array(labels, pa.string()))
    return int(pc.sum(pc.and_(pc.invert(known), text.is_valid())).as_py() or 0)


def _keys(synthetic: Tables, table: Table) -> Iterator[tuple[str, int]]:
    if table.key:
        keys = _hashes(synthetic, table, table.key)
        yield f"key that occurs again: {', '.join(table.key)}", len(keys) - len(np.unique(keys))


def _dangling(synthetic: Tables, table: Table, schema: Schema, reference: Reference) -> int:
    parent = schema[reference.table]
    if _columns(synthetic, parent):
        return synthetic.rows(table.name)
    there = np.unique(_hashes(synthetic, parent, reference.to))
    types = [parent[c].type for c in reference.to]
    lost = 0
    for batch in synthetic.batches(table.name):
        pointing = pa.table([batch[c] for c in reference.columns], names=list(map(str, range(len(types))))).drop_null()
        lost += int((~np.isin(hash_rows(typed(pointing, types)), there)).sum())
    return lost


def _hashes(tables: Tables, table: Table, columns: tuple[str, ...]) -> Hashes:
    found = [hash_rows(pa.Table.from_batches([b]).select(list(columns))) for b in tables.batches(table.name)]
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def _reason(parts: dict[str, float], rows: int) -> str:
    if not parts:
        return f"all {rows:,} rows fit the schema"
    worst = sorted(parts, key=lambda p: (-parts[p], p))
    shown = "; ".join(f"{p} ({parts[p]:,.0f})" for p in worst[:3])
    return f"the twin does not fit the schema: {shown}" + (f"; and {len(worst) - 3} more" if len(worst) > 3 else "")
