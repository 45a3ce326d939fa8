"""Orders of a shop, made up so that columns depend on each other in known ways, for what draws under conditions."""

from decimal import Decimal

import numpy as np
import pyarrow as pa

from twinlake.random import stream
from twinlake.schema import Column, Table

ORDERS = Table(
    "orders",
    (
        Column("state", pa.string()),
        Column("code", pa.int64()),  # says the same as state
        Column("product", pa.string()),  # null more often in one state
        Column("month", pa.int64()),
        Column("price", pa.decimal128(10, 2)),  # depends on the product; fine steps, so that bins have many values
        Column("weight", pa.float64()),  # depends on the product, sometimes null or NaN
        Column("low", pa.int64()),
        Column("high", pa.int64()),  # has no order with low
    ),
)
STATES = ("CA", "NY", "OH", "AK")


def orders(n: int = 20_000, seed: int = 0) -> pa.Table:
    """Rows of `ORDERS`."""
    rng = stream(seed, "orders")
    state = rng.choice(4, n, p=[0.5, 0.3, 0.195, 0.005])
    product = rng.choice(4, n, p=[0.5, 0.3, 0.18, 0.02])
    product = np.where((state == 2) & (rng.random(n) < 0.5), 2, product)  # in Ohio they buy z
    month = 1 + (rng.integers(0, 12, n) * (product < 2) + rng.integers(0, 4, n) * (product >= 2))
    price = np.round(np.exp(rng.normal(2 + product, 0.5)), 2)
    weight = rng.normal(product * 2.0, 1.0)
    weight = np.where(rng.random(n) < 0.05, np.nan, weight)
    low, high = rng.integers(0, 50, n), rng.integers(0, 60, n)
    return pa.table(
        {
            "state": np.array(STATES)[state],
            "code": (state * 10 + 10).astype(np.int64),
            "product": pa.array(np.array(["x", "y", "z", "w"])[product], mask=(state == 1) & (rng.random(n) < 0.2)),
            "month": month,
            "price": [Decimal(f"{p:.2f}") for p in price],
            "weight": pa.array(weight, mask=rng.random(n) < 0.1),
            "low": low,
            "high": high,
        },
        schema=ORDERS.arrow,
    )
