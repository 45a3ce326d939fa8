"""A value of a unit's own that comes back tells more than one of many; nothing is told of values that are not met."""

import numpy as np
import pyarrow as pa

from twinlake.privacy.closeness import closeness
from twinlake.privacy.pool import Sides
from twinlake.privacy.relabel import relabel
from twinlake.privacy.values import met
from twinlake.random import stream


def amounts(values) -> pa.Table:
    return pa.table({"amount": pa.array(values, pa.int64(), from_pandas=True)})


def test_a_value_among_few_tells_more_than_one_among_many():
    real = amounts([*range(0, 1000, 2), 40_000, 50_000])
    found = met(real, amounts([10, 50_000, 70_000]), ["amount"])[:, 0]
    assert found.nonzero()[0].tolist() == [5, len(real) - 1]
    assert found[-1] > found[5] + 1


def test_a_value_that_many_have_tells_nothing():
    found = met(amounts([7] * 500 + [90_000]), amounts([7, 7, 90_000]), ["amount"])[:, 0]
    assert found[:500].max() < 0.1
    assert found[-1] > 1


def test_columns_without_values_are_never_met():
    nothing = amounts([None, None])
    assert not met(nothing, amounts([3]), ["amount"]).any()
    assert not met(amounts([3, 4]), nothing, ["amount"]).any()
    assert met(amounts([3, 4]), amounts([3]), []).shape == (2, 0)


def people(n: int, seed: int) -> pa.Table:
    rng = stream(seed, "amounts")
    return pa.table({"amount": rng.lognormal(11, 1, n).astype(np.int64), "kind": rng.integers(0, 4, n)})


def p_value(twin: pa.Table, real: pa.Table, members: np.ndarray) -> float:
    sides = Sides(real, np.arange(len(real)), members, np.arange(len(real)).astype(np.uint64))
    found = closeness(sides, twin, ["amount"], ["kind"], rng=stream(0, "c"))
    return relabel({"v": found.families["single values"]}, members, rng=stream(0, "deal"))["v"]


def test_thirty_values_of_learnt_units_in_rows_that_are_else_fresh_are_found():
    real, twin = people(1200, 0), people(600, 1)
    members = stream(0, "coin").random(len(real)) < 0.5
    amount = twin["amount"].to_numpy().copy()
    amount[:30] = real["amount"].to_numpy()[np.flatnonzero(members)[:30]]
    assert p_value(twin, real, members) > 0.01
    assert p_value(twin.set_column(0, "amount", pa.array(amount)), real, members) < 0.005
