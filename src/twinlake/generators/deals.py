"""How the links of a second reference are dealt to rows, by classes of their leading and their second parents.

Each class of rows gets so many links of each class of second parents; which row gets which is a shuffle. A row's link
depends on the seed and on its number alone, and every parent has exactly its number of links.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from twinlake.generators.permutations import permute
from twinlake.generators.quotas import quotas
from twinlake.hashing import Hashes, mix
from twinlake.random import derive

_SWAPPED = 2_000  # parents of a class that may swap their number of links, and swaps

Places = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairing:
    """Classes of parents and how many links there are between them.

    Attributes:
        lead: the class of each row of the leading parent's table.
        second: the class of each row of the second parent's table.
        links: shape (lead classes + 1, second classes + 1): the last row are rows without a leading parent, the last
            column those that point nowhere.
    """

    lead: Places
    second: Places
    links: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Deal:
    """Links of one reference, by class.

    Attributes:
        lead: the class of each leading parent, then that of rows without one; shape (leading parents + 1,).
        skipped: what to take from the number of a row to have its rank in its class, shape (leading parents + 1,).
        quotas: links between classes, the last column those that point nowhere.
        order: second parents by class.
        ends: how many links those up to each one have, in that order.
        second: the class of each second parent.
        key: of its shuffles.
    """

    lead: Places
    skipped: Counts
    quotas: Counts
    order: Places
    ends: Counts
    second: Places
    key: int

    @classmethod
    def plan(
        cls, links: npt.NDArray[np.float64], lead: tuple[Places, Counts], second: tuple[Places, Counts], *, rows: int,
        key: int,
    ) -> Self:  # fmt: skip
        """Decide how many links there are between classes.

        Args:
            links: as a `Pairing` has it.
            lead: class of each leading parent and how many rows those up to each one have.
            second: the same of second parents.
            rows: of the table.
            key: of its shuffles.
        """
        classes, spread = np.append(lead[0], len(links) - 1), np.diff(lead[1], prepend=0, append=rows)
        degrees = np.diff(second[1], prepend=0)
        order = np.argsort(second[0], kind="stable").astype(np.int64)
        linked = _held(second[0], degrees, links.shape[1] - 1)
        found = quotas(links, _held(classes, spread, len(links)), np.append(linked, rows - linked.sum()))
        return cls(classes, _skipped(classes, spread), found, order, np.cumsum(degrees[order]), second[0], key)

    def pick(self, numbers: Hashes, lead: Places) -> tuple[Places, npt.NDArray[np.bool_]]:
        """The second parent of each row, and whether it points nowhere; `lead` is its leading parent, -1 for none."""
        group = self.lead[lead]
        rank = (numbers.astype(np.int64) - self.skipped[lead]).astype(np.uint64)
        held, turns = self.quotas.sum(axis=1), self._keys("rows", len(self.quotas))
        turn = permute(rank, held[group].astype(np.uint64), turns[group]).astype(np.int64)
        ends = np.cumsum(self.quotas)
        place = turn + (np.cumsum(held) - held)[group]
        cell = np.searchsorted(ends, place, side="right")
        at = cell % self.quotas.shape[1]
        before = np.cumsum(self.quotas, axis=0) - self.quotas
        link = before.ravel()[cell] + place - (ends - self.quotas.ravel())[cell]
        return self._parents(at, link), at == self.quotas.shape[1] - 1

    def any_link(self, chance: Hashes, at: Places) -> Places:
        """Another second parent of the class of `at`, by chance and by links."""
        group = self.second[at]
        sizes = np.maximum(self.quotas.sum(axis=0), 1)[group].astype(np.uint64)
        return self._parent_of((chance % sizes).astype(np.int64), group)

    def liking(self, lead: Places) -> npt.NDArray[np.float64]:
        """How much of the links of each second parent's class go to the class of a leading parent.

        Shape (leading parents, second parents).
        """
        share = self.quotas / np.maximum(self.quotas.sum(axis=0), 1)
        return np.asarray(share[self.lead[lead]][:, self.second])

    def _parents(self, group: Places, link: Counts) -> Places:
        held, turns = self.quotas.sum(axis=0), self._keys("links", self.quotas.shape[1])
        turn = permute(link.astype(np.uint64), held[group].astype(np.uint64), turns[group]).astype(np.int64)
        return self._parent_of(turn, group)

    def _parent_of(self, link: Counts, group: Places) -> Places:
        held = self.quotas.sum(axis=0)
        first = (np.cumsum(held) - held)[group]
        at = np.minimum(np.searchsorted(self.ends, first + link, side="right"), len(self.order) - 1)
        return np.asarray(self.order[at])

    def _keys(self, name: str, size: int) -> Hashes:
        base = np.uint64(derive(self.key, name) & 0xFFFFFFFFFFFFFFFF)
        return mix(np.arange(size, dtype=np.uint64) ^ base)


def settled(
    links: npt.NDArray[np.float64], lead: tuple[Places, Counts], second: tuple[Places, Counts], *, rows: int
) -> Counts:
    """How many links second parents up to each one have, once those of classes that are picked too little have more.

    Parents swap their numbers of links, so that these stay as they are. Arguments are those of `Deal.plan`.
    """
    spread = _held(np.append(lead[0], len(links) - 1), np.diff(lead[1], prepend=0, append=rows), len(links))
    shares = np.where(links.sum(axis=1, keepdims=True) > 0, links, links.sum(axis=0))
    there = np.append(np.bincount(second[0], minlength=links.shape[1] - 1) > 0, True)
    shares = shares * there + 1e-12
    picked = (shares / shares.sum(axis=1, keepdims=True) * spread[:, None]).sum(axis=0)[:-1]
    if not picked.sum():
        return second[1]
    degrees = np.diff(second[1], prepend=0)
    return np.cumsum(_swapped(degrees, second[0], picked / picked.sum() * degrees.sum()))


def _swapped(degrees: Counts, classes: Places, wanted: npt.NDArray[np.float64]) -> Counts:
    """The same degrees, some of them swapped between parents, so that each class has about as many links as wanted."""
    degrees = degrees.copy()
    members = [np.flatnonzero(classes == c)[:_SWAPPED] for c in range(len(wanted))]
    over = np.bincount(classes, weights=degrees, minlength=len(wanted)) - wanted
    for _ in range(min(len(degrees), _SWAPPED)):
        most, least = int(np.argmax(over)), int(np.argmin(over))
        gap = min(over[most], -over[least])
        giver, taker = _fitting(degrees, members[most], members[least], gap)
        moved = int(degrees[giver] - degrees[taker]) if giver >= 0 else 0
        if gap < 1:
            break
        if not 0 < moved < 2 * gap:
            over[[most, least]] = 0  # these can do no better
            continue
        degrees[[giver, taker]] = degrees[[taker, giver]]
        over[[most, least]] += (-moved, moved)
    return degrees


def _fitting(degrees: Counts, givers: Places, takers: Places, gap: float) -> tuple[int, int]:
    """A parent of each side whose degrees differ by about so much; -1 where a side has none."""
    if not len(givers) or not len(takers):
        return -1, -1
    takers = takers[np.argsort(degrees[takers], kind="stable")]
    at = np.minimum(np.searchsorted(degrees[takers], degrees[givers] - gap), len(takers) - 1)
    best = int(np.argmin(np.abs(degrees[givers] - degrees[takers[at]] - gap)))
    return int(givers[best]), int(takers[at[best]])


def _skipped(classes: Places, sizes: Counts) -> Counts:
    """Rows before each parent's that are of other classes, shape (parents,)."""
    order = np.argsort(classes, kind="stable")
    before = np.cumsum(sizes[order]) - sizes[order]  # rows of earlier classes, and of this one so far
    counts = _held(classes, sizes, int(classes.max()) + 1)
    rank = np.empty(len(classes), dtype=np.int64)
    rank[order] = before - (np.cumsum(counts) - counts)[classes[order]]
    return np.asarray(np.cumsum(sizes) - sizes - rank)


def _held(classes: Places, sizes: Counts, size: int) -> Counts:
    return np.bincount(classes, weights=sizes, minlength=size).astype(np.int64)
