"""Every kind of column goes through its states: the exact type comes back, and what is no value stays as often."""

import json
import uuid
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from twinlake.generators.states.alphabet import alphabet_from_json, learn_alphabet
from twinlake.random import stream
from twinlake.schema import Column
from twinlake.types import ENUM

ROWS = 3_000


def chance() -> np.random.Generator:
    return stream(0, "kinds")


def redrawn(cells: pa.Array, *, seed: int = 1, **column: object) -> pa.Array:
    """Every cell redrawn from its own state, by an alphabet that went through JSON text."""
    alphabet = learn_alphabet(cells, Column("c", cells.type, **column), None)
    read = alphabet_from_json(json.loads(json.dumps(alphabet.to_json())))
    drawn = read.decode(read.encode(cells), stream(seed))
    drawn.validate(full=True)
    assert drawn.type == cells.type
    assert drawn.is_null().equals(cells.is_null())
    return drawn


def integers(type_: pa.DataType) -> pa.Array:
    bits, signed = type_.bit_width, pa.types.is_signed_integer(type_)
    kind = np.dtype(f"{'' if signed else 'u'}int{bits}")
    ends = np.iinfo(kind)
    return pa.array(chance().integers(ends.min, ends.max, ROWS, dtype=kind, endpoint=True), type_)


def temporal() -> dict[str, pa.Array]:
    rng = chance()
    long_ago = (-9_000_000_000 - rng.integers(0, 10**6, ROWS) * 86_400).astype(np.int64)  # in seconds: before 1685
    spring = 1_711_843_200 + (np.arange(ROWS) - ROWS // 2) * 900  # around the hour that clocks skip in Zurich in 2024
    nines = rng.integers(0, 86_400, ROWS)
    return {
        "date": pa.array((long_ago // 86_400).astype(np.int32)).cast(pa.date32()),
        **{
            f"time in {u}": pa.array((nines * f).astype(np.int32)).cast(pa.time32(u))
            for u, f in (("s", 1), ("ms", 1000))
        },
        **{f"time in {u}": pa.array(nines * f).cast(pa.time64(u)) for u, f in (("us", 10**6), ("ns", 10**9))},
        **{
            f"timestamp in {u} of {z}": pa.array(long_ago * f).cast(pa.timestamp(u, z))
            for u, f in (("s", 1), ("ms", 10**3), ("us", 10**6))
            for z in (None, "UTC", "America/New_York")
        },
        "timestamp in ns": pa.array(spring * 10**9).cast(pa.timestamp("ns")),
        "timestamp around a skipped hour": pa.array(spring).cast(pa.timestamp("s", "Europe/Zurich")),
        **{f"duration in {u}": pa.array(nines - 40_000).cast(pa.duration(u)) for u in ("s", "ms", "us", "ns")},
    }


INTEGERS = [getattr(pa, f"{u}int{bits}")() for u in ("", "u") for bits in (8, 16, 32, 64)]


@pytest.mark.parametrize("type_", INTEGERS, ids=str)
def test_integers_of_every_width_fill_their_range_and_never_leave_it(type_):
    real = integers(type_)
    a, b = (np.sort(np.array(x.to_pylist(), np.float64)) for x in (real, redrawn(real)))
    assert np.abs(a - b).max() < 0.03 * (a[-1] - a[0])


@pytest.mark.parametrize("type_", INTEGERS, ids=str)
def test_few_integers_of_any_width_come_back_exactly(type_):
    real = pc.cast(pa.array(np.arange(ROWS) % 50), type_)
    assert redrawn(real).equals(real)


@pytest.mark.parametrize(("digits", "scale"), [(38, 0), (38, 10), (38, 38), (18, 2), (5, 5)])
def test_decimals_of_any_size_keep_their_scale_and_spread(digits, scale):
    unit = 10 ** max(digits - 8, 0) if digits > 8 else 1
    whole = [int(v) * unit for v in chance().normal(0, 1e4, ROWS)]
    real = pa.array([Decimal(v).scaleb(-scale) for v in whole], pa.decimal128(digits, scale))
    a, b = (np.sort(np.array(x.to_pylist(), np.float64)) for x in (real, redrawn(real)))
    assert np.abs(a - b)[20:-20].max() < 0.1 * a.std()


@pytest.mark.parametrize("name", temporal())
def test_dates_and_times_keep_their_unit_zone_and_spread(name):
    real = temporal()[name]
    narrow = [x.cast(pa.int32()) if real.type.bit_width == 32 else x for x in (real, redrawn(real))]
    a, b = (np.sort(np.asarray(x.cast(pa.int64()))) for x in narrow)
    assert np.abs(a - b).max() < 0.03 * (a[-1] - a[0])


def test_spikes_tails_infinities_nan_and_null_are_as_frequent_as_they_were():
    values = chance().standard_cauchy(ROWS) * 1e6
    for start, stop, what in (
        (0, 400, 0.0),
        (400, 700, -1.0),
        (700, 720, np.inf),
        (720, 735, -np.inf),
        (735, 800, np.nan),
    ):
        values[start:stop] = what
    real = pa.array(values, mask=np.arange(ROWS) >= 2_900)
    drawn = redrawn(real)
    for is_special in (pc.is_null, pc.is_nan, pc.is_inf, lambda x: pc.equal(x, 0.0), lambda x: pc.equal(x, -1.0)):
        assert pc.sum(is_special(drawn)).equals(pc.sum(is_special(real)))
    a, b = (np.sort(x.filter(pc.is_finite(x)).drop_null().to_numpy()) for x in (real, drawn))
    assert np.allclose(a[200:-200], b[200:-200], rtol=0.2, atol=1e5)
    assert b[-1] < a[-1]
    assert b[0] > a[0]


@pytest.mark.parametrize("type_", [pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("mean", [-60, 0, 60])
def test_floats_of_any_size_keep_their_digits(type_, mean):
    real = pa.array(chance().lognormal(mean, 1, ROWS)).cast(type_)
    a, b = (np.sort(x.to_numpy()) for x in (real, redrawn(real)))
    assert np.allclose(a[30:-30], b[30:-30], rtol=0.3)


def test_null_and_the_empty_string_stay_apart():
    real = pa.array([None, "", "a", " "] * 500)
    assert redrawn(real).equals(real)
    octets = pa.array([None, b"", b"\x00", b"\xff"] * 500)
    assert redrawn(octets).equals(octets)


@pytest.mark.parametrize("nullable", [False, True])
def test_true_and_false_come_back(nullable):
    real = pa.array(np.arange(ROWS) % 3 == 0, mask=(np.arange(ROWS) % 7 == 0) & nullable)
    assert redrawn(real).equals(real)


def test_an_enum_keeps_its_declared_labels_in_their_order():
    real = pa.array(["low", "high", None, "mid"] * 100).dictionary_encode()
    drawn = redrawn(real, labels=("low", "mid", "high", "never"))
    assert drawn.to_pylist() == real.to_pylist()
    assert drawn.dictionary.to_pylist() == ["low", "mid", "high", "never"]


def test_uuids_and_documents_keep_their_extension_type():
    octets = pa.array(
        [None if i % 5 == 0 else uuid.uuid5(uuid.NAMESPACE_URL, str(i)).bytes for i in range(200)], pa.binary(16)
    )
    assert redrawn(pa.ExtensionArray.from_storage(pa.uuid(), octets)).null_count == 40
    documents = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', "[]", None] * 100))
    assert redrawn(documents).equals(documents)


EVERY = [
    *INTEGERS,
    *(pa.float32(), pa.float64(), pa.decimal128(38, 3), pa.bool_(), pa.string(), pa.binary(), ENUM, pa.date32()),
    *(pa.time32("ms"), pa.time64("ns"), pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.duration("s")),
]


@pytest.mark.parametrize("rows", [1, 50])
@pytest.mark.parametrize("type_", EVERY, ids=str)
def test_a_column_of_nulls_stays_one(type_, rows):
    assert redrawn(pa.nulls(rows, type_)).null_count == rows


@pytest.mark.parametrize("type_", [t for t in EVERY if t != ENUM], ids=str)
def test_a_constant_stays_a_constant(type_):
    one = {pa.bool_(): pa.array([True]), pa.string(): pa.array(["x"]), pa.binary(): pa.array([b"x"])}.get(type_)
    if one is None:
        narrow = pa.types.is_date32(type_) or pa.types.is_time32(type_)
        one = pa.array([7], pa.int32() if narrow else pa.int64())
        one = (one.cast(pa.decimal128(19, 0)) if pa.types.is_decimal(type_) else one).cast(type_)
    real = one.take(pa.array(np.zeros(40, np.int64)))
    assert redrawn(real).equals(real)
