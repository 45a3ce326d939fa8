"""Privacy units: which rows are one person's, how many hold a value, and the coin that holds some of them back.

The unit is a row of a root table with all its descendants, or each table's own row. The coin is a keyed hash of the
unit, so a unit falls on the same side every night, whatever is added beside it.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from twinlake.errors import DataError, listed, nearest
from twinlake.hashing import Hashes, hash_rows, mix, uniform
from twinlake.joining import places
from twinlake.schema import Reference, Schema, Table
from twinlake.tables import Tables, TableWriter, write_schema

Units = dict[str, Hashes | None]
Counts = npt.NDArray[np.intp]


def unit_tables(schema: Schema, unit: str | None) -> dict[str, Reference | None]:
    """Tables that hold units' rows, each with the reference that leads to its unit (None: its rows are units).

    Raises DataError where `unit` is none of the tables.
    """
    if unit is None:
        return {t.name: None for t in schema if not t.public}
    if unit not in schema.names:
        allowed, fix = f"tables are {listed(schema.names)}", nearest(unit, schema.names)
        raise DataError(f'unit "{unit}" is no table', allowed=allowed, fix=fix)
    found: dict[str, Reference | None] = {unit: None}
    tables = [t for t in schema if t.name != unit and not t.public]
    while grown := {t.name: r for t in tables if t.name not in found for r in t.references if r.table in found}:
        found |= grown
    return found


def assign_units(tables: Tables, unit: str | None) -> Units:
    """The unit of each row of each table, shape (rows,) dtype uint64; None for tables that hold nobody's rows.

    A row that points to no unit is a unit of its own. Raises DataError where `unit` is none of the tables.
    """
    schema, paths = tables.schema, unit_tables(tables.schema, unit)
    units: Units = dict.fromkeys(schema.names)
    for name, reference in paths.items():
        own = _own(tables, schema[name])
        units[name] = own if reference is None else _through(tables, name, reference, units, own)
    return units


def holders(hashes: Hashes, units: Hashes | None) -> tuple[Hashes, Counts]:
    """The distinct hashes, sorted, and how many units hold each; without units every row is one."""
    if units is not None:
        order = np.lexsort((units, hashes))
        hashes, units = hashes[order], units[order]
        first = np.ones(len(hashes), dtype=np.bool_)
        first[1:] = (hashes[1:] != hashes[:-1]) | (units[1:] != units[:-1])
        hashes = hashes[first]
    values, counts = np.unique(hashes, return_counts=True)
    return values, counts.astype(np.intp)


def rare(hashes: Hashes, units: Hashes | None, *, k: int) -> Hashes:
    """The hashes that fewer than `k` units hold, sorted."""
    values, counts = holders(hashes, units)
    return np.asarray(values[counts < k])


def split(tables: Tables, units: Units, *, share: float, seed: int, real: Path, holdout: Path) -> None:
    """Write the rows of learnt units to `real` and of held-back ones to `holdout`, streaming.

    Rows that are nobody's go to both.
    """
    for folder, held_back in ((real, False), (holdout, True)):
        write_schema(folder, tables.schema)
        for table in tables.schema:
            sides = held(units[table.name], share=share, seed=seed)
            _write_side(tables, table, folder, None if sides is None else sides == held_back)


def held(units: Hashes | None, *, share: float, seed: int) -> npt.NDArray[np.bool_] | None:
    """Whether each row is held back, shape (rows,); None where the rows are nobody's."""
    if units is None:
        return None
    return uniform(mix(units ^ np.uint64(seed & 0xFFFFFFFFFFFFFFFF))) < share


def _own(tables: Tables, table: Table) -> Hashes:
    columns = table.key or table.names
    rows = np.concatenate(
        [hash_rows(pa.Table.from_batches([b]).select(list(columns))) for b in tables.batches(table.name)]
        or [np.empty(0, np.uint64)]
    )
    if table.key:
        return rows
    copy = pd.Series(rows).groupby(rows).cumcount().to_numpy().astype(np.uint64)
    return np.asarray(mix(rows + mix(copy)))  # equal rows are as many units as there are of them


def _through(tables: Tables, name: str, reference: Reference, units: Units, own: Hashes) -> Hashes:
    child = tables.columns(name, reference.columns)
    if reference.table == name:
        return own
    at = places(child, tables.columns(reference.table, reference.to), reference)
    owner = units[reference.table]
    assert owner is not None  # unit_tables lists parents before children
    return np.where(at >= 0, owner[at] if len(owner) else own, own)


def _write_side(tables: Tables, table: Table, folder: Path, mask: npt.NDArray[np.bool_] | None) -> None:
    start = 0
    with TableWriter(folder, table, statistics=False) as writer:
        for batch in tables.batches(table.name):
            kept = batch if mask is None else batch.filter(pa.array(mask[start : start + batch.num_rows]))
            writer.write(kept)
            start += batch.num_rows
