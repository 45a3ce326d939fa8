"""References of a table to itself: trees. A row points to rows before it in a hidden order, hence never to itself."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.degrees import exactly
from twinlake.generators.links import Link
from twinlake.hashing import Hashes, hash_rows, mix, uniform
from twinlake.random import derive, stream

Places = npt.NDArray[np.int64]


def grow(link: Link, rows: int, *, optional: bool, seed: int) -> Places:
    """For each row the row it points to, -1 for nowhere; shape (rows,).

    Rows that parents need come first in the hidden order, those with most children at the top. Where null is not
    allowed the root points to itself; so do other rows at the top, where enough real ones did.
    """
    rng = stream(seed, "tree", str(link.reference))
    hidden = rng.permutation(rows)
    loops = min(round(link.loops * rows), rows)
    roots = max(rows - round((1.0 - link.nulls) * rows), 0) if optional else 0
    free, tops = max(rows - max(roots + loops, 1), 0), max(loops, 1)
    pointing = np.zeros(rows, dtype=np.bool_)
    pointing[tops + rng.permutation(max(rows - tops, 0))[:free]] = True
    counts = exactly(link.degrees.draw(rows, rng), free, caps=np.full(rows, rows, np.int64), rng=rng)
    counts = -np.sort(-counts)
    links = np.repeat(np.arange(rows), counts)  # parents by hidden place, one entry for each child
    parents = int((counts > 0).sum())
    chosen = np.full(rows, -1, dtype=np.int64)
    inner = np.flatnonzero(pointing[:parents])
    chosen[inner] = links[: len(inner)]  # the t-th of these stands behind the parent of the t-th link
    leaves = parents + np.flatnonzero(pointing[parents:])
    chosen[leaves] = rng.permutation(links[len(inner) :])
    target = np.full(rows, -1, dtype=np.int64)
    target[hidden] = np.where(chosen >= 0, hidden[chosen], -1)
    return _looped(target, hidden, loops, optional=optional)


def grow_within(groups: pa.Table, link: Link, *, optional: bool, seed: int) -> Places:
    """Like `grow`, for rows that must agree with their target on some columns: a row points back within its group."""
    rows = groups.num_rows
    names = hash_rows(groups)
    order = np.argsort(names, kind="stable")
    _, starts, sizes = np.unique(names[order], return_index=True, return_counts=True)
    before = np.arange(rows) - np.repeat(starts, sizes)
    chance = mix(np.arange(rows, dtype=np.uint64) ^ np.uint64(derive(seed, str(link.reference)) & 0xFFFFFFFFFFFFFFFF))
    back = (chance % np.maximum(before, 1).astype(np.uint64)).astype(np.int64)
    blank = (before == 0) | (_coin(chance) < link.nulls if optional else np.zeros(rows, np.bool_))
    target = np.full(rows, -1, dtype=np.int64)
    target[order] = np.where(blank, -1, order[np.repeat(starts, sizes) + back])
    return target if optional else np.where(target < 0, np.arange(rows), target)


def _coin(chance: Hashes) -> npt.NDArray[np.float64]:
    return uniform(mix(chance))


def _looped(target: Places, hidden: Places, loops: int, *, optional: bool) -> Places:
    nowhere = hidden[target[hidden] < 0]
    selves = nowhere[:loops] if optional else nowhere
    target = target.copy()
    target[selves] = selves
    return target
