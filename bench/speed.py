"""Where the time goes when rows are drawn, in nanoseconds per cell, and what learning costs as tables grow.

    python bench/speed.py [--quick] [--data adult.parquet] [--preset fast]

First, one core: drawing codes, decoding them, guarding, writing, against what pyarrow alone takes to write the same
table. Then the cost of learning and drawing tables of more and more rows, columns and categories; each in a process of
its own, so that its highest resident set is its own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))  # for bench.work

from bench.work import peak_megabytes
from twinlake.generators.blueprints import Blueprint
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel
from twinlake.generators.states.alphabet import decode, encode, learn_alphabet
from twinlake.random import stream
from twinlake.schema import Column, Schema, Table
from twinlake.tables import ROWS_PER_GROUP, Tables, TableWriter
from twinlake.types import carried
from twinlake.units import assign_units

_LEAST = 1.0  # seconds that something is timed for


@dataclass(frozen=True, slots=True)
class Shape:
    """A made-up table: its size, and how many categories its widest label has."""

    rows: int
    columns: int
    categories: int = 50

    def __str__(self) -> str:
        """`100,000 x 20`, with the categories where they are many."""
        many = f", {self.categories:,} categories" if self.categories > 1_000 else ""
        return f"{self.rows:,} x {self.columns}{many}"


CURVE = (
    *(Shape(10**n, 20) for n in (4, 5, 6, 7)),
    Shape(10_000, 300),
    Shape(1_000_000, 5, categories=100_000),
)
QUICK = (Shape(2_000, 20), Shape(20_000, 20), Shape(1_000, 100), Shape(20_000, 5, categories=1_500))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small tables only")
    parser.add_argument("--data", type=Path, help="the table whose rows are drawn; a made-up one by default")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measured_here(Shape(**json.loads(asked.child)), asked.preset)))
        return
    for line in spent(asked.data, asked.preset, rows=65_536 if asked.quick else 4 * 65_536):
        print(line)
    print(f"\n{'rows x columns':42}{'fit s':>9}{'CPU s':>9}{'us/cell':>9}{'rows/s':>12}{'data MB':>9}{'peak MB':>9}")
    for shape in QUICK if asked.quick else CURVE:
        told = in_a_process(shape, asked.preset)
        print(
            f"{shape!s:42}{told['wall']:>9.1f}{told['cpu']:>9.1f}"
            f"{told['cpu'] / shape.rows / shape.columns * 1e6:>9.2f}{told['rows_per_second']:>12,.0f}"
            f"{told['data']:>9.0f}{told['peak']:>9.0f}"
        )


def spent(data: Path | None, preset: str, *, rows: int) -> Iterator[str]:
    """Nanoseconds per cell of each step from model to file, on one core."""
    real = made_up(Shape(40_000, 15), stream(0, "speed")) if data is None else typed(pq.read_table(data))
    model, table = learnt(real, preset)
    blueprint = model.blueprints["rows"]
    steps = _steps(model, blueprint, real, table, rows)
    yield f"{rows:,} rows x {real.num_columns} columns, {preset}, CPU nanoseconds per cell"
    for name, seconds in steps.items():
        per_cell = seconds / rows / real.num_columns * 1e9
        yield f"  {name:42}{per_cell:>8.1f}{rows / seconds if seconds > 0 else float('inf'):>14,.0f} rows/s"


def _steps(model: RelationalModel, blueprint: Blueprint, real: pa.Table, table: Table, rows: int) -> dict[str, float]:
    alphabets = [learn_alphabet(real[c.name], c, None) for c in table.columns]
    codes = encode(real.slice(0, min(ROWS_PER_GROUP, real.num_rows)), alphabets)
    times, rng = rows / len(codes), stream(0, "time")
    assert blueprint.model is not None  # the table has columns to learn
    drawn = blueprint.model.sample(rows, context=None, rng=rng)
    pieces = [drawn.slice(start, ROWS_PER_GROUP) for start in range(0, rows, ROWS_PER_GROUP)]
    plain = drawn.cast(table.arrow)
    compact = _compact(plain)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        modelled = _cpu(lambda: blueprint.model.sample(rows, context=None, rng=rng))  # type: ignore[union-attr]
        decoded = _cpu(lambda: decode(codes, alphabets, table, rng, compact=True)) * times
        guarded = _cpu(lambda: [_guard(blueprint, p) for p in pieces])
        written = _cpu(lambda: _write(home / "ours", table, pieces))
        whole = _cpu(lambda: _snapshot(model, home / "all", rows / real.num_rows))
        return {
            "codes, drawn from the trees": max(modelled - decoded, 0.0),
            "codes to values": decoded,
            "guard against chance copies": guarded,
            "values to Parquet": written,
            "the rest: keys, links, shards": max(whole - modelled - guarded - written, 0.0),
            "all: a snapshot": whole,
            "pyarrow alone, text spelt out": _cpu(lambda: _arrow(home / "plain.parquet", plain)),
            "pyarrow alone, text as dictionaries": _cpu(lambda: _arrow(home / "compact.parquet", compact)),
        }


def in_a_process(shape: Shape, preset: str) -> dict[str, float]:
    asked = {"rows": shape.rows, "columns": shape.columns, "categories": shape.categories}
    command = [sys.executable, __file__, "--preset", preset, "--child", json.dumps(asked)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured_here(shape: Shape, preset: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:  # imports and compiled kernels are not what is timed
        _snapshot(learnt(made_up(Shape(500, 9), stream(0)), preset)[0], Path(scratch) / "warm", 1.0)
    real = made_up(shape, stream(0, "curve"))
    data, wall, cpu = real.nbytes / 1e6, time.perf_counter(), time.process_time()
    model, _ = learnt(real, preset)
    told = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "data": data}
    rows = min(max(shape.rows, ROWS_PER_GROUP), 1_000_000)
    with tempfile.TemporaryDirectory() as scratch:
        begun = time.perf_counter()
        _snapshot(model, Path(scratch) / "all", rows / shape.rows)
        told["rows_per_second"] = rows / (time.perf_counter() - begun)
    return told | {"peak": peak_megabytes()}


def learnt(real: pa.Table, preset: str) -> tuple[RelationalModel, Table]:
    """A model of one table whose rows are units."""
    table = Table("rows", tuple(Column(f.name, f.type) for f in real.schema))
    tables = Tables(Schema((table,)), {"rows": real})
    units = assign_units(tables, None)
    generator = RelationalGenerator(table_generator("forest", preset=preset))
    return generator.fit(tables, units=units, seed=0), table


def made_up(shape: Shape, rng: np.random.Generator) -> pa.Table:
    """Columns of every sort that hang together by three hidden numbers; the first one is the widest label."""
    hidden = rng.normal(size=(3, shape.rows))
    wide = np.floor(_share(hidden[0] + rng.normal(0, 0.3, shape.rows)) * shape.categories).astype(np.int64)
    columns: dict[str, pa.Array] = {"c0": _words("category", wide, shape.categories)}
    for i in range(1, shape.columns):
        x = hidden[i % 3] + rng.normal(0, 0.5 + i % 4, shape.rows)
        columns[f"c{i}"] = _SORTS[i % len(_SORTS)](x)
    return pa.table(columns)


def _share(x: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + x / 8, 0, 0.999999)


def _words(name: str, at: np.ndarray, count: int) -> pa.Array:
    return pa.array([f"{name} {i}" for i in range(count)]).take(pa.array(at))


_SORTS: tuple[Callable[[np.ndarray], pa.Array], ...] = (
    pa.array,
    lambda x: pa.array(np.round(np.exp(x) * 1000).astype(np.int64)),
    lambda x: _words("label", np.floor(_share(x) * 7).astype(np.int64), 7),
    lambda x: pa.array(np.round(x * 20 + 40).astype(np.int16), mask=np.floor(np.abs(x) * 1e6) % 10 == 0),
    lambda x: pa.array((x * 1000).astype(np.int32)).cast(pa.date32()),
    lambda x: pa.array(np.where(np.floor(np.abs(x) * 1e6) % 5 < 2, 0.0, np.round(np.exp(x) * 50, 2))),
    lambda x: pa.array(x > 0.5),
    lambda x: _words("code", np.floor(_share(x) * 40).astype(np.int64), 40),
)


def typed(read: pa.Table) -> pa.Table:
    """Rows with the types that a twin carries."""
    return read.cast(pa.schema([pa.field(f.name, carried(f.type)) for f in read.schema]))


def _guard(blueprint: Blueprint, rows: pa.Table) -> Any:  # noqa: ANN401 - thrown away
    return blueprint.guard.clashes(rows) if blueprint.guard else None


def _write(folder: Path, table: Table, pieces: list[pa.Table]) -> None:
    with TableWriter(folder, table) as writer:
        for piece in pieces:
            writer.write(piece)


def _snapshot(model: RelationalModel, folder: Path, scale: float) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    model.sample(folder, scale=scale, seed=0)


def _arrow(path: Path, rows: pa.Table) -> None:
    pq.write_table(rows, path, compression="zstd", row_group_size=ROWS_PER_GROUP)


def _compact(rows: pa.Table) -> pa.Table:
    cells = [c.combine_chunks().dictionary_encode() if pa.types.is_string(c.type) else c for c in rows.columns]
    return pa.table(cells, names=rows.column_names)


def _cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one run, the best of as many as fit in a second; the first one warms up."""
    work()
    best, begun = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - begun < _LEAST:
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
