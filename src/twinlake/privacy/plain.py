"""The loops over pairs of rows in numpy: what they compute, and how where there is no numba.

Two measures of likeness. *Apart* is Gower's distance (1971) without weights times the number of columns: ranks add
their difference, labels 1 where they differ, null differs from everything else by 1. *Chance* is how likely a row
drawn at random would be as much like a given row as another one is: the product over columns of the share of the pool
that lies as close, or 1 where a label differs, and of a lift where a column and its parent in the tree both agree.
Unlike a distance it is small for a row that has a few rare cells in common and differs in all others.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from twinlake.columns import Codes, Floats
from twinlake.privacy.pool import Cells, Known, Ranks

SAME = 0.025  # quantities whose ranks are closer than this agree, for the tree and for a whole row
LEAST = 1e-290
TIED = np.float32(1e-5)  # sums in another order differ by less
PLACES = 9  # of sums of shares, for the same reason
BLOCK = 4_000_000  # pairs at a time

Pair = tuple[Ranks, Floats, npt.NDArray[np.intp]]


def towards(known: Known, twins: Cells, radii: Ranks) -> tuple[Ranks, Floats, Floats, npt.NDArray[np.int32]]:
    """Each row of the pool against all twins.

    Returns distance to the nearest, smallest chance, smallest chance among twins that agree in every column (1 for
    none), and how many twins lie within each radius, shape (rows, radii).
    """
    found = []
    for at in _blocks(len(known.cells), len(twins)):
        apart, chance, differ = _pairs(known, at, twins)
        within = [(apart <= radii[at, level, None]).sum(axis=1) for level in range(radii.shape[1])]
        exact = np.where(differ == 0, chance, 1.0).min(axis=1)
        found.append((apart.min(axis=1), chance.min(axis=1), exact, np.column_stack(within).astype(np.int32)))
    a, b, c, d = (np.concatenate(part) for part in zip(*found, strict=True))
    return a, b, c, d


def among(known: Known, unit: Codes, reference: Codes, ks: Codes) -> tuple[Ranks, Floats]:
    """Each row of the pool against some rows of other units: distance to the k-th nearest, and smallest chance."""
    found = []
    others = known.cells.at(reference)
    for at in _blocks(len(known.cells), len(others)):
        apart, chance, _ = _pairs(known, at, others)
        own = unit[at, None] == unit[None, reference]
        apart = np.where(own, np.float32(np.inf), apart)
        padded = np.pad(apart, ((0, 0), (0, int(ks[-1]))), constant_values=np.float32(np.inf))
        nearest = np.sort(np.partition(padded, int(ks[-1]) - 1, axis=1)[:, : int(ks[-1])], axis=1)
        found.append((nearest[:, ks - 1], np.where(own, 1.0, chance).min(axis=1)))
    a, b = (np.concatenate(part) for part in zip(*found, strict=True))
    return a, b


def owners(known: Known, unit: Codes, twins: Cells) -> tuple[Codes, Floats]:
    """For each twin, the pool's nearest row, and how near it and the nearest of another unit are, by three measures.

    *Apart* and the same with square roots of the differences of ranks, for which one column that is far off counts for
    less than several that are a little off; in both a label counts as its weight; and *chance*. Where no other unit is
    there, the second distance is infinite and the second chance 2.

    Returns:
        Places, shape (3, twins), and values, shape (3, twins, 2).
    """
    places, values = [], []
    everything = np.arange(len(known.cells))
    for at in _blocks(len(twins), len(known.cells)):
        part = Cells(twins.ranks[at], twins.codes[at])
        chance = _pairs(known, everything, part)[1]
        found = [_best_two(m.T, unit, math.inf) for m in _weighted(known, part)]
        found.append(_best_two(chance.T, unit, 2.0))
        places.append(np.stack([f[0] for f in found]))
        values.append(np.stack([np.stack(f[1:], axis=1) for f in found]))
    return np.concatenate(places, axis=1), np.concatenate(values, axis=1).astype(np.float64)


def crowds(known: Known, twins: Cells) -> Floats:
    """How many twins each row of the pool is the nearest to, by *apart*; rows that are as near share a twin."""
    found = np.zeros(len(known.cells))
    everything = np.arange(len(known.cells))
    for at in _blocks(len(twins), len(known.cells)):
        apart = _pairs(known, everything, Cells(twins.ranks[at], twins.codes[at]))[0]
        nearest = apart <= apart.min(axis=0) + TIED
        found += (nearest / nearest.sum(axis=0)).sum(axis=1)
    return np.round(found, PLACES)


def coincide(known: Known, unit: Codes, twins: Cells, twin_unit: Codes, most: int) -> Floats:
    """How unlikely the best coincidence of each row with a row of another unit is, shape (rows, most + 1), in nats.

    Column d is over rows that differ in d columns; -inf where there is none. The chance is that all other cells agree
    by the tree, labels in value and quantities as closely as they do: with shares a of the pool as close in each of q
    quantities, their product is as small as it is with the chance that a sum of q exponential times reaches -log of it
    (Erlang).
    """
    found = []
    for at in _blocks(len(known.cells), len(twins)):
        agree, surprise, near = _agreements(known, at, twins)
        differ = (~agree).sum(axis=0)
        close = agree[known.cells.codes.shape[1] :].sum(axis=0)
        nats = np.where(unit[at, None] == twin_unit[None, :], -np.inf, surprise + near - _erlang(near, close))
        found.append(np.column_stack([np.where(differ == d, nats, -np.inf).max(axis=1) for d in range(most + 1)]))
    return np.concatenate(found)


def without_each(cells: Cells, twins: Cells) -> Codes:
    """For each row and column, the twin nearest by all other columns; shape (rows, labels and then quantities)."""
    found = []
    for at in _blocks(len(cells), len(twins)):
        own = _steps(cells, at, twins)
        total = np.zeros((len(at), len(twins)), np.float32)
        for column in own:
            total += column
        found.append(np.column_stack([(total - column).argmin(axis=1) for column in own]))
    return np.concatenate(found)


def linked(cells: Cells, twins: Cells, halves: npt.NDArray[np.int8]) -> Floats:
    """How likely one of the twins nearest to a row in either half of the columns is the same; shape (rows, splits).

    `halves` says which half each column is of, labels first, shape (splits, columns). Of several that are as near, one
    is drawn for each half.
    """
    found = []
    for at in _blocks(len(cells), len(twins)):
        own = _steps(cells, at, twins)
        found.append(np.column_stack([_met(*(_nearest(own, split == half) for half in (0, 1))) for split in halves]))
    return np.concatenate(found)


def _nearest(own: list[Ranks], columns: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which twins are nearest to each row by these columns, ties too; shape (rows, twins)."""
    apart = np.sum([own[c] for c in np.flatnonzero(columns)], axis=0, dtype=np.float32)
    return np.asarray(apart <= apart.min(axis=1, keepdims=True) + TIED)


def _met(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Floats:
    """The chance that one drawn of each row's `first` and one of its `second` are the same, shape (rows,)."""
    return np.asarray((first & second).sum(axis=1) / (first.sum(axis=1) * second.sum(axis=1)))


def _steps(cells: Cells, at: Codes, twins: Cells) -> list[Ranks]:
    """By column, labels first, how far these rows are from all twins; shape (rows, twins) each."""
    labels = [(cells.codes[at, None, c] != twins.codes[None, :, c]).astype(np.float32)
              for c in range(cells.codes.shape[1])]  # fmt: skip
    return labels + [np.minimum(np.float32(1), np.abs(cells.ranks[at, None, c] - twins.ranks[None, :, c]))
                     for c in range(cells.ranks.shape[1])]  # fmt: skip


def _blocks(rows: int, others: int) -> Iterator[Codes]:
    size = max(1, BLOCK // max(1, others))
    for start in range(0, rows, size):
        yield np.arange(start, min(rows, start + size))


def _pairs(known: Known, at: Codes, twins: Cells) -> Pair:
    """Distance, chance and how many columns differ, of these rows of the pool and all twins; shape (rows, twins)."""
    shape = len(at), len(twins)
    apart, chance, differ = np.zeros(shape, np.float32), np.ones(shape), np.zeros(shape, np.intp)
    same = []
    for c in range(known.cells.codes.shape[1]):
        same.append(known.cells.codes[at, None, c] == twins.codes[None, :, c])
        apart += (~same[-1]).astype(np.float32)
        chance *= np.where(same[-1], known.shares[at, None, c], np.float32(1))
    for c in range(known.cells.ranks.shape[1]):
        step = np.abs(known.cells.ranks[at, None, c] - twins.ranks[None, :, c])
        same.append(step < SAME)
        apart += np.minimum(np.float32(1), step)
        chance *= np.minimum(np.float32(1), known.ties[at, None, c] + np.float32(2) * step)
    for column in same:
        differ += ~column
    for column, parent in enumerate(known.parents):
        if parent >= 0:
            chance *= np.where(same[column] & same[parent], known.lifts[at, None, column], np.float32(1))
    return apart, np.clip(chance, LEAST, 1.0), differ


def _weighted(known: Known, twins: Cells) -> tuple[Ranks, Ranks]:
    """Distance of every row of the pool and every twin, by weighted labels; with plain ranks, and with their roots."""
    labels = np.zeros((len(known.cells), len(twins)), np.float32)
    for c, weight in enumerate(known.weights):
        labels += weight * (known.cells.codes[:, None, c] != twins.codes[None, :, c])
    apart, rooted = labels.copy(), labels
    for c in range(known.cells.ranks.shape[1]):
        step = np.minimum(np.float32(1), np.abs(known.cells.ranks[:, None, c] - twins.ranks[None, :, c]))
        apart += step
        rooted += np.sqrt(step)
    return apart, rooted


def _agreements(known: Known, at: Codes, twins: Cells) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Which columns agree, shape (columns, rows, twins), with the surprise of labels and lifts, and of quantities."""
    agree = []
    surprise, near = np.zeros((len(at), len(twins))), np.zeros((len(at), len(twins)))
    for c in range(known.cells.codes.shape[1]):
        agree.append(known.cells.codes[at, None, c] == twins.codes[None, :, c])
        surprise -= np.where(agree[-1], np.log(known.shares[at, None, c]), 0.0)
    for c in range(known.cells.ranks.shape[1]):
        step = np.abs(known.cells.ranks[at, None, c] - twins.ranks[None, :, c])
        agree.append(step < SAME)
        share = np.minimum(np.float32(1), known.ties[at, None, c] + np.float32(2) * step)
        near -= np.where(agree[-1], np.log(share), 0.0)
    for column, parent in enumerate(known.parents):
        if parent >= 0:
            surprise -= np.where(agree[column] & agree[parent], np.log(known.lifts[at, None, column]), 0.0)
    return np.array(agree), surprise, near


def _erlang(near: Floats, close: npt.NDArray[np.intp]) -> Floats:
    """Log of the sum of near**k / k! over k below `close`."""
    term, total = np.ones_like(near), np.ones_like(near)
    for k in range(1, int(close.max(initial=0))):
        term = np.where(k < close, term * near / k, 0.0)
        total += term
    return np.log(total)


def _best_two(values: npt.NDArray[Any], unit: Codes, none: float) -> tuple[Codes, npt.NDArray[Any], npt.NDArray[Any]]:
    """Per row where the smallest is, the smallest, and the smallest of another unit than that one's."""
    at = values.argmin(axis=1)
    best = values[np.arange(len(values)), at]
    others = np.where(unit[None, :] == unit[at, None], values.dtype.type(none), values).min(axis=1)
    return at, best, others
