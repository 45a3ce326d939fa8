"""The order of a label's states in which those that go with similar rows are neighbours, so that trees can cut it.

Each state has a profile: how often it goes with each level of the other columns. Profiles are shrunk towards the
overall shares as far as chance explains them, reduced to a few dimensions by correspondence analysis (Benzécri 1973)
and halved again and again along the direction in which they differ most (Boley 1998).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twinlake.generators.states.alphabet import Codes
from twinlake.generators.states.census import Floats, Ints

_ROWS = 500_000  # that are looked at
_TRIED = 50_000  # rows from which the most telling columns are chosen
_COLUMNS = 16
_LEVELS = 12
_FEW = 24  # states, up to which a column is not coarsened
_DIMENSIONS = 6
_HALVINGS = 24
_SMALL = 4  # states that are not halved further


def likeness(codes: Codes, column: int, sizes: Sequence[int], others: Sequence[int], rng: np.random.Generator) -> Codes:
    """The rank of each code of a column, shape (sizes[column],): similar codes are neighbours.

    Args:
        codes: shape (rows, columns).
        column: whose codes are ordered.
        sizes: how many codes each column has.
        others: the columns that profiles are made of.
        rng: chooses rows where there are too many to look at all.
    """
    size = sizes[column]
    some = _some(len(codes), _ROWS, rng)
    of = codes[some, column].astype(np.int64)
    tried = _some(len(of), _TRIED, rng)
    told = {j: _Profiles.of(of[tried], _levels(codes[some[tried], j]), size).signal for j in others if sizes[j] > 1}
    best = sorted((j for j in told if told[j] > 0), key=lambda j: (-told[j], j))[:_COLUMNS]
    weights = np.bincount(of, minlength=size) / max(len(of), 1)
    if not best:
        return np.arange(size, dtype=np.int32)
    features = [_Profiles.of(of, _levels(codes[some, j]), size).features.astype(np.float32) for j in best]
    return _halved(_reduced(np.concatenate(features, axis=1), weights), weights)


class _Profiles:
    """How often each state goes with each level of another column.

    Attributes:
        signal: the mean squared contingency that chance does not explain, Pearson's phi squared less its expectation.
        features: how far each state's shares are from the overall ones, shrunk, shape (states, levels).
    """

    def __init__(self, signal: float, features: Floats) -> None:
        self.signal, self.features = signal, features

    @classmethod
    def of(cls, states: Ints, levels: Ints, size: int) -> "_Profiles":
        width = int(levels.max(initial=0)) + 1
        counts = np.bincount(states * width + levels, minlength=size * width).reshape(size, width)
        rows = counts.sum(axis=1)
        overall = counts.sum(axis=0) / max(len(states), 1)
        seen = np.maximum(rows, 1)[:, None]
        features = (counts / seen - overall * (rows > 0)[:, None]) / np.sqrt(np.maximum(overall, 1e-12))
        contingency = float(rows @ (features**2).sum(axis=1)) / max(len(states), 1)
        chance = (np.count_nonzero(rows) - 1) * (width - 1) / max(len(states), 1)
        signal = max(contingency - chance, 0.0)
        features *= (rows * signal / (rows * signal + width - 1 + 1e-12))[:, None]
        return cls(signal, features)


def _some(rows: int, most: int, rng: np.random.Generator) -> Ints:
    if rows <= most:
        return np.arange(rows)
    return np.sort(rng.choice(rows, most, replace=False))


def _levels(codes: Codes) -> Ints:
    """Few states as they are, many merged to levels of about equal frequency, shape (rows,)."""
    counts = np.bincount(codes)
    if np.count_nonzero(counts) <= _FEW:
        return np.asarray((np.cumsum(counts > 0) - 1)[codes], dtype=np.int64)
    level = ((np.cumsum(counts) - counts / 2) / len(codes) * _LEVELS).astype(np.int64)
    return np.asarray(level[codes], dtype=np.int64)


def _reduced(features: npt.NDArray[np.float32], weights: Floats) -> Floats:
    """Features along their principal directions, shape (states, dimensions)."""
    scaled = features * np.sqrt(weights).astype(np.float32)[:, None]
    directions = np.linalg.eigh(scaled.T @ scaled)[1][:, ::-1][:, :_DIMENSIONS]
    strongest = np.abs(directions).argmax(axis=0)
    found = features @ (directions * np.sign(directions[strongest, np.arange(directions.shape[1])]))
    return np.asarray(np.round(found.astype(np.float64), 6))


def _halved(points: Floats, weights: Floats) -> Codes:
    """The rank of each point: groups are halved at their mean, all of one generation at once, shape (points,)."""
    ranks, places = np.empty(len(points), np.int32), np.arange(len(points))
    order, group, along = np.arange(len(points)), np.zeros(len(points), np.int64), np.eye(points.shape[1])[:1]
    for _ in range(_HALVINGS):
        here, mass = points[order], weights[order] + 1e-12
        starts = np.flatnonzero(np.r_[True, np.diff(group) > 0])
        here -= (np.add.reduceat(here * mass[:, None], starts) / np.add.reduceat(mass, starts)[:, None])[group]
        along = _directions(here, mass, starts, along)
        side = np.round((here * along[group]).sum(axis=1), 9)
        sorts = np.lexsort((order, side, group))
        order, side = order[sorts], side[sorts]
        ranks[order] = places
        parents, group = group, 2 * group + (side > 0)
        sizes = np.bincount(group)
        goes_on = (sizes[group] > _SMALL) & (sizes[group] < np.bincount(parents)[parents])
        order, places, group = order[goes_on], places[goes_on], group[goes_on]
        if not len(order):
            break
        families, group = np.unique(group, return_inverse=True)
        along = along[families // 2]
    return ranks


def _directions(centred: Floats, mass: Floats, starts: Ints, before: Floats) -> Floats:
    """The first principal direction of each group, pointing as its parent's did, shape (groups, dimensions)."""
    dimensions = centred.shape[1]
    rows, columns = np.triu_indices(dimensions)
    spread = np.zeros((len(starts), dimensions, dimensions))
    spread[:, columns, rows] = np.add.reduceat(centred[:, rows] * centred[:, columns] * mass[:, None], starts)
    found = np.linalg.eigh(spread)[1][:, :, -1]
    towards = (found * before).sum(axis=1)
    strongest = np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1)[:, 0]
    sign = np.where(np.abs(towards) > 1e-6, towards, strongest)
    return np.asarray(found * np.where(sign < 0, -1.0, 1.0)[:, None])
