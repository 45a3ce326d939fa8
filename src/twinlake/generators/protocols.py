"""What a generator is: two Protocols for algorithms and two for what they have learnt.

A generator is an algorithm with its settings; `fit` returns a new model. There is no unfitted state. Models save as
data (JSON, Arrow, npz): reading one executes nothing.
"""

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from twinlake.generators.siblings import Siblings
from twinlake.hashing import Hashes
from twinlake.progress import Progress
from twinlake.schema import Schema, Table
from twinlake.tables import Tables
from twinlake.units import Units


@runtime_checkable
class TableGenerator(Protocol):
    """Learns the learnt columns of one table, given context columns where there are any."""

    @property
    def name(self) -> str:
        """What it is called in a pipeline file."""
        ...

    @property
    def licence(self) -> str:
        """The SPDX name of its licence."""
        ...

    @property
    def takes_context(self) -> bool:
        """Whether it learns from the context and from siblings; one that doesn't is given neither."""
        ...

    def fit(
        self,
        data: pa.Table,
        table: Table,
        *,
        units: Hashes | None,
        context: pa.Table | None,
        siblings: Siblings | None = None,
        rng: np.random.Generator,
    ) -> "TableModel":
        """Learn from `data`: the columns of `table`, none of which identifies a row or is personal.

        Args:
            data: real rows, typed as `table.arrow`.
            table: the schema of `data`.
            units: the privacy unit of each row, shape (rows,); None where rows are nobody's.
            context: columns that will be given when sampling, a row for each row of `data`.
            siblings: which rows follow one another, in the order of `table.order_by` where it has one; a generator
                that can't learn from it leaves it out.
            rng: the only source of chance.

        Raises:
            GeneratorError: where the rows can't be learnt from.
        """
        ...


class TableModel(Protocol):
    """What a table generator has learnt; draws rows."""

    def sample(
        self, rows: int, *, context: pa.Table | None, siblings: Siblings | None = None, rng: np.random.Generator
    ) -> pa.Table:
        """Draw rows, typed as the table's Arrow schema; `context` has `rows` rows where the model learnt with one.

        Text and bytes may come as dictionaries of them (`conform` takes those), so that no word is spelt out per row.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the model to a new folder."""
        ...


@runtime_checkable
class DatabaseGenerator(Protocol):
    """Learns a whole schema: every table with its keys and references."""

    def fit(
        self,
        tables: Tables,
        *,
        units: Units,
        seed: int,
        unit: str | None = None,
        rows: Mapping[str, int] | None = None,
        orphans: Mapping[tuple[str, str], int] | None = None,
        progress: Progress | None = None,
    ) -> "DatabaseModel":
        """Learn from real tables; raises GeneratorError or DataError where they can't be learnt from.

        `unit` is the root table of the privacy unit; `rows` are those of the whole source, where a part is learnt from,
        and `orphans` how many of them point to no row, by table and reference.
        """
        ...


class DatabaseModel(Protocol):
    """What a database generator has learnt; draws snapshots."""

    schema: Schema

    def sample(
        self,
        folder: Path,
        *,
        scale: float,
        seed: int,
        executor: Executor | None = None,
        progress: Progress | None = None,
    ) -> Tables:
        """Write a snapshot to an empty folder and open it. Each shard is a pure function of (model, seed, shard).

        Args:
            folder: where `schema.json` and the Parquet parts go.
            scale: rows per source row; 1.0 gives as many as the source had.
            seed: of all draws.
            executor: where shards run; None runs them here, one after the other. The bytes are the same.
            progress: told after every shard.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the model to a new folder."""
        ...
