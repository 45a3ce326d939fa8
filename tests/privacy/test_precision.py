"""Where values are too precise for chance, one that comes back is a violation; where they repeat, it may be chance."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from twinlake.hashing import mix
from twinlake.privacy.forbidden import breaks, forbidden
from twinlake.privacy.precision import is_precise
from twinlake.schema import Column, Kind, Schema, Table

RNG = np.random.default_rng(0)
UNITS = mix(np.arange(1250, dtype=np.uint64))
PRECISE = {
    "floats": pa.array(RNG.lognormal(3, 1, 1250)),
    "microseconds": pa.array(RNG.integers(0, 10**15, 1250), pa.timestamp("us")),
    "long decimals": pa.array([Decimal(int(n)) / 100 for n in RNG.integers(0, 10**15, 1250)], pa.decimal128(18, 2)),
}
PLAIN = {
    "cents": pa.array(np.round(RNG.lognormal(10, 1, 1250), 2)),
    "years": pa.array(RNG.integers(18, 90, 1250)),
    "weights": pa.array(RNG.integers(10**4, 10**6, 1250)),
    "days": pa.array(RNG.integers(0, 20_000, 1250), pa.int32()).cast(pa.date32()),
    "every minute, in nanoseconds": pa.array(RNG.permutation(1250) * 60 * 10**9, pa.timestamp("ns")),
    "nothing": pa.nulls(1250, pa.float64()),
}


@pytest.mark.parametrize("kind", PRECISE)
def test_values_that_differ_though_rounded_are_precise(kind: str) -> None:
    assert is_precise(pa.chunked_array([PRECISE[kind]]), UNITS)


@pytest.mark.parametrize("kind", PLAIN)
def test_values_that_meet_when_rounded_are_not(kind: str) -> None:
    assert not is_precise(pa.chunked_array([PLAIN[kind]]), UNITS)


def test_a_unit_may_repeat_its_own_values_and_few_units_tell_nothing() -> None:
    twice = pa.chunked_array([PRECISE["floats"], PRECISE["floats"]])
    assert is_precise(twice, np.concatenate([UNITS, UNITS]))
    assert not is_precise(twice, np.concatenate([UNITS, mix(UNITS)]))
    assert not is_precise(pa.chunked_array([PRECISE["floats"].slice(0, 50)]), UNITS[:50])


def test_one_precise_value_that_comes_back_is_a_violation() -> None:
    schema = Schema((Table("t", (Column("x", pa.float64(), kind=Kind.NUMBER), Column("sex", pa.string()))),))
    real = pa.table({"x": PRECISE["floats"], "sex": ["f", "m"] * 625})
    rules = forbidden(real.slice(0, 1000), real.slice(1000), schema, "t", units=UNITS[:1000])
    twin = pa.table({"x": pa.array([*RNG.lognormal(3, 1, 500), real["x"][17].as_py()]), "sex": ["m"] * 501})
    precise = [rule for rule in rules if rule.part == "value too precise for chance: x"]
    assert np.flatnonzero(breaks(precise, twin)).tolist() == [500]
