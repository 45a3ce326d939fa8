"""Which real units stand out, and which are like each other; Gower's distance (1971) on the roots."""

import numpy as np
import numpy.typing as npt

from bench.leakbench.sides import At, Side, cells
from bench.leakbench.worlds import World

Floats = npt.NDArray[np.float64]


def encoded(world: World, *sides: Side) -> list[Floats]:
    """Each side as points whose L1 distance is Gower's: quantities as ranks, labels as half a step each way."""
    parts: list[list[Floats]] = [[] for _ in sides]
    for column in world.quantities():
        values = [cells(s.root[column]) for s in sides]
        scale = np.sort(np.concatenate([v[~np.isnan(v)] for v in values]))
        for part, v in zip(parts, values, strict=True):
            rank = (np.searchsorted(scale, v, "left") + np.searchsorted(scale, v, "right")) / 2 / max(1, len(scale))
            part.append(np.where(np.isnan(v), 2.0, rank)[:, None])
    for column in world.labels:
        labels = np.unique(np.concatenate([s.root[column].astype(str) for s in sides]))
        for part, side in zip(parts, sides, strict=True):
            part.append((side.root[column].astype(str).to_numpy()[:, None] == labels) / 2)
    return [np.hstack(part).astype(np.float64) for part in parts]


def nearest(points: Floats, to: Floats, count: int, *, same: bool = False) -> tuple[At, Floats]:
    """The `count` nearest of `to` for each point, and how far they are; shape (points, count) each."""
    from scipy.spatial.distance import cdist

    apart = cdist(points, to, "cityblock")
    if same:
        np.fill_diagonal(apart, np.inf)
    at = np.argpartition(apart, count - 1, axis=1)[:, :count]
    far = np.take_along_axis(apart, at, axis=1)
    order = np.argsort(far, axis=1, kind="stable")
    return np.take_along_axis(at, order, axis=1), np.take_along_axis(far, order, axis=1)


def outliers(world: World, learnt: Side, held: Side | None, count: int) -> At:
    """The learnt units with the largest mean distance to their 5 nearest real ones (Meeus et al. 2023).

    Among learnt units alone where nothing is held back.
    """
    points = encoded(world, learnt, *([held] if held else []))
    lonely = nearest(points[0], np.vstack(points), 6)[1][:, 1:].mean(axis=1)  # the first is the unit itself
    return np.argsort(-lonely, kind="stable")[:count]
