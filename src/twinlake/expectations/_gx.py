"""The adapter to Great Expectations: the only file that imports it, late, because that takes seconds."""

import datetime as dt
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.errors import ProjectError, TwinlakeError, nearest
from twinlake.expectations.suite import Expectation, Suite, to_gx
from twinlake.schema import Table
from twinlake.types import ENUM


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether an expectation holds.

    Attributes:
        ran: whether it could be evaluated; what could not run does not hold.
        unexpected: share of values that break it, from 0 to 1, where it counts values; None on real data.
    """

    expectation: Expectation
    held: bool
    ran: bool = True
    unexpected: float | None = None


def check_suite(suite: Suite) -> None:
    """Raise ProjectError with every argument that Great Expectations does not take."""
    with _quiet():
        mistakes = [m for e in suite.expectations for m in _wrong_arguments(suite, e)]
    if mistakes:
        raise ProjectError(mistakes)


def run_suite(suite: Suite, data: pa.Table, table: Table, *, real: bool) -> tuple[Outcome, ...]:
    """Whether each expectation holds, in the suite's order; raises ProjectError for wrong arguments.

    Great Expectations sees decimals as floats, times of day as they are, dates and timestamps as UTC without zone,
    enums, uuids and json as text. From real data it is asked for booleans alone, its log is shut, and the text of
    what goes wrong inside it is dropped: that text may quote cells.
    """
    check_suite(suite)
    if not suite.expectations:
        return ()
    with _quiet() as gx:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        source = context.data_sources.add_pandas("tables")
        whole = source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("whole")
        batch = whole.get_batch({"dataframe": _frame(data)})
        made = [_ready(e, table) | {"meta": {"at": i}} for i, e in enumerate(suite.expectations)]
        # one by one equal expectations would be merged, hence the number in meta
        asked = gx.ExpectationSuite(name=suite.name, expectations=made)
        found = batch.validate(asked, result_format="BOOLEAN_ONLY" if real else "BASIC")
    results = {r.expectation_config.meta["at"]: r for r in found.results}
    return tuple(_outcome(e, results.get(i), real=real) for i, e in enumerate(suite.expectations))


@contextmanager
def _quiet() -> Iterator[Any]:
    """Great Expectations, imported, without its log, its warnings and its telemetry."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    log = logging.getLogger("great_expectations")
    before = log.disabled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        children = [logging.getLogger(n) for n in logging.root.manager.loggerDict if n.startswith("great_expectations")]
        shut = [(child, child.disabled) for child in children]
        for child in children:
            child.disabled = True
        log.disabled = True
        try:
            yield gx
        finally:
            for child, was in shut:
                child.disabled = was
            log.disabled = before


def _wrong_arguments(suite: Suite, expectation: Expectation) -> Iterator[TwinlakeError]:
    from great_expectations.expectations.registry import get_expectation_impl

    made = get_expectation_impl(expectation.type)
    try:
        made(**expectation.kwargs)
    except ValueError as error:
        errors = getattr(error, "errors", lambda: [{"loc": (), "msg": "these arguments do not go together"}])()
        for name, said in {str(e["loc"][0]) if e["loc"] else "": e["msg"] for e in errors}.items():
            yield _wrong(suite, expectation, name, str(said), [str(f) for f in made.__fields__])


def _wrong(suite: Suite, expectation: Expectation, name: str, said: str, fields: list[str]) -> TwinlakeError:
    where = suite.where(expectation)
    if name and name != "__root__" and name not in fields:
        return TwinlakeError(f'{expectation.type} has no argument "{name}"', where=where, fix=nearest(name, fields))
    about = f"{name}: " if name and name != "__root__" else ""
    return TwinlakeError(f"{expectation.type}: {about}{said}", where=where)


def _ready(expectation: Expectation, table: Table) -> dict[str, Any]:
    """An expectation for GX; text that stands for a time becomes one, because GX does not compare the two."""
    plain = to_gx(expectation)
    types = [table[c].type for c in expectation.columns if c in table.names]
    if types and all(pa.types.is_date32(t) or pa.types.is_timestamp(t) for t in types):
        plain["kwargs"] = {k: v if k.startswith("column") else _time(v) for k, v in plain["kwargs"].items()}
    return plain


def _time(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {k: _time(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_time(v) for v in value]
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value
    zoned = isinstance(moment, dt.datetime) and moment.tzinfo is not None
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if zoned else moment


def _frame(data: pa.Table) -> pd.DataFrame:
    return pd.DataFrame({name: _series(data[name].combine_chunks()) for name in data.column_names}, copy=False)


def _series(array: pa.Array) -> Any:  # noqa: ANN401 - a pandas Series of any kind
    """A column as Great Expectations compares it fast: int64, float64, datetime64 or objects."""
    type_ = array.type
    if isinstance(array, pa.ExtensionArray):
        return pd.Series(array.to_pylist() if type_ == pa.uuid() else array.storage.to_pylist(), dtype=object).map(
            str, na_action="ignore"
        )
    if type_ == ENUM:
        return array.cast(pa.string()).to_pandas()
    if pa.types.is_decimal(type_) or pa.types.is_floating(type_):
        return array.cast(pa.float64(), safe=False).to_pandas()
    if pa.types.is_integer(type_) and type_ != pa.uint64():
        return _integers(array.cast(pa.int64()))
    if pa.types.is_date32(type_) or pa.types.is_timestamp(type_):
        return _moments(array.cast(pa.timestamp("s")) if pa.types.is_date32(type_) else array)
    return array.to_pandas()


def _integers(array: pa.Array) -> Any:  # noqa: ANN401 - a pandas Series of any kind
    """int64; with nulls float64 where that is exact, else pandas' own integers with null."""
    ends = pc.min_max(pc.abs(array)) if array.null_count < len(array) else None
    exact = ends is None or ends["max"].as_py() < 2**53
    return (
        array.to_pandas()
        if exact or not array.null_count
        else array.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    )


def _moments(array: pa.Array) -> Any:  # noqa: ANN401 - a pandas Series of any kind
    """datetime64[ns] where that reaches (1677 to 2262), else microseconds; in UTC, without zone."""
    for unit in ("ns", "us"):
        try:
            return array.cast(pa.int64()).cast(pa.timestamp(array.type.unit)).cast(pa.timestamp(unit)).to_pandas()
        except pa.ArrowInvalid:
            continue
    return array.cast(pa.int64()).cast(pa.timestamp(array.type.unit)).to_pandas()


def _outcome(expectation: Expectation, result: Any, *, real: bool) -> Outcome:  # noqa: ANN401 - GX's result
    if result is None:
        return Outcome(expectation, held=False, ran=False)
    info = result.exception_info or {}
    raised = [info] if "raised_exception" in info else list(info.values())
    ran = not any(isinstance(r, Mapping) and r.get("raised_exception") for r in raised)
    percent = None if real else (result.result or {}).get("unexpected_percent")
    share = None if percent is None or np.isnan(percent) else float(percent) / 100
    return Outcome(
        expectation, held=ran and bool(result.success), ran=ran, unexpected=share
    )  # success: np.bool_ at times
