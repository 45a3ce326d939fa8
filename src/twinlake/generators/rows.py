"""The rows of one shard: links from the weave, the rest from the table's blueprint, repaired where it has rules."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from twinlake.generators.arrays import one, ranks, replaced
from twinlake.generators.blueprints import Blueprint
from twinlake.generators.degrees import Degrees
from twinlake.generators.drafts import Laws, Parents, Places, breaking, repeated
from twinlake.generators.keys import Integers, as_numbers, from_numbers
from twinlake.generators.protocols import TableModel
from twinlake.generators.rules import repair
from twinlake.generators.siblings import Siblings
from twinlake.generators.weaving import Woven
from twinlake.hashing import Hashes, hash_rows
from twinlake.random import derive, stream
from twinlake.tables import conform

_REDRAWS = 8  # times a repeated key takes another row's value, or a row that can't stay is drawn again

Columns = dict[str, pa.Array]


def make_rows(
    blueprint: Blueprint, woven: Woven, *, total: int, seed: int, shard: int, parents: Parents | None = None,
    turns: Mapping[str, int] | None = None,
) -> pa.Table:  # fmt: skip
    """Rows as in the blueprint's first pass, text as it comes; a few less where a key or a rule asks too much.

    Args:
        blueprint: of the table.
        woven: which rows, and what they refer to.
        total: how many rows the whole table has.
        seed: of the snapshot.
        shard: its number, which names its stream.
        parents: by prefix, what rules look at in the rows that each row refers to.
        turns: by column, which way to make keys and fakes, see `Blueprint.turns`.
    """
    turns = turns or {}
    table, n = blueprint.table, len(woven.numbers)
    rng = stream(seed, "shard", table.name, shard)
    made: Columns = {c: one(woven.columns[c]) for c in woven.columns.column_names}
    for name, key in blueprint.keys.items():
        made[name] = key.at(woven.numbers, total=total, seed=derive(seed, table.name, name), turn=turns.get(name, 0))
    made |= _modelled(blueprint, woven, rng)
    for name, filler in blueprint.fillers.items():
        own = derive(seed, table.name, name)
        made[name] = filler.fill(woven.numbers, total=total, seed=own, rng=rng, turn=turns.get(name, 0))
    for name in blueprint.late:
        made[name] = pa.nulls(n, table[name].type)
    if blueprint.runs is not None:
        made |= _in_runs(blueprint, made, blueprint.runs, rng)
    rows = _apart(blueprint, _numbered(blueprint, made), rng)
    if table.rules or table.unique:
        rows = _lawful(blueprint, rows, woven, parents or {}, rng)
    elif _is_ordered(blueprint) and table.order_by in table.key:  # keys that repeated were moved
        rows = rows.take(pa.array(_in_order(one(rows[str(table.order_by)]), woven.lead)))
    if _draws_key(blueprint):
        rows = rows.filter(pa.array(~repeated(rows, table.key)))
    return conform(rows, blueprint.first_pass, compact=True)


def _lawful(blueprint: Blueprint, rows: pa.Table, woven: Woven, parents: Parents, rng: np.random.Generator) -> pa.Table:
    """Rows that all hold the rules of their table, those of a parent in their order; a drawn key counts as unique."""
    table = blueprint.first_pass
    table = replace(table, unique=(*table.unique, table.key)) if _draws_key(blueprint) else table

    def redraw(places: Places) -> pa.Table:
        return _new(blueprint, woven, places, rng)

    shun = blueprint.guard.clashes if blueprint.guard is not None else None
    done = repair(rows, table, parents, redraw, rng, movable=blueprint.modelled, shun=shun)
    rows, kept = done.rows, done.kept
    if _is_ordered(blueprint):
        order = _in_order(one(rows[str(table.order_by)]), woven.lead[kept])
        rows, kept = rows.take(pa.array(order)), kept[order]
    if not blueprint.numbered:
        return rows
    rows = _numbered(blueprint, {n: one(rows[n]) for n in rows.column_names})
    there = {prefix: parent.take(pa.array(kept)) for prefix, parent in parents.items()}
    laws = Laws.of(table, rows.column_names, blueprint.modelled, there)
    return rows.filter(pa.array(~breaking(laws.readings, rows, there)))


def _new(blueprint: Blueprint, woven: Woven, places: Places, rng: np.random.Generator) -> pa.Table:
    """Drawn columns once more for some rows, but for the one that orders siblings."""
    if blueprint.model is None:
        return pa.table({})
    context = None if woven.context is None else woven.context.take(pa.array(places))
    new = blueprint.model.sample(len(places), context=context, rng=rng)
    return new.select([n for n in new.column_names if not blueprint.followed or n != blueprint.table.order_by])


def _modelled(blueprint: Blueprint, woven: Woven, rng: np.random.Generator) -> Columns:
    """Columns the table model draws; where the table has an order, the rows of each leading parent in it."""
    if blueprint.model is None:
        return {}
    siblings = Siblings.of(woven.lead) if blueprint.followed else None
    drawn = _guarded(blueprint, blueprint.model, woven, siblings, rng)
    if _is_ordered(blueprint):
        drawn = drawn.take(pa.array(_in_order(one(drawn[str(blueprint.table.order_by)]), woven.lead)))
    return {name: one(drawn[name]) for name in blueprint.modelled}


def _is_ordered(blueprint: Blueprint) -> bool:
    """Whether rows of a leading parent stand in the order of a drawn column."""
    return blueprint.table.order_by in blueprint.modelled and bool(blueprint.links)


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
        drawn = redrawn(blueprint, drawn, woven, at, rng)
    return drawn


def redrawn(blueprint: Blueprint, drawn: pa.Table, woven: Woven, at: Places, rng: np.random.Generator) -> pa.Table:
    """Drawn rows of which some are drawn once more."""
    new = _new(blueprint, woven, at, rng)
    fresh = set(new.column_names)
    columns = [replaced(one(drawn[c]), at, one(new[c])) if c in fresh else one(drawn[c]) for c in drawn.column_names]
    return pa.table(columns, schema=drawn.schema)


def _in_runs(blueprint: Blueprint, made: Columns, runs: Degrees, rng: np.random.Generator) -> Columns:
    """The rest of a numbered key, the same for as many rows in a row as in the source."""
    rest = [c for c in blueprint.table.key if c not in blueprint.numbered]
    n = len(made[rest[0]])
    begins = np.cumsum(np.maximum(runs.draw(n, rng), 1))
    first = np.concatenate([[0], begins])[np.searchsorted(begins, np.arange(n), side="right")]
    return {c: made[c].take(pa.array(first)) for c in rest}


def _numbered(blueprint: Blueprint, made: Mapping[str, pa.Array]) -> pa.Table:
    """Rows with their number among those that agree on the rest of the key, where it has one."""
    if not blueprint.numbered:
        return pa.table(dict(made))
    ((name, base),) = blueprint.numbered.items()
    rest = hash_rows(pa.table({c: made[c] for c in blueprint.table.key if c != name}))
    number = pd.Series(rest).groupby(rest).cumcount().to_numpy(dtype=np.int64) + base
    return pa.table({**made, name: pa.array(number).cast(blueprint.table[name].type)})


def _draws_key(blueprint: Blueprint) -> bool:
    """Whether only drawn columns can make a key differ from another."""
    in_key = set(blueprint.table.key).intersection(blueprint.modelled)
    return bool(in_key) and not blueprint.is_settled and not blueprint.numbered


def _apart(blueprint: Blueprint, rows: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Rows of which few have the same key: repeats take values of other rows, then the nearest that occurs."""
    if not _draws_key(blueprint):
        return rows
    table, key = blueprint.table, blueprint.table.key
    drawn = [c for c in key if c in blueprint.modelled]
    loose = [c for c in drawn if c != table.order_by] or drawn
    moved = next((c for c in reversed(loose) if c in blueprint.steps), loose[-1])
    nearest = loose == [table.order_by] and moved in blueprint.steps  # another row's would lie anywhere in time
    for turn in range(0 if nearest else _REDRAWS * len(loose)):
        repeats = np.flatnonzero(repeated(rows, key))
        if not len(repeats):
            return rows
        name = loose[turn % len(loose)]
        values = one(rows[name])
        other = values.take(pa.array(rng.integers(0, len(values), len(repeats))))
        rows = _with(rows, name, replaced(values, repeats, other))
    if moved in blueprint.steps:
        rest = hash_rows(rows.select([c for c in key if c != moved]))
        near = nearest_free(as_numbers(rows[moved]), rest, np.flatnonzero(repeated(rows, key)))
        free = next_free(near, rest, step=blueprint.steps[moved])
        rows = _with(rows, moved, from_numbers(free, rows[moved].type))
    return rows


def nearest_free(values: Integers, groups: Hashes, places: npt.NDArray[np.int64]) -> Integers:
    """Values of which those at some places take the nearest one that occurs, but not in their group.

    Args:
        values: whole numbers, shape (n,).
        groups: the group of each value.
        places: of the values that are to move; one for which no value is left stays.
    """
    moved, known = values.copy(), np.unique(values)
    asked = np.isin(groups, groups[places])
    used: dict[int, set[int]] = {}
    for group, value in zip(groups[asked].tolist(), values[asked].tolist(), strict=True):
        used.setdefault(group, set()).add(value)
    for place in places.tolist():
        taken, there = used[int(groups[place])], np.argsort(np.abs(known - values[place]), kind="stable")
        if (free := next((int(known[i]) for i in there if int(known[i]) not in taken), None)) is not None:
            moved[place] = free
            taken.add(free)
    return moved


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
