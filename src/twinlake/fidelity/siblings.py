"""Gate `sibling_trend`: do rows follow the row before them as they do among parents that were held back?"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import Codes
from twinlake.fidelity.comparison import Likeness, Sides, Words, compared, nothing_to_compare, trivial
from twinlake.fidelity.databases import FEW, Databases, coarser, numbered
from twinlake.fidelity.pairs import ROWS, Frame, Pairs, frames, likenesses, mean, spreads, worst
from twinlake.joining import places
from twinlake.schema import Column, Reference, Table
from twinlake.units import unit_tables
from twinlake.verdict import Verdict

GATE = "sibling_trend"


def leader(databases: Databases, name: str, unit: str | None) -> Reference | None:
    """The reference whose parents' rows `order_by` puts in order; None where the table has no order.

    It is the one that leads to the privacy unit, or else one that lies in the key, or else the widest.
    """
    table = databases.real.schema[name]
    if not table.order_by or not table.references:
        return None
    way = unit_tables(databases.real.schema, unit).get(name)
    key = set(table.key)

    def leading(r: Reference) -> tuple[bool, bool, int, int, int]:
        own = set(r.columns)
        return r == way, bool(key) and own <= key, len(own & key), len(own), -table.references.index(r)

    return max(table.references, key=leading)


def sibling_trend(
    databases: Databases, name: str, *, limit: float, unit: str | None, rng: np.random.Generator
) -> Verdict:
    """Mean likeness of holdout and twin in how each learnt column goes with itself in the row before.

    Rows of one parent stand in the order of `order_by`; the measure is that of `pairs`, over rows that have one before
    them. Real parents have all their rows here, on whichever side these are. Parents that are on both sides are parted
    by a coin. Parents are drawn with `rng` until they have 20,000 rows.

    The interval is value +- 1.96 standard deviations of a bootstrap over parents with all their rows, or over units
    where these are fewer; fewer than 10 are too few to judge by. The baseline are learnt parents beside those held
    back. Passes where the upper end reaches the limit, or where the value is not below the baseline by more than
    chance. `parts` are the 20 worst columns.
    """
    table, reference = databases.real.schema[name], leader(databases, name, unit)
    three = (databases.real[name], databases.holdout[name], databases.synthetic[name])
    early = nothing_to_compare(GATE, *three, table, limit=limit, columns=table.learnt)
    if early or reference is None:
        unled = "its rows have no order among siblings"
        return early or trivial(GATE, table, n=three[2].num_rows, limit=limit, reason=unled)
    families = _families(databases, table, reference, rng)
    sides = Sides(families[0].rows, families[1].rows, families[2].rows, three[2].num_rows)
    held, twin, learnt = (f.paired(r) for f, r in zip(families, frames(sides, _learnt(table)), strict=True))
    if not (held.rows or learnt.rows):
        alone = f"no row of {reference.table} has two rows here, hence none follows another"
        return trivial(GATE, table, n=sides.of, limit=limit, reason=alone)
    if not (held.rows and learnt.rows and twin.rows):
        why = "no row of the twin follows another" if held.rows else "no rows held back follow one another"
        return Verdict.could_not_run(GATE, name, why=why)
    by = tuple(f.clusters for f in families)
    if by[0].max() + 1 < FEW:
        few = f"fewer than {FEW} families were held back, too few to tell chance from a difference"
        return trivial(GATE, table, n=twin.rows, limit=limit, reason=few)
    pairs = Pairs.same(len(table.learnt))
    scores = likenesses(held, twin, pairs)
    if np.isnan(scores).all():
        return trivial(GATE, table, n=twin.rows, limit=limit, reason="no column has a trend")
    error, apart = spreads(held, twin, learnt, pairs, rng, by=by)
    found = Likeness(mean(scores), mean(likenesses(held, learnt, pairs)), error, apart)
    parts = worst(scores, [f"{n} × {n} before" for n in table.learnt])
    return compared(GATE, table, found, parts, limit=limit, n=twin.rows, words=_words(twin.rows, reference))


@dataclass(frozen=True, slots=True)
class _Family:
    """Rows of some parents, in order, with the parent of each and its cluster, shape (rows,)."""

    rows: pa.Table
    parents: Codes
    groups: Codes

    @property
    def later(self) -> Codes:
        """The rows that have one before them."""
        return np.flatnonzero(self.parents[1:] == self.parents[:-1]).astype(np.intp) + 1

    @property
    def clusters(self) -> Codes:
        """Those rows by their cluster, numbered from 0."""
        return numbered(self.groups[self.later])

    def paired(self, frame: Frame) -> Frame:
        """Each row that has one before it, beside that one."""
        return frame.take(self.later).beside(frame.take(self.later - 1))


def _families(
    databases: Databases, table: Table, reference: Reference, rng: np.random.Generator
) -> tuple[_Family, _Family, _Family]:
    """Some of the parents held back, of the twin's, of those learnt, with all their rows."""
    names = tuple(n for n in table.names if n in {*table.learnt, *reference.columns, table.order_by})
    children, at = databases.whole(table.name, names), databases.joined(table.name, reference)
    learnt, units = databases.real.rows(reference.table), databases.units[reference.table]
    if units is None:
        groups, held = np.arange(learnt, dtype=np.intp), rng.random(learnt) < 0.5
    else:
        every = np.arange(learnt + len(units), dtype=np.intp)
        groups, held = (
            np.append(every[:learnt], learnt + coarser(every[: len(units)], numbered(units))),
            every >= learnt,
        )
    drawn, made = (databases.synthetic.columns(n, c) for n, c in ((table.name, names), (reference.table, reference.to)))
    return (
        _some(children, np.where(held[at], at, -1), groups, table, rng),
        _some(drawn, places(drawn, made, reference), np.arange(made.num_rows, dtype=np.intp), table, rng),
        _some(children, np.where(held[at], -1, at), groups, table, rng),
    )


def _some(rows: pa.Table, parents: Codes, groups: Codes, table: Table, rng: np.random.Generator) -> _Family:
    """Whole families, drawn until they have so many rows; rows with parent -1 are in none."""
    found, sizes = np.unique(parents[parents >= 0], return_counts=True)
    drawn = rng.permutation(len(found))
    kept = found[drawn[np.cumsum(sizes[drawn]) - sizes[drawn] < ROWS]]
    chosen = np.flatnonzero(np.isin(parents, kept))
    order = pa.table({"parent": parents[chosen], "at": rows[table.order_by].take(pa.array(chosen)), "row": chosen})
    in_order = pc.sort_indices(order, sort_keys=[(n, "ascending") for n in order.column_names])
    at = chosen[np.asarray(in_order)[:ROWS]]
    return _Family(rows.take(pa.array(at)), parents[at], groups[parents[at]])


def _learnt(table: Table) -> list[Column]:
    return [table[n] for n in table.learnt]


def _words(rows: int, reference: Reference) -> Words:
    heads = [f"{rows:,} rows follow the one before them {w} those" for w in ("like", "unlike")]
    passed, failed = (f"{h} of {reference.table} held back" for h in heads)
    return Words(passed=passed, failed=failed, part="column")
