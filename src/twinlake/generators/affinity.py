"""Which parents a row's second reference picks, by its leading parent: links between classes of the two.

A stochastic block model with exact degrees (Karrer and Newman 2011): classes of second parents are leaves of a tree
over what is known of them, those of leading parents are latent and say which second classes their children pick, so
that siblings hang together. How many classes there are, and whether any, is what explains leading parents best that
were not learnt from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.classes import Arrays, Classes, Coded, Tree
from twinlake.generators.mixture import Histograms, Mixture
from twinlake.hashing import Hashes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROWS = 100_000
"""Rows that are learnt from at most: whole leading parents."""

_TRIED = 25_000  # rows with which numbers of classes are tried
_LEARNT = 2 / 3  # of leading parents, when numbers are tried; the others judge
_MOST = 64  # classes of second parents
_CELL = 20  # rows for each class of second parents, in units of k
_LEAVES = (1, 8, 64)
_GROUPS = (2, 4, 8, 16, 24, 32)
_FEWEST = 200  # rows from which on anything is learnt
_NEAR = 1e-3  # of the links of neighbours in a tree, at the first step
_ELSE = 0.02  # share of links that may go anywhere, when numbers are tried
_GAIN = 0.002  # log-likelihood for each row, of rows not learnt from, that classes must add


@dataclass(frozen=True)
class Side:
    """Parents of one reference.

    Attributes:
        told: what is known of each, shape (parents,); may have no columns.
        units: of each parent; None where they are nobody's.
        at: the parent of each row, shape (rows,); -1 where it has none.
        size: how many parents.
    """

    told: pa.Table
    units: Hashes | None
    at: Ints
    size: int

    def rows(self, kept: npt.NDArray[np.bool_] | Ints) -> "Side":
        """The parents of some rows; others are left out."""
        found, at = np.unique(self.at[kept], return_inverse=True)
        none = int(len(found) > 0 and found[0] < 0)
        found = found[none:]
        units = None if self.units is None else self.units[found]
        told = self.told.take(pa.array(found)) if self.told.num_columns else self.told
        return Side(told, units, at.astype(np.int64) - none, len(found))


@dataclass(frozen=True)
class Affinity:
    """Classes of leading and of second parents, and how many links there are between them.

    Attributes:
        lead: classes of leading parents.
        second: classes of second parents.
        links: shape (lead classes + 1, second classes + 1): the last row are rows without a leading parent, the last
            column those that point nowhere.
    """

    lead: Classes
    second: Classes
    links: Floats

    @classmethod
    def learn(cls, lead: Side, second: Side, units: Hashes | None, *, k: int, rng: np.random.Generator) -> Self | None:
        """The affinity of two references of one table; None where the first tells nothing of the second.

        Args:
            lead: leading parents.
            second: parents of the other reference.
            units: of the rows, shape (rows,); None where they are nobody's.
            k: units that must stand behind what is kept.
            rng: chooses rows and first guesses.
        """
        order = rng.permutation(lead.size)
        kept, tried = (_sampled(lead, order, most) for most in (ROWS, _TRIED))
        if len(tried) < _FEWEST:
            return None
        fewer = max(1, round(k * _LEARNT * len(tried) / len(kept)))  # a trial is thrown away, and must be alike
        best = _chosen(_Lesson.of(lead, second, units, tried, k=fewer), rng)
        if best is None:
            return None
        return cls(*_learnt(_Lesson.of(lead, second, units, kept, k=k), *best, rng))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"lead": self.lead.to_json(), "second": self.second.to_json()}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The rest of it."""
        sides = {"lead": self.lead.arrays(), "second": self.second.arrays()}
        return {f"{s}:{n}": a for s, arrays in sides.items() for n, a in arrays.items()} | {"links": self.links}

    @classmethod
    def read(cls, data: Mapping[str, Any], arrays: Arrays) -> Self:
        """The affinity that `to_json` and `arrays` gave."""
        parts = {s: {n.removeprefix(f"{s}:"): a for n, a in arrays.items() if n.startswith(f"{s}:")} for s in data}
        lead, second = (Classes.read(data[s], parts[s]) for s in ("lead", "second"))
        return cls(lead, second, arrays["links"])


@dataclass(frozen=True)
class _Lesson:
    """Rows to learn from, both sides, coded."""

    lead: Side
    second: Side
    units: Hashes | None
    known: Coded
    seen: Coded
    k: int

    @classmethod
    def of(cls, lead: Side, second: Side, units: Hashes | None, kept: Ints, *, k: int) -> Self:
        left, right = lead.rows(kept), second.rows(kept)
        coded = [Coded.learn(s.told, s.size, s.units, k=k) for s in (left, right)]
        return cls(left, right, None if units is None else units[kept], coded[0], coded[1], k)

    def part(self, kept: npt.NDArray[np.bool_]) -> Self:
        """Some of the rows; parents stay as they are."""
        sides = (replace(s, at=s.at[kept]) for s in (self.lead, self.second))
        left, right = sides
        return replace(self, lead=left, second=right, units=None if self.units is None else self.units[kept])

    def classes(self) -> Tree:
        """Classes of second parents that differ in their children's leading parents and siblings."""
        at, k = self.second.at, self.k
        linked = at >= 0
        weights = np.bincount(at[linked], minlength=self.second.size).astype(np.float64)
        targets = _means(self._targets()[linked], at[linked], self.second.size)
        some = np.flatnonzero(weights > 0)
        return Tree.learn(
            replace(self.seen, codes=self.seen.codes[some]), targets[some], weights[some],
            None if self.second.units is None else self.second.units[some],
            least=_least(self.second, k), most=min(_MOST, 1 + len(at) // (_CELL * k)), k=k,
        )  # fmt: skip

    def _targets(self) -> Floats:
        """What is known of each row's leading parent, and of the second parents of its siblings."""
        own = self.seen.shown()
        shown = np.where((self.second.at >= 0)[:, None], own[self.second.at], 0.0)
        led = self.lead.at >= 0
        at = np.where(led, self.lead.at, 0)
        sums = np.stack(
            [np.bincount(at[led], weights=s[led], minlength=self.lead.size) for s in shown.T], axis=1
        ) if shown.shape[1] else np.zeros((self.lead.size, 0))  # fmt: skip
        count = np.bincount(at[led], minlength=self.lead.size)
        siblings = (sums[at] - shown) / np.maximum(count[at] - 1, 1)[:, None]
        known = self.known.shown()[at]
        return np.column_stack([known, siblings]) * led[:, None]

    def leaves(self, seen: Histograms, rows: Ints, most: int) -> Tree:
        """A tree over what is known of some leading parents, whose leaves differ in what their children pick."""
        units = self.lead.units
        return Tree.learn(
            replace(self.known, codes=self.known.codes[rows]), seen.shares(), seen.sizes,
            None if units is None else units[rows], least=_least(self.lead, self.k), most=most, k=self.k,
        )  # fmt: skip

    def outcomes(self, tree: Tree) -> Ints:
        """The class of each row's second parent, the last one where there is none."""
        found = tree.leaves(self.seen.codes)
        return np.where(self.second.at >= 0, found[self.second.at], tree.size)

    def histograms(self, tree: Tree) -> tuple[Histograms, Ints]:
        """How often each leading parent's children pick each class; and which leading parents these are."""
        led = self.lead.at >= 0
        rows, at = np.unique(self.lead.at[led], return_inverse=True)
        return Histograms.of(at.astype(np.int64), self.outcomes(tree)[led], tree.size + 1), rows


def _chosen(lesson: _Lesson, rng: np.random.Generator) -> tuple[int, int] | None:
    """How many leaves and groups explain leading parents best that were not learnt from; None where one group does."""
    held = np.zeros(lesson.lead.size + 1, np.bool_)  # the last one is of no parent, -1
    held[rng.permutation(lesson.lead.size)[: round((1 - _LEARNT) * lesson.lead.size)]] = True
    learnt, test = lesson.part(~held[lesson.lead.at]), lesson.part(held[lesson.lead.at])
    tree = learnt.classes()
    (seen, rows), (other, others) = learnt.histograms(tree), test.histograms(tree)
    if not seen.rows or not other.rows or (tree.size == 1 and not (lesson.second.at < 0).any()):
        return None
    least = max(_GAIN * float(other.sizes.sum()), 3.0)
    best, score = None, Mixture.one(seen).explain(other, np.zeros(other.rows, np.int64))[1]
    sizes = set[int]()
    for most in _LEAVES:
        known = learnt.leaves(seen, rows, most)
        if known.size in sizes:
            continue
        sizes.add(known.size)
        leaf_of_other, last = known.leaves(lesson.known.codes[others]), -np.inf
        for groups in _GROUPS:
            if groups * lesson.k > seen.rows:
                break
            found = _Blocks.learn(learnt, tree, known, groups, rng).mixture(seen).explain(other, leaf_of_other)[1]
            if found > score + least:
                best, score = (most, groups), found
            if found < last:
                break
            last = found
    return best


@dataclass(frozen=True, slots=True)
class _Blocks:
    """How many leading parents of each leaf belong to each group, and how many links groups have to second classes.

    Attributes:
        parents: shape (leaves, groups).
        links: shape (groups + 1, second classes + 1), as an `Affinity` has it.
    """

    parents: Floats
    links: Floats

    @classmethod
    def learn(cls, lesson: _Lesson, tree: Tree, known: Tree, groups: int, rng: np.random.Generator) -> Self:
        """The blocks of so many groups, or fewer; nothing is told behind which there are fewer than k units."""
        seen, rows = lesson.histograms(tree)
        leaf = known.leaves(lesson.known.codes[rows])
        belongs = Mixture.fit(seen, leaf, known.size, groups, rng).explain(seen, leaf)[0]
        units = None if lesson.lead.units is None else lesson.lead.units[rows]
        least = _least(lesson.lead, lesson.k)
        belongs = _frequent(belongs, units, least)
        parents = _counted(leaf, belongs, np.arange(len(rows)), known.size)
        parents = _told(parents, _holders(leaf, units, np.arange(len(rows)), belongs, known.size), least)
        return cls(parents, _links(lesson, lesson.outcomes(tree), tree.size + 1, rows, belongs))

    def mixture(self, seen: Histograms) -> Mixture:
        """The same as distributions of what leading parents' children pick, none of them 0."""
        links, parents = _even(self.links[:-1]), _even(self.parents)
        everywhere, share = Mixture.one(seen).outcomes, parents.mean(axis=0) + 1e-9
        return Mixture((1 - _ELSE) * links + _ELSE * everywhere, (1 - _ELSE) * parents + _ELSE * share)


def _links(lesson: _Lesson, outcomes: Ints, size: int, rows: Ints, belongs: Floats) -> Floats:
    whole = np.zeros((lesson.lead.size + 1, belongs.shape[1] + 1))  # rows without a leading parent are a group
    whole[rows, :-1] = belongs
    whole[-1, -1] = 1.0
    found = _counted(outcomes, whole, lesson.lead.at, size).T
    for owners in (lesson.units, _owners(lesson.second)):
        if owners is not None:
            found = _told(found, _holders(outcomes, owners, lesson.lead.at, whole, size).T, lesson.k)
    return found


def _learnt(lesson: _Lesson, most: int, groups: int, rng: np.random.Generator) -> tuple[Classes, Classes, Floats]:
    """Classes of both sides and the links between them, from all rows of a lesson."""
    tree = lesson.classes()
    known = lesson.leaves(*lesson.histograms(tree), most)
    blocks = _Blocks.learn(lesson, tree, known, groups, rng)
    lead = Classes.of(lesson.known, known, _even(blocks.parents))
    second = Classes.of(lesson.seen, tree, np.eye(tree.size))
    return lead, second, _beside(blocks.links, tree)


def _beside(links: Floats, tree: Tree) -> Floats:
    """Links with a trace of those to leaves that are near in the tree, the nearer the more.

    Where a twin has too few parents of a class, its links go to classes that are alike.
    """
    found, weight = links.copy(), _NEAR
    for nodes in tree.ancestors():
        sizes = np.bincount(nodes).clip(1)
        means = np.stack([np.bincount(nodes, weights=row[:-1]) / sizes for row in links])
        found[:, :-1] += weight * means[:, nodes]
        weight /= 10
    return np.asarray(found.round(9), dtype=np.float64)


def _sampled(lead: Side, order: Ints, most: int) -> Ints:
    """Rows of leading parents in a given order, and of none, until there are enough; in their own order."""
    rank = np.empty(lead.size + 1, dtype=np.int64)
    rank[order] = np.arange(lead.size)
    rank[-1] = -1
    place = rank[lead.at]
    if len(place) <= most:
        return np.arange(len(place), dtype=np.int64)
    sizes = np.cumsum(np.bincount(place + 1, minlength=lead.size + 1))
    return np.flatnonzero(place < max(int(np.searchsorted(sizes, most)), 1))


def _counted(groups: Ints, belongs: Floats, rows: Ints, size: int) -> Floats:
    """How much of each column of `belongs` there is in each group, shape (size, columns); `rows` are of `belongs`."""
    found = [np.bincount(groups, weights=b[rows], minlength=size) for b in belongs.T]
    return np.stack(found, axis=1).astype(np.float64)


def _means(values: Floats, groups: Ints, size: int) -> Floats:
    count = np.maximum(np.bincount(groups, minlength=size), 1)
    found = [np.bincount(groups, weights=v, minlength=size) / count for v in values.T]
    return np.stack(found, axis=1) if found else np.zeros((size, 0))


def _least(side: Side, k: int) -> int:
    """How many parents a class must have: nobody's may be few, where there are few."""
    return k if side.units is not None else min(k, max(1, side.size // 32))


def _owners(side: Side) -> Hashes | None:
    """The unit of each row's parent; rows without one are of one unit."""
    return None if side.units is None else np.append(side.units, np.uint64(0))[side.at]


def _frequent(belongs: Floats, units: Hashes | None, least: int) -> Floats:
    """`belongs` without groups that fewer units, or parents, belong to; one is left at least."""
    nowhere = np.zeros(len(belongs), dtype=np.int64)
    held = _holders(nowhere, units, np.arange(len(belongs)), belongs, 1)[0]
    kept = held >= min(least, held.max())
    share = belongs[:, kept] + 1e-12 * belongs[:, kept].sum(axis=0)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def _holders(groups: Ints, units: Hashes | None, rows: Ints, belongs: Floats, size: int) -> Floats:
    """How many units stand behind each group and column of `belongs`, shape (size, columns); each counts once at most.

    Args:
        groups: shape (n,).
        units: shape (n,); None where each row of `belongs` is one.
        rows: of `belongs`, shape (n,).
        belongs: shape (rows, columns).
        size: how many groups.
    """
    ids = rows if units is None else np.unique(units, return_inverse=True)[1]
    triples = np.unique(np.stack([groups, ids, np.where(rows < 0, len(belongs) - 1, rows)]), axis=1)
    new = np.ones(triples.shape[1], np.bool_)
    new[1:] = (triples[0, 1:] != triples[0, :-1]) | (triples[1, 1:] != triples[1, :-1])
    pair = np.cumsum(new) - 1
    held = [np.minimum(np.bincount(pair, weights=b[triples[2]]), 1.0) for b in belongs.T]
    return _counted(triples[0, new], np.stack(held, axis=1), np.arange(int(new.sum())), size)


def _told(counts: Floats, holders: Floats, least: float) -> Floats:
    """Counts behind which enough units stand; the others are 0 and go nowhere, for sums would give them away."""
    return np.where(holders >= least, counts, 0.0)


def _even(counts: Floats) -> Floats:
    """Shares of each row, rounded; as over all rows where a row is empty."""
    counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, counts.sum(axis=0)) + 1e-9
    return np.asarray(np.round(counts / counts.sum(axis=1, keepdims=True), 6))
