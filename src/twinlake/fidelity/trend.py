"""Gate `pair_trend`: do columns go together as they do in rows that were held back?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.columns import Codes, Floats, is_quantity, numbers
from twinlake.fidelity.coding import Coded, code_bins, code_labels
from twinlake.fidelity.comparison import REPLICATES, Sides, compared, nothing_to_compare, trivial
from twinlake.schema import Table
from twinlake.verdict import Verdict

GATE = "pair_trend"
ROWS = 20_000  # of each side
CELLS = 300_000_000  # rows times pairs that are counted at most: seconds
BINS = 10
LABELS = 100  # commonest labels with a state of their own
SHOWN = 20
COLUMNS_FOR_INTERVAL = 20


def pair_trend(
    real: pa.Table, holdout: pa.Table, synthetic: pa.Table, table: Table, *, limit: float, rng: np.random.Generator
) -> Verdict:
    """Mean likeness of holdout and twin over all pairs of learnt columns, 1.0 where they are the same.

    The measures are SDMetrics' (0.32). Two quantities: 1 - half the difference of their Pearson correlations, over
    rows that hold both (CorrelationSimilarity). Any other pair: 1 - total variation distance of their joint
    distribution, quantities in 10 bins of equal width over the holdout's range, null being a state
    (ContingencySimilarity). Three departures: labels that fewer than 10 real rows hold are one state, and so are all
    beyond the 100 commonest; a correlation that one side lacks because a column is constant there is 0; a pair
    whose correlation both sides lack is left out.

    At most 20,000 rows of each side are used (fewer beyond 20,000 pairs), drawn with `rng`. The interval is value
    +- 1.96 standard deviations of a bootstrap over rows, over the pairs of at most 20 columns. Baseline and passing
    are those of `column_shape`. `parts` are the 20 worst pairs.
    """
    names = table.learnt
    early = nothing_to_compare(GATE, real, holdout, synthetic, table, limit=limit, columns=names)
    if early or len(names) == 1:
        alone = "there is one learnt column, hence nothing to pair"
        return early or trivial(GATE, table, n=synthetic.num_rows, limit=limit, reason=alone)
    pairs = len(names) * (len(names) - 1) // 2
    sides = Sides.draw(real, holdout, synthetic, columns=names, rows=min(ROWS, max(2_000, CELLS // pairs)), rng=rng)
    held, twin, learnt = _frames(sides, table)
    scores = _scores(held, twin)
    found = np.flatnonzero(~np.isnan(scores))
    if not len(found):
        return trivial(GATE, table, n=synthetic.num_rows, limit=limit, reason="no pair of columns has a trend")
    first, second = np.triu_indices(len(names), 1)
    worst = found[np.argsort(scores[found], kind="stable")][:SHOWN]
    return compared(
        GATE, table, sides, {f"{names[first[i]]} × {names[second[i]]}": float(scores[i]) for i in worst},
        value=float(np.nanmean(scores)), baseline=_mean(_scores(held, learnt)), error=_spread(held, twin, rng),
        limit=limit, what="pair",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Frame:
    """One side: states of all columns, shape (rows, columns), and values of the quantities among them."""

    states: Codes
    sizes: Codes
    quantity: npt.NDArray[np.bool_]
    values: Floats

    def take(self, rows: Codes, columns: Codes) -> "_Frame":
        among = np.cumsum(self.quantity) - 1
        values = self.values[rows][:, among[columns[self.quantity[columns]]]]
        return _Frame(self.states[rows][:, columns], self.sizes[columns], self.quantity[columns], values)


def _frames(sides: Sides, table: Table) -> list[_Frame]:
    names = sides.holdout.column_names
    quantity = np.array([is_quantity(table[n]) for n in names])
    coded: list[Coded] = [
        code_bins(sides, n, bins=BINS) if q else code_labels(sides, n, most=LABELS)
        for n, q in zip(names, quantity, strict=True)
    ]
    sizes = np.array([c.size for c in coded], dtype=np.intp)
    states = ([c.holdout for c in coded], [c.synthetic for c in coded], [c.real for c in coded])
    return [
        _Frame(np.column_stack(s), sizes, quantity, _values(t, quantity))
        for s, t in zip(states, sides.tables, strict=True)
    ]


def _values(data: pa.Table, quantity: npt.NDArray[np.bool_]) -> Floats:
    columns = [numbers(data.column(int(i))) for i in np.flatnonzero(quantity)]
    values = np.column_stack(columns) if columns else np.empty((data.num_rows, 0))
    return np.where(np.isfinite(values), values, np.nan)


def _scores(a: _Frame, b: _Frame) -> Floats:
    """Likeness of each pair of columns in the order of `triu_indices`; NaN where there is nothing to compare."""
    p = len(a.sizes)
    scores = np.full((p, p), np.nan)
    for i in range(p - 1):
        others = np.arange(i + 1, p)
        others = others[~a.quantity[others]] if a.quantity[i] else others
        if len(others):
            joint = np.abs(_joint(a, i, others) - _joint(b, i, others)).sum(axis=0)
            scores[i, others] = 1 - np.add.reduceat(joint, _starts(a.sizes[others])) / 2
    at = np.flatnonzero(a.quantity)
    scores[np.ix_(at, at)] = _correlation_likeness(a.values, b.values)
    return scores[np.triu_indices(p, 1)]


def _joint(frame: _Frame, i: int, others: Codes) -> Floats:
    """Shares of rows in each state of column i and each state of the others, shape (states, states of all others)."""
    width = int(frame.sizes[others].sum())
    cells = frame.states[:, others] + _starts(frame.sizes[others])
    cells += frame.states[:, [i]] * width
    counts = np.bincount(cells.ravel(), minlength=int(frame.sizes[i]) * width)
    return counts.reshape(-1, width) / len(frame.states)


def _starts(sizes: Codes) -> Codes:
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)


def _correlation_likeness(a: Floats, b: Floats) -> Floats:
    p, q = _correlations(a), _correlations(b)
    likeness = 1 - np.abs(np.nan_to_num(p) - np.nan_to_num(q)) / 2
    return np.where(np.isnan(p) & np.isnan(q), np.nan, likeness)


def _correlations(values: Floats) -> Floats:
    """Pearson correlations over rows that hold both values, shape (columns, columns); NaN where undefined."""
    there = ~np.isnan(values)
    if not there.any():
        return np.full((values.shape[1],) * 2, np.nan)
    count = there.sum(axis=0)
    centre = np.where(there, values, 0).sum(axis=0) / np.maximum(count, 1)
    x = np.where(there, values - centre, 0.0)
    scale = np.abs(x).max(axis=0)
    x = x / np.where(scale > 0, scale, 1.0)
    m = there.astype(np.float64)
    n, sx, sxx, sxy = m.T @ m, x.T @ m, (x * x).T @ m, x.T @ x
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = sxx / n - (sx / n) ** 2
        covariance = sxy / n - (sx / n) * (sx.T / n)
        variance = np.where(variance > 1e-12, variance, np.nan)
        return np.clip(np.round(covariance / np.sqrt(variance * variance.T), 9), -1, 1)


def _spread(a: _Frame, b: _Frame, rng: np.random.Generator) -> float:
    p = len(a.sizes)
    columns = np.sort(rng.choice(p, min(p, COLUMNS_FOR_INTERVAL), replace=False)).astype(np.intp)
    values = [
        _mean(_scores(a.take(_again(a, rng), columns), b.take(_again(b, rng), columns))) for _ in range(REPLICATES)
    ]
    return float(np.std(values, ddof=1))


def _again(frame: _Frame, rng: np.random.Generator) -> Codes:
    return rng.integers(0, len(frame.states), len(frame.states)).astype(np.intp)


def _mean(scores: Floats) -> float:
    found = scores[~np.isnan(scores)]
    return float(found.mean()) if len(found) else 1.0
