"""Single values: how unlikely it is that a twin has the very value of a unit, whatever else is in the row."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from twinlake.columns import Floats, numbers

WINDOW = 25  # values to either side that tell how densely a quantity lies there


def met(pool: pa.Table, synthetic: pa.Table, quantities: Iterable[str]) -> Floats:
    """The surprise, in nats, that some synthetic row has the value of each cell; 0 where none has.

    By chance a value is met as often as values lie around it on the column's own grid, the smallest step between two
    of them, or as often as others in the pool have it. No label is looked at.

    Args:
        pool: real rows of both sides.
        synthetic: rows of the twin.
        quantities: columns to look at.

    Returns:
        Shape (rows of the pool, quantities).
    """
    found = [_column(numbers(pool[name]), numbers(synthetic[name])) for name in quantities]
    return np.column_stack(found) if found else np.zeros((pool.num_rows, 0))


def _column(values: Floats, twins: Floats) -> Floats:
    known, drawn = np.sort(values[~np.isnan(values)]), np.unique(twins[~np.isnan(twins)])
    if not len(known) or not len(drawn):
        return np.zeros(len(values))
    step = np.diff(np.union1d(known, drawn)).min(initial=np.inf)
    low, high = np.searchsorted(known, values, "left"), np.searchsorted(known, values, "right")
    below, above = np.maximum(low - WINDOW, 0), np.minimum(high + WINDOW, len(known)) - 1
    width = np.maximum(known[above] - known[below], step)
    around = (above - below) * np.minimum(1.0, step / width) / len(known)
    others = np.maximum(high - low - 1, 0) / len(known)
    expected = np.maximum(np.maximum(around, others) * len(twins), 1e-12)
    return np.where(np.isin(values, drawn), -np.log(-np.expm1(-expected)), 0.0)
