"""Filling in what rows of one table lack, by the forest that learnt it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from twinlake.errors import GeneratorError, listed, nearest
from twinlake.generators.arrays import one
from twinlake.generators.forest.imputation import impute
from twinlake.generators.relational import RelationalModel
from twinlake.random import stream
from twinlake.run.satisfy import forest_of, only
from twinlake.schema import Table
from twinlake.tables import Tables, TableWriter

if TYPE_CHECKING:
    from twinlake.run.model import Model


def filled_in(learnt: RelationalModel, rows: pa.Table, *, columns: Iterable[str] | None, seed: int) -> pa.Table:
    """See `Model.impute`."""
    table, forest = learnt.schema[only(learnt)], forest_of(learnt)
    if forest is None:
        raise GeneratorError("only a forest can fill in what rows lack", fix="Fit with the generator forest")
    _check(rows.column_names, table, "the rows have")
    drawn = forest.table.names
    fill = frozenset(drawn) if columns is None else frozenset(columns)
    _check(fill, forest.table, "columns to fill name")
    given = _typed(rows, table)
    own = given.select([n for n in drawn if n in given.column_names])
    made = impute(forest, own, fill=fill, rng=stream(seed, "impute"))
    names = [n for n in table.names if n in made.column_names or n in given.column_names]
    return pa.table([made[n] if n in made.column_names else given[n] for n in names], names=names)


def fill_in(model: "Model", tables: Tables, *, columns: tuple[str, ...], seed: int, folder: Path) -> tuple[str, int]:
    """Fill in rows and write them to an empty folder; the table's name and how many rows it has."""
    table = model.schema[only(model.learnt)]
    if len(tables) != 1:
        raise GeneratorError("rows to fill in are those of one table", allowed=f"there are {len(tables)}")
    (rows,) = tables.values()
    made = model.impute(rows, columns=columns or None, seed=seed)
    written = table.select(tuple(made.column_names))
    loose = replace(written, columns=tuple(replace(c, nullable=True) for c in written.columns))
    with TableWriter(folder, loose) as writer:
        writer.write(made)
    return table.name, made.num_rows


def _check(names: Iterable[str], table: Table, who: str) -> None:
    for name in sorted(names):
        if name not in table.names:
            raise GeneratorError(
                f"{who} a column {name} that table {table.name} does not have",
                allowed=f"its columns are {listed(table.names)}", fix=nearest(name, table.names),
            )  # fmt: skip


def _typed(rows: pa.Table, table: Table) -> pa.Table:
    """The rows with the table's types."""
    found = {}
    for name in rows.column_names:
        try:
            kind = table[name].type
            found[name] = one(rows[name]) if rows[name].type == kind else _cast(rows[name], kind)
        except pa.ArrowException:
            raise GeneratorError(
                f"column {name} has cells that are no {table[name].type}", where=f"table {table.name}"
            ) from None
    return pa.table(found)


def _cast(cells: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    plain = cells.cast(cells.type.value_type) if pa.types.is_dictionary(cells.type) else cells
    if pa.types.is_dictionary(kind):
        return pc.dictionary_encode(one(plain).cast(kind.value_type)).cast(kind)
    return one(plain.cast(kind))
