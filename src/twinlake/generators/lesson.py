"""Which real rows a table model learns from, in which order, and what it is told of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from twinlake.generators.arrays import one, ranks
from twinlake.generators.context import Contexts
from twinlake.generators.links import complete
from twinlake.generators.siblings import Places, Siblings
from twinlake.hashing import mix
from twinlake.schema import Reference, Table
from twinlake.tables import Tables


@dataclass(frozen=True, slots=True)
class Lesson:
    """Real rows by their leading parent, with what is known of their parents.

    Attributes:
        rows: the rows to learn from, shape (learnt rows,).
        context: a row for each of them; None where parents tell nothing.
        siblings: which of them follow one another; None where no parent has several.
    """

    rows: Places
    context: pa.Table | None
    siblings: Siblings | None

    @classmethod
    def of(
        cls, tables: Tables, table: Table, contexts: Contexts, at: Mapping[Reference, Places], *, order: Iterable[str]
    ) -> Self | None:
        """The lesson of a table; None where it refers to nothing.

        `at` are the rows that each row refers to, by reference, the leading one first; see `Contexts.found`.
        Rows whose parent was held back are left out, unless all are. Rows of a parent stand in the declared order,
        else in that of the columns in `order`; those that are equal in it as they stand in the source. Where nothing
        orders them, they are shuffled.
        """
        if not at:
            return None
        references = list(at)
        rows = whole_rows(tables, table, references, at)
        lead = at[references[0]][rows]
        by = [table.order_by] if table.order_by else list(dict.fromkeys(order))
        places = [ranks(one(tables.columns(table.name, (name,))[name]))[rows] for name in reversed(by)]
        last = np.where(lead < 0, np.iinfo(np.int64).max, lead)
        rows = rows[np.lexsort((*(places or [_shuffled(rows)]), last))]
        context = contexts.beside(table.name, references, {r: p[rows] for r, p in at.items()})
        siblings = Siblings.of(at[references[0]][rows].astype(np.int64))
        return cls(
            rows.astype(np.int64), context if context.num_columns else None,
            siblings if siblings.sizes.max(initial=0) > 1 else None,
        )  # fmt: skip


def whole_rows(tables: Tables, table: Table, references: list[Reference], at: Mapping[Reference, Places]) -> Places:
    """Rows none of whose parents were held back; all, if that leaves none."""
    lost = np.zeros(tables.rows(table.name), np.bool_)
    for reference in references:
        names = tuple(dict.fromkeys(reference.columns))
        lost |= complete(tables.columns(table.name, names)) & (at[reference] < 0)
    return np.flatnonzero(~lost) if not lost.all() else np.arange(len(lost))


def _shuffled(rows: Places) -> Places:
    """An order that tells nothing: the source's own would be learnt as if it meant something."""
    return np.argsort(mix(rows.astype(np.uint64)), kind="stable")
