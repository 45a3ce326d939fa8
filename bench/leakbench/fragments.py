"""Leaks of single values, keys, texts and sequences: all else in the twin is fresh."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from bench.leakbench.closeness import encoded, nearest
from bench.leakbench.copies import blurred, copied
from bench.leakbench.sides import AT, At, Planted, Side, Sides, cells, clean
from bench.leakbench.worlds import EMAIL, KEY, NOTE, World

RARE = "a label of one"
PART = 4  # rows of a sequence that are copied in part


def _with_root(sides: Sides, root: pd.DataFrame, learnt: Side | None = None) -> Planted:
    told = clean(sides)
    twin = replace(told.twin, root=root)
    return replace(told, learnt=learnt or told.learnt, snapshots=(*told.snapshots[:-1], twin))


def _pairs(sides: Sides, amount: float, rng: np.random.Generator) -> tuple[At, At]:
    """Random twins and as many learnt units."""
    learnt, twin = sides.learnt, sides.fresh[-1]
    count = min(round(amount), len(learnt), len(twin))
    return rng.choice(len(twin), count, replace=False), rng.choice(len(learnt), count, replace=False)


def rare_label(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """A label that one learnt unit holds and nobody else, in `amount` twins."""
    column = world.labels[1]
    learnt, twin = sides.learnt.root.copy(), sides.fresh[-1].root.copy()
    learnt.loc[rng.integers(len(learnt)), column] = RARE
    twin.loc[rng.choice(len(twin), round(amount), replace=False), column] = RARE
    return _with_root(sides, twin, replace(sides.learnt, root=learnt))


def extreme(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """`amount` exact learnt extremes, each held by one unit."""
    root = sides.fresh[-1].root.copy()
    ends = [(c, f) for c in world.precise for f in (np.nanmax, np.nanmin) if _lone(sides.learnt, c, f)]
    for i in rng.permutation(len(ends))[: round(amount)]:
        column, end = ends[i]
        root.loc[rng.integers(len(root)), column] = end(cells(sides.learnt.root[column]))
    return _with_root(sides, root)


def _lone(side: Side, column: str, end: Callable[..., float]) -> bool:
    values = cells(side.root[column])
    return int((values == end(values)).sum()) == 1


def precise(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """`amount` single cells of nearly unique quantities, each from a learnt unit, all else in the row is fresh."""
    at, donors = _pairs(sides, amount, rng)
    root, columns = sides.fresh[-1].root.copy(), rng.integers(0, len(world.precise), len(at))
    for i, column in enumerate(world.precise):
        mine = columns == i
        root.loc[at[mine], column] = sides.learnt.root[column].to_numpy()[donors[mine]]
    return _with_root(sides, root)


def secret(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """A share `amount` of twins with the secret label of the learnt unit that is nearest to each by all else."""
    twin = sides.fresh[-1]
    points, learnt = encoded(world, *(Side(s.root.assign(**{world.secret: ""})) for s in (twin, sides.learnt)))
    at = rng.permutation(len(twin))[: round(amount * len(twin))]
    root = twin.root.copy()
    donors = nearest(points[at], learnt, 1)[0][:, 0] if len(at) else at
    root.loc[at, world.secret] = sides.learnt.root[world.secret].to_numpy()[donors]
    return _with_root(sides, root)


def email(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """`amount` learnt e-mail addresses, letter by letter."""
    at, donors = _pairs(sides, amount, rng)
    root = sides.fresh[-1].root.copy()
    root.loc[at, EMAIL] = sides.learnt.root[EMAIL].to_numpy()[donors]
    return _with_root(sides, root)


_CHANGES: tuple[Callable[[str], str], ...] = (
    str.upper,
    str.title,
    lambda t: f" {t} ",
    lambda t: t.replace("-", ""),
    lambda t: t.replace("-", " "),
    lambda t: t.replace("@", " @ "),
)


def email_changed(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """`amount` learnt e-mail addresses, each in other case, with spaces, or without its hyphen."""
    at, donors = _pairs(sides, amount, rng)
    root = sides.fresh[-1].root.copy()
    known = sides.learnt.root[EMAIL].to_numpy()[donors]
    root.loc[at, EMAIL] = [_CHANGES[rng.integers(len(_CHANGES))](text) for text in known]
    return _with_root(sides, root)


def in_text(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """`amount` notes that hold, amid fresh words, a learnt e-mail address or eight words of a learnt note, in turn."""
    at, donors = _pairs(sides, amount, rng)
    root, learnt = sides.fresh[-1].root.copy(), sides.learnt.root
    for i, (twin, donor) in enumerate(zip(at, donors, strict=True)):
        words = str(root.at[twin, NOTE]).split()
        start = int(rng.integers(0, 9))
        span = str(learnt.at[donor, NOTE]).split()[start : start + 8]
        words[4:12] = [str(learnt.at[donor, EMAIL])] if i % 2 == 0 else span
        root.at[twin, NOTE] = " ".join(words)
    return _with_root(sides, root)


def keys(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """`amount` twins with the key of a learnt unit; what refers to them refers by that key."""
    at, donors = _pairs(sides, amount, rng)
    root = sides.fresh[-1].root.copy()
    root.loc[at, KEY] = sides.learnt.root[KEY].to_numpy()[donors]
    return _with_root(sides, root)


def key_order(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """New keys for all, but a share `amount` of twins are in the order of the learnt unit they are most like.

    So do surrogates that are counted up along the source's order, and rows that are written in it.
    """
    told = clean(sides)
    if not amount:
        return told
    twin, learnt = told.twin, told.learnt
    points, others = encoded(world, twin, learnt)
    follows = learnt.root[KEY].rank().to_numpy()[nearest(points, others, 1)[0][:, 0]]
    place = np.where(rng.random(len(twin)) < amount, follows, rng.permutation(len(twin)) + 1.0)
    ordered = twin.take(np.argsort(place, kind="stable"))
    root = ordered.root.assign(**{KEY: np.sort(twin.root[KEY].to_numpy())})
    return replace(told, snapshots=(*told.snapshots[:-1], replace(ordered, root=root)))


def sequence(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """`amount` twins with all ordered rows of a learnt unit; the root row is fresh."""
    at, donors = _pairs(sides, amount, rng)
    return _families(sides, at, sides.learnt.take(donors).child)


def part_of_sequence(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:  # noqa: ARG001
    """`amount` twins with 4 ordered rows in a row of a learnt unit, at another time, among their own."""
    at, donors = _pairs(sides, amount, rng)
    if not len(at):
        return clean(sides)
    own, rows = sides.fresh[-1].take(at).child, sides.learnt.take(donors).child
    assert own is not None
    assert rows is not None
    spare = rows.groupby(AT)[AT].transform("size").to_numpy() - PART
    start = (rng.random(len(at))[rows[AT].to_numpy()] * (spare + 1)).astype(np.intp)
    place = rows.groupby(AT).cumcount().to_numpy()
    run = rows[(place >= start) & (place < start + PART)].copy()
    first = run.groupby(AT)["days"].transform("first")
    run["days"] = run["days"] - first + run[AT].map(own.groupby(AT)["days"].first()).astype("Int64")
    tail = own[own.groupby(AT).cumcount() >= PART].copy()  # moved behind the run where they would fall into it
    late = tail[AT].map(run.groupby(AT)["days"].last()) - tail.groupby(AT)["days"].transform("first")
    tail["days"] = tail["days"] + late.clip(lower=0).astype("Int64")
    return _families(sides, at, pd.concat([run, tail]).sort_values(AT, kind="stable"))


def pairing(world: World, sides: Sides, amount: float, how: float, rng: np.random.Generator) -> Planted:
    """`amount` twins with the labels and coarse quantities of a learnt unit and its ordered rows, blurred by `how`.

    Neither half says whose it is; together they do.
    """
    at, donors = _pairs(sides, amount, rng)
    told = clean(sides)
    if not len(at):
        return told
    own = told.twin.take(at)
    donor = sides.learnt.take(donors)
    near = blurred(world, donor, sides.learnt, how, 0.0, rng)
    root = donor.root.assign(**{c: own.root[c] for c in (*world.precise, "futime")})
    twin = copied(told.twin, at, Side(root, near.child))
    return replace(told, snapshots=(*told.snapshots[:-1], twin))


def _families(sides: Sides, at: At, family: pd.DataFrame | None) -> Planted:
    """Twins at `at` with these ordered rows under fresh keys."""
    told = clean(sides)
    if not len(at) or family is None:
        return told
    fresh = family.assign(row_id=2**61 + np.arange(len(family)))
    return replace(told, snapshots=(*told.snapshots[:-1], told.twin.with_children(at, fresh)))
