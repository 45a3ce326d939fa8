"""Leaks that are copies of learnt units: whole or in part, plain or blurred. Pure functions of sides and a stream."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bench.leakbench.closeness import outliers
from bench.leakbench.sides import AT, At, Planted, Side, Sides, cells, clean, like
from bench.leakbench.worlds import EMAIL, KEY, NOTE, World, new_keys

OWN = (KEY, EMAIL, NOTE)  # a copy has those of the row it takes the place of


def copied(twin: Side, at: At, donors: Side) -> Side:
    """A twin whose units at `at` are those donors in all that is learnt; keys, e-mail and note stay the twin's."""
    root = twin.root.copy()
    for column in root.columns.difference(list(OWN)):
        values = root[column].to_numpy(object, copy=True)
        values[at] = donors.root[column].to_numpy(object)
        root[column] = pd.Series(values, index=root.index).astype(root[column].dtype)
    if twin.child is None:
        return Side(root)
    assert donors.child is not None
    keys = new_keys(len(donors.child), np.random.default_rng(int(root[KEY].sum()) % 2**32))
    return replace(twin, root=root).with_children(at, donors.child.assign(row_id=keys))


def blurred(world: World, units: Side, like_those: Side, noise: float, flips: float, rng: np.random.Generator) -> Side:
    """Units with normal noise of `noise` standard deviations on quantities; a share `flips` of labels drawn anew."""
    root = _blurred(units.root, like_those.root, world.quantities(), world.labels, noise, flips, rng)
    if units.child is None:
        return Side(root)
    assert like_those.child is not None
    child = _blurred(
        units.child, like_those.child, world.child_quantities(), world.child_labels, noise, flips, rng
    )  # fmt: skip
    return Side(root, child)


def _blurred(
    rows: pd.DataFrame, source: pd.DataFrame, quantities: Sequence[str], labels: Sequence[str], noise: float,
    flips: float, rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    out = rows.copy()
    for column in quantities:
        spread = float(np.nanstd(cells(source[column])))
        out[column] = like(cells(rows[column]) + noise * spread * rng.normal(size=len(rows)), rows[column])
    for column in labels:
        drawn = source[column].to_numpy()[rng.integers(0, len(source), len(rows))]
        out[column] = np.where(rng.random(len(rows)) < flips, drawn, rows[column].to_numpy())
    return out


def _some(side: Side, count: float, rng: np.random.Generator) -> At:
    return rng.choice(len(side), min(round(count), len(side)), replace=False)


def _into(sides: Sides, donors: Side, rng: np.random.Generator) -> Planted:
    """The last snapshot with donors in the place of random units."""
    told = clean(sides)
    if not len(donors):
        return told
    at = _some(told.twin, len(donors), rng)
    return replace(told, snapshots=(*told.snapshots[:-1], copied(told.twin, at, donors)))


def copy(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """`amount` learnt units as they are."""
    return _into(sides, sides.learnt.take(_some(sides.learnt, amount, rng)), rng)


def noisy(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """`amount` learnt units, quantities blurred by `how` standard deviations, as large a share of labels redrawn."""
    donors = sides.learnt.take(_some(sides.learnt, amount, rng))
    return _into(sides, blurred(world, donors, sides.learnt, how, how, rng), rng)


def outlier(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """The `amount` learnt units that stand out most, each `how` times."""
    found = outliers(world, sides.learnt, sides.held, round(amount))
    return _into(sides, sides.learnt.take(np.repeat(found, round(how))), rng)


def partial(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """`amount` units that have a share `how` of their cells, at random, from one learnt unit each."""
    donors = sides.learnt.take(_some(sides.learnt, amount, rng))
    told = clean(sides)
    if not len(donors):
        return told
    hosts = _some(told.twin, len(donors), rng)
    own = told.twin.take(hosts)
    columns = world.columns()
    kept = round(how * len(columns))
    taken = rng.random((len(donors), len(columns))).argsort(axis=1) < kept
    root = donors.root.copy()
    for i, column in enumerate(columns):
        values = np.where(taken[:, i], donors.root[column].to_numpy(object), own.root[column].to_numpy(object))
        root[column] = pd.Series(values).astype(root[column].dtype)
    mixed = Side(root) if donors.child is None else Side(root, _mixed(world, donors, own, how, rng))
    return replace(told, snapshots=(*told.snapshots[:-1], copied(told.twin, hosts, mixed)))


def _mixed(world: World, donors: Side, own: Side, how: float, rng: np.random.Generator) -> pd.DataFrame:
    """Ordered rows of the donors with a share 1 - `how` of the cells from the hosts' rows at the same place."""
    assert donors.child is not None
    assert own.child is not None
    rows = donors.child.copy()
    starts = np.searchsorted(own.child[AT].to_numpy(), np.arange(len(own) + 1))
    at, place = rows[AT].to_numpy(), rows.groupby(AT).cumcount().to_numpy()
    there = place < (starts[1:] - starts[:-1])[at]
    for column in (*world.child_quantities(), *world.child_labels):
        other = np.flatnonzero(there & (rng.random(len(rows)) > how))
        values = rows[column].to_numpy(object, copy=True)
        values[other] = own.child[column].to_numpy(object)[(starts[at] + place)[other]]
        rows[column] = pd.Series(values, index=rows.index).astype(rows[column].dtype)
    return rows


def subgroup(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """A share `amount` of the smallest group's learnt units, blurred by `how`, in the place of the group's twins."""
    column, label = world.minority
    members = np.flatnonzero(sides.learnt.root[column] == label)
    chosen = rng.permutation(members)[: round(amount * len(members))]
    told = clean(sides)
    if not len(chosen):
        return told
    donors = blurred(world, sides.learnt.take(chosen), sides.learnt, how, 0.0, rng)
    alike = rng.permutation(np.flatnonzero(told.twin.root[column] == label))
    others = rng.permutation(np.flatnonzero(told.twin.root[column] != label))
    at = np.concatenate([alike, others])[: len(chosen)]
    return replace(told, snapshots=(*told.snapshots[:-1], copied(told.twin, at, donors)))


def shifted(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """`amount` learnt units under another encoding: quantities `how` standard deviations higher, labels exchanged."""
    donors = sides.learnt.take(_some(sides.learnt, amount, rng))
    source = sides.learnt
    root = _shifted(donors.root, source.root, world.quantities(), world.labels, how)
    if donors.child is None or source.child is None:
        return _into(sides, Side(root), rng)
    child = _shifted(donors.child, source.child, world.child_quantities(), world.child_labels, how)
    return _into(sides, Side(root, child), rng)


def _shifted(
    rows: pd.DataFrame, source: pd.DataFrame, quantities: Sequence[str], labels: Sequence[str], how: float
) -> pd.DataFrame:
    out = rows.copy()
    for column in quantities:
        out[column] = like(cells(rows[column]) + how * float(np.nanstd(cells(source[column]))), rows[column])
    for column in labels:
        names = sorted(source[column].dropna().unique())
        out[column] = rows[column].map(dict(zip(names, [*names[1:], names[0]], strict=True)))
    return out


def averaging(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """In each of the snapshots a share `amount` of the learnt units, blurred by `how` afresh."""
    told = clean(sides)
    released = []
    chosen = _some(sides.learnt, amount * len(sides.learnt), rng)
    for twin in told.snapshots:
        donors = blurred(world, sides.learnt.take(chosen), sides.learnt, how, how, rng)
        released.append(copied(twin, _some(twin, len(donors), rng), donors) if len(donors) else twin)
    return replace(told, snapshots=tuple(released))


def differencing(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """Two releases; `amount` units joined in between, and the second one holds them, blurred by `how`.

    As many joined those held back. Nothing planted is two releases between which a tenth of the units joined.
    """
    joined, others = (_some(side, amount or len(side) / 10, rng) for side in (sides.learnt, sides.held))
    before = [side.take(np.setdiff1d(np.arange(len(side)), at)) for side, at in
              ((sides.learnt, joined), (sides.held, others))]  # fmt: skip
    told = replace(clean(sides), learnt_before=(before[0],), held_before=(before[1],))
    if not amount:
        return told
    donors = blurred(world, sides.learnt.take(joined), sides.learnt, how, how, rng)
    twin = copied(told.twin, _some(told.twin, len(donors), rng), donors)
    return replace(told, snapshots=(*told.snapshots[:-1], twin))
