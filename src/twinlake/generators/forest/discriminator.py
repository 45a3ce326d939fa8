"""What tells drawn rows from real ones: boosted trees over codes, whose odds say how readily a drawn row is kept.

Drawing and keeping by these odds is rejection sampling from the product of model and odds (discriminator rejection
sampling: Azadi et al. 2019). The trees are scikit-learn's; what is kept of them is plain arrays.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from twinlake.generators.forest.bag import loops
from twinlake.generators.states.alphabet import Codes
from twinlake.random import integer_seed

_HIGHEST = 2**24 - 1  # above any code
_CAPPED = 0.98  # the share of drawn rows that are kept by their odds; above, all are
MOST_REAL = 60_000
"""Real rows that it learns from at most."""
MOST_DRAWS = 24
"""How often a row beside its context is drawn at most."""


@dataclass(frozen=True, slots=True)
class Boosting:
    """How the discriminator learns.

    Attributes:
        rounds: discriminators, each of what those before let through.
        trees: of each.
        leaves, depth: of each tree.
        rate: how far each tree goes.
        min_leaf: rows of a leaf, real and drawn together.
        shrinkage: added to the curvature of a leaf (L2).
        pool: drawn rows for each real one.
    """

    rounds: int = 2
    trees: int = 60
    leaves: int = 127
    depth: int = 12
    rate: float = 0.15
    min_leaf: int = 50
    shrinkage: float = 20.0
    pool: int = 4


@dataclass(frozen=True, slots=True)
class Discriminator:
    """Boosted trees as arrays over nodes; the sum of the leaves a row comes to is its log odds of being real.

    Attributes:
        columns: those that are looked at.
        roots: the first node of each tree.
        depths: of each tree.
        nodes: left child << 40 | which of `columns` it looks at << 24 | the highest code that goes left; the right
            child follows the left; a leaf leads to itself.
        values: of leaves, shape (nodes,).
        cap: the log odds from which on a row is always kept.
        kept: the share of drawn rows that are kept.
    """

    columns: Codes
    roots: Codes
    depths: Codes
    nodes: npt.NDArray[np.uint64]
    values: npt.NDArray[np.float32]
    cap: float
    kept: float

    def scores(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Log odds of rows, shape (rows,)."""
        out = np.zeros(len(codes))
        loops().score(codes, self.columns, self.roots, self.depths, self.nodes, self.values, out)
        return out

    def keeps(self, codes: Codes, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        """Whether each row is kept, by chance and its odds; shape (rows,)."""
        return _kept(self.scores(codes), self.cap, rng)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name."""
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """What `to_arrays` gave."""
        return cls(**{**arrays, "cap": arrays["cap"].item(), "kept": arrays["kept"].item()})


def discriminate(real: Codes, drawn: Codes, boosting: Boosting, *, rng: np.random.Generator) -> Discriminator:
    """Learn to tell `real` from `drawn`, both of shape (rows, columns); `drawn` has some rows for each real one."""
    if len(real) > MOST_REAL:
        real = real[np.sort(rng.choice(len(real), MOST_REAL, replace=False))]
    scores, grown = np.zeros(len(drawn)), list[list[npt.NDArray[Any]]]()
    for _ in range(boosting.rounds):
        let = np.flatnonzero(_kept(scores, _cap(scores), rng))[: boosting.pool * len(real)]
        trees = _boosted(real, drawn[let], boosting, integer_seed(rng))
        grown.append(trees)
        scores += _packed(trees, 0.0, 1.0).scores(drawn)
    cap = _cap(scores)
    kept = float(np.exp(np.minimum(scores - cap, 0)).mean())
    return _packed([tree for trees in grown for tree in trees], cap, kept)


def _kept(scores: npt.NDArray[np.float64], cap: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    return np.asarray(np.log1p(-rng.random(len(scores))) < scores - cap)


def _cap(scores: npt.NDArray[np.float64]) -> float:
    return float(np.quantile(scores, _CAPPED)) if len(scores) else 0.0


def _boosted(real: Codes, drawn: Codes, boosting: Boosting, seed: int) -> list[npt.NDArray[Any]]:
    """The trees of one discriminator, as scikit-learn's arrays of nodes."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    learner = HistGradientBoostingClassifier(
        max_iter=boosting.trees, max_leaf_nodes=boosting.leaves, learning_rate=boosting.rate,
        min_samples_leaf=boosting.min_leaf, l2_regularization=boosting.shrinkage, max_features=0.5,
        early_stopping=False, max_depth=boosting.depth, random_state=seed,
    )  # fmt: skip
    x = np.concatenate([real, drawn]).astype(np.float32)
    y = np.arange(len(x)) < len(real)
    weights = np.where(y, len(drawn) / max(len(real), 1), 1.0)
    learner.fit(x, y, sample_weight=weights)
    return [tree.nodes for (tree,) in learner._predictors]  # a test compares scores with scikit-learn's own


def _packed(trees: list[npt.NDArray[Any]], cap: float, kept: float) -> Discriminator:
    """Trees in one row, children renumbered so that the right one follows the left."""
    packed, values, first = list[npt.NDArray[np.uint64]](), list[npt.NDArray[np.float32]](), 0
    for nodes in trees:
        order = _siblings_together(nodes["left"], nodes["right"], nodes["is_leaf"])
        place, own = np.argsort(order), nodes[order]
        leaf, left = own["is_leaf"].astype(np.bool_), own["left"].astype(np.int64)
        cut = np.floor(own["num_threshold"].clip(-1, _HIGHEST))
        child = first + np.where(leaf, np.arange(len(own)), place[np.where(leaf, 0, left)])
        looks = np.where(leaf, 0, own["feature_idx"]).astype(np.int64)
        packed.append((child << 40 | looks << 24 | np.where(leaf, _HIGHEST, cut).astype(np.int64)).astype(np.uint64))
        values.append(np.where(leaf, own["value"], 0).astype(np.float32))
        first += len(nodes)
    return Discriminator(
        columns=np.arange(1 + max(int(n["feature_idx"].max()) for n in trees), dtype=np.int32),
        roots=np.cumsum([0, *(len(p) for p in packed[:-1])], dtype=np.int32),
        depths=np.array([int(n["depth"].max()) for n in trees], np.int32),
        nodes=np.concatenate(packed),
        values=np.concatenate(values),
        cap=cap, kept=kept,
    )  # fmt: skip


def _siblings_together(
    left: npt.NDArray[Any], right: npt.NDArray[Any], leaf: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    order, at = [0], 0
    while at < len(order):
        node = order[at]
        if not leaf[node]:
            order += [int(left[node]), int(right[node])]
        at += 1
    return np.array(order, np.int64)
