"""Arrow to pandas and back, for peers that speak pandas. Imports nothing of Twinlake: they may live elsewhere."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Rows as pandas has them by default, without time zones: not every peer takes those."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz:
            naive = pa.timestamp(field.type.unit)
            table = table.set_column(i, field.name, table.column(i).cast(pa.int64()).cast(naive))
    frame: pd.DataFrame = table.to_pandas()
    return frame


def to_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """What a peer drew, in the types it was given: whole numbers rounded, time zones put back."""
    return pa.table([_cells(frame[f.name], f.type) for f in schema], schema=schema)


def _cells(column: "pd.Series[Any]", type_: pa.DataType) -> pa.Array:
    if pa.types.is_integer(type_):
        numbers = _numbers(column)
        missing = ~np.isfinite(numbers)
        return pa.array(np.where(missing, 0, np.round(numbers)).astype(np.int64), mask=missing).cast(type_)
    if pa.types.is_floating(type_):
        numbers = _numbers(column)
        return pa.array(numbers, mask=np.isnan(numbers)).cast(type_)
    if pa.types.is_timestamp(type_):
        times = pd.to_datetime(column, errors="coerce")
        counts = times.to_numpy().astype(f"datetime64[{type_.unit}]").astype(np.int64)
        return pa.array(counts, mask=times.isna().to_numpy()).cast(type_)
    words = [None if v is None or v is pd.NA or v != v else str(v) for v in column.astype(object)]
    return pa.array(words, pa.string()).cast(type_)


def _numbers(column: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    return np.asarray(pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan))
