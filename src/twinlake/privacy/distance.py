"""Gate `closest_record`: are twins closer to learnt rows than to rows the generator never saw?"""

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.columns import Codes, is_quantity, labels, numbers, sampled
from twinlake.hashing import hash_rows
from twinlake.schema import Table
from twinlake.verdict import Verdict

GATE = "closest_record"
TWINS = 5_000
RECORDS = 5_000  # of each side
CELLS = 2_000_000_000  # distances times columns that are computed at most
Z = 1.96
CHUNK = 500

Distances = npt.NDArray[np.float32]


def closest_record(
    real: pa.Table, holdout: pa.Table, synthetic: pa.Table, table: Table, *, limit: float, rng: np.random.Generator
) -> Verdict:
    """Share of twins that are closer to a learnt row than to a held-back one, ties counting half; at most `limit`.

    Learnt and held-back rows are drawn in equal number (at most 5,000 each), twins up to 5,000. The distance is
    Gower's (1971): a quantity adds the difference of its ranks among the real rows drawn, from 0 to 1; a label adds 1
    where it differs; null differs from everything else by 1. 0.5 is what a generator that leaks nothing reaches.

    The interval is Wilson's, with as many trials as there are *independent* nearest records (Kish's effective size,
    1965): many twins near few records tell little. Its upper end is held against the limit. Where even a
    share of 0.5 could not pass, there are too few held-back rows to decide, and the gate fails.

    This is a diagnostic and no proof: sets that pass it were still open to membership inference (Yao et al., "The
    DCR Delusion", 2025, arXiv 2505.01524).
    """
    names = table.learnt
    early = _nothing(real, holdout, synthetic, table, limit=limit)
    if early:
        return early
    size = min(real.num_rows, holdout.num_rows, RECORDS)
    twins = min(TWINS, max(200, CELLS // (2 * size * len(names))))
    a, b, s = (sampled(t.select(list(names)), n, rng) for t, n in ((real, size), (holdout, size), (synthetic, twins)))
    coded = [_coded(a[n], b[n], s[n], quantity=is_quantity(table[n])) for n in names]
    wins, nearest = _closer(coded)
    share = float(wins.mean())
    trials = _independent(nearest[wins != 0.5], s.num_rows)
    return _verdict(table, share, trials, twins=s.num_rows, of=synthetic.num_rows, size=size, limit=limit)


def _nothing(real: pa.Table, holdout: pa.Table, synthetic: pa.Table, table: Table, *, limit: float) -> Verdict | None:
    if table.public or not table.learnt:
        why = "public rows are carried over as they are" if table.public else "no column of this table is learnt"
        return _pass(table, n=synthetic.num_rows, limit=limit, reason=why)
    if not (real.num_rows or synthetic.num_rows):
        return _pass(table, n=0, limit=limit, reason="the real table has no rows, and neither has the twin")
    for rows, what in ((synthetic, "the twin has no rows"), (holdout, "no rows were held back"),
                       (real, "there are no learnt rows")):  # fmt: skip
        if not rows.num_rows:
            return Verdict.could_not_run(GATE, table.name, why=what)
    if _same(real.select(list(table.learnt)), holdout.select(list(table.learnt))):
        return Verdict.could_not_run(GATE, table.name, why="the learnt rows are the rows held back")
    return None


def _same(real: pa.Table, holdout: pa.Table) -> bool:
    """Whether these are the same rows in the same order, constant rows apart."""
    learnt, held = hash_rows(real), hash_rows(holdout)
    return np.array_equal(learnt, held) and len(np.unique(learnt)) > 1


def _pass(table: Table, *, n: int, limit: float, reason: str) -> Verdict:
    return Verdict(
        gate=GATE, table=table.name, value=0.5, low=0.5, high=0.5, baseline=0.5, n=n, limit=limit, bound="at_most",
        passed=True, reason=reason,
    )  # fmt: skip


Triple = tuple[npt.NDArray[np.float32] | Codes, npt.NDArray[np.float32] | Codes, npt.NDArray[np.float32] | Codes]


def _coded(learnt: pa.ChunkedArray, holdout: pa.ChunkedArray, twin: pa.ChunkedArray, *, quantity: bool) -> Triple:
    """Quantities as ranks in [0, 1] (NaN where null), labels as codes."""
    if not quantity:
        codes = labels(learnt, holdout, twin)
        return codes[0], codes[1], codes[2]
    a, b, s = (numbers(c) for c in (learnt, holdout, twin))
    scale = np.sort(np.concatenate([a[~np.isnan(a)], b[~np.isnan(b)]]))
    return _ranks(a, scale), _ranks(b, scale), _ranks(s, scale)


def _ranks(values: npt.NDArray[np.float64], scale: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Mid-ranks of values among the sorted `scale`, from 0 to 1."""
    middle = (np.searchsorted(scale, values, "left") + np.searchsorted(scale, values, "right")) / 2
    return np.where(np.isnan(values), np.nan, middle / max(1, len(scale))).astype(np.float32)


def _closer(coded: list[Triple]) -> tuple[npt.NDArray[np.float64], Codes]:
    """Per twin: 1 where the learnt side is closer, 0.5 where they tie; and the nearest record over both sides."""
    twins, size = len(coded[0][2]), len(coded[0][0])
    wins, nearest = np.empty(twins), np.empty(twins, dtype=np.intp)
    for start in range(0, twins, CHUNK):
        at = slice(start, start + CHUNK)
        to_learnt = _distances([(s[at], a) for a, _, s in coded])
        to_holdout = _distances([(s[at], b) for _, b, s in coded])
        learnt, holdout = to_learnt.min(axis=1), to_holdout.min(axis=1)
        wins[at] = np.where(np.abs(learnt - holdout) < 1e-5, 0.5, learnt < holdout)
        nearest[at] = np.where(learnt <= holdout, to_learnt.argmin(axis=1), size + to_holdout.argmin(axis=1))
    return wins, nearest


def _distances(columns: list[tuple[npt.NDArray[np.float32] | Codes, npt.NDArray[np.float32] | Codes]]) -> Distances:
    """Gower distances times the number of columns, shape (twins, records)."""
    total = np.zeros((len(columns[0][0]), len(columns[0][1])), dtype=np.float32)
    for twin, record in columns:
        if np.issubdtype(twin.dtype, np.integer):
            total += twin[:, None] != record[None, :]
            continue
        step = np.abs(twin[:, None] - record[None, :])  # NaN where either is null
        alone = np.isnan(twin)[:, None] != np.isnan(record)[None, :]
        total += np.where(alone, np.float32(1), np.nan_to_num(step, nan=0.0)) if np.isnan(step).any() else step
    return total


def _independent(nearest: Codes, twins: int) -> float:
    """Kish's effective number of trials; a tie is no trial: swapping the sides would not change it."""
    crowd = float((np.bincount(nearest).astype(np.float64) ** 2).sum()) if len(nearest) else 0.0
    return min(float(twins), twins**2 / crowd) if crowd else float(twins)


def _verdict(table: Table, share: float, trials: float, *, twins: int, of: int, size: int, limit: float) -> Verdict:
    low, high = wilson(share, trials)
    needed = Z**2 * limit * (1 - limit) / (limit - 0.5) ** 2 if limit > 0.5 else math.inf
    decides = wilson(0.5, trials)[1] <= limit
    passed = high <= limit
    counts = f"{twins:,}" + (f" of {of:,}" if of > twins else "")
    reason = f"{share:.1%} of {counts} rows are closer to learnt rows than to {size:,} held-back ones; 50 % is chance"
    if not passed and not decides:
        more = f"about {math.ceil(size * needed / trials):,}" if math.isfinite(needed) else "more than any number of"
        reason = f"{size:,} held-back rows are too few to decide; {more} are needed. Hold back more, or more units"
    elif not passed:
        reason += ": the generator follows single rows. Use larger leaves, or more and smaller samples of units"
    return Verdict(
        gate=GATE, table=table.name, value=round(share, 6), low=round(low, 6), high=round(high, 6), baseline=0.5,
        n=twins, limit=limit, bound="at_most", passed=passed, reason=reason,
    )  # fmt: skip


def wilson(share: float, trials: float) -> tuple[float, float]:
    """Wilson's 95 % interval (1927) of a share of so many trials."""
    centre = (share + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    half = Z / (1 + Z**2 / trials) * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)
