"""Worker for MOSTLY AI's TabularARGN (`mostlyai-engine`), in an environment of its own. Imports nothing of Twinlake."""

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.frames import to_arrow, to_frame
from bench.work import Task, folder_bytes, main, speed, timed


def work(task: Task) -> dict[str, Any]:
    """Learn, draw, and tell what it cost. Defaults, but for the device, the time, and rare values that may be shown."""
    import torch
    from mostlyai.engine import TabularARGN  # not in our environment

    torch.set_num_threads(task.cores)
    learnt = pq.read_table(task.learnt)
    frame, told = to_frame(learnt), dict[str, Any]()
    with tempfile.TemporaryDirectory() as scratch:
        model = TabularARGN(
            max_training_time=task.budget / 60, device="cpu", random_state=task.seed,
            value_protection=not task.public, workspace_dir=str(Path(scratch) / "work"),
        )  # fmt: skip
        with timed(told, "fit"):
            model.fit(frame)
        drawn = model.sample(n_samples=task.rows)
        pq.write_table(to_arrow(drawn, learnt.schema), task.out / "synthetic.parquet")
        told["rows_per_second"] = speed(lambda rows: model.sample(n_samples=rows), task.rows)
        told["model_bytes"] = folder_bytes(Path(scratch) / "work" / "ModelStore")
        told["written_per_second"] = speed(
            lambda rows: model.sample(n_samples=rows).to_parquet(Path(scratch) / "out.parquet"), task.rows
        )
        shutil.rmtree(Path(scratch) / "work", ignore_errors=True)
    return told


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main(work)
