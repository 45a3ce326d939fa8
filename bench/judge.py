"""What a twin is worth: detection, shapes, trends, three-way marginals, usefulness, membership, copies.

Everything is judged against the held-out half. Each measure comes with the standard error of one run.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.membership import membership
from bench.worlds import World
from twinlake.columns import Codes, Floats, is_quantity, labels, numbers
from twinlake.fidelity.shape import column_shape
from twinlake.fidelity.trend import pair_trend
from twinlake.hashing import hash_rows
from twinlake.random import integer_seed, stream
from twinlake.schema import Table
from twinlake.verdict import Verdict

DETECTED = 24_000  # rows of each side that are told apart at most
TRIPLES = 3_000  # of columns that are compared at most
BINS = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """A value and the standard error that one run of it has; NaN where that is not known."""

    value: float
    error: float = float("nan")


@dataclass(frozen=True, slots=True)
class Sides:
    """The columns of the learnt rows, the held-out rows and the twin on common scales."""

    names: tuple[str, ...]
    quantity: tuple[bool, ...]
    learnt: tuple[Floats | Codes, ...]
    holdout: tuple[Floats | Codes, ...]
    synthetic: tuple[Floats | Codes, ...]

    @classmethod
    def of(cls, learnt: pa.Table, holdout: pa.Table, synthetic: pa.Table, table: Table) -> "Sides":
        """Quantities as floats (NaN where null), labels as codes (-1 where null)."""
        quantity = tuple(is_quantity(c) for c in table.columns)
        columns = [
            [numbers(t[c.name]) for t in (learnt, holdout, synthetic)] if q
            else labels(learnt[c.name], holdout[c.name], synthetic[c.name])
            for c, q in zip(table.columns, quantity, strict=True)
        ]  # fmt: skip
        return cls(table.names, quantity, *(tuple(c[i] for c in columns) for i in range(3)))


def judge(
    world: World, learnt: pa.Table, holdout: pa.Table, synthetic: pa.Table, *, seed: int, cores: int
) -> dict[str, Measured]:
    """All measures of a twin of `learnt`; a set of real rows in the place of the twin gives the ceiling."""
    table = world.table(learnt)
    sides = Sides.of(learnt, holdout, synthetic, table)
    shape = column_shape(learnt, holdout, synthetic, table, limit=0, rng=stream(seed, "shape"))
    trend = pair_trend(learnt, holdout, synthetic, table, limit=0, rng=stream(seed, "trend"))
    return {
        **detection(sides, rng=stream(seed, "detection"), cores=cores),
        "shape": _likeness(shape),
        "trend": _likeness(trend),
        "three_way": three_way(sides, rng=stream(seed, "triples")),
        "useful": usefulness(sides, world, cores=cores),
    }


def privacy(
    learnt: pa.Table, holdout: pa.Table, synthetic: pa.Table, world: World, *, seed: int
) -> dict[str, Measured]:
    """Whether learnt rows are told from held-out ones by the twin, and how many of its rows are exact copies."""
    sides = Sides.of(learnt, holdout, synthetic, world.table(learnt))
    twins = hash_rows(synthetic)
    copies = {
        name: Measured(float(np.isin(twins, hash_rows(side)).mean()))
        for name, side in (("copies_learnt", learnt), ("copies_holdout", holdout))
    }
    told = membership(sides.quantity, sides.learnt, sides.holdout, sides.synthetic, rng=stream(seed, "membership"))
    return {name: Measured(*pair) for name, pair in told.items()} | copies


def detection(sides: Sides, *, rng: np.random.Generator, cores: int) -> dict[str, Measured]:
    """How badly XGBoost with its defaults tells the twin from the holdout: mean AUC of 3 folds, and SDMetrics' score.

    The score is 1 - (2 max(.5, AUC) - 1): 1 where the two can't be told apart. The error is that of an AUC
    where there is nothing to tell (Mann and Whitney, 1947).
    """
    import xgboost
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    n = min(len(sides.holdout[0]), len(sides.synthetic[0]), DETECTED)
    frame = _frame(sides, sides.holdout, sides.synthetic, rows=n)
    truth, aucs = np.repeat([0, 1], n), []
    for train, test in StratifiedKFold(3, shuffle=True, random_state=integer_seed(rng)).split(frame, truth):
        model = xgboost.XGBClassifier(tree_method="hist", enable_categorical=True, n_jobs=cores)
        model.fit(frame.iloc[train], truth[train])
        aucs.append(roc_auc_score(truth[test], model.predict_proba(frame.iloc[test])[:, 1]))
    auc, error = float(np.mean(aucs)), float(np.sqrt((2 * n + 1) / (12 * n * n)))
    return {"auc": Measured(auc, error), "xgb": Measured(1 - (2 * max(0.5, auc) - 1), 2 * error)}


def three_way(sides: Sides, *, rng: np.random.Generator) -> Measured:
    """Mean likeness (1 - total variation distance) of twin and holdout over triples of columns.

    Quantities are in at most 10 bins that hold as many real rows each, labels are the 10 commonest and the rest; null
    is a state. At most 3,000 triples, drawn at random.
    """
    states = [_states(sides, i) for i in range(len(sides.names))]
    triples = list(itertools.combinations(range(len(states)), min(3, len(states))))
    if len(triples) > TRIPLES:
        triples = [triples[i] for i in np.sort(rng.choice(len(triples), TRIPLES, replace=False))]
    return Measured(float(np.mean([_alike(*(states[i] for i in triple)) for triple in triples])))


def usefulness(sides: Sides, world: World, *, cores: int) -> Measured:
    """LightGBM with its defaults learns the target on the twin; its AUC (R² for a quantity) on the holdout."""
    import lightgbm
    from sklearn.metrics import r2_score, roc_auc_score

    at = sides.names.index(world.target)
    frame = _frame(sides, sides.synthetic, sides.holdout).drop(columns=f"c{at}")
    train, test = (_target(sides, side, at, world) for side in (sides.synthetic, sides.holdout))
    rows = len(sides.synthetic[0])
    model = lightgbm.LGBMRegressor if world.regression else lightgbm.LGBMClassifier
    known = ~np.isnan(train)
    if len(np.unique(train[known])) < 2:
        return Measured(0.0 if world.regression else 0.5)
    fitted = model(verbose=-1, n_jobs=cores).fit(frame.iloc[:rows][known], train[known])
    tested, truth = frame.iloc[rows:][~np.isnan(test)], test[~np.isnan(test)]
    if world.regression:
        return Measured(float(r2_score(truth, fitted.predict(tested))))
    return Measured(float(roc_auc_score(truth, np.asarray(fitted.predict_proba(tested))[:, 1])))


def _frame(sides: Sides, *stacked: tuple[Floats | Codes, ...], rows: int | None = None) -> pd.DataFrame:
    """The first `rows` rows of sides below one another, columns `c0`, `c1` ...; labels are categories, nulls stay."""
    columns: dict[str, Any] = {}
    for i, quantity in enumerate(sides.quantity):
        whole = np.concatenate([side[i][:rows] for side in stacked])
        if quantity:
            columns[f"c{i}"] = whole
            continue
        size = 1 + max(int(side[i].max(initial=0)) for side in (sides.learnt, sides.holdout, sides.synthetic))
        columns[f"c{i}"] = pd.Categorical.from_codes(whole.tolist(), categories=pd.RangeIndex(size))
    return pd.DataFrame(columns)


def _target(sides: Sides, side: tuple[Floats | Codes, ...], at: int, world: World) -> Floats:
    """The target of each row: the quantity, or 1 for the rarer real class and 0 for others; NaN where null."""
    values = side[at].astype(np.float64)
    if not sides.quantity[at]:
        values[side[at] < 0] = np.nan
    if world.regression:
        return values
    classes, counts = np.unique(sides.holdout[at][sides.holdout[at] >= 0], return_counts=True)
    return np.where(np.isnan(values), np.nan, values == classes[np.argmin(counts)])


def _states(sides: Sides, i: int) -> tuple[Codes, Codes]:
    """Column i of holdout and twin as states 0..BINS + 1; 0 is null."""
    real = np.concatenate([sides.learnt[i], sides.holdout[i]])
    if sides.quantity[i]:
        known = real[~np.isnan(real)]
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.empty(0)
        found = [
            np.where(np.isnan(v), 0, 1 + np.searchsorted(edges, v, side="right"))
            for v in (sides.holdout[i], sides.synthetic[i])
        ]
    else:
        size = 1 + max(int(v.max(initial=0)) for v in (real, sides.synthetic[i]))
        counts = np.bincount(real[real >= 0].astype(np.intp), minlength=size)
        state = np.ones(size + 1, np.intp)
        state[np.argsort(-counts, kind="stable")[:BINS]] = np.arange(2, 2 + min(BINS, size))
        state[-1] = 0  # where the code is -1
        found = [state[v.astype(np.intp)] for v in (sides.holdout[i], sides.synthetic[i])]
    return found[0].astype(np.intp), found[1].astype(np.intp)


def _alike(*columns: tuple[Codes, Codes]) -> float:
    width = BINS + 2
    shares = []
    for side in (0, 1):
        cells = np.zeros(len(columns[0][side]), np.intp)
        for column in columns:
            cells = cells * width + column[side]
        shares.append(np.bincount(cells, minlength=width ** len(columns)) / len(cells))
    return float(1 - np.abs(shares[0] - shares[1]).sum() / 2)


def _likeness(verdict: Verdict) -> Measured:
    if verdict.value is None or verdict.low is None:
        return Measured(float("nan"))
    return Measured(verdict.value, (verdict.value - verdict.low) / 1.96)
