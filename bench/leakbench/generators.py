"""Leaks that are ways to generate: each draws units that come too close to learnt ones, in the place of twins.

They act on the roots; ordered rows stay those of the twin whose place is taken, except in `overfit`, which draws whole
units.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.leakbench.closeness import encoded, nearest, outliers
from bench.leakbench.copies import OWN, blurred, copied
from bench.leakbench.sides import At, Planted, Side, Sides, cells, clean, like
from bench.leakbench.worlds import World

NEIGHBOURS = 5


def _drawn(sides: Sides, at: At, roots: pd.DataFrame) -> Planted:
    """The last snapshot with other roots at `at`."""
    told = clean(sides)
    root = told.twin.root.copy()
    for column in root.columns.difference(list(OWN)):
        values = root[column].to_numpy(object, copy=True)
        values[at] = roots[column].to_numpy(object)
        root[column] = pd.Series(values, index=root.index).astype(root[column].dtype)
    return replace(told, snapshots=(*told.snapshots[:-1], replace(told.twin, root=root)))


def _places(sides: Sides, share: float, rng: np.random.Generator) -> At:
    return rng.choice(len(sides.fresh[-1]), round(share * len(sides.fresh[-1])), replace=False)


def smote(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """A share `amount` of twins between two learnt neighbours (Chawla et al. 2002); labels from either."""
    at = _places(sides, amount, rng)
    if not len(at):
        return clean(sides)
    root = sides.learnt.root
    (points,) = encoded(world, sides.learnt)
    near = nearest(points, points, NEIGHBOURS, same=True)[0]
    one = rng.integers(0, len(root), len(at))
    two = near[one, rng.integers(0, NEIGHBOURS, len(at))]
    first, second = (root.take(i).reset_index(drop=True) for i in (one, two))
    between, out = rng.random(len(at)), first.copy()
    for column in world.quantities():
        a, b = cells(first[column]), cells(second[column])
        out[column] = like(np.where(np.isnan(b), a, a + between * (b - a)), first[column])
    for column in world.labels:
        out[column] = np.where(rng.random(len(at)) < 0.5, first[column], second[column])
    return _drawn(sides, at, out)


def knn(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """A share `amount` of twins, each cell from one of the `how` learnt units nearest to one learnt unit."""
    at = _places(sides, amount, rng)
    if not len(at):
        return clean(sides)
    root = sides.learnt.root
    (points,) = encoded(world, sides.learnt)
    near = nearest(points, points, round(how))[0]  # the unit itself is among them
    one = rng.integers(0, len(root), len(at))
    out = root.take(one).reset_index(drop=True)
    for column in world.columns():
        from_ = near[one, rng.integers(0, near.shape[1], len(at))]
        out[column] = root[column].take(from_).reset_index(drop=True)
    return _drawn(sides, at, out)


def cart(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """A share `amount` of twins from trees, column by column; each cell is a donor's in a leaf of at least `how`.

    Sequential synthesis as synthpop does it (Nowok, Raab & Dibben 2016).
    """
    at = _places(sides, amount, rng)
    if not len(at):
        return clean(sides)
    root = sides.learnt.root
    columns = world.columns()
    first = root[columns[0]].take(rng.integers(0, len(root), len(at)))
    made = pd.DataFrame({columns[0]: first.reset_index(drop=True)})
    known, drawn = _code(root[columns[0]], root[columns[0]]), _code(made[columns[0]], root[columns[0]])
    for column in columns[1:]:
        donors = _donors(known, root[column], drawn, leaf=round(how), label=column in world.labels, rng=rng)
        made[column] = root[column].take(donors).reset_index(drop=True)
        known = np.hstack([known, _code(root[column], root[column])])
        drawn = np.hstack([drawn, _code(made[column], root[column])])
    return _drawn(sides, at, made)


def _code(values: "pd.Series[Any]", among: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """A column for trees, shape (rows, 1): labels by their place in the alphabet, null below all."""
    if among.dtype == object:
        return pd.Categorical(values, categories=sorted(among.dropna().unique())).codes.astype(np.float64)[:, None]
    return np.nan_to_num(cells(values), nan=float(np.nanmin(cells(among))) - 1)[:, None]


def _donors(
    known: npt.NDArray[np.float64], target: "pd.Series[Any]", drawn: npt.NDArray[np.float64], *, leaf: int,
    label: bool, rng: np.random.Generator,
) -> At:  # fmt: skip
    """For each drawn row the position of a learnt one in the same leaf."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree = (DecisionTreeClassifier if label else DecisionTreeRegressor)(
        min_samples_leaf=leaf, random_state=int(rng.integers(2**31))
    )
    tree.fit(known, _code(target, target)[:, 0])
    leaves, asked = tree.apply(known), tree.apply(drawn)
    order = np.argsort(leaves, kind="stable")
    low, high = (np.searchsorted(leaves[order], asked, side) for side in ("left", "right"))
    return np.asarray(order[low + (rng.random(len(asked)) * (high - low)).astype(np.intp)])


def overfit(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """A share `amount` of twins are learnt units drawn with replacement and blurred by `how`.

    It stands for a network that has learnt its rows by heart; none is trained.
    """
    at = _places(sides, amount, rng)
    if not len(at):
        return clean(sides)
    donors = sides.learnt.take(rng.integers(0, len(sides.learnt), len(at)))
    told = clean(sides)
    twin = copied(told.twin, at, blurred(world, donors, sides.learnt, how, how, rng))
    return replace(told, snapshots=(*told.snapshots[:-1], twin))


def shadow(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """A generator that has learnt nothing but one unit: it draws columns of rows nobody learnt, each by itself.

    With a chance `amount` a twin holds the learnt unit that stands out most.
    """

    def generator(learnt: Side, draw: np.random.Generator) -> Side:
        twin = _by_itself(sides.fresh[-1], draw)
        if draw.random() >= amount:
            return twin
        odd = outliers(world, learnt, None, 1)
        return copied(twin, draw.integers(0, len(twin), 1), learnt.take(odd))

    told = clean(sides)
    return replace(told, snapshots=(generator(told.learnt, rng),), generator=generator)


def _by_itself(fresh: Side, rng: np.random.Generator) -> Side:
    root = fresh.root.copy()
    for column in root.columns.difference(list(OWN)):
        root[column] = root[column].take(rng.permutation(len(root))).reset_index(drop=True)
    return replace(fresh, root=root)
