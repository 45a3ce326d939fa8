"""Tables beside their parents, their children, and the rows before them: what relational measures are taken of.

Columns of the row itself keep their name, those of others carry theirs in front: `subjects.age`. Keys are left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import Codes, Floats, is_missing, is_quantity, numbers
from twinlake.joining import places
from twinlake.schema import Column, Kind, Reference, Schema, Table
from twinlake.tables import Tables

FREQUENT = 10  # categories of a label column whose shares are told
Levels = Mapping[tuple[str, str], pa.Array]  # the most frequent values by table and column


def found_at(child: pa.Table, parent: pa.Table, reference: Reference) -> Codes:
    """The row of the parent each child points to, shape (children,); -1 where it points nowhere, -2 for an orphan."""
    at = places(child, parent, reference)
    null = np.logical_or.reduce([is_missing(child[c]) for c in reference.columns])
    return np.where(null, -1, np.where(at < 0, -2, at)).astype(np.intp)


def judged(schema: Schema, table: Table) -> tuple[Column, ...]:
    """The columns that say something: no text, no single key, no reference but those to public tables.

    What a composite key holds beside references is a property: a year, a position.
    """
    made = {c for r in table.references if not schema[r.table].public for c in r.columns}
    made |= set(table.key) if len(table.key) == 1 else set()
    return tuple(c for c in table.columns if c.name not in made and c.kind not in (Kind.TEXT, Kind.PERSONAL))


def columns_of(tables: Tables, name: str) -> pa.Table:
    """The judged columns of a table."""
    return tables[name].select([c.name for c in judged(tables.schema, tables.schema[name])])


def beside_parents(tables: Tables, name: str, rows: Codes) -> pa.Table:
    """Some rows of a table with the columns of all their parents, and of the parents of these."""
    return _joined(tables, name, rows, (name,))


def with_children(tables: Tables, name: str, levels: Levels) -> pa.Table:
    """The rows of a table with what their children have in common, by reference of each child table.

    That is their number, the mean, smallest, largest and standard deviation of quantities, and the share of each of the
    values in `levels`.
    """
    own, rows = columns_of(tables, name), tables.rows(name)
    columns = {n: own[n] for n in own.column_names}
    for child, reference in referring(tables.schema, name):
        at = found_at(tables[child.name], tables[name], reference)
        head = f"{child.name}({', '.join(reference.columns)})"
        told = _summaries(columns_of(tables, child.name), at, rows, child=child.name, levels=levels)
        columns |= {f"{head}.{n}": pa.array(v, from_pandas=True) for n, v in told.items()}
    return pa.table(columns)


@dataclass(frozen=True, slots=True)
class Steps:
    """Pairs of rows of one parent, one after the other: rows of the table, shape (pairs,) each."""

    before: Codes
    after: Codes


def steps(tables: Tables, name: str) -> Steps:
    """Each row of an ordered table and the row before it of the same parent (that of the first reference).

    Rows at the same place in the order have none among them: they are taken in the order of their other columns.
    """
    table = tables.schema[name]
    reference = table.references[0]
    parent = found_at(tables[name], tables[reference.table], reference)
    others = [c for c in judged(tables.schema, table) if c.name != table.order_by]
    ties = [_ranks(tables[name][c.name], c) for c in reversed(others)]
    order = numbers(tables[name][str(table.order_by)])
    sequence = np.lexsort([*ties, order, parent])
    same = (parent[sequence][1:] == parent[sequence][:-1]) & (parent[sequence][1:] >= 0)
    return Steps(sequence[:-1][same], sequence[1:][same])


def beside_previous(tables: Tables, name: str, pairs: Steps) -> pa.Table:
    """Rows beside those before them; of the column that orders them its value and what it grew by."""
    table, own = tables.schema[name], columns_of(tables, name)
    after, before = own.take(pa.array(pairs.after)), own.take(pa.array(pairs.before))
    columns = {n: after[n] for n in own.column_names}
    columns |= {f"before.{n}": before[n] for n in own.column_names if n != table.order_by}
    order = numbers(tables[name][str(table.order_by)])
    columns[f"{table.order_by} grew by"] = pa.array(order[pairs.after] - order[pairs.before], from_pandas=True)
    return pa.table(columns)


def referring(schema: Schema, name: str) -> Iterator[tuple[Table, Reference]]:
    """All references to a table, each with the table it belongs to."""
    yield from ((t, r) for t in schema for r in t.references if r.table == name)


def frequent(tables: Tables, names: Iterable[str]) -> Levels:
    """The ten most frequent values of each label column of some tables; of equally frequent ones the smaller."""
    found: dict[tuple[str, str], pa.Array] = {}
    for name in names:
        for column in judged(tables.schema, tables.schema[name]):
            if not is_quantity(column):
                counts = pc.value_counts(tables[name][column.name].cast(pa.string()).drop_null())
                ranked = pa.table({"v": counts.field(0), "n": counts.field(1)})
                best = ranked.sort_by([("n", "descending"), ("v", "ascending")])["v"][:FREQUENT]
                found[name, column.name] = best.combine_chunks()
    return found


def _joined(tables: Tables, name: str, rows: Codes, path: tuple[str, ...]) -> pa.Table:
    table, missing = tables.schema[name], rows < 0
    at = pa.array(np.where(missing, 0, rows), mask=missing)
    own = columns_of(tables, name)
    columns = {n: own[n].take(at) for n in own.column_names}
    for reference in table.references:
        parent = reference.table
        if path.count(parent) > 1:  # a row's own parent in a tree is told, not that one's: it would never end
            continue
        there = found_at(tables[name], tables[parent], reference)
        beside = np.append(np.maximum(there, -1), -1)[rows]  # the row -1 is nowhere, and so are its parents
        head = f"{parent}({', '.join(reference.columns)})"
        found = _joined(tables, parent, beside, (*path, parent))
        columns |= {f"{head}.{n}": found[n] for n in found.column_names}
    return pa.table(columns)


def _summaries(data: pa.Table, at: Codes, parents: int, *, child: str, levels: Levels) -> dict[str, Floats]:
    """What the children of each parent have in common; shape (parents,) each, NaN where there is nothing to tell."""
    of, data = at[at >= 0], data.filter(pa.array(at >= 0))
    count = np.bincount(of, minlength=parents).astype(np.float64)
    told = {"count": count}
    for name in data.column_names:
        if (child, name) in levels:
            told |= _shares(data[name], of, count, levels[child, name], name)
        else:
            grouped = pd.Series(numbers(data[name])).groupby(of)
            for what in ("mean", "min", "max", "std"):
                told[f"{name} {what}"] = grouped.agg(what).reindex(np.arange(parents)).to_numpy(np.float64)
    return told


def _shares(column: pa.ChunkedArray, of: Codes, count: Floats, levels: pa.Array, name: str) -> dict[str, Floats]:
    place = np.asarray(pc.fill_null(pc.index_in(column.cast(pa.string()), value_set=levels), -1))
    with np.errstate(invalid="ignore"):
        return {f"{name} is {i}": np.bincount(of[place == i], minlength=len(count)) / count for i in range(len(levels))}


def _ranks(column: pa.ChunkedArray, of: Column) -> Floats:
    """Places in order, equal for equal values; shape (rows,)."""
    if is_quantity(of):
        return np.nan_to_num(numbers(column), nan=-np.inf)
    return np.asarray(pc.rank(column.cast(pa.string()), tiebreaker="dense")).astype(np.float64)
