"""How well whole databases are twinned, in one command.

    python bench/relational.py                                    # all; the page is bench/RELATIONAL.md
    python bench/relational.py --data nafld,fielding --seeds 1    # a trial

Half of the root units is learnt with all that belongs to them, the other half judges.
"""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs from anywhere

from bench.databases import DATABASES, Database, halves
from bench.ledger import judge_database
from bench.work import folder_bytes, speed, timed
from bench.worlds import FOLDER
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.tables import Tables
from twinlake.units import assign_units


@dataclass(frozen=True, slots=True)
class Told:
    """A measure of the twin, and the same of the learnt half in its place: the floor."""

    value: float
    floor: float = float("nan")


def measure(
    database: Database | str, seed: int = 0, settings: Mapping[str, Any] | None = None, *, folder: Path = FOLDER,
    rows: int | None = None, speeds: bool = False, floors: bool = True,
) -> dict[str, Told]:  # fmt: skip
    """Learn half of a database, draw a twin and judge it.

    Args:
        database: one of `DATABASES`, or its name.
        seed: of the halves, the model and the twin.
        settings: of the generator `forest`.
        folder: where the data lies.
        rows: of the largest table about so many; whole units.
        speeds: whether to measure how fast rows are written by two processes.
        floors: whether to judge the learnt half too.

    Returns:
        Measures by name as `judge_database` has them, and `fit_wall`, `fit_cpu`, `rows_per_second`, `model_mb`.
    """
    database = DATABASES[database] if isinstance(database, str) else database
    learnt, held = halves(database.read(folder, rows=rows), database.unit, seed)
    with tempfile.TemporaryDirectory() as scratch:
        twin, cost = twinned(learnt, database.unit, Path(scratch), seed=seed, settings=settings or {}, speeds=speeds)
        apart = database.told_apart
        found = judge_database(held, twin, database.unit, seed=seed, told_apart=apart)
        floor = judge_database(held, learnt, database.unit, seed=seed, told_apart=apart) if floors else {}
    return {n: Told(v, floor.get(n, float("nan"))) for n, v in found.items()} | {n: Told(v) for n, v in cost.items()}


def twinned(
    learnt: Tables, unit: str, scratch: Path, *, seed: int, settings: Mapping[str, Any], speeds: bool
) -> tuple[Tables, dict[str, float]]:
    """A twin with as many root units as were learnt, below `scratch`, and what it cost."""
    told: dict[str, Any] = {}
    generator = RelationalGenerator(table_generator("forest", **settings), k=10)
    with timed(told, "fit"):
        fitted = generator.fit(learnt, units=assign_units(learnt, unit), seed=seed, unit=unit)
    fitted.save(scratch / "model")
    model = read_model(scratch / "model")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        with timed(told, "sample"):
            twin = model.sample(scratch / "twin", scale=1.0, seed=seed, executor=pool)
        if speeds:
            told["rows_per_second"] = _speed(model, twin, scratch / "speed", pool)
    return twin, told | {"model_mb": folder_bytes(scratch / "model") / 1e6}


def _speed(model: RelationalModel, twin: Tables, out: Path, pool: Executor) -> float:
    """Rows per second on disk; the processes are up."""
    one = sum(twin.rows(n) for n in twin)

    def draw(rows: int) -> None:
        shutil.rmtree(out, ignore_errors=True)
        model.sample(out, scale=rows / one, seed=0, executor=pool)

    return speed(draw, one)
