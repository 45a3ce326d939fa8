"""How alike pairs of columns go together on two sides. The measures are SDMetrics' (0.32), with three departures.

Two quantities: 1 - half the difference of their Pearson correlations, over rows that hold both (CorrelationSimilarity).
Any other pair: 1 - total variation distance of their joint distribution, quantities in 10 bins of equal width over the
holdout's range, null being a state (ContingencySimilarity). Labels that fewer than 10 real rows hold are one state, and
so are all beyond the 100 commonest; a correlation that one side lacks because a column is constant there is 0; a pair
whose correlation both sides lack is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.columns import Codes, Floats, is_quantity, numbers
from twinlake.fidelity.coding import RARE, Coded, code_bins, code_labels
from twinlake.fidelity.comparison import REPLICATES, Sides
from twinlake.schema import Column

ROWS = 20_000  # of each side
SHOWN = 20  # worst pairs that a verdict names
BINS = 10
LABELS = 100  # commonest labels with a state of their own
_CELLS = 300_000_000  # rows times pairs that are counted at most: seconds
PAIRS_FOR_INTERVAL = 190


def rows_for(pairs: int) -> int:
    """How many rows of each side are used at most where so many pairs are compared."""
    return min(ROWS, max(2_000, _CELLS // max(pairs, 1)))


@dataclass(frozen=True, slots=True)
class Frame:
    """One side: states of all columns, shape (rows, columns), and values of the quantities among them.

    Attributes:
        sizes: how many states each column has.
        quantity: whether each column is a quantity.
    """

    states: Codes
    sizes: Codes
    quantity: npt.NDArray[np.bool_]
    values: Floats

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.states)

    def take(self, rows: Codes) -> Self:
        """Some rows."""
        return type(self)(self.states[rows], self.sizes, self.quantity, self.values[rows])

    def only(self, columns: Codes) -> Self:
        """Some columns."""
        among = np.cumsum(self.quantity) - 1
        values = self.values[:, among[columns[self.quantity[columns]]]]
        return type(self)(self.states[:, columns], self.sizes[columns], self.quantity[columns], values)

    def at(self, places: Codes) -> Self:
        """The rows at some places; place -1 is a row of nulls."""
        nowhere = (places < 0)[:, None]
        if not self.rows:
            empty = np.zeros((len(places), len(self.sizes)), dtype=np.intp)
            return type(self)(empty, self.sizes, self.quantity, np.full((len(places), self.values.shape[1]), np.nan))
        states, values = np.where(nowhere, 0, self.states[places]), np.where(nowhere, np.nan, self.values[places])
        return type(self)(states, self.sizes, self.quantity, values)

    def beside(self, other: Self) -> Self:
        """The columns of both; rows are in the same order."""
        return type(self)(
            np.hstack([self.states, other.states]), np.append(self.sizes, other.sizes),
            np.append(self.quantity, other.quantity), np.hstack([self.values, other.values]),
        )  # fmt: skip


def frames(sides: Sides, columns: Sequence[Column], *, rare: int = RARE) -> tuple[Frame, Frame, Frame]:
    """Holdout, twin and learnt rows on one scale; labels that fewer than `rare` real rows hold are one state."""
    quantity = np.array([is_quantity(c) for c in columns], dtype=np.bool_)
    coded: list[Coded] = [
        code_bins(sides, c.name, bins=BINS) if q else code_labels(sides, c.name, most=LABELS, rare=rare)
        for c, q in zip(columns, quantity, strict=True)
    ]
    sizes = np.array([c.size for c in coded], dtype=np.intp)
    held, twin, learnt = ([c.holdout for c in coded], [c.synthetic for c in coded], [c.real for c in coded])
    quantities = [c.name for c, q in zip(columns, quantity, strict=True) if q]
    first, second, third = (
        Frame(_stacked(s, t, np.intp), sizes, quantity, _values(t, quantities))
        for s, t in zip((held, twin, learnt), sides.tables, strict=True)
    )
    return first, second, third


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which columns are paired: places in a frame, shape (pairs,) each."""

    first: Codes
    second: Codes

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.first)

    @classmethod
    def of_all(cls, columns: int) -> Self:
        """Each column with each later one."""
        first, second = np.triu_indices(columns, 1)
        return cls(first.astype(np.intp), second.astype(np.intp))

    @classmethod
    def across(cls, own: int, others: int) -> Self:
        """Each of the first `own` columns with each of the `others` after them."""
        first, second = np.divmod(np.arange(own * others, dtype=np.intp), max(others, 1))
        return cls(first, second + own)

    @classmethod
    def same(cls, columns: int) -> Self:
        """Each of so many columns with the one that stands so many places after it."""
        own = np.arange(columns, dtype=np.intp)
        return cls(own, own + columns)

    def some(self, most: int, rng: np.random.Generator) -> Self:
        """At most so many of them, drawn with `rng`."""
        if len(self) <= most:
            return self
        kept = np.sort(rng.choice(len(self), most, replace=False))
        return type(self)(self.first[kept], self.second[kept])


def likenesses(a: Frame, b: Frame, pairs: Pairs) -> Floats:
    """The likeness of each pair, shape (pairs,); NaN where there is nothing to compare."""
    scores = np.full(len(pairs), np.nan)
    both = a.quantity[pairs.first] & a.quantity[pairs.second]
    for i in np.unique(pairs.first[~both]):
        at = np.flatnonzero((pairs.first == i) & ~both)
        others = pairs.second[at]
        joint = np.abs(_joint(a, i, others) - _joint(b, i, others)).sum(axis=0)
        scores[at] = 1 - np.add.reduceat(joint, _starts(a.sizes[others])) / 2
    if both.any():
        among = np.cumsum(a.quantity) - 1
        alike = _correlation_likeness(a.values, b.values)
        scores[both] = alike[among[pairs.first[both]], among[pairs.second[both]]]
    return scores


def mean(scores: Floats) -> float:
    """The mean likeness of the pairs that have one; 1.0 where none has."""
    found = scores[~np.isnan(scores)]
    return float(found.mean()) if len(found) else 1.0


def worst(scores: Floats, names: Sequence[str], *, most: int = SHOWN) -> dict[str, float]:
    """The pairs that are least alike, by name, worst first."""
    found = np.flatnonzero(~np.isnan(scores))
    return {names[i]: float(scores[i]) for i in found[np.argsort(scores[found], kind="stable")][:most]}


def spread(a: Frame, b: Frame, pairs: Pairs, rng: np.random.Generator) -> float:
    """Standard deviation of the mean likeness of two sides over a bootstrap of rows."""
    again = ([f.take(_again(f.rows, None, rng)) for f in (a, b)] for _ in range(REPLICATES))
    return float(np.std([mean(likenesses(first, second, pairs)) for first, second in again], ddof=1))


def spreads(
    held: Frame, twin: Frame, learnt: Frame, pairs: Pairs, rng: np.random.Generator, *, by: tuple[Codes, ...]
) -> tuple[float, float]:
    """Standard deviations of the twin's mean likeness, and of its difference from the learnt rows', over a bootstrap.

    Rows that share a parent are no independent observations, so whole clusters of rows are drawn again: the cluster
    bootstrap (Davison and Hinkley, Bootstrap Methods and their Application, 1997, 3.8). `by` are the clusters of the
    rows of each side, numbered from 0.
    """
    values = np.empty((REPLICATES, 2))
    for i in range(REPLICATES):
        a, b, c = (f.take(_again(f.rows, g, rng)) for f, g in zip((held, twin, learnt), by, strict=True))
        values[i] = mean(likenesses(a, b, pairs)), mean(likenesses(a, c, pairs))
    return float(values[:, 0].std(ddof=1)), float((values[:, 0] - values[:, 1]).std(ddof=1))


def _again(rows: int, clusters: Codes | None, rng: np.random.Generator) -> Codes:
    if clusters is None:
        return rng.integers(0, rows, rows).astype(np.intp)
    count = int(clusters.max()) + 1
    times = np.bincount(rng.integers(0, count, count), minlength=count)
    return np.repeat(np.arange(rows, dtype=np.intp), times[clusters])


def _stacked(columns: list[Codes], data: pa.Table, type_: type[np.intp]) -> Codes:
    return np.column_stack(columns) if columns else np.empty((data.num_rows, 0), type_)


def _values(data: pa.Table, quantities: Sequence[str]) -> Floats:
    columns = [numbers(data[n]) for n in quantities]
    values = np.column_stack(columns) if columns else np.empty((data.num_rows, 0))
    return np.where(np.isfinite(values), values, np.nan)


def _joint(frame: Frame, i: int, others: Codes) -> Floats:
    """Shares of rows in each state of column i and each state of the others, shape (states, states of all others)."""
    width = int(frame.sizes[others].sum())
    cells = frame.states[:, others] + _starts(frame.sizes[others])
    cells += frame.states[:, [i]] * width
    counts = np.bincount(cells.ravel(), minlength=int(frame.sizes[i]) * width)
    return counts.reshape(-1, width) / frame.rows


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
