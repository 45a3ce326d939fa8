"""How well whole databases are twinned, in one command.

    pip install --group bench                                      # LightGBM, which judges; SDV is the peer
    python bench/relational.py                                     # all; the page is bench/RELATIONAL.md
    python bench/relational.py --data nafld,fielding --seeds 1     # a trial

Half of the root units is learnt with all that belongs to them, the other half judges; beside every measure stands that
of the learnt half in the twin's place. Measurements are kept in build/bench and found again until the code or the
settings change; `--fresh` measures again. The page is made of all that was asked for; it says how each thing is
measured. From Python: `from bench.relational import measure; measure("nafld")`.
"""

import argparse
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs from anywhere

from bench.databases import DATABASES, Database, halves, part
from bench.ledger import Told, judge_database
from bench.peers import code_hash, last_line
from bench.scorecard import HMA, OURS, Outcome, page, progress
from bench.work import Task, folder_bytes, speed, timed
from bench.worlds import FOLDER, ROOT, names_among
from twinlake.errors import TwinlakeError
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.tables import Tables
from twinlake.units import assign_units

WARM = 1_000  # rows of the largest table that are learnt before the clock starts: compiled kernels are not timed
WORKERS = 2


def measure(
    database: Database | str, seed: int = 0, settings: Mapping[str, Any] | None = None, *, folder: Path = FOLDER,
    rows: int | None = None, generator: str = OURS, speeds: bool = False,
) -> dict[str, Told]:  # fmt: skip
    """Learn half of a database, draw a twin with as many root units, and judge it.

    Args:
        database: one of `DATABASES`, or its name.
        seed: of the halves, the model and the twin.
        settings: of the generator `forest`.
        folder: where the data lies.
        rows: of the largest table about so many; whole units.
        generator: Twinlake, or SDV's HMA where the database has but two levels and simple keys.
        speeds: whether to measure how fast Twinlake writes rows with two processes.

    Returns:
        Measures by name as `judge_database` has them, and costs: `fit_wall` and `fit_cpu` in seconds, `model_mb`,
        and `rows_per_second` of all tables as Parquet. Costs have no floor.

    Raises:
        FileNotFoundError: where the data isn't there.
        TwinlakeError: where Twinlake can't learn or draw it.
        RuntimeError: where SDV can't; with its last words.
    """
    database = DATABASES[database] if isinstance(database, str) else database
    unit, apart = database.unit, database.told_apart
    learnt, held = halves(database.read(folder, rows=rows), unit, seed)
    with tempfile.TemporaryDirectory() as scratch:
        twin, cost = (
            twinned_by_hma(learnt, Path(scratch), seed=seed) if generator == HMA
            else twinned(learnt, unit, Path(scratch), seed=seed, settings=settings or {}, speeds=speeds)
        )  # fmt: skip
        found = judge_database(held, twin, unit, seed=seed, told_apart=apart)
    floor = judge_database(held, learnt, unit, seed=seed, told_apart=apart)
    return {n: Told(v, floor.get(n, float("nan"))) for n, v in found.items()} | {n: Told(v) for n, v in cost.items()}


def twinned(
    learnt: Tables, unit: str, scratch: Path, *, seed: int, settings: Mapping[str, Any], speeds: bool
) -> tuple[Tables, dict[str, float]]:
    """Twinlake's twin with as many root units as were learnt, below `scratch`, and what it cost."""
    told: dict[str, Any] = {}
    generator = RelationalGenerator(table_generator("forest", **settings), k=10)
    if speeds:
        some = part(learnt, unit, share=1 - min(1.0, WARM / max(learnt.rows(n) for n in learnt)), seed=0)
        generator.fit(some, units=assign_units(some, unit), seed=seed, unit=unit)
    with timed(told, "fit"):
        fitted = generator.fit(learnt, units=assign_units(learnt, unit), seed=seed, unit=unit)
    fitted.save(scratch / "model")
    model = read_model(scratch / "model")
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        twin = model.sample(scratch / "twin", scale=1.0, seed=seed, executor=pool)
        if speeds:
            told["rows_per_second"] = _speed(model, twin, scratch / "speed", pool)
    return twin, told | {"model_mb": folder_bytes(scratch / "model") / 1e6}


def twinned_by_hma(learnt: Tables, scratch: Path, *, seed: int) -> tuple[Tables, dict[str, float]]:
    """The twin of SDV's HMA and what it cost; raises RuntimeError with its last words where it fails."""
    learnt.save(scratch / "learnt")
    Task(
        generator="hma", settings={}, learnt=scratch / "learnt", out=scratch, rows=0, seed=seed, budget=0.0, public=(),
        cores=WORKERS,
    ).write(scratch / "task.json")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench.hma", scratch / "task.json"], cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(last_line(done.stderr) or f"the worker ended with {done.returncode}")
    told = json.loads((scratch / "told.json").read_text(encoding="utf-8"))
    return Tables.open(scratch / "twin"), told


def kept(
    database: Database, generator: str, seed: int, settings: Mapping[str, Any], *, folder: Path, home: Path,
    rows: int | None, fresh: bool,
) -> Outcome:  # fmt: skip
    """What `measure` finds, with speeds; from its file where it was found before."""
    key = hashlib.sha256(json.dumps([_code(), dict(settings), rows], sort_keys=True).encode()).hexdigest()[:12]
    file = home / "relational" / database.name / f"{generator.split()[-1].lower()}-{seed}-{key}.json"
    if file.is_file() and not fresh:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Outcome({name: Told(*pair) for name, pair in found.items()}, cached=True)
    try:
        told = measure(database, seed, settings, folder=folder, rows=rows, generator=generator, speeds=True)
    except (TwinlakeError, RuntimeError) as error:
        return Outcome({}, failed=" ".join(str(error).split()))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({n: [t.value, t.floor] for n, t in told.items()}, indent=1), encoding="utf-8")
    return Outcome(told)


def main() -> int:
    asked = _arguments()
    databases, settings = [DATABASES[d] for d in asked.data], {"preset": asked.preset} if asked.preset else {}
    for database in databases:
        if not (file := asked.folder / database.folder / "keys.json").is_file():
            print(f"There is no {file}. Say with --folder where the data lies.", file=sys.stderr)
            return 2
    results: dict[str, dict[str, list[Outcome]]] = {}
    for database in databases:
        for generator in (OURS, HMA) if database.peer else (OURS,):
            for seed in range(asked.seeds):
                outcome = kept(
                    database, generator, seed, settings, folder=asked.folder, home=asked.home, rows=asked.rows,
                    fresh=asked.fresh,
                )  # fmt: skip
                results.setdefault(database.name, {}).setdefault(generator, []).append(outcome)
                print(progress(database.name, generator, seed, outcome), flush=True)
    asked.out.write_text(page(results, rows=asked.rows, settings=settings), encoding="utf-8")
    print(f"wrote {asked.out}")
    return 0


@functools.cache  # what runs is what was imported, whatever becomes of the files since
def _code() -> str:
    """What results depend on beside data and settings."""
    names = ("databases", "joins", "ledger", "relational", "hma")
    return code_hash(ROOT / "src" / "twinlake", *(ROOT / "bench" / f"{n}.py" for n in names))


def _speed(model: RelationalModel, twin: Tables, out: Path, pool: Executor) -> float:
    """Rows per second on disk; the processes are up."""
    once = sum(twin.rows(n) for n in twin)

    def draw(rows: int) -> None:
        shutil.rmtree(out, ignore_errors=True)
        model.sample(out, scale=rows / once, seed=0, executor=pool)

    return speed(draw, once)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=names_among(list(DATABASES)), default=list(DATABASES), help=", ".join(DATABASES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", help="of the forest; its default where not given")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the data lies")
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "bench", help="where measurements are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "RELATIONAL.md")
    parser.add_argument("--rows", type=int, help="of the largest table about so many, for trying things out")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
