"""The rows of one shard: links from the weave, the rest from the table's blueprint."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from twinlake.generators.arrays import one, ranks, replaced
from twinlake.generators.blueprints import Blueprint
from twinlake.generators.degrees import Degrees
from twinlake.generators.keys import Integers, as_numbers, from_numbers
from twinlake.generators.protocols import TableModel
from twinlake.generators.siblings import Siblings
from twinlake.generators.weaving import Woven
from twinlake.hashing import Hashes, hash_rows
from twinlake.random import derive, stream
from twinlake.tables import conform

_REDRAWS = 8  # times a repeated key takes another row's value, or a row that can't stay is drawn again

Columns = dict[str, pa.Array]


def make_rows(blueprint: Blueprint, woven: Woven, *, total: int, seed: int, shard: int) -> pa.Table:
    """Rows as in the blueprint's first pass, text as it comes; a few less where a key can't be made different.

    Args:
        blueprint: of the table.
        woven: which rows, and what they refer to.
        total: how many rows the whole table has.
        seed: of the snapshot.
        shard: its number, which names its stream.
    """
    table, n = blueprint.table, len(woven.numbers)
    rng = stream(seed, "shard", table.name, shard)
    made: Columns = {c: one(woven.columns[c]) for c in woven.columns.column_names}
    for name, key in blueprint.keys.items():
        made[name] = key.at(woven.numbers, total=total, seed=derive(seed, table.name, name))
    made |= _modelled(blueprint, woven, rng)
    for name, filler in blueprint.fillers.items():
        made[name] = filler.fill(woven.numbers, total=total, seed=derive(seed, table.name, name), rng=rng)
    for name in blueprint.late:
        made[name] = pa.nulls(n, table[name].type)
    if blueprint.runs is not None:
        made |= _in_runs(blueprint, made, blueprint.runs, rng)
    rows = _numbered(blueprint, made) if blueprint.numbered else pa.table(made)
    rows = _different(blueprint, rows, rng)
    return conform(rows, blueprint.first_pass, compact=True)


def _modelled(blueprint: Blueprint, woven: Woven, rng: np.random.Generator) -> Columns:
    """Columns the table model draws; where the table has an order, the rows of each leading parent in it."""
    if blueprint.model is None:
        return {}
    siblings = Siblings.of(woven.lead) if blueprint.followed else None
    drawn = _guarded(blueprint, blueprint.model, woven, siblings, rng)
    order_by = blueprint.table.order_by
    if order_by is not None and order_by in blueprint.modelled and blueprint.links:
        drawn = drawn.take(pa.array(_in_order(one(drawn[order_by]), woven.lead)))
    return {name: one(drawn[name]) for name in blueprint.modelled}


def _in_order(cells: pa.Array, lead: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows by their leading parent and the cells; those that are equal as they are, those without a parent last."""
    parent = np.where(lead < 0, np.iinfo(np.int64).max - len(lead) + np.arange(len(lead)), lead)
    return np.lexsort((ranks(cells), parent))


def _guarded(
    blueprint: Blueprint, model: TableModel, woven: Woven, siblings: Siblings | None, rng: np.random.Generator
) -> pa.Table:
    """Drawn rows; those that equal a rare real row are drawn again, but for what orders them."""
    drawn = model.sample(len(woven.numbers), context=woven.context, siblings=siblings, rng=rng)
    for _ in range(_REDRAWS):
        at = blueprint.guard.clashes(drawn) if blueprint.guard else np.empty(0, np.int64)
        if not len(at):
            break
        drawn = redrawn(blueprint, model, drawn, woven, at, rng)
    return drawn


def redrawn(
    blueprint: Blueprint, model: TableModel, drawn: pa.Table, woven: Woven, at: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> pa.Table:  # fmt: skip
    """Drawn rows of which some are drawn once more, but for the column that orders siblings."""
    context = None if woven.context is None else woven.context.take(pa.array(at))
    new = model.sample(len(at), context=context, rng=rng)
    kept = {blueprint.table.order_by} if blueprint.followed else set()
    columns = [one(drawn[c]) if c in kept else replaced(one(drawn[c]), at, one(new[c])) for c in drawn.column_names]
    return pa.table(columns, schema=drawn.schema)


def _in_runs(blueprint: Blueprint, made: Columns, runs: Degrees, rng: np.random.Generator) -> Columns:
    """The rest of a numbered key, the same for as many rows in a row as in the source."""
    rest = [c for c in blueprint.table.key if c not in blueprint.numbered]
    n = len(made[rest[0]])
    begins = np.cumsum(np.maximum(runs.draw(n, rng), 1))
    first = np.concatenate([[0], begins])[np.searchsorted(begins, np.arange(n), side="right")]
    return {c: made[c].take(pa.array(first)) for c in rest}


def _numbered(blueprint: Blueprint, made: Columns) -> pa.Table:
    """Rows with their number among those that agree on the rest of the key."""
    ((name, base),) = blueprint.numbered.items()
    rest = hash_rows(pa.table({c: made[c] for c in blueprint.table.key if c != name}))
    number = pd.Series(rest).groupby(rest).cumcount().to_numpy(dtype=np.int64) + base
    return pa.table(made | {name: pa.array(number).cast(blueprint.table[name].type)})


def _different(blueprint: Blueprint, rows: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Rows whose keys all differ: repeats take another row's value, then the next free one, else are left out."""
    table, key = blueprint.table, blueprint.table.key
    drawn = [c for c in key if c in blueprint.modelled]
    if not key or not drawn or blueprint.is_settled or blueprint.numbered:
        return rows
    loose = [c for c in drawn if c != table.order_by] or drawn
    moved = next((c for c in reversed(loose) if c in blueprint.steps), loose[-1])
    for _ in range(_REDRAWS):
        repeats = np.flatnonzero(repeated(rows, key))
        if not len(repeats):
            return rows
        values = one(rows[moved])
        other = values.take(pa.array(rng.integers(0, len(values), len(repeats))))
        rows = _with(rows, moved, replaced(values, repeats, other))
    if moved in blueprint.steps:
        rest = hash_rows(rows.select([c for c in key if c != moved]))
        free = next_free(as_numbers(rows[moved]), rest, step=blueprint.steps[moved])
        rows = _with(rows, moved, from_numbers(free, rows[moved].type))
    return rows.filter(pa.array(~repeated(rows, key)))


def repeated(rows: pa.Table, key: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Whether an earlier row has the same key; shape (rows,)."""
    return np.asarray(pd.Series(hash_rows(rows.select(list(key)))).duplicated().to_numpy())


def next_free(values: Integers, groups: Hashes, *, step: int) -> Integers:
    """Values moved up, in steps, so that no two of a group are equal; those that differ by a step or more stay.

    Args:
        values: whole numbers, shape (n,).
        groups: the group of each value.
        step: the least distance.
    """
    order = np.lexsort((values, groups))
    name = groups[order]
    place = pd.Series(name).groupby(name).cumcount().to_numpy(dtype=np.int64) * step
    lifted = pd.Series(values[order] - place).groupby(name).cummax().to_numpy(dtype=np.int64) + place
    moved = np.empty_like(values)
    moved[order] = lifted
    return moved


def _with(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)
