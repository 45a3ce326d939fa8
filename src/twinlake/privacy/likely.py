"""How likely cells go together: a tree over columns (Chow and Liu, 1968), learnt of the pool without its labels."""

import numpy as np
import numpy.typing as npt

from twinlake.columns import Codes

MOST_LABELS = 60  # of a column that the tree tells apart
MOST_ROWS = 4_000  # that it looks at
SMOOTHED = 5.0  # rows that are believed to follow the column's own shares

Bins = npt.NDArray[np.int32]


def tree(bins: Bins) -> Codes:
    """The parent of each column in the tree of largest mutual information, -1 for the root; shape (columns,).

    Mutual information has the bias of Miller and Madow (1955) taken off; what is then not above 0 ties nothing.

    Args:
        bins: codes from 0, shape (rows, columns).
    """
    columns = bins.shape[1]
    parents = np.full(columns, -1, dtype=np.intp)
    if columns < 2 or not len(bins):
        return parents
    shared = _information(np.minimum(bins[:: max(1, len(bins) // MOST_ROWS)], MOST_LABELS))
    inside = np.zeros(columns, dtype=np.bool_)
    inside[int(shared.sum(axis=0).argmax())] = True
    for _ in range(columns - 1):
        open_ = np.where(~inside[:, None] & inside[None, :], shared, -np.inf)
        child, parent = np.unravel_index(int(open_.argmax()), open_.shape)
        if shared[child, parent] > 0:
            parents[child] = parent
        inside[child] = True
    return parents


def lifts(bins: Bins, parents: Codes) -> npt.NDArray[np.float32]:
    """How much likelier each cell is given its parent's than on its own, without the row itself; (rows, columns)."""
    found = np.ones(bins.shape, dtype=np.float32)
    for column, parent in enumerate(parents):
        if parent < 0:
            continue
        own, given = bins[:, column].astype(np.int64), bins[:, parent].astype(np.int64)
        share = np.bincount(own)[own] / len(own)
        pairs = np.unique(own * (given.max() + 1) + given, return_inverse=True, return_counts=True)
        together, alone = pairs[2][pairs[1]] - 1, np.bincount(given)[given] - 1
        found[:, column] = (together + SMOOTHED * share) / (alone + SMOOTHED) / share
    return found


def _information(bins: Bins) -> npt.NDArray[np.float64]:
    """Mutual information of any two columns in nats, less its bias; shape (columns, columns)."""
    rows, columns = bins.shape
    size = bins.max(axis=0).astype(np.int64) + 1
    single = [_entropy(np.bincount(bins[:, c]), rows) for c in range(columns)]
    shared = np.zeros((columns, columns))
    for a in range(columns):
        for b in range(a):
            both = _entropy(np.bincount(bins[:, a] * size[b] + bins[:, b]), rows)
            bias = (both[1] - single[a][1] - single[b][1] + 1) / (2 * rows)
            shared[a, b] = shared[b, a] = single[a][0] + single[b][0] - both[0] - bias
    return shared


def _entropy(counts: npt.NDArray[np.intp], rows: int) -> tuple[float, int]:
    """Entropy in nats, and how many values there are."""
    share = counts[counts > 0] / rows
    return float(-(share * np.log(share)).sum()), len(share)
