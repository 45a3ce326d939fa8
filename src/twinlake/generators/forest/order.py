"""Which columns tell about which: mutual information, the order of learning, and columns that others determine."""

import numpy as np
import numpy.typing as npt

from twinlake.generators.states.alphabet import Codes

Floats = npt.NDArray[np.float64]
_LEVELS = 12  # states are merged to so many levels of equal frequency where information is estimated
_SAMPLE = 20_000
_BINS = 256
_COARSE = 24
_PRIOR = 5
_NOISE = 0.002  # nats; columns that share less than this with all others together come last


def information(codes: Codes, rng: np.random.Generator, targets: list[int]) -> Floats:
    """Mutual information of some columns with all, in nats, bias-corrected; shape (targets, columns), 0 with itself.

    Correction after Miller (1955): (levels - 1)(levels - 1) / 2n is what independent columns would show.
    """
    rows = codes.shape[0]
    chosen = codes if rows <= _SAMPLE else codes[np.sort(rng.choice(rows, _SAMPLE, replace=False))]
    levels = [_levels(chosen[:, i]) for i in range(chosen.shape[1])]
    sizes = np.array([int(x.max(initial=0)) + 1 for x in levels])
    starts = np.r_[0, np.cumsum(sizes)]
    ones = np.zeros((len(chosen), starts[-1]), np.float32)
    for x, start in zip(levels, starts[:-1], strict=True):
        ones[np.arange(len(x)), start + x] = 1
    alone = ones.sum(axis=0, dtype=np.float64) / max(len(chosen), 1)
    found = np.empty((len(targets), len(sizes)))
    for place, i in enumerate(targets):
        mine = slice(starts[i], starts[i + 1])
        joint = (ones[:, mine].T @ ones).astype(np.float64) / max(len(chosen), 1)  # counts below 2**24: always exact
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(joint > 0, joint * np.log(joint / np.outer(alone[mine], alone)), 0.0)
        found[place] = np.add.reduceat(terms.sum(axis=0), starts[:-1])
        found[place] -= (sizes[i] - 1) * (sizes - 1) / (2 * max(len(chosen), 1))
        found[place, i] = 0.0
    return np.asarray(np.maximum(found, 0.0))


def learning_order(shared: Floats, sizes: list[int]) -> list[int]:
    """Columns in the order they are learnt: the most telling first, noise last; ties by few states."""
    told = [round(float(x), 9) for x in shared.sum(axis=1)]
    return sorted(range(len(sizes)), key=lambda i: (-told[i] if told[i] >= _NOISE else 0.0, sizes[i], i))


def telling(shared: Floats, earlier: list[int], *, most: int, rows: int) -> list[int]:
    """At most `most` of the earlier columns, those that share most with a target, in their order.

    Args:
        shared: the information each column shares with the target, shape (columns,).
        earlier: columns that are known before it.
        most: how many may be looked at.
        rows: how many rows there are.

    Columns that share no more than unrelated ones would by chance are left out.
    """
    chance = (_LEVELS - 1) * 2**0.5 / min(rows, _SAMPLE)  # two standard deviations of what unrelated columns show
    best = sorted((i for i in earlier if shared[i] > chance), key=lambda i: (-float(shared[i]), i))
    return [i for i in earlier if i in set(best[:most])]


def determined(codes: Codes, order: list[int], given: list[int], safe: list[npt.NDArray[np.bool_]]) -> dict[int, int]:
    """Columns of `order` that another column determines in every row, and which: education and its number.

    Only columns whose states are each one value held by at least k units determine others. Of two that determine one
    another, the first does. What determines is never itself determined.
    """
    firm = {c for c in [*given, *order] if bool(safe[c][np.unique(codes[:, c])].all())}
    place = {c: i for i, c in enumerate([*given, *order])}
    found: dict[int, int] = {}
    for target in order:
        for source in place:
            if source == target or source not in firm or source in found or not _function(codes, source, target):
                continue
            both = target in firm and _function(codes, target, source)
            if place[source] < place[target] or not both:
                found[target] = source
                break
    return found


def with_determined(order: list[int], by: dict[int, int]) -> list[int]:
    """The order with each determined column right after the one that determines it."""
    free = [c for c in order if c not in by]
    return [c for c in order if c in by and by[c] not in free] + [
        c for f in free for c in (f, *(d for d in order if by.get(d) == f))
    ]


def _function(codes: Codes, source: int, target: int) -> bool:
    """Whether each state of `source` goes with one state of `target`, which has more than one."""
    for rows in (slice(0, 200), slice(None)):  # most pairs of columns fail on a few rows
        x, y = codes[rows, source].astype(np.int64), codes[rows, target]
        if len(np.unique(x * (int(y.max()) + 1) + y)) != len(np.unique(x)):
            return False
    return len(np.unique(codes[:, target])) > 1


def function_of(x: Codes, y: Codes, size: int) -> Codes:
    """The state of y that goes with each state of x, shape (size,); the most frequent one where x was not seen."""
    table = np.full(size, np.bincount(y).argmax(), np.int32)
    table[x] = y
    return table


def _levels(codes: Codes) -> npt.NDArray[np.int64]:
    counts = np.bincount(codes)
    if np.count_nonzero(counts) <= _LEVELS:
        return np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.int64)
    middle = (np.cumsum(counts) - counts / 2) / len(codes)
    return np.asarray(np.unique((middle * _LEVELS).astype(np.int64)[codes], return_inverse=True)[1], dtype=np.int64)


def bins(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The bin of each ordered code, shape (codes,): of up to 256 bins of equal frequency; `counts` are rows of each."""
    if len(counts) <= _BINS:
        return np.arange(len(counts), dtype=np.uint8)
    held = counts + 1e-9
    middle = (np.cumsum(held) - held / 2) / held.sum()
    return np.unique((middle * _BINS).astype(np.int64), return_inverse=True)[1].astype(np.uint8)


def label_ranks(codes: Codes, column: int, target: int, of: int, to: int) -> list[npt.NDArray[np.uint8]]:
    """Orders of a label's `of` states for trees that tell `target`, which has `to`; each of shape (of,).

    States are ordered along the first two principal components of the target's shares within them, each row counting
    once (Coppersmith, Hong, Hosking 1999).
    """
    y, size = codes[:, target].astype(np.int64), to
    if size > _COARSE:
        held = np.bincount(y, minlength=size)
        y = np.minimum((np.cumsum(held) - held / 2) * _COARSE // len(y), _COARSE - 1).astype(np.int64)[y]
        size = _COARSE
    counts = np.bincount(codes[:, column].astype(np.int64) * size + y, minlength=of * size).reshape(-1, size)
    held, overall = counts.sum(axis=1), counts.sum(axis=0) / len(y)
    shares = (counts + _PRIOR * overall) / (held + _PRIOR)[:, None] - overall  # shrunk, for states with few rows
    scaled = shares / np.sqrt(np.maximum(overall, 1e-12)) * np.sqrt(held)[:, None]
    directions = np.linalg.svd(scaled, full_matrices=False)[2]
    return [_ranks(shares @ direction) for direction in directions[: 2 if of > 3 else 1]]


def _ranks(scores: Floats) -> npt.NDArray[np.uint8]:
    top = float(np.abs(scores).max(initial=0.0))
    signed = scores * (np.sign(scores[np.argmax(np.abs(scores))]) or 1.0)  # a direction's sign is anybody's choice
    ranks = np.empty(len(scores), np.uint8)
    places = np.arange(len(scores)) * min(_BINS, len(scores)) // max(len(scores), 1)
    ranks[np.argsort(np.round(signed / (top or 1.0), 9), kind="stable")] = places
    return ranks
