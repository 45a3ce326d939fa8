"""Rows that follow one another: patients with visits, for all tests of sequences."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from twinlake.generators.forest.generator import Forest
from twinlake.generators.forest.model import ForestModel
from twinlake.generators.siblings import Siblings
from twinlake.hashing import Hashes
from twinlake.random import stream
from twinlake.schema import Column, Table


@dataclass(frozen=True)
class Visits:
    """Rows by their patient, what is known of the patient of each, and whose they are."""

    rows: pa.Table
    table: Table
    siblings: Siblings
    context: pa.Table | None
    units: Hashes

    @property
    def patient(self) -> np.ndarray:
        """The number of each row's patient."""
        return np.repeat(np.arange(len(self.siblings.sizes)), self.siblings.sizes)

    def fit(self, *, k: int = 10, seed: int = 1, **settings: Any) -> ForestModel:
        """A forest of few trees."""
        forest = Forest(**({"trees": 4, "k": k} | settings))
        return forest.fit(
            self.rows, self.table, units=self.units, context=self.context, siblings=self.siblings, rng=stream(seed)
        )

    def draw(self, model: ForestModel, *, seed: int = 2) -> pa.Table:
        """As many rows of the same patients."""
        rows = self.rows.num_rows
        return model.sample(rows, context=self.context, siblings=self.siblings, rng=stream(seed))

    def within(self, column: str, made: pa.Table | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours of one patient: what the first and what the second row hold, as numbers; both there."""
        values = numbers((self.rows if made is None else made)[column])
        same = self.patient[1:] == self.patient[:-1]
        both = same & ~np.isnan(values[1:]) & ~np.isnan(values[:-1])
        return values[:-1][both], values[1:][both]


def visits_of(
    data: dict[str, Any], sizes: np.ndarray, *, context: dict[str, Any] | None = None, order_by: str | None = "day"
) -> Visits:
    """Visits of patients with so many each; `context` holds a value for each patient."""
    rows = pa.table(data)
    patient = np.repeat(np.arange(len(sizes)), sizes)
    beside = None if context is None else pa.table(context).take(pa.array(patient))
    table = Table("visits", tuple(Column(f.name, f.type) for f in rows.schema), order_by=order_by)
    siblings = Siblings.of(patient.astype(np.int64))
    return Visits(rows, table, siblings, beside, patient.astype(np.uint64))


def numbers(cells: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Cells as floats, times in their unit; NaN where null."""
    type_ = cells.type
    if pa.types.is_date32(type_):
        cells = cells.cast(pa.int32())
    elif pa.types.is_temporal(type_):
        cells = cells.cast(pa.int64())
    elif pa.types.is_decimal(type_):
        cells = cells.cast(pa.float64())
    return np.array([np.nan if v is None else float(v) for v in cells.to_pylist()])


def unjudged(model: ForestModel) -> ForestModel:
    """The model as its trees alone draw."""
    return replace(model, judge=None)


def apart(visits: Visits, made: pa.Table) -> float:
    """How well boosted trees tell patients of drawn rows from real ones by all rows of each: area under the curve."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    told = [_summary(visits, table) for table in (visits.rows, made)]
    x, y = np.concatenate(told), np.repeat([1, 0], len(told[0]))
    learner = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, random_state=0)
    return float(roc_auc_score(y, cross_val_predict(learner, x, y, cv=3, method="predict_proba")[:, 1]))


def _summary(visits: Visits, table: pa.Table) -> np.ndarray:
    begins, sizes = visits.siblings.starts[:-1], visits.siblings.sizes
    found = [sizes]
    for column in table.columns:
        values = numbers(column)
        mean = np.add.reduceat(values, begins) / sizes
        spread = np.sqrt(np.add.reduceat((values - np.repeat(mean, sizes)) ** 2, begins) / sizes)
        found += [mean, spread, np.minimum.reduceat(values, begins), np.maximum.reduceat(values, begins)]
    return np.stack(found, axis=1)
