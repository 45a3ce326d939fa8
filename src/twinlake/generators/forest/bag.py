"""A bag of decision trees over states: grown by scikit-learn, packed to plain arrays, walked in numpy.

Each tree sees the rows of some units only; each leaf holds the shares of states among at least `min_leaf` units, so no
unit sets a leaf alone, and no row is kept. A row to be drawn walks one random tree of the bag.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from twinlake.generators.states.alphabet import Codes
from twinlake.random import integer_seed

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees grow: how many, on what share of units, leaves of at least how many units, how deep.

    A cut stays only if its likelihood ratio statistic G is above `penalty` for each state less one, rare states
    counting little: chance alone gives about 1, Akaike's criterion asks for 2. Cuts that chance explains would tell
    single rows.
    """

    trees: int
    share: float
    min_leaf: int
    depth: int
    penalty: float


@dataclass(frozen=True, slots=True)
class Bag:
    """Trees one after the other, as arrays over nodes; a node without children has `left` -1 and a place in `leaf`.

    Attributes:
        inputs: the columns that trees look at.
        ranks: what each code of each input counts as, for trees to cut; `rank_starts` says where each input begins.
        roots: the first node of each tree.
        feature: index into `inputs`.
        threshold: a row goes left where its rank is at most this.
        left, right: nodes.
        leaf: which leaf a node is, or -1.
        leaf_starts: where the states of each leaf begin in `states` and `shares`; one longer than leaves.
    """

    inputs: Codes
    ranks: Codes
    rank_starts: Codes
    roots: Codes
    feature: Codes
    threshold: Codes
    left: Codes
    right: Codes
    leaf: Codes
    leaf_starts: Codes
    states: Codes
    shares: npt.NDArray[np.float32]

    @classmethod
    def grow(
        cls,
        codes: Codes,
        target: int,
        ranks: dict[int, Codes],
        units: Ints,
        *,
        growth: Growth,
        rng: np.random.Generator,
    ) -> Self:
        """Grow a bag for the column `target` of `codes` over the columns of `ranks`: the rank of each of their codes.

        Args:
            codes: shape (rows, columns); at least one row.
            target: the column to tell.
            ranks: by column that may be looked at.
            units: of each row, integers from 0, shape (rows,).
            growth: how trees grow.
            rng: the only source of chance.
        """
        x = np.empty((len(codes), len(ranks)), np.float32)
        for i, (column, of) in enumerate(ranks.items()):
            x[:, i] = of[codes[:, column]]
        y = codes[:, target].astype(np.int64)
        growth = growth if ranks else replace(growth, trees=1, share=1.0)  # nothing to look at: one histogram does
        trees = [_grow(x[rows], y[rows], units[rows], growth, rng) for rows in _samples(units, growth, rng)]
        return cls(
            inputs=_int32(list(ranks)),
            ranks=_int32(np.concatenate([*ranks.values(), np.empty(0)])),
            rank_starts=_int32(np.r_[0, np.cumsum([len(r) for r in ranks.values()])]),
            **_packed(trees),
        )

    def draw(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """A state for each row of `codes`, whose columns in `inputs` are filled; shape (rows,)."""
        rows = len(codes)
        tree, chance = rng.integers(0, len(self.roots), rows), rng.random(rows)
        leaf = self._walk(self._ranked(codes), self.roots[tree])
        ends = np.cumsum(self.shares, dtype=np.float64)
        start, stop = self.leaf_starts[leaf], self.leaf_starts[leaf + 1]
        low = np.where(start > 0, ends[start - 1], 0.0)
        at = np.searchsorted(ends, low + chance * (ends[stop - 1] - low), side="right")
        return self.states[np.clip(at, start, stop - 1)]

    def _ranked(self, codes: Codes) -> Codes:
        x = np.empty((len(codes), len(self.inputs)), np.int32)
        for i, column in enumerate(self.inputs):
            x[:, i] = self.ranks[self.rank_starts[i] + codes[:, column]]
        return x

    def _walk(self, x: Codes, nodes: Codes) -> Codes:
        """The leaf each row of `x` reaches from its node."""
        nodes = nodes.copy()
        walking = np.flatnonzero(self.left[nodes] >= 0)
        while len(walking):
            at = nodes[walking]
            goes_left = x[walking, self.feature[at]] <= self.threshold[at]
            at = np.where(goes_left, self.left[at], self.right[at])
            nodes[walking] = at
            walking = walking[self.left[at] >= 0]
        return self.leaf[nodes]

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class _Tree:
    feature: Ints
    threshold: Ints
    left: Ints
    right: Ints
    leaf: Ints
    filled: Ints  # states of each leaf
    states: Ints
    shares: npt.NDArray[np.float64]


def _grow(x: npt.NDArray[np.float32], y: Ints, units: Ints, growth: Growth, rng: np.random.Generator) -> _Tree:
    from sklearn.tree import DecisionTreeClassifier

    if not x.shape[1]:
        x = np.zeros((len(x), 1), np.float32)
    grower = DecisionTreeClassifier(
        criterion="entropy",
        max_depth=growth.depth,
        min_samples_leaf=growth.min_leaf,
        min_impurity_decrease=growth.penalty * (_perplexity(y) - 1) / (2 * len(y) * np.log(2)),
        random_state=integer_seed(rng),
    )
    tree = grower.fit(x, y, check_input=False).tree_
    left = np.asarray(tree.children_left, np.int64)
    at = _backed(np.asarray(tree.apply(x), np.int64), left, np.asarray(tree.children_right, np.int64), units, growth)
    leaves = np.flatnonzero(left < 0)
    leaf = np.full(len(left), -1, np.int64)
    leaf[leaves] = np.arange(len(leaves))
    width = int(y.max()) + 1
    owner, row = at
    cells, counts = np.unique(leaf[owner] * width + y[row], return_counts=True)
    total = np.bincount(cells // width, weights=counts, minlength=len(leaves))
    return _Tree(
        feature=np.maximum(np.asarray(tree.feature, np.int64), 0),
        threshold=np.floor(np.asarray(tree.threshold)).astype(np.int64),
        left=left,
        right=np.asarray(tree.children_right, np.int64),
        leaf=leaf,
        filled=np.bincount(cells // width, minlength=len(leaves)),
        states=cells % width,
        shares=counts / total[cells // width],
    )


def _perplexity(y: Ints) -> float:
    """How many states there are, where rare ones count little: e to the entropy of their shares."""
    shares = np.unique(y, return_counts=True)[1] / len(y)
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _backed(leaf_of: Ints, left: Ints, right: Ints, units: Ints, growth: Growth) -> tuple[Ints, Ints]:
    """Which rows fill which leaf: its own, or where those are of too few units, all below its nearest sound ancestor.

    Returns leaf node and row of each entry. Scikit-learn numbers nodes depth first: what is below a node is a range.
    """
    rows = np.arange(len(leaf_of))
    if len(np.unique(units)) == len(units):
        return leaf_of, rows
    order = np.argsort(leaf_of, kind="stable")
    ranked = leaf_of[order]
    parent, last = _ancestry(left, right)
    owners, entries = [], []
    for node in np.flatnonzero(left < 0):
        above = int(node)
        while True:
            start, stop = np.searchsorted(ranked, [above, last[above] + 1])
            below = order[start:stop]
            if parent[above] < 0 or len(np.unique(units[below])) >= growth.min_leaf:
                break
            above = int(parent[above])
        owners.append(np.full(len(below), node))
        entries.append(below)
    return np.concatenate(owners), np.concatenate(entries)


def _ancestry(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """The parent of each node (-1 for the root) and the last node below it."""
    parent, last = np.full(len(left), -1, np.int64), np.arange(len(left))
    inner = np.flatnonzero(left >= 0)
    parent[left[inner]] = inner
    parent[right[inner]] = inner
    for node in inner[::-1]:
        last[node] = last[right[node]]
    return parent, last


def _samples(units: Ints, growth: Growth, rng: np.random.Generator) -> list[Ints]:
    """The rows each tree sees: those of a share of the units, but of no fewer units than four leaves need."""
    count = int(units.max()) + 1
    size = min(count, max(round(growth.share * count), 4 * growth.min_leaf))
    samples = []
    for _ in range(growth.trees):
        chosen = np.zeros(count, np.bool_)
        chosen[rng.choice(count, size, replace=False)] = True
        samples.append(np.flatnonzero(chosen[units]))
    return samples


def _packed(trees: list[_Tree]) -> dict[str, Any]:
    nodes = np.repeat(np.cumsum([0, *(len(t.left) for t in trees[:-1])]), [len(t.left) for t in trees])
    leaves = np.repeat(np.cumsum([0, *(len(t.filled) for t in trees[:-1])]), [len(t.left) for t in trees])
    whole = {f.name: np.concatenate([getattr(t, f.name) for t in trees]) for f in fields(_Tree)}
    inner = whole["left"] >= 0
    return {
        "roots": _int32(np.unique(nodes)),
        "feature": _int32(whole["feature"]),
        "threshold": _int32(whole["threshold"]),
        "left": _int32(np.where(inner, whole["left"] + nodes, -1)),
        "right": _int32(np.where(inner, whole["right"] + nodes, -1)),
        "leaf": _int32(np.where(inner, -1, whole["leaf"] + leaves)),
        "leaf_starts": _int32(np.cumsum([0, *whole["filled"]])),
        "states": _int32(whole["states"]),
        "shares": whole["shares"].astype(np.float32),
    }


def _int32(values: Any) -> Codes:  # noqa: ANN401 - whatever numpy takes
    return np.asarray(values, dtype=np.int32)
