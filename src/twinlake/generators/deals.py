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
        classes, spread = (np.append(lead[0], len(links) - 1), np.diff(lead[1], prepend=0, append=rows))
        order = np.argsort(second[0], kind="stable").astype(np.int64)
        degrees = np.diff(second[1], prepend=0)
        linked = np.bincount(second[0], weights=degrees, minlength=links.shape[1] - 1).astype(np.int64)
        found = quotas(
            links, np.bincount(classes, weights=spread, minlength=len(links)).astype(np.int64),
            np.append(linked, rows - linked.sum()),
        )  # fmt: skip
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


def _skipped(classes: Places, sizes: Counts) -> Counts:
    """Rows before each parent's that are of other classes, shape (parents,)."""
    order = np.argsort(classes, kind="stable")
    before = np.cumsum(sizes[order]) - sizes[order]  # rows of earlier classes, and of this one so far
    counts = np.bincount(classes, weights=sizes).astype(np.int64)
    rank = np.empty(len(classes), dtype=np.int64)
    rank[order] = before - (np.cumsum(counts) - counts)[classes[order]]
    return np.asarray(np.cumsum(sizes) - sizes - rank)
