"""People in a mixed table, dealt to two sides by a coin, and twins that copy them or do not, for tests of attacks."""

import numpy as np
import pyarrow as pa

from twinlake.privacy.pool import Cells, Known, Sides, code
from twinlake.random import stream
from twinlake.schema import Column, Kind, Table

PEOPLE = Table(
    "people",
    (
        Column("region", pa.string()),  # a label, null for some
        Column("trade", pa.string()),  # follows the region
        Column("rooms", pa.int32(), kind=Kind.NUMBER),  # a quantity of few values: compared as a label
        Column("income", pa.float64()),  # all its values differ; null for some
        Column("weight", pa.float64()),
        Column("age", pa.int32(), kind=Kind.NUMBER),  # a quantity with ties
    ),
)
LABELS = ["region", "trade"]
QUANTITIES = ["rooms", "income", "weight", "age"]


def people(n: int, seed: int) -> pa.Table:
    """So many people, each drawn alike."""
    rng = stream(seed, "people")
    region, age = rng.integers(0, 6, n), rng.integers(18, 90, n)
    trade = np.where(rng.random(n) < 0.6, region, rng.integers(0, 9, n))
    income = rng.lognormal(8, 0.6, n) * (1 + age / 50)
    return pa.table(
        {
            "region": pa.array([f"region {i}" for i in region], mask=rng.random(n) < 0.1),
            "trade": [f"trade {i}" for i in trade],
            "rooms": rng.integers(1, 7, n),
            "income": pa.array(income, mask=rng.random(n) < 0.1),
            "weight": rng.normal(70, 12, n),
            "age": age,
        },
        schema=PEOPLE.arrow,
    )


def dealt(n: int, seed: int, *, share: float = 0.5, rows: int = 1) -> Sides:
    """So many units of so many rows each, each learnt by a coin."""
    members = stream(seed, "coin").random(n) < share
    names = np.arange(n).astype(np.uint64)
    return Sides(people(n * rows, seed), np.repeat(np.arange(n), rows), members, names)


def with_copies(twin: pa.Table, of: pa.Table) -> pa.Table:
    """The twin, where these rows have taken the place of its first."""
    return pa.concat_tables([of, twin.slice(of.num_rows)])


def cells(sides: Sides, twin: pa.Table) -> tuple[Known, Cells]:
    """Both as attacks see them."""
    return code(sides.rows, twin, QUANTITIES, LABELS)


def learnt(sides: Sides, units: int) -> pa.Table:
    """The rows of the first learnt units."""
    return sides.rows.filter(pa.array(np.isin(sides.unit, np.flatnonzero(sides.members)[:units])))
