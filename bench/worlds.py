"""The data sets of the comparison: which rows, which columns, what is predicted; and their split into two halves."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twinlake.random import stream
from twinlake.schema import Column, Table
from twinlake.types import carried

ROOT = Path(__file__).parents[1]
FOLDER = ROOT.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class World:
    """One table to learn.

    Attributes:
        name: as the command line and the page call it.
        file: below the data folder.
        target: the column that is predicted from the others.
        regression: whether the target is a quantity (R² is told) or one of two classes (AUC is told).
        left_out: primary key columns; keys are drawn by Twinlake's relational layer and learnt by no generator.
        rows: drawn at random from the file, None for all.
        public: columns whose values may be shown however rare.
        base: the world that this one differs from in `public` only.
    """

    name: str
    file: str
    target: str
    regression: bool = False
    left_out: tuple[str, ...] = ()
    rows: int | None = None
    public: tuple[str, ...] = field(default=())
    base: str = ""

    def read(self, folder: Path, *, rows: int | None = None) -> pa.Table:
        """The rows, at most `rows`, in the types a twin carries; raises FileNotFoundError where the file is missing."""
        path = folder / self.file
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: say with --folder where the data lies")
        read = pq.read_table(path).replace_schema_metadata(None).drop_columns(list(self.left_out))
        table = pa.table({f.name: read[f.name].cast(carried(f.type)) for f in read.schema})
        wanted = min(n for n in (self.rows, rows, table.num_rows) if n is not None)
        if wanted == table.num_rows:
            return table
        return table.take(pa.array(stream(0, "rows", self.base or self.name).permutation(table.num_rows)[:wanted]))

    def table(self, data: pa.Table) -> Table:
        """The schema of `data`."""
        return Table(
            "rows", tuple(Column(f.name, f.type, nullable=True, public=f.name in self.public) for f in data.schema)
        )


def names_among(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """Reads names with commas between them from a command line; one that is not allowed is refused with the others."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [n for n in names if n not in allowed]:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]}; there are {', '.join(allowed)}")
        return names

    return parse


def halves(data: pa.Table, seed: int) -> tuple[pa.Table, pa.Table]:
    """The rows that are learnt and the rows that are held out, in random order; as many of each."""
    order, half = stream(seed, "halves").permutation(data.num_rows), data.num_rows // 2
    return data.take(pa.array(order[:half])), data.take(pa.array(order[half : 2 * half]))


def thirds(data: pa.Table, rng: np.random.Generator) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Three sets of different rows, as many in each."""
    order, third = rng.permutation(data.num_rows), data.num_rows // 3
    first, second, last = (data.take(pa.array(order[i * third : (i + 1) * third])) for i in range(3))
    return first, second, last


_FLIGHTS = World(
    "flights", "nycflights13/flights.parquet", "arr_delay", regression=True, left_out=("flight_id",), rows=50_000
)
WORLDS = {
    w.name: w
    for w in (
        World("adult", "adult/adult.parquet", "income"),
        World(
            "credit_default_taiwan", "credit_default_taiwan/credit_default_taiwan.parquet",
            "default-payment-next-month", left_out=("ID",),
        ),
        World("california_housing", "california_housing/california_housing.parquet", "MedHouseVal", regression=True),
        _FLIGHTS,
        World(
            "flights*", _FLIGHTS.file, _FLIGHTS.target, regression=True, left_out=_FLIGHTS.left_out,
            rows=_FLIGHTS.rows, public=("tailnum",), base="flights",
        ),
    )
}  # fmt: skip
