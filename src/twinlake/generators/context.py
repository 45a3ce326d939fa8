"""What rows know of the rows they refer to: columns of their parents, of the parents of these, and how many others do.

The same joins are made of real tables when a model learns and of a snapshot's tables when it is drawn.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from twinlake.columns import numbers
from twinlake.generators.relations.ruler import is_measure
from twinlake.generators.siblings import Places
from twinlake.joining import places
from twinlake.schema import Reference

MOST = 48
"""Columns that one table tells of itself and its parents at most: its own first."""

_SUMMED = 24  # numbers of the children of one table at most

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
    _sums: dict[tuple[str, Reference], dict[str, pa.Array]] = field(default_factory=dict)

    def of(self, table: str) -> pa.Table:
        """A row for each row of a table: its own columns and those of its parents."""
        if table not in self._known:
            own = self.tellings[table]
            columns = dict(zip(own.columns, self.read(table, own.columns).columns, strict=True)) if own.columns else {}
            columns = _added(columns, self._joined(own.links, {r: self.found(table, r) for r in own.links}))
            self._known[table] = pa.table(dict(list(columns.items())[:MOST]))
        return self._known[table]

    def found(self, table: str, reference: Reference) -> Places:
        """The row that each row of a table refers to, shape (rows,); -1 where it refers to none."""
        child = self.read(table, tuple(dict.fromkeys(reference.columns)))
        return places(child, self.read(reference.table, tuple(dict.fromkeys(reference.to))), reference)

    def children_of(self, parent: str, *, before: str) -> pa.Table:
        """What is known of the rows that other tables, made before one, have for each row of a parent leading them.

        How many they are; the mean, lowest and highest of their quantities.
        """
        found = dict[str, pa.Array]()
        for child, telling in self.tellings.items():
            if child == before:
                break
            lead = telling.links[0] if telling.links else None
            if lead is not None and lead.table == parent and child != parent and self.shared(child, lead):
                found |= {f"{name} of {child}": cells for name, cells in self._summed(child, lead).items()}
        return pa.table(dict(list(found.items())[:MOST]))

    def _summed(self, child: str, lead: Reference) -> dict[str, pa.Array]:
        """One number of all children of each row of the parent, by name."""
        if (child, lead) not in self._sums:
            parents = self.read(lead.table, tuple(dict.fromkeys(lead.to))).num_rows
            at = self.found(child, lead)
            self._sums[child, lead] = summed(self.read(child, self.tellings[child].columns), at, parents)
        return self._sums[child, lead]

    def leading(self, table: str, lead: Reference) -> pa.Table:
        """All that is known of each row of the leading parent of a table."""
        own, counted = self.of(lead.table), self.children_of(lead.table, before=table)
        return pa.table(_added(_columns(own), _columns(counted)))

    def beside(self, table: str, links: Iterable[Reference], at: Mapping[Reference, Places]) -> pa.Table:
        """The context of rows whose parents have these places, the leading reference first."""
        links = tuple(links)
        columns = self._joined(links, at)
        if links:
            counted = self.children_of(links[0].table, before=table)
            columns = _added(columns, {n: _taken(counted[n], at[links[0]]) for n in counted.column_names})
        return pa.table(columns)

    def _joined(self, links: tuple[Reference, ...], at: Mapping[Reference, Places]) -> dict[str, pa.ChunkedArray]:
        columns = dict[str, pa.ChunkedArray]()
        for reference in links:
            parent = self.of(reference.table)
            alike = sum(r.table == reference.table for r in links)
            prefix = reference.table if alike == 1 else ", ".join(reference.columns)
            columns |= {f"{prefix}.{n}": _taken(parent[n], at[reference]) for n in parent.column_names}
        return columns


def summed(rows: pa.Table, at: Places, parents: int) -> dict[str, pa.Array]:
    """How many rows each parent has, and the mean, lowest and highest of their quantities; null where it has none.

    Args:
        rows: the children.
        at: the parent of each, shape (rows,); -1 for none.
        parents: how many there are.
    """
    found = {"rows": pa.array(np.bincount(at[at >= 0], minlength=parents).astype(np.int64))}
    for name in rows.column_names:
        if len(found) > _SUMMED or not is_measure(rows[name].type):
            continue
        values = numbers(rows[name])
        there = (at >= 0) & np.isfinite(values)
        held = np.bincount(at[there], minlength=parents)
        total = np.bincount(at[there], weights=values[there], minlength=parents)
        low, high = np.full(parents, np.inf), np.full(parents, -np.inf)
        np.minimum.at(low, at[there], values[there])
        np.maximum.at(high, at[there], values[there])
        for kind, sums in (("mean", total / np.maximum(held, 1)), ("lowest", low), ("highest", high)):
            found[f"{kind} {name}"] = pa.array(sums, mask=held == 0)
    return found


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _added(columns: Mapping[str, pa.ChunkedArray], more: Mapping[str, pa.ChunkedArray]) -> dict[str, pa.ChunkedArray]:
    """All columns; those of `more` whose name is taken get a mark."""
    found = dict(columns)
    for name, cells in more.items():
        while name in found:
            name += "'"
        found[name] = cells
    return found


def _taken(cells: pa.ChunkedArray, at: Places) -> pa.ChunkedArray:
    return cells.take(pa.array(at, mask=at < 0))
