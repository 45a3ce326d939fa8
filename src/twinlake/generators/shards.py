"""Shards: a table cut in pieces, each written to its own Parquet part, wherever an executor runs it.

A shard is a pure function of the model, the seed, the table and its number, so the bytes do not depend on who made it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from twinlake.generators.blueprints import Blueprint, read_blueprint
from twinlake.generators.drafts import Parents
from twinlake.generators.rows import make_rows
from twinlake.generators.weaving import Woven
from twinlake.schema import path_name
from twinlake.tables import TableWriter

ROWS = 65_536
_WAITING = 16  # shards handed out at a time: bounds the memory that their links take


@dataclass(frozen=True)
class Shard:
    """One piece of a table, as a worker gets it.

    Attributes:
        model: folder of the saved model.
        folder: of the snapshot.
        table: its name.
        number: of the shard.
        woven: the rows and what they refer to.
        total: rows of the whole table.
        seed: of the snapshot.
        parents: by prefix, what rules look at in the rows that each row refers to.
        turns: by column, which way to make keys and fakes.
    """

    model: Path | None
    folder: Path
    table: str
    number: int
    woven: Woven
    total: int
    seed: int
    parents: Parents = field(default_factory=dict)
    turns: Mapping[str, int] = field(default_factory=dict)


def table_folder(model: Path, table: str) -> Path:
    """Where a model keeps what it learnt of a table."""
    return model / "tables" / path_name(table)


def write_shard(shard: Shard, blueprint: Blueprint | None = None) -> int:
    """Make a shard and write its part; returns its rows. Without a blueprint the one of the saved model is used."""
    if blueprint is None:
        assert shard.model is not None  # only shards of saved models are sent away
        blueprint = _blueprint(shard.model, shard.table)
    rows = make_rows(
        blueprint, shard.woven, total=shard.total, seed=shard.seed, shard=shard.number, parents=shard.parents,
        turns=shard.turns,
    )  # fmt: skip
    with TableWriter(shard.folder, blueprint.first_pass, part=shard.number) as writer:
        writer.write(rows)
    return int(rows.num_rows)


def run_shards(
    shards: Iterable[Shard], *, blueprint: Blueprint, executor: Executor | None, done: Callable[[int], None]
) -> None:
    """Write all shards, here or by the executor's workers; `done` is told the number of each in order."""
    for number, _ in _results(shards, blueprint, executor):
        done(number)


def _results(shards: Iterable[Shard], blueprint: Blueprint, executor: Executor | None) -> Iterator[tuple[int, int]]:
    if executor is None:
        for shard in shards:
            yield shard.number, write_shard(shard, blueprint)
        return
    waiting: deque[tuple[int, Future[int]]] = deque()
    for shard in shards:
        waiting.append((shard.number, executor.submit(write_shard, shard)))
        if len(waiting) >= _WAITING:
            number, future = waiting.popleft()
            yield number, future.result()
    for number, future in waiting:
        yield number, future.result()


@lru_cache(maxsize=4)
def _blueprint(model: Path, table: str) -> Blueprint:
    return read_blueprint(table_folder(model, table))
