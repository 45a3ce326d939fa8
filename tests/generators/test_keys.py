"""Keys are fresh: of the source's type and shape, all different, never a real one, in no order."""

import datetime as dt
import json
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from twinlake.errors import GeneratorError
from twinlake.generators.keys import Key, as_numbers, from_numbers
from twinlake.schema import Column
from twinlake.types import ENUM

N = 200
DAY = dt.date(2021, 3, 1)


def uuids(n: int) -> pa.Array:
    storage = pa.array([i.to_bytes(16, "big") for i in range(n)], pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


REAL = {
    "int8": pa.array(range(-20, 60), pa.int8()),
    "int16": pa.array(range(N), pa.int16()),
    "uint16": pa.array(range(N), pa.uint16()),
    "int32": pa.array(range(5000, 5000 + N), pa.int32()),
    "int32 near its end": pa.array(range(2_147_483_000, 2_147_483_000 + N), pa.int32()),
    "int64": pa.array(range(N), pa.int64()),
    "int64 near its end": pa.array(range(2**63 - N, 2**63), pa.int64()),
    "uint64": pa.array(range(2**63, 2**63 + N), pa.uint64()),
    "negative": pa.array(range(-N, 0), pa.int64()),
    "decimal": pa.array([Decimal(i) for i in range(N)], pa.decimal128(9, 0)),
    "decimal with scale": pa.array([Decimal(i) / 100 for i in range(N)], pa.decimal128(9, 2)),
    "text": pa.array([f"CUST-{i:05d}" for i in range(N)]),
    "text without shape": pa.array(["é" * i for i in range(1, N)]),
    "uuid": uuids(N),
    "bytes": pa.array([i.to_bytes(6, "big") for i in range(N)]),
    "long bytes": pa.array([i.to_bytes(20, "big") for i in range(N)]),
    "date": pa.array([DAY + dt.timedelta(days=7 * i) for i in range(N)]),
    "timestamp": pa.array([dt.datetime(2021, 3, 1, i % 24) + dt.timedelta(days=i) for i in range(N)]),
    "zoned": pa.array([dt.datetime(2021, 3, 1 + i % 28, i % 24) for i in range(150)]).cast(pa.timestamp("ms", "UTC")),
}


def learnt(values: pa.Array, limit: int = 2**63 - 1) -> Key:
    column = Column("id", values.type, nullable=False)
    chunked = pa.chunked_array([values])
    return Key.learn(chunked, column, None, k=10, salt=3, locale="en", limit=limit, where="t.id")


def texts(values: pa.Array) -> list[str]:
    return [str(v) for v in values.to_pylist()]


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("scale", [0.3, 1, 3])
def test_keys_are_fresh_different_and_of_the_sources_type(kind: str, scale: float) -> None:
    real = REAL[kind]
    key = learnt(real)
    n = min(int(len(real) * scale), key.capacity or 10**9)
    turn = key.turn(total=n, seed=8, where="t.id")
    made = key.at(np.arange(n, dtype=np.uint64), total=n, seed=8, turn=turn)
    assert made.type == real.type
    assert made.null_count == 0
    assert len(set(texts(made))) == n
    if not key.overlaps:
        assert set(texts(made)).isdisjoint(texts(real))


def test_only_a_full_type_overlaps_and_says_so() -> None:
    full = learnt(REAL["int8"])
    assert full.overlaps
    other = learnt(pa.array(range(-60, 20), pa.int8()))
    every = np.arange(100, dtype=np.uint64)  # none is left out for being real: that would tell which ones are
    assert full.at(every, total=100, seed=1).equals(other.at(every, total=100, seed=1))
    assert [k for k, v in REAL.items() if learnt(v).overlaps] == ["int8"]


def test_keys_of_a_dense_shape_get_a_longer_one() -> None:
    real = pa.array([f"K{i:02d}" for i in range(60)])
    key = learnt(real)
    turn = key.turn(total=60, seed=1, where="t.id")
    made = key.at(np.arange(60, dtype=np.uint64), total=60, seed=1, turn=turn).to_pylist()
    assert {len(k) for k in made} == {4}
    assert set(made).isdisjoint(real.to_pylist())


def test_a_column_of_keys_that_meets_a_real_one_is_made_anew() -> None:
    rng = np.random.default_rng(0)
    real = rng.choice(2**31 - 1, 3000, replace=False)
    spread = learnt(pa.array(np.append(real, 2**31 - 1), pa.int32()))
    first = spread.at(np.arange(1000, dtype=np.uint64), total=1000, seed=1)
    met = learnt(pa.array(np.concatenate([real, first.to_numpy()[:1], [2**31 - 1]]), pa.int32()))
    turn = met.turn(total=1000, seed=1, where="t.id")
    assert turn > 0
    again = met.at(np.arange(1000, dtype=np.uint64), total=1000, seed=1, turn=turn)
    assert len(set(again.to_pylist()) & set(first.to_pylist())) < 5


def test_keys_that_meet_real_ones_in_every_way_are_refused() -> None:
    every = np.random.default_rng(0).permutation(2**31 - 1 - np.arange(0, 2**31 - 1, 2**31 // 300_000))
    with pytest.raises(GeneratorError, match="each of 6 columns of fresh keys holds a real one"):
        learnt(pa.array(every, pa.int32())).turn(total=2_000_000, seed=1, where="t.id")


def test_a_key_depends_on_its_row_alone() -> None:
    for real in REAL.values():
        key, n = learnt(real), 60
        whole = key.at(np.arange(n, dtype=np.uint64), total=n, seed=8)
        part = key.at(np.arange(20, 40, dtype=np.uint64), total=n, seed=8)
        assert texts(part) == texts(whole)[20:40]


def test_numbers_start_at_the_next_power_of_ten() -> None:
    made = learnt(pa.array([3, 777, 512] * 1, pa.int64())).at(np.arange(3, dtype=np.uint64), total=3, seed=1)
    assert sorted(made.to_pylist()) == [1000, 1001, 1002]


def test_sparse_numbers_stay_sparse() -> None:
    real = pa.array(np.random.default_rng(0).choice(9_000_000, 500, replace=False) + 1_000_000)
    made = learnt(real).at(np.arange(500, dtype=np.uint64), total=500, seed=1)
    assert np.median(np.diff(np.sort(made.to_numpy()))) > 1000


def test_a_key_fits_the_columns_that_refer_to_it() -> None:
    made = learnt(pa.array(range(9000, 9200), pa.int64()), limit=32_767).at(
        np.arange(200, dtype=np.uint64), total=200, seed=1
    )
    assert max(made.to_pylist()) <= 32_767
    assert set(made.to_pylist()).isdisjoint(range(9000, 9200))


def test_dates_keep_their_step_and_start_with_a_year() -> None:
    made = learnt(REAL["date"]).at(np.arange(30, dtype=np.uint64), total=30, seed=1)
    days = sorted(made.to_pylist())
    assert (days[0].month, days[0].day) == (1, 1)
    assert {(b - a).days for a, b in pairwise(days)} == {7}


def test_labels_are_limited_to_those_declared() -> None:
    column = Column("side", ENUM, nullable=False, labels=("left", "right", "both"))
    values = pa.chunked_array([pa.array(["left"]).dictionary_encode()])
    key = Key.learn(values, column, None, k=10, salt=3, locale="en", limit=9, where="t.side")
    assert key.capacity == 3
    made = key.at(np.arange(3, dtype=np.uint64), total=3, seed=1)
    assert made.type == ENUM
    assert sorted(made.to_pylist()) == ["both", "left", "right"]


def test_uuids_are_random_ones_of_version_four() -> None:
    made = learnt(uuids(5)).at(np.arange(50, dtype=np.uint64), total=50, seed=1)
    assert {(u.version, u.variant) for u in made.to_pylist()} == {(4, "specified in RFC 4122")}


def test_no_order_is_kept() -> None:
    made = learnt(REAL["int64"]).at(np.arange(N, dtype=np.uint64), total=N, seed=1).to_numpy()
    assert abs(np.corrcoef(made, np.arange(N))[0, 1]) < 0.25


def test_keys_survive_json() -> None:
    for real in REAL.values():
        key = learnt(real)
        again = Key.from_json(json.loads(json.dumps(key.to_json())), avoid=key.hashes)
        rows = np.arange(20, dtype=np.uint64)
        assert texts(again.at(rows, total=20, seed=2)) == texts(key.at(rows, total=20, seed=2))


def test_a_type_that_can_be_no_key_gets_a_sentence() -> None:
    with pytest.raises(GeneratorError, match=r"t\.id: a column of type json can't be a key"):
        learnt(pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}"])))


@pytest.mark.parametrize("kind", [k for k, v in REAL.items() if learnt(v).kind == "number" and k != "uint64"])
def test_numbers_go_there_and_back(kind: str) -> None:
    assert pc.all(pc.equal(from_numbers(as_numbers(REAL[kind]), REAL[kind].type), REAL[kind])).as_py()
