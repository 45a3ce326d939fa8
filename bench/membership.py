"""Membership by nearest neighbour: are learnt rows closer to the twin than rows that nobody learnt?

The distance is Gower's (1971) without weights: a quantity adds the difference of its ranks among the real rows, 0 to 1,
a label adds 1 where it differs, null differs from everything else by 1.
"""

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from twinlake.columns import Codes, Floats

RECORDS = 8_000  # of each side that are attacked at most
NEIGHBOURS = 5
ISOLATED = 0.1

Ranks = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]
_NULL = np.float32(3.0)  # further than 1 from every rank; differences are cut at 1


def membership(
    quantity: Sequence[bool],
    learnt: Sequence[Floats | Codes],
    holdout: Sequence[Floats | Codes],
    synthetic: Sequence[Floats | Codes],
    *,
    rng: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    """AUC of telling learnt from held-out rows by the distance to the nearest twin, with its standard error.

    `membership` is over all attacked rows, `isolated` over the tenth of them with the largest mean distance to their
    5 nearest real neighbours: those are the rows that stand out (Meeus et al. 2023, "Achilles' Heels").
    """
    from sklearn.metrics import roc_auc_score

    size = min(len(learnt[0]), len(holdout[0]), RECORDS)
    at = [rng.choice(len(side[0]), size, replace=False) for side in (learnt, holdout)]
    real = [np.concatenate([a[at[0]], b[at[1]]]) for a, b in zip(learnt, holdout, strict=True)]
    real_ranks, twin_ranks, real_labels, twin_labels = _coded(quantity, real, synthetic)
    closeness = -_nearest(real_ranks, real_labels, twin_ranks, twin_labels, 1, False)
    lonely = _nearest(real_ranks, real_labels, real_ranks, real_labels, NEIGHBOURS, True)
    truth = np.repeat([1, 0], size)
    isolated = np.argsort(-lonely, kind="stable")[: max(2, round(ISOLATED * len(lonely)))]
    told = {}
    for name, rows in (("membership", np.arange(2 * size)), ("isolated", isolated)):
        members = int(truth[rows].sum())
        others = len(rows) - members
        value = roc_auc_score(truth[rows], closeness[rows]) if members and others else float("nan")
        told[name] = (float(value), float(np.sqrt((members + others + 1) / (12 * max(1, members * others)))))
    return told


def _coded(
    quantity: Sequence[bool], real: Sequence[Floats | Codes], twin: Sequence[Floats | Codes]
) -> tuple[Ranks, Ranks, Labels, Labels]:
    """Ranks of the quantities and codes of the labels, real rows and twins; shape (rows, columns of that kind)."""
    ranks = [_ranks(r, t) for r, t, q in zip(real, twin, quantity, strict=True) if q]
    kinds = [(r.astype(np.int32), t.astype(np.int32)) for r, t, q in zip(real, twin, quantity, strict=True) if not q]
    rows = len(real[0]), len(twin[0])
    a, b = (np.column_stack([p[i] for p in ranks]) if ranks else np.empty((rows[i], 0), np.float32) for i in (0, 1))
    c, d = (np.column_stack([p[i] for p in kinds]) if kinds else np.empty((rows[i], 0), np.int32) for i in (0, 1))
    return a, b, c, d


def _ranks(real: Floats | Codes, twin: Floats | Codes) -> tuple[Ranks, Ranks]:
    """Mid-ranks among the real values, 0 to 1."""
    scale = np.sort(real[~np.isnan(real)])

    def ranked(values: Floats | Codes) -> Ranks:
        middle = (np.searchsorted(scale, values, "left") + np.searchsorted(scale, values, "right")) / 2
        return np.where(np.isnan(values), _NULL, middle / max(1, len(scale))).astype(np.float32)

    return ranked(real), ranked(twin)


@numba.njit(parallel=True, cache=True)
def _nearest(ranks: Ranks, labels: Labels, to_ranks: Ranks, to_labels: Labels, k: int, same: bool) -> Floats:
    """Mean distance of each row to its k nearest others, shape (rows,); `same` where both sides are the same rows."""
    found = np.empty(len(ranks), np.float64)
    for i in numba.prange(len(ranks)):
        best = np.full(k, np.inf, np.float32)  # descending: the k-th nearest comes first
        for j in range(len(to_ranks)):
            if same and i == j:
                continue
            distance = np.float32(0)
            for c in range(labels.shape[1]):
                if labels[i, c] != to_labels[j, c]:
                    distance += np.float32(1)
            if distance >= best[0]:
                continue
            for c in range(ranks.shape[1]):
                distance += min(np.float32(1), abs(ranks[i, c] - to_ranks[j, c]))
                if distance >= best[0]:
                    break
            if distance >= best[0]:
                continue
            place = 0
            while place + 1 < k and best[place + 1] > distance:
                best[place] = best[place + 1]
                place += 1
            best[place] = distance
        found[i] = best.mean()
    return found
