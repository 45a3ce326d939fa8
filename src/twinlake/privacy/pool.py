"""The pool: real units of both sides, as an attacker sees them who does not know which of them were learnt.

Everything that is computed of the pool before the labels are looked at treats both sides alike. So, where a twin
depends on no single unit, the labels could as well have been dealt anew: that is what `relabel` tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import Codes, Floats, is_quantity, labels, numbers
from twinlake.hashing import Hashes, hash_values
from twinlake.schema import Table

UNITS = 20_000  # attacked at most; those held back come first
HELD = 8_000
ROWS = 24_000  # of all units together
FEW = 16  # a quantity of at most so many values is compared as a label
MISSING = np.float32(3.0)  # rank of a null: further than 1 from every other

Members = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Sides:
    """Rows of both sides with the unit of each.

    Attributes:
        rows: learnt and held-back rows of the units that are attacked, in an order that does not tell which.
        unit: which unit each row is of, shape (rows,), from 0, ascending.
        members: whether each unit was learnt, shape (units,).
        names: the hash of each unit, shape (units,).
    """

    rows: pa.Table
    unit: Codes
    members: Members
    names: Hashes

    @property
    def held(self) -> int:
        """How many units were held back."""
        return int((~self.members).sum())


def sides(
    learnt: pa.Table, holdout: pa.Table, *, units: Hashes, held_units: Hashes, rng: np.random.Generator,
    most: int = ROWS,
) -> Sides:  # fmt: skip
    """Units to attack, drawn by a coin that knows no rows: at most 8,000 held back, 20,000 in all, 24,000 rows.

    Args:
        learnt: rows that were learnt.
        holdout: rows of other units.
        units: the unit of each learnt row, shape (rows,).
        held_units: the unit of each held-back row.
        rng: draws units, and rows where a unit has more than its share.
        most: rows of all units together.
    """
    back, own = np.unique(held_units), np.unique(units)
    back = _drawn(back, min(HELD, most // 2), rng)
    own = _drawn(own, min(UNITS, most) - len(back), rng)
    names = np.concatenate([own, back])
    per = max(1, most // max(1, len(names)))
    parts = [
        _taken(rows, of, chosen, per, rng) for rows, of, chosen in ((learnt, units, own), (holdout, held_units, back))
    ]
    unit = np.concatenate([parts[0][1], parts[1][1] + len(own)])
    order = np.argsort(names, kind="stable")[rng.permutation(len(names))]  # an order that knows no side
    place = np.argsort(order)[unit]
    rows = pa.concat_tables([p[0] for p in parts]).take(pa.array(np.argsort(place, kind="stable")))
    return Sides(rows, np.sort(place), order < len(own), names[order])


def one_row_each(sides: Sides, rng: np.random.Generator) -> Sides:
    """One row of each unit, drawn."""
    order = np.lexsort((rng.random(len(sides.unit)), sides.unit))
    first = order[np.flatnonzero(np.diff(sides.unit[order], prepend=-1))]
    return Sides(sides.rows.take(pa.array(first)), np.arange(len(first)), sides.members, sides.names)


def _drawn(names: Hashes, most: int, rng: np.random.Generator) -> Hashes:
    return names if len(names) <= most else np.sort(rng.choice(names, most, replace=False))


def _taken(rows: pa.Table, units: Hashes, chosen: Hashes, per: int, rng: np.random.Generator) -> tuple[pa.Table, Codes]:
    """At most `per` rows of each chosen unit, and the place of its unit among the chosen."""
    at = np.minimum(np.searchsorted(chosen, units), max(0, len(chosen) - 1))
    there = np.flatnonzero(chosen[at] == units) if len(chosen) else np.empty(0, np.intp)
    order = there[np.lexsort((rng.random(len(there)), at[there]))]
    of = at[order]
    begins = np.flatnonzero(np.diff(of, prepend=-1))
    rank = np.arange(len(of)) - np.repeat(begins, np.diff(np.append(begins, len(of))))
    kept = np.sort(order[rank < per])
    return rows.take(pa.array(kept)), at[kept]


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows as numbers: quantities as ranks among the pool's values, labels as codes.

    Attributes:
        ranks: shape (rows, quantities) float32, mid-ranks from 0 to 1; 3 where null.
        codes: shape (rows, labels) int32.
    """

    ranks: Ranks
    codes: Labels

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.ranks)

    def at(self, rows: Codes) -> "Cells":
        """Some of the rows."""
        return Cells(self.ranks[rows], self.codes[rows])


@dataclass(frozen=True, slots=True)
class Known:
    """The pool's cells, and how common each is: labels first, then quantities.

    Attributes:
        cells: the pool's rows.
        labels: names of the columns of codes.
        quantities: names of the columns of ranks.
        ties: share of the pool that has exactly this value, shape (rows, quantities) float32.
        shares: share of the pool that has this label, shape (rows, labels) float32.
        lifts: how much likelier a cell is given that of its parent column, shape (rows, columns) float32.
        parents: the column that tells most of each, -1 for none, shape (columns,): a tree (Chow and Liu, 1968).
        weights: how often two rows of the pool have different labels, a third at least, shape (labels,) float32: what a
            label counts beside a quantity, whose ranks differ by a third in the mean.
    """

    cells: Cells
    labels: Sequence[str]
    quantities: Sequence[str]
    ties: Ranks
    shares: Ranks
    lifts: Ranks
    parents: Codes
    weights: Ranks


def code(pool: pa.Table, synthetic: pa.Table, quantities: Sequence[str], others: Sequence[str]) -> tuple[Known, Cells]:
    """The pool and the twin as cells over the same columns; `others` are compared as labels."""
    from twinlake.privacy.likely import lifts, tree

    ranks, ties, codes, shares = [], [], [], []
    discrete, many = compared(pool, quantities, others)
    for name in many:
        values, twins = numbers(pool[name]), numbers(synthetic[name])
        scale = np.sort(values[~np.isnan(values)])
        ranks.append((_ranks(values, scale), _ranks(twins, scale)))
        ties.append(_ties(values, scale))
    for name in discrete:
        own, drawn = (c.astype(np.int32) for c in labels(pool[name], synthetic[name]))
        codes.append((own, drawn))
        shares.append((np.bincount(own + 1)[own + 1] / max(1, len(own))).astype(np.float32))
    rows = pool.num_rows, synthetic.num_rows
    first, second = (
        Cells(_stacked([r[i] for r in ranks], rows[i], np.float32), _stacked([c[i] for c in codes], rows[i], np.int32))
        for i in (0, 1)
    )
    bins = np.concatenate([first.codes + 1, np.minimum(10, (first.ranks * 10).astype(np.int32))], axis=1)
    parents = tree(bins)
    known = Known(
        first, discrete, many, _stacked(ties, rows[0], np.float32), _stacked(shares, rows[0], np.float32),
        lifts(bins, parents), parents, _weights(first.codes),
    )  # fmt: skip
    return known, second


def compared(pool: pa.Table, quantities: Sequence[str], others: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns as `code` lays them out: labels, quantities of at most 16 values among them, and quantities.

    Labels that are another in most rows are left out: a twin makes such up, and copies of them have rules of their own.
    """
    few = [n for n in quantities if len(pc.unique(pool[n])) <= FEW]
    repeating = [n for n in others if 2 * len(np.unique(hash_values(pool[n]))) <= max(50, pool.num_rows)]
    return [*repeating, *few], [n for n in quantities if n not in few]


def learnt_columns(table: Table) -> tuple[list[str], list[str]]:
    """The columns of a table that attacks compare: quantities, and the others."""
    quantities = [n for n in table.learnt if is_quantity(table[n])]
    return quantities, [n for n in table.learnt if n not in quantities]


def _weights(codes: Labels) -> Ranks:
    """The chance that two rows differ (Gini, 1912), a third at least."""
    shares = [np.bincount(codes[:, c] + 1) / max(1, len(codes)) for c in range(codes.shape[1])]
    return np.array([max(1 / 3, 1 - float((s**2).sum())) for s in shares], dtype=np.float32)


def _stacked(columns: Sequence[npt.NDArray[Any]], rows: int, kind: type) -> npt.NDArray[Any]:
    return np.ascontiguousarray(np.column_stack(columns)) if columns else np.empty((rows, 0), kind)


def _ranks(values: Floats, scale: Floats) -> Ranks:
    """Mid-ranks among the sorted `scale`."""
    middle = (np.searchsorted(scale, values, "left") + np.searchsorted(scale, values, "right")) / 2
    return np.where(np.isnan(values), MISSING, middle / max(1, len(scale))).astype(np.float32)


def _ties(values: Floats, scale: Floats) -> Ranks:
    """The share of all values, nulls too, that equal each."""
    null = np.isnan(values)
    same = np.searchsorted(scale, values, "right") - np.searchsorted(scale, values, "left")
    return (np.where(null, null.sum(), same) / max(1, len(values))).astype(np.float32)
