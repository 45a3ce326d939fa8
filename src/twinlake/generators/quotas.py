"""A table of whole numbers that is like a given one and has given sums of rows and columns."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_TURNS = 1_000
_SLACK = 1e-8  # share of independence that is mixed in, so that any sums can be met


def quotas(like: Floats, rows: Counts, columns: Counts) -> Counts:
    """The table with these sums; both add up to the same total.

    Iterative proportional fitting (Deming and Stephan 1940), then whole numbers: each cell is rounded down, what is
    left goes to the cells that lost most, where row and column have room.

    Args:
        like: what it is like but for its sums, shape (rows, columns), not negative.
        rows: sums of the rows.
        columns: sums of the columns.
    """
    fitted = _fitted(like, rows.astype(np.float64), columns.astype(np.float64))
    whole = np.floor(fitted + 1e-9).astype(np.int64)
    return whole + _rest(fitted - whole, rows - whole.sum(axis=1), columns - whole.sum(axis=0))


def _fitted(like: Floats, rows: Floats, columns: Floats) -> Floats:
    """The fractions with sums of at most these, and nearly these; cells of 0 are filled where the sums need it."""
    total = max(float(rows.sum()), 1.0)
    table: Floats = like / max(float(like.sum()), 1e-300) + _SLACK * np.outer(rows, columns) / total**2
    for _ in range(_TURNS):
        table *= (rows / np.maximum(table.sum(axis=1), 1e-300))[:, None]
        sums = table.sum(axis=0)
        if np.abs(sums - columns).max(initial=0) < 0.01:
            break
        table *= columns / np.maximum(sums, 1e-300)
    table *= np.minimum(1.0, rows / np.maximum(table.sum(axis=1), 1e-300))[:, None]
    table *= np.minimum(1.0, columns / np.maximum(table.sum(axis=0), 1e-300))
    return table


def _rest(lost: Floats, rows: Counts, columns: Counts) -> Counts:
    """What rows and columns still miss: one to each cell, those first that lost most; then wherever there is room."""
    rows, columns = rows.copy(), columns.copy()
    found = np.zeros(lost.shape, dtype=np.int64)
    for at in np.argsort(-lost, axis=None, kind="stable"):
        row, column = divmod(int(at), lost.shape[1])
        if lost[row, column] > 0 and rows[row] and columns[column]:
            found[row, column] += 1
            rows[row] -= 1
            columns[column] -= 1
    for row in np.flatnonzero(rows):
        for column in np.flatnonzero(columns):
            more = min(rows[row], columns[column])
            found[row, column] += more
            rows[row] -= more
            columns[column] -= more
    return found
