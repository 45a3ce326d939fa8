"""Classes of a table's rows: what is known of a row leads to a leaf of a tree, and a leaf to a class by chance.

Trees are learnt by scikit-learn and kept as plain arrays. No leaf stands for fewer than k rows or units.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.states.alphabet import Alphabet, Codes, alphabet_from_json, learn_alphabet, whole
from twinlake.generators.states.census import Ints, count_units, shared_ids
from twinlake.hashing import Hashes
from twinlake.schema import Column

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeRegressor

Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

_FEW = (1, 2, 3, 4, 6, 8)  # columns of a tree, if they do
_NEARLY = 0.98  # of what all columns explain, for fewer to do
_STATES = 12  # of a column of labels that are told apart by the targets of a tree
_WIDTH = 48  # columns of targets at most: those of a table's own columns come first


@dataclass(frozen=True)
class Coded:
    """What is known of some rows as codes.

    Attributes:
        columns: their names.
        alphabets: of each column.
        codes: shape (rows, columns).
    """

    columns: tuple[str, ...]
    alphabets: tuple[Alphabet, ...]
    codes: Codes

    @classmethod
    def learn(cls, told: pa.Table, rows: int, units: Hashes | None, *, k: int) -> Self:
        """The columns of `told` that have several states, each held by at least `k` units."""
        found = [(f.name, learn_alphabet(told[f.name], Column(f.name, f.type), units, k=k)) for f in told.schema]
        found = [(n, a) for n, a in found if a.size > 1]
        return cls(tuple(n for n, _ in found), tuple(a for _, a in found), _codes(found, told, rows))

    def shown(self) -> Floats:
        """Columns as numbers of mean 0 and spread 1, frequent labels one by one; shape (rows, numbers)."""
        columns: list[Floats] = []
        for i, alphabet in enumerate(self.alphabets):
            codes = self.codes[:, i]
            if alphabet.ordinal:
                columns.append(np.where(alphabet.apart[codes], np.nan, codes))
            else:
                frequent = np.argsort(-np.bincount(codes, minlength=alphabet.size), kind="stable")[:_STATES]
                columns += [(codes == f).astype(np.float64) for f in np.sort(frequent)]
        standard = [_standard(c) for c in columns]
        kept = [c for c in standard if c.any()][:_WIDTH]
        return np.column_stack(kept) if kept else np.zeros((len(self.codes), 0))


@dataclass(frozen=True)
class Tree:
    """Cuts on the places of codes along a line, one line for each column.

    Attributes:
        lines: the place of each state of each column.
        feature: the column that each node looks at, -1 in a leaf; shape (nodes,).
        cut: places up to it go left; shape (nodes,).
        left: where to go then, shape (nodes,).
        right: where to go else, shape (nodes,).
        leaf: the number of each leaf, -1 of other nodes; shape (nodes,).
    """

    lines: tuple[Floats, ...]
    feature: Ints
    cut: Floats
    left: Ints
    right: Ints
    leaf: Ints

    @classmethod
    def learn(
        cls, coded: Coded, targets: Floats, weights: Floats, units: Hashes | None, *, least: int, most: int, k: int
    ) -> Self:
        """A tree whose leaves differ in their targets.

        Args:
            coded: what is known of the rows to learn from.
            targets: shape (rows, targets).
            weights: of the rows, shape (rows,).
            units: of the rows.
            least: rows in a leaf.
            most: leaves.
            k: units in a leaf, where rows have units.
        """
        if not coded.columns or most < 2 or len(targets) < 2 * least or not targets.shape[1]:
            return cls.stump()
        lines = tuple(_line(a, coded.codes[:, i], targets, weights) for i, a in enumerate(coded.alphabets))
        places = _places(lines, coded.codes)
        columns, model = _fitted(places, targets, weights, least=least, most=most)
        found = model.tree_
        left, right = found.children_left.astype(np.int64), found.children_right.astype(np.int64)
        left, right = _pruned(left, right, model.apply(places[:, columns]), shared_ids(units), k=k)
        return cls._compact(lines, columns[np.maximum(found.feature, 0)], found.threshold, left, right)

    @classmethod
    def stump(cls) -> Self:
        """One leaf for all."""
        none = np.full(1, -1, dtype=np.int64)
        return cls((), none, np.zeros(1), none, none, np.zeros(1, np.int64))

    @classmethod
    def _compact(cls, lines: tuple[Floats, ...], feature: Ints, cut: Floats, left: Ints, right: Ints) -> Self:
        """The nodes that can be reached, leaves numbered from 0."""
        nodes = [0]
        for node in nodes:
            nodes += [int(left[node]), int(right[node])] if left[node] >= 0 else []
        at = np.array(nodes)
        new = np.full(len(left) + 1, -1, dtype=np.int64)  # the last one is of -1
        new[at] = np.arange(len(at))
        inner = left[at] >= 0
        return cls(
            lines, np.where(inner, feature[at], -1), np.where(inner, cut[at], 0.0), new[left[at]], new[right[at]],
            np.where(inner, -1, np.cumsum(~inner) - 1),
        )  # fmt: skip

    @property
    def size(self) -> int:
        """How many leaves."""
        return int(self.leaf.max()) + 1

    def ancestors(self) -> Iterator[Ints]:
        """For each leaf the node above it, then the node above that, until all are the first one; shape (leaves,)."""
        above = np.zeros(len(self.leaf), dtype=np.int64)
        inner = np.flatnonzero(self.leaf < 0)
        above[self.left[inner]] = above[self.right[inner]] = inner
        at = np.flatnonzero(self.leaf >= 0)  # leaves are numbered in the order of nodes
        while at.any():
            at = above[at]
            yield at

    def leaves(self, codes: Codes) -> Ints:
        """The leaf of each row, shape (rows,); `codes` has shape (rows, columns)."""
        node = np.zeros(len(codes), dtype=np.int64)
        if self.size == 1:
            return node
        places = _places(self.lines, codes)
        while len(open_ := np.flatnonzero(self.leaf[node] < 0)):
            at = node[open_]
            goes = places[open_, self.feature[at]] <= self.cut[at]
            node[open_] = np.where(goes, self.left[at], self.right[at])
        return self.leaf[node]


@dataclass(frozen=True)
class Classes:
    """How the rows of a table fall in classes.

    Attributes:
        columns: what must be known of them.
        alphabets: of these columns.
        tree: leads to a leaf.
        shares: how likely each class is in each leaf, shape (leaves, classes).
    """

    columns: tuple[str, ...]
    alphabets: tuple[Alphabet, ...]
    tree: Tree
    shares: Floats

    @classmethod
    def of(cls, coded: Coded, tree: Tree, shares: Floats) -> Self:
        """Classes by a tree over some of the columns: only these need to be known."""
        used = np.unique(tree.feature[tree.feature >= 0])
        feature = np.where(tree.feature >= 0, np.searchsorted(used, tree.feature), -1)
        return cls(
            tuple(coded.columns[i] for i in used), tuple(coded.alphabets[i] for i in used),
            replace(tree, lines=tuple(tree.lines[i] for i in used), feature=feature), shares,
        )  # fmt: skip

    @property
    def size(self) -> int:
        """How many classes."""
        return int(self.shares.shape[1])

    def draw(self, told: pa.Table, rows: int, rng: np.random.Generator) -> Ints:
        """The class of each row of which so much is known, shape (rows,); a leaf's shares come out as they are."""
        leaf = self.tree.leaves(_codes(list(zip(self.columns, self.alphabets, strict=True)), told, rows))
        order = np.lexsort((rng.random(rows), leaf))
        sizes = np.bincount(leaf, minlength=self.tree.size)
        rank = np.empty(rows, dtype=np.int64)
        rank[order] = np.arange(rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        chance = (rank + rng.random(self.tree.size)[leaf]) / sizes[leaf]
        ends = np.cumsum(self.shares, axis=1)
        found = np.zeros(rows, dtype=np.int64)
        for i in range(self.size - 1):
            found += chance >= ends[leaf, i]
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"columns": list(self.columns), "alphabets": [a.to_json() for a in self.alphabets]}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The rest of it."""
        tree = self.tree
        lines = {f"line:{i}": line for i, line in enumerate(tree.lines)}
        nodes = {"feature": tree.feature, "cut": tree.cut, "left": tree.left, "right": tree.right, "leaf": tree.leaf}
        return {**lines, **nodes, "shares": self.shares}

    @classmethod
    def read(cls, data: Mapping[str, Any], arrays: Arrays) -> Self:
        """The classes that `to_json` and `arrays` gave."""
        lines = tuple(arrays[f"line:{i}"] for i in range(len([n for n in arrays if n.startswith("line:")])))
        tree = Tree(lines, *(arrays[n] for n in ("feature", "cut", "left", "right", "leaf")))
        alphabets = tuple(alphabet_from_json(a) for a in data["alphabets"])
        return cls(tuple(data["columns"]), alphabets, tree, arrays["shares"])


def _codes(columns: list[tuple[str, Alphabet]], told: pa.Table, rows: int) -> Codes:
    codes = np.empty((rows, len(columns)), np.int32, order="F")
    for i, (name, alphabet) in enumerate(columns):
        codes[:, i] = alphabet.encode(whole(told[name]))
    return codes


def _places(lines: tuple[Floats, ...], codes: Codes) -> npt.NDArray[np.float32]:
    return np.column_stack([line[codes[:, i]] for i, line in enumerate(lines)]).astype(np.float32)


def _fitted(
    places: npt.NDArray[np.float32], targets: Floats, weights: Floats, *, least: int, most: int
) -> tuple[Ints, "DecisionTreeRegressor"]:
    """A tree over few of the columns that tells nearly as much as one over all, and which these are.

    Columns that say the same in other words agree less well in a twin: a leaf that needs many of them may be empty.
    """
    from sklearn.base import clone
    from sklearn.tree import DecisionTreeRegressor

    model = DecisionTreeRegressor(min_samples_leaf=max(least, 1), max_leaf_nodes=most, random_state=0)
    whole = clone(model).fit(places, targets, sample_weight=weights)
    order = np.argsort(-whole.feature_importances_, kind="stable")
    for columns in (np.sort(order[:few]) for few in _FEW if few < len(order)):
        found = clone(model).fit(places[:, columns], targets, sample_weight=weights)
        if _explained(found) >= _NEARLY * _explained(whole):
            return columns, found
    return np.arange(places.shape[1]), whole


def _explained(model: "DecisionTreeRegressor") -> float:
    """How much less targets vary within the leaves than in all."""
    tree = model.tree_
    leaves = tree.children_left < 0
    mass = tree.weighted_n_node_samples * tree.impurity
    return float(mass[0] - mass[leaves].sum())


def _standard(values: Floats) -> Floats:
    """Mean 0 and spread 1; what is unknown, and all where nothing differs, is 0."""
    known = ~np.isnan(values)
    spread = values[known].std() if known.any() else 0.0
    return np.where(known, (values - values[known].mean()) / spread, 0.0) if spread > 0 else np.zeros(len(values))


def _line(alphabet: Alphabet, codes: Codes, targets: Floats, weights: Floats) -> Floats:
    """The place of each state: its code, or for labels their order along the direction in which targets differ most.

    That is the first principal component of the states' mean targets (Coppersmith, Hong and Hosking 1999).
    """
    if alphabet.ordinal:
        return np.arange(alphabet.size, dtype=np.float64)
    mass = np.bincount(codes, weights=weights, minlength=alphabet.size)
    sums = [np.bincount(codes, weights=weights * t, minlength=alphabet.size) for t in targets.T]
    means = np.column_stack(sums) / np.maximum(mass, 1e-12)[:, None]
    means -= (means * mass[:, None]).sum(axis=0) / mass.sum()
    along = means[int(np.argmax((means**2).sum(axis=1) * mass))]
    for _ in range(30):  # power iteration
        along = ((means * along).sum(axis=1) * mass)[:, None] * means
        along = along.sum(axis=0)
        length = np.sqrt((along**2).sum())
        if length == 0:
            break
        along = along / length
    return np.argsort(np.argsort(np.round((means * along).sum(axis=1), 9), kind="stable")).astype(np.float64)


def _pruned(left: Ints, right: Ints, leaf: Ints, units: Ints | None, *, k: int) -> tuple[Ints, Ints]:
    """Children of nodes, with those cut off that fewer than `k` units reach, and their siblings."""
    if units is None:
        return left, right
    left, right, at = left.copy(), right.copy(), leaf.astype(np.int64)
    parent = np.full(len(left), -1, dtype=np.int64)
    inner = np.flatnonzero(left >= 0)
    parent[left[inner]] = parent[right[inner]] = inner
    while True:
        held = count_units(at, units, len(left))
        few = np.flatnonzero((np.bincount(at, minlength=len(left)) > 0) & (held < k) & (parent >= 0))
        if not len(few):
            return left, right
        top = int(parent[few[-1]])
        below = _below(top, left, right)
        at[np.isin(at, below)] = top
        left[top] = right[top] = -1


def _below(node: int, left: Ints, right: Ints) -> list[int]:
    found = [node]
    for one in found:
        found += [int(left[one]), int(right[one])] if left[one] >= 0 else []
    return found
