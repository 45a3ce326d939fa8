"""Worker for SDV's HMA, the peer that learns several tables: two levels of them, of simple keys.

A process of its own: what HMA draws depends on Python's hash seed, which is set before Python starts.
"""

import warnings
from typing import Any

import numpy as np

from bench.frames import to_arrow, to_frame
from bench.work import Task, folder_bytes, main, timed
from twinlake.schema import Schema
from twinlake.tables import Tables


def work(task: Task) -> dict[str, Any]:
    """Learn the tables of a folder, draw as many units, write them to `twin`, and tell what it cost."""
    import torch
    from sdv.multi_table import HMASynthesizer

    np.random.seed(task.seed)  # noqa: NPY002 - SDV draws from it
    torch.manual_seed(task.seed)
    torch.set_num_threads(task.cores)
    told: dict[str, Any] = {}
    learnt = Tables.open(task.learnt)
    frames = {name: to_frame(rows) for name, rows in learnt.items()}
    synthesizer = HMASynthesizer(_metadata(learnt.schema, frames), verbose=False)
    with timed(told, "fit"):
        synthesizer.fit(frames)
    with timed(told, "sample"):
        drawn = synthesizer.sample_scale(scale=1.0)
        twin = Tables(learnt.schema, {t.name: to_arrow(drawn[t.name], t.arrow) for t in learnt.schema})
        twin.save(task.out / "twin")
    told["rows_per_second"] = sum(twin.rows(n) for n in twin) / told["sample_wall"]
    (task.out / "model").mkdir()
    synthesizer.save(str(task.out / "model" / "model.pkl"))
    return told | {"model_mb": folder_bytes(task.out / "model") / 1e6}


def _metadata(schema: Schema, frames: dict[str, Any]) -> Any:  # noqa: ANN401 - sdv has no types
    """What SDV detects of columns, with the keys and references of the schema."""
    from sdv.metadata import Metadata

    metadata = Metadata.detect_from_dataframes(frames, infer_keys=None)
    for table in schema:
        for name in table.identifiers:
            metadata.update_column(table_name=table.name, column_name=name, sdtype="id")
        if table.key:
            metadata.set_primary_key(table_name=table.name, column_name=table.key[0])
    for table in schema:
        for reference in table.references:
            metadata.add_relationship(
                parent_table_name=reference.table, parent_primary_key=reference.to[0],
                child_table_name=table.name, child_foreign_key=reference.columns[0],
            )  # fmt: skip
    return metadata


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main(work)
