"""What rows know of the rows they refer to: columns of their parents, of the parents of these, and how many others do.

The same joins are made of real tables when a model learns and of a snapshot's tables when it is drawn.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from twinlake.generators.siblings import Places
from twinlake.joining import places
from twinlake.schema import Reference

MOST = 48
"""Columns that one table tells of itself and its parents at most: its own first."""

Read = Callable[[str, tuple[str, ...]], pa.Table]


@dataclass(frozen=True, slots=True)
class Telling:
    """What a table tells those that refer to it.

    Attributes:
        columns: its own columns that are known when rows refer to it.
        links: its references that are followed, the leading one first.
    """

    columns: tuple[str, ...]
    links: tuple[Reference, ...] = ()


@dataclass(frozen=True)
class Contexts:
    """Tables joined with their parents, each once.

    Attributes:
        read: gives columns of a table, a row for each of its rows.
        tellings: what each table tells, in the order in which they are made; more are added as they are.
        shared: whether children were counted whole, so that how many a parent has tells something.
    """

    read: Read
    tellings: dict[str, Telling]
    shared: Callable[[str, Reference], bool]
    _known: dict[str, pa.Table] = field(default_factory=dict)

    def of(self, table: str) -> pa.Table:
        """A row for each row of a table: its own columns and those of its parents."""
        if table not in self._known:
            own = self.tellings[table]
            columns = dict(zip(own.columns, self.read(table, own.columns).columns, strict=True)) if own.columns else {}
            columns |= self._joined(own.links, {r: self.found(table, r) for r in own.links})
            self._known[table] = pa.table(dict(list(columns.items())[:MOST]))
        return self._known[table]

    def found(self, table: str, reference: Reference) -> Places:
        """The row that each row of a table refers to, shape (rows,); -1 where it refers to none."""
        child = self.read(table, tuple(dict.fromkeys(reference.columns)))
        return places(child, self.read(reference.table, tuple(dict.fromkeys(reference.to))), reference)

    def rows_of(self, parent: str, *, before: str) -> pa.Table:
        """How many rows each table made before another one has for each row of a parent that leads it."""
        found = {}
        for child, telling in self.tellings.items():
            if child == before:
                break
            lead = telling.links[0] if telling.links else None
            if lead is not None and lead.table == parent and child != parent and self.shared(child, lead):
                at = self.found(child, lead)
                held = self.read(parent, tuple(dict.fromkeys(lead.to))).num_rows
                found[f"rows of {child}"] = pa.array(np.bincount(at[at >= 0], minlength=held).astype(np.int64))
        return pa.table(found)

    def leading(self, table: str, lead: Reference) -> pa.Table:
        """All that is known of each row of the leading parent of a table."""
        own, counted = self.of(lead.table), self.rows_of(lead.table, before=table)
        return pa.table([*own.columns, *counted.columns], names=[*own.column_names, *counted.column_names])

    def beside(self, table: str, links: Iterable[Reference], at: Mapping[Reference, Places]) -> pa.Table:
        """The context of rows whose parents have these places, the leading reference first."""
        links = tuple(links)
        columns = self._joined(links, at)
        if links:
            counted = self.rows_of(links[0].table, before=table)
            columns |= {n: _taken(counted[n], at[links[0]]) for n in counted.column_names}
        return pa.table(columns)

    def _joined(self, links: tuple[Reference, ...], at: Mapping[Reference, Places]) -> dict[str, pa.ChunkedArray]:
        columns = dict[str, pa.ChunkedArray]()
        for reference in links:
            parent = self.of(reference.table)
            alike = sum(r.table == reference.table for r in links)
            prefix = reference.table if alike == 1 else ", ".join(reference.columns)
            columns |= {f"{prefix}.{n}": _taken(parent[n], at[reference]) for n in parent.column_names}
        return columns


def _taken(cells: pa.ChunkedArray, at: Places) -> pa.ChunkedArray:
    return cells.take(pa.array(at, mask=at < 0))
