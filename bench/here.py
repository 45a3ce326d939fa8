"""Worker for Twinlake's own generators and for SDV, in the environment that Twinlake is installed in."""

import multiprocessing
import shutil
import tempfile
import warnings
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.frames import to_arrow, to_frame
from bench.work import Task, folder_bytes, main, speed, timed
from twinlake.generators.protocols import TableGenerator
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.random import stream
from twinlake.schema import Column, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units

SDV = {
    "sdv_gaussian_copula": "GaussianCopulaSynthesizer",
    "sdv_ctgan": "CTGANSynthesizer",
    "sdv_tvae": "TVAESynthesizer",
}
WARM = 500  # rows that are learnt before the clock starts: imports and compiled kernels are not what is timed
MOST_EPOCHS = 300  # SDV's own default


def work(task: Task) -> dict[str, Any]:
    """Learn, draw, and tell what it cost."""
    learnt = pq.read_table(task.learnt)
    return _sdv(task, learnt) if task.generator in SDV else _own(task, learnt)


def _own(task: Task, learnt: pa.Table) -> dict[str, Any]:
    told: dict[str, Any] = {}
    table = Table("rows", tuple(Column(f.name, f.type, public=f.name in task.public) for f in learnt.schema))
    generator = table_generator(task.generator, **task.settings)
    _fit(generator, learnt.slice(0, WARM), table).sample(WARM, context=None, rng=stream(0))
    with timed(told, "fit"):
        model = generator.fit(learnt, table, units=None, context=None, rng=stream(task.seed, "fit"))
    drawn = model.sample(task.rows, context=None, rng=stream(task.seed, "sample"))
    pq.write_table(drawn, task.out / "synthetic.parquet")
    if not task.speeds:
        return told
    told["rows_per_second"] = speed(
        lambda rows: model.sample(rows, context=None, rng=stream(task.seed, "speed")), task.rows
    )
    with tempfile.TemporaryDirectory() as scratch:
        model.save(Path(scratch) / "table")
        told["model_bytes"] = folder_bytes(Path(scratch) / "table")
        told["written_per_second"] = _written(generator, learnt, table, task, Path(scratch))
    return told


def _fit(generator: TableGenerator, data: pa.Table, table: Table) -> Any:  # noqa: ANN401 - a TableModel
    return generator.fit(data, table, units=None, context=None, rng=stream(0))


def _written(generator: TableGenerator, learnt: pa.Table, table: Table, task: Task, scratch: Path) -> float:
    """Rows per second into Parquet files as a user of Twinlake gets them: shards, one running process per core."""
    tables = Tables(Schema((table,)), {"rows": learnt})
    fitted = RelationalGenerator(generator).fit(tables, units=assign_units(tables, None), seed=task.seed)
    fitted.save(scratch / "model")
    model, out = read_model(scratch / "model"), scratch / "out"
    with ProcessPoolExecutor(task.cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        _snapshot(model, out, 8 * 65_536 * task.cores, learnt.num_rows, pool)  # so that every process is up
        return speed(lambda rows: _snapshot(model, out, rows, learnt.num_rows, pool), max(task.rows, 500_000))


def _snapshot(model: RelationalModel, out: Path, rows: int, learnt: int, pool: Executor) -> None:
    shutil.rmtree(out, ignore_errors=True)
    model.sample(out, scale=rows / learnt, seed=0, executor=pool)


def _sdv(task: Task, learnt: pa.Table) -> dict[str, Any]:
    import torch

    np.random.seed(task.seed)  # noqa: NPY002 - SDV draws from it
    torch.manual_seed(task.seed)
    torch.set_num_threads(task.cores)
    told: dict[str, Any] = {}
    frame = to_frame(learnt)
    options: dict[str, Any] = {}
    if task.generator != "sdv_gaussian_copula":
        options = {"enable_gpu": False, "epochs": 1}
        _learnt(task.generator, frame.head(WARM), options)
        options["epochs"] = _epochs(task, frame)
        told["epochs"] = options["epochs"]
    with timed(told, "fit"):
        synthesizer = _learnt(task.generator, frame, options)
    drawn = synthesizer.sample(num_rows=task.rows)["rows"]
    pq.write_table(to_arrow(drawn, learnt.schema), task.out / "synthetic.parquet")
    told["rows_per_second"] = speed(lambda rows: synthesizer.sample(num_rows=rows), task.rows)
    with tempfile.TemporaryDirectory() as scratch:
        synthesizer.save(str(Path(scratch) / "model.pkl"))
        told["model_bytes"] = folder_bytes(Path(scratch))
        told["written_per_second"] = speed(
            lambda rows: synthesizer.sample(num_rows=rows)["rows"].to_parquet(Path(scratch) / "out.parquet"), task.rows
        )
    return told


def _learnt(name: str, frame: Any, options: dict[str, Any]) -> Any:  # noqa: ANN401 - sdv has no types
    import sdv.single_table
    from sdv.metadata import Metadata

    metadata = Metadata.detect_from_dataframes({"rows": frame}, infer_keys=None)
    columns = metadata.to_dict()["tables"]["rows"]["columns"]
    for column, told in columns.items():
        if told.get("pii"):  # it would be made up afresh instead of being learnt: latitude and longitude
            number = np.issubdtype(frame[column].dtype, np.number)
            metadata.update_column(column_name=column, sdtype="numerical" if number else "categorical")
    synthesizer = getattr(sdv.single_table, SDV[name])(metadata, **options)
    synthesizer.fit({"rows": frame})
    return synthesizer


def _epochs(task: Task, frame: Any) -> int:  # noqa: ANN401 - pandas
    """As many epochs as the budget allows by the time of short fits, at most SDV's default."""
    if "epochs" in task.settings:
        return int(task.settings["epochs"])
    seconds = {}
    for epochs in (1, 3):
        told: dict[str, Any] = {}
        with timed(told, "fit"):
            _learnt(task.generator, frame, {"enable_gpu": False, "epochs": epochs})
        seconds[epochs] = told["fit_wall"]
        if 2 * seconds[epochs] >= task.budget:
            return epochs
    # what a fit does besides epochs is in both
    each = max((seconds[3] - seconds[1]) / 2, seconds[1] / MOST_EPOCHS)
    return max(1, min(MOST_EPOCHS, 1 + int((task.budget - seconds[1]) / each)))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main(work)
