"""One small relational world for all tests: a clinic. Every odd column earns its place with a comment."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa

from twinlake.random import stream
from twinlake.schema import Column, Kind, Reference, Schema, Table
from twinlake.tables import Tables
from twinlake.types import ENUM

WARDS = Table(
    "wards",
    (
        Column("ward", pa.string(), nullable=False),  # text in a composite key
        Column("site", pa.int16(), nullable=False),
        Column("beds", pa.int32()),
    ),
    key=("ward", "site"),
)
SUBJECTS = Table(
    "subjects",
    (
        Column("id", pa.int64(), nullable=False),
        Column("name", pa.string(), kind=Kind.PERSONAL, provider="full_name"),
        Column("email", pa.string(), kind=Kind.PERSONAL, provider="email"),
        Column("born", pa.date32()),
        Column("sex", ENUM, labels=("f", "m", "x")),  # "x" is declared but nobody holds it
        Column("city", pa.string()),  # one city is held by a single subject
        Column("income", pa.decimal128(10, 2)),  # money: exact scale
        Column("bmi", pa.float64()),
        Column("smoker", pa.bool_()),
        Column("order", pa.string()),  # named like an SQL keyword; all null
        Column("mentor", pa.int64()),  # refers to its own table, mostly null
    ),
    key=("id",),
    references=(Reference(("mentor",), "subjects", ("id",)),),
)
VISITS = Table(
    "visits",
    (
        Column("id", pa.int64(), nullable=False),
        Column("visit_no", pa.int32(), nullable=False),  # numbers visits of one subject: a key that needs its parent
        Column("ward", pa.string()),
        Column("site", pa.int16()),
        Column("at", pa.timestamp("us", "UTC"), nullable=False),
        Column('the "score" ü', pa.float64()),  # spaces, quotes, unicode in a name
    ),
    key=("id", "visit_no"),
    references=(Reference(("id",), "subjects", ("id",)), Reference(("ward", "site"), "wards", ("ward", "site"))),
    order_by="at",
)
SCHEMA = Schema((WARDS, SUBJECTS, VISITS))


def clinic(subjects: int = 400, seed: int = 0) -> Tables:
    """Real tables of the clinic: 12 wards, `subjects` subjects, 0 to 6 visits each."""
    rng = stream(seed, "clinic")
    wards = _wards()
    people = _subjects(subjects, rng)
    return Tables(SCHEMA, {"wards": wards, "subjects": people, "visits": _visits(people, rng)})


def _wards() -> pa.Table:
    names, sites = zip(*[(w, s) for w in ("north", "south", "east", "west") for s in (1, 2, 3)], strict=True)
    return pa.table({"ward": names, "site": sites, "beds": [10 + 2 * i for i in range(12)]}, schema=WARDS.arrow)


def _subjects(n: int, rng: np.random.Generator) -> pa.Table:
    male = rng.random(n) < 0.5
    age = rng.integers(18, 90, n)
    income = np.round(rng.lognormal(10, 0.5, n) + 300 * age, 2)
    city = rng.choice(["Bern", "Basel", "Chur"], n, p=[0.5, 0.3, 0.2]).astype(object)
    city[0] = "Soglio"  # rare: held by one subject
    first = rng.choice(["Ada", "Bea", "Cyr", "Dan"], n)
    return pa.table(
        {
            "id": np.arange(n) * 3 + 1000,
            "name": [f"{f} Real{i}" for i, f in enumerate(first)],
            "email": [f"real{i}@clinic.example" for i in range(n)],
            "born": [
                dt.date(2020, 1, 1) - dt.timedelta(days=int(a) * 365 + int(d))
                for a, d in zip(age, rng.integers(0, 365, n), strict=True)
            ],
            "sex": pa.array(np.where(male, "m", "f")).dictionary_encode(),
            "city": city,
            "income": [Decimal(f"{x:.2f}") for x in income],
            "bmi": np.where(rng.random(n) < 0.1, np.nan, rng.normal(np.where(male, 27, 24), 3)),
            "smoker": rng.random(n) < np.where(male, 0.4, 0.2),
            "order": pa.nulls(n, pa.string()),
            "mentor": pa.array(np.arange(n) * 3 + 997, mask=rng.random(n) < 0.9 + 0.1 * (np.arange(n) == 0)),
        },
        schema=SUBJECTS.arrow,
    )


def _visits(people: pa.Table, rng: np.random.Generator) -> pa.Table:
    ids = people["id"].to_numpy()
    counts = rng.integers(0, 7, len(ids))
    subject = np.repeat(ids, counts)
    number = np.concatenate([np.arange(1, c + 1) for c in counts])
    ward = rng.choice(["north", "south", "east", "west"], len(subject)).astype(object)
    nowhere = rng.random(len(subject)) < 0.05
    start = np.datetime64("2024-01-01", "us") + rng.integers(0, 500, len(subject)) * np.timedelta64(1, "D")
    return pa.table(
        {
            "id": subject,
            "visit_no": number,
            "ward": pa.array(ward, mask=nowhere),
            "site": pa.array(rng.integers(1, 4, len(subject)), mask=nowhere),
            "at": pa.array(start + number * np.timedelta64(30, "D")).cast(pa.timestamp("us", "UTC")),
            'the "score" ü': rng.normal(size=len(subject)) + number,
        },
        schema=VISITS.arrow,
    )
