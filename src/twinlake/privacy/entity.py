"""A whole unit as one row: its own columns, and what its children look like together."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from twinlake.columns import is_quantity, numbers
from twinlake.hashing import Hashes, hash_values
from twinlake.joining import places
from twinlake.schema import Reference, Schema, Table
from twinlake.tables import Tables

LABELS = 4  # of a column whose shares are told: the most frequent
OF_QUANTITY = ("mean", "min", "max")


def children(schema: Schema, name: str) -> list[tuple[Table, Reference]]:
    """The tables whose rows are a unit's through a reference to `name`."""
    return [(t, r) for t in schema if not t.public and t.name != name for r in t.references if r.table == name]


def embed(tables: Tables, name: str, frequent: dict[str, Hashes]) -> tuple[pa.Table, list[str]]:
    """Learnt columns of table `name` with aggregates of each child table, and the names of those.

    Of each parent, by each reference to it: how many children; of their quantities mean, least and largest; of their
    labels the share of each frequent one. All float64, NaN where there are no children.

    Args:
        tables: all tables of one side.
        name: the parent table.
        frequent: labels of each child column to tell of, from `frequent_labels`; the same for all sides.
    """
    schema = tables.schema
    rows = tables.columns(name, list(dict.fromkeys((*schema[name].learnt, *_pointed(schema, name)))))
    added: dict[str, pa.Array] = {}
    for child, reference in children(schema, name):
        data = tables.columns(child.name, list(dict.fromkeys((*child.learnt, *reference.columns))))
        at = places(data.select(list(reference.columns)), rows.select(list(reference.to)), reference)
        told = _aggregated(data, child, at, rows.num_rows, frequent)
        added |= {f"{', '.join(reference.columns)} -> {what}": values for what, values in told.items()}
    for column, values in added.items():
        rows = rows.append_column(column, values)
    return rows, list(added)


def frequent_labels(sides: Sequence[Tables], name: str) -> dict[str, Hashes]:
    """Hashes of the most frequent labels of each label column of the children of table `name`, by `child.column`.

    They are those of all sides together: which labels are told of must not depend on who was learnt.
    """
    found = {}
    for child, _ in children(sides[0].schema, name):
        for column in child.learnt:
            if not is_quantity(child[column]):
                values = pa.concat_tables([s.columns(child.name, [column]) for s in sides])[column]
                distinct, often = np.unique(hash_values(values), return_counts=True)
                found[f"{child.name}.{column}"] = distinct[np.argsort(-often, kind="stable")[:LABELS]]
    return found


def _pointed(schema: Schema, name: str) -> Iterator[str]:
    for _, reference in children(schema, name):
        yield from reference.to


def _aggregated(
    data: pa.Table, child: Table, at: np.ndarray, parents: int, frequent: dict[str, Hashes]
) -> dict[str, pa.Array]:
    own = data.filter(pa.array(at >= 0))
    of = at[at >= 0]
    counts = np.bincount(of, minlength=parents).astype(np.float64)
    found = {f"{child.name}: rows": pa.array(counts)}
    for column in child.learnt:
        for what, values in _of_column(own[column], of, frequent.get(f"{child.name}.{column}")):
            full = np.full(parents, np.nan)
            full[values.index.to_numpy()] = values.to_numpy(dtype=np.float64)
            found[f"{child.name}.{column}: {what}"] = pa.array(full, from_pandas=False)
    return found


def _of_column(values: pa.ChunkedArray, of: np.ndarray, frequent: Hashes | None) -> Iterator[tuple[str, pd.Series]]:
    """Aggregates by parent, by name."""
    if frequent is None:
        grouped = pd.Series(numbers(values)).groupby(of)
        for what in OF_QUANTITY:
            yield what, grouped.agg(what)
        return
    hashes = hash_values(values)
    for i, label in enumerate(frequent):
        yield f"share {i}", pd.Series((hashes == label).astype(np.float64)).groupby(of).mean()
