"""Rows that hold the rules of their table: drawn again, then moved, then copied, else left out.

Only drawn rows are looked at. A row that breaks a rule is drawn again, which keeps the law of the model under the rule
(rejection sampling); what still breaks one after a fixed number of draws is moved as little as other rows suggest: a
value that a constant forbids is exchanged for one of a row that holds the rule, so by its share, and a value that
another column or a parent bounds is put as far from the bound as in some row that holds. At last a row takes all its
values from a row that holds the rules beside its own parents. What breaks one even then is left out.

Rows that repeat what is unique are drawn again too, then moved to the next free value, then emptied where null is
allowed, else left out.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinlake.generators.distinct import parted
from twinlake.generators.drafts import Draft, Laws, Parents, Places, Shun, breaking, repeating
from twinlake.generators.moves import copied, moved
from twinlake.rules import Mask, reading
from twinlake.schema import Table

Redraw = Callable[[Places], pa.Table]

_REDRAWS = 8  # a third of rows breaking a rule leave one in ten thousand


@dataclass(frozen=True, slots=True, eq=False)
class Repaired:
    """Rows that hold every rule, and what was done for it.

    Attributes:
        rows: those that are left, in their order.
        kept: their places among the rows that came, ascending, shape (rows,).
        redrawn: how many broke a rule or repeated another row when they came.
        moved: how many still did after the last draw.
        copied: how many of these took all their values from another row.
    """

    rows: pa.Table
    kept: Places
    redrawn: int = 0
    moved: int = 0
    copied: int = 0


def broken(rows: pa.Table, table: Table, parents: Parents) -> Mask:
    """Which rows break a rule of their table, shape (rows,).

    Args:
        rows: of the table, with the columns its rules look at.
        table: with its rules.
        parents: by prefix (`twinlake.rules.prefixes`), the row each row refers to, all null where it refers to none;
            only the columns of `twinlake.rules.needed(table.rules)` are looked at.
    """
    return breaking([reading(rule, table) for rule in table.rules], rows, parents)


def repeats(rows: pa.Table, table: Table) -> Mask:
    """Which rows have what is unique in common with an earlier row, shape (rows,); nulls are never alike."""
    return repeating(rows, table)


def repair(
    rows: pa.Table,
    table: Table,
    parents: Parents,
    redraw: Redraw,
    rng: np.random.Generator,
    *,
    movable: Collection[str] | None = None,
    shun: Shun | None = None,
) -> Repaired:
    """Rows that all hold the rules of their table and share nothing that is unique; the same for the same `rng`.

    Args:
        rows: as drawn, shape (rows, columns).
        table: their schema, with rules and unique columns.
        parents: as for `broken`; rules over what is not there, for it is filled last, are left to `wholes.hold_late`.
        redraw: fresh values for the rows at some places, in their order; of columns that may change, or of more.
        rng: of all choices here.
        movable: the columns that may change; those that are learnt where it is left out.
        shun: tells rows that shall not be; they are drawn again, and left out where that does not help.
    """
    if not table.rules and not table.unique:
        return Repaired(rows, np.arange(rows.num_rows))
    draft = Draft(Laws.of(table, rows.column_names, movable, parents, shun=shun), rows, parents, rng)
    first = left = draft.bad()
    for _ in range(_REDRAWS if draft.laws.movable else 0):
        if not len(left):
            break
        draft = draft.put(left, redraw(left))
        left = draft.bad()
    if not len(left):
        return Repaired(draft.rows, np.arange(rows.num_rows), redrawn=len(first))
    draft = parted(moved(draft))
    draft, took = copied(draft)
    draft = parted(draft) if took else draft
    kept = np.setdiff1d(np.arange(rows.num_rows), draft.bad())
    held = draft.rows.take(pa.array(kept)) if len(kept) < rows.num_rows else draft.rows
    return Repaired(held, kept, redrawn=len(first), moved=len(left), copied=took)


def distinct(
    rows: pa.Table, table: Table, rng: np.random.Generator, *, movable: Collection[str] | None = None
) -> pa.Table:
    """Rows with repeats of what is unique moved or emptied, where rules over the row alone let them.

    Those that can't be stay repeats. The arguments are those of `repair`.
    """
    return parted(Draft(Laws.of(table, rows.column_names, movable, {}), rows, {}, rng)).rows
