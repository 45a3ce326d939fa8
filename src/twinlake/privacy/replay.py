"""Gate `replay`: no real row and no rare real value in the twin. Exact rules per column kind, absolute."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import is_quantity, measurable
from twinlake.hashing import Hashes
from twinlake.privacy.excess import Fair, fair
from twinlake.privacy.holders import ABSENT, Hash, found, plain_hash, rare_anywhere, row_hash, value_hash
from twinlake.schema import Column, Kind, Schema, Table
from twinlake.tables import Tables
from twinlake.units import rare
from twinlake.verdict import Verdict

GATE = "replay"
RICH = 0.01  # a table is rich where fewer held-back rows than this coincide with a learnt row
ALPHA = 0.01


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


@dataclass(frozen=True, slots=True)
class Judged:
    """One thing that chance may hit: held against the holdout, not against zero."""

    part: str
    hash: Hash
    fair: Fair


def replay(
    real: Tables, holdout: Tables, synthetic: Tables, name: str, *, units: Hashes | None, k: int = 10
) -> Verdict:
    """Violations of the rules below in table `name` of the twin; limit 0. `parts` count them by rule and column.

    Rows are compared over the learnt columns. *Rare* is what 1 to `k` - 1 learnt units hold. What was held back counts
    in rule b alone: labels are copied, so one that only held-back rows hold was seen; rows, fakes and keys are
    invented, and one that meets a held-back row met it by chance.

    a. Whole rows. In a rich table (fewer than 1 % of held-back rows coincide with a learnt row) no row equals a rare
       learnt row. In a coarse one rows coincide by nature: rows that only learnt units hold may not be hit more often
       than rows that only held-back units hold (exact binomial test, p < 0.01).
    b. Labels and text. No value that is rare, or that no learnt unit and fewer than `k` held-back rows hold. Declared
       labels, truth values and public columns are exempt.
    c. Personal columns. No learnt value, however frequent, whatever its case and surrounding space.
    d. Keys of one column. No learnt value, where the type has room for fresh ones: integers of 32 bits and more, uuid,
       and text, bytes and decimals that could spell 100 times as many keys. Composite keys, and keys that refer to
       a public table, are exempt: their parts are natural.
    e. Quantities. No value is the smallest or the largest learnt one where fewer than `k` units hold that.
       Rare values that only learnt units hold may not be hit more often than those only held-back units hold (exact
       binomial test, p < 0.01 after Holm's correction over columns). Public columns are exempt.

    For nobody's rows (`units` None) b counts rows as units, c and d hold, a and e do not. Public tables pass.
    `baseline` is the number of rows that chance alone would make coincide with learnt ones.

    Args:
        real: the learnt rows.
        holdout: the rows held back, of other units.
        synthetic: the twin; read a batch at a time.
        name: the table.
        units: the unit of each learnt row, shape (rows,).
        k: how many units make a value common.
    """
    table, rows = real.schema[name], synthetic.rows(name)
    if table.public:
        return _verdict(table, {}, n=rows, reason="public rows are carried over as they are", baseline=0.0)
    if not rows and real.rows(name):
        return Verdict.could_not_run(GATE, name, why="the twin has no rows")
    learnt, held = real[name], holdout[name]
    absolute = forbidden(learnt, held, real.schema, name, units=units, k=k)
    judged = [] if units is None else list(_judged(learnt, held, table, units, k=k))
    hits, seen = _stream(synthetic, name, absolute, judged)
    parts = {f.part: float(n) for f, n in zip(absolute, hits, strict=True) if n}
    parts |= _beyond_chance(judged, seen)
    coincide = _coincidence(learnt, held, table) if units is not None else 0.0
    return _verdict(table, parts, n=rows, reason=_reason(parts, rows, coincide), baseline=round(coincide * rows, 3))


def forbidden(
    learnt: pa.Table, holdout: pa.Table, schema: Schema, name: str, *, units: Hashes | None, k: int = 10
) -> tuple[Forbidden, ...]:
    """What no row of the twin's table may hold: the absolute rules of `replay`.

    Whoever draws a twin may use it, with `breaks`, to tell which rows to draw again.
    """
    table = schema[name]
    if table.public:
        return ()
    rules = [*_labels(learnt, holdout, table, units, k=k), *_personal(learnt, table), *_keys(learnt, table, schema)]
    if units is not None:
        rules += [*_rows(learnt, holdout, table, units, k=k), *_extremes(learnt, table, units, k=k)]
    return tuple(rules)


def breaks(rules: Iterable[Forbidden], data: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether each row breaks any of the rules, shape (rows,)."""
    broken = np.zeros(data.num_rows, dtype=np.bool_)
    for rule in rules:
        broken |= rule.hits(data)
    return broken


def _coincidence(learnt: pa.Table, holdout: pa.Table, table: Table) -> float:
    """The share of held-back rows that equal a learnt one."""
    if not (table.learnt and holdout.num_rows):
        return 0.0
    hashed = row_hash(table.learnt)
    return float(np.isin(hashed(holdout), hashed(learnt)).mean())


def _rows(learnt: pa.Table, holdout: pa.Table, table: Table, units: Hashes, *, k: int) -> Iterator[Forbidden]:
    if table.learnt and _coincidence(learnt, holdout, table) < RICH:
        hashed = row_hash(table.learnt)
        yield Forbidden("row of fewer than k units", table.learnt, hashed, rare(hashed(learnt), units, k=k))


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
            hashed = plain_hash(column.name)
            yield Forbidden(f"personal value: {column.name}", (column.name,), hashed, _all(hashed, learnt))


def _keys(learnt: pa.Table, table: Table, schema: Schema) -> Iterator[Forbidden]:
    if len(table.key) != 1 or table[table.key[0]].public:
        return
    name = table.key[0]
    follows_public = any(schema[r.table].public for r in table.references if name in r.columns)
    if not follows_public and _room(table[name], learnt[name]) >= 100 * max(1, learnt.num_rows):
        hashed = value_hash(name)
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
    return _spellings(values)


def _spellings(values: pa.ChunkedArray) -> float:
    """The product, over positions, of how many different characters the first 10,000 values have there."""
    words = [w for w in values.slice(0, 10_000).to_pylist() if w]
    length = min((len(w) for w in words), default=0)
    return math.prod(float(len({w[i] for w in words})) for i in range(min(length, 64)))


def _judged(learnt: pa.Table, holdout: pa.Table, table: Table, units: Hashes, *, k: int) -> Iterator[Judged]:
    if table.learnt and _coincidence(learnt, holdout, table) >= RICH:
        hashed = row_hash(table.learnt)
        yield Judged("rows of fewer than k units", hashed, fair(hashed(learnt), units, hashed(holdout), k=k))
    for name in table.learnt:
        if is_quantity(table[name]) and not table[name].public:
            hashed = value_hash(name)
            yield Judged(f"values of fewer than k units: {name}", hashed,
                         fair(hashed(learnt), units, hashed(holdout), k=k))  # fmt: skip


Seen = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


def _stream(
    synthetic: Tables, name: str, absolute: Iterable[Forbidden], judged: Iterable[Judged]
) -> tuple[list[int], list[Seen]]:
    """Rows of the twin that break each absolute rule, and which hashes of each judged one it hits."""
    hits = [0 for _ in absolute]
    seen: list[Seen] = [(np.zeros(len(j.fair.learnt), bool), np.zeros(len(j.fair.holdout), bool)) for j in judged]
    for batch in synthetic.batches(name):
        data = pa.Table.from_batches([batch])
        hits = [n + int(rule.hits(data).sum()) for n, rule in zip(hits, absolute, strict=True)]
        for rule, (at_learnt, at_holdout) in zip(judged, seen, strict=True):
            hashes = np.unique(rule.hash(data))
            for side, among in ((at_learnt, rule.fair.learnt), (at_holdout, rule.fair.holdout)):
                at, hit = found(hashes, among)
                side[at[hit]] = True
    return hits, seen


def _beyond_chance(judged: list[Judged], seen: list[Seen]) -> dict[str, float]:
    """Excess hits of each judged rule that fails: rows alone, columns after Holm's step-down (1979)."""
    counts = [(int(a.sum()), int(b.sum())) for a, b in seen]
    tested = [
        (rule.fair.p_value(hit_learnt=a, hit_holdout=b), rule, a, b)
        for rule, (a, b) in zip(judged, counts, strict=True)
    ]
    rows = [t for t in tested if t[1].part.startswith("rows")]
    columns = sorted((t for t in tested if t not in rows), key=lambda t: (t[0], t[1].part))
    failed = [t for t in rows if t[0] < ALPHA]
    for i, test in enumerate(columns):
        if test[0] >= ALPHA / (len(columns) - i):
            break
        failed.append(test)
    return {
        f"{rule.part}, beyond chance": float(rule.fair.excess(hit_learnt=a, hit_holdout=b)) for _, rule, a, b in failed
    }


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


def _rows_with(values: pa.Array, value: pa.Scalar) -> npt.NDArray[np.intp]:
    if not value.is_valid:
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(pc.equal(values, value).fill_null(False).to_numpy(zero_copy_only=False))


def _reason(parts: Mapping[str, float], rows: int, coincide: float) -> str:
    if not parts:
        return f"none of {rows:,} rows holds a real record, a rare value or an exact extreme"
    worst = sorted(parts, key=lambda p: (-parts[p], p))[:3]
    shown = "; ".join(f"{p} ({parts[p]:,.0f})" for p in worst)
    more = f"; and {len(parts) - 3} more rules" if len(parts) > 3 else ""
    chance = coincide * rows
    by_chance = f"; chance alone would make about {chance:,.1f} rows coincide" if chance >= 0.1 else ""
    redraw = "The run of another date, or another seed, draws other rows"
    return f"the twin holds what only few real units hold: {shown}{more}{by_chance}. {redraw}"


def _verdict(table: Table, parts: Mapping[str, float], *, n: int, reason: str, baseline: float) -> Verdict:
    value = float(sum(parts.values()))
    return Verdict(
        gate=GATE, table=table.name, value=value, low=value, high=value, baseline=baseline, n=n, limit=0.0,
        bound="at_most", passed=value == 0, reason=reason, parts=dict(parts),
    )  # fmt: skip
