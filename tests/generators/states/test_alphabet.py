"""What a column's states keep of real values, and what they can emit."""

import datetime as dt
import uuid
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario import SUBJECTS, VISITS, clinic

from twinlake.generators.states.alphabet import Alphabet, alphabet_from_json, encode, learn_alphabet
from twinlake.generators.states.census import count_units, mean_of_units, runs
from twinlake.generators.states.label import Label
from twinlake.generators.states.quantity import Quantity
from twinlake.random import stream
from twinlake.schema import Column, Kind
from twinlake.types import ENUM

N = 2_000


def redrawn(cells: pa.Array, *, nullable: bool = True, units: np.ndarray | None = None, **column: object) -> pa.Array:
    """Every cell redrawn from its own state, through a saved and read alphabet."""
    alphabet = learn_alphabet(cells, Column("c", cells.type, nullable, **column), units)
    read = alphabet_from_json(alphabet.to_json())
    codes = read.encode(cells)
    assert codes.dtype == np.int32
    assert 0 <= codes.min(initial=0) <= codes.max(initial=0) < read.size
    drawn = read.decode(codes, stream(1, "decode"))
    assert drawn.type == cells.type
    assert len(drawn) == len(cells)
    return drawn


def numbers(seed: int = 0) -> np.ndarray:
    return stream(seed, "numbers").normal(size=N)


def quantities() -> dict[str, pa.Array]:
    x = numbers()
    days = (x * 1e4).astype(np.int64)
    return {
        "int8": pa.array((x * 20).astype(np.int8)),
        "uint8": pa.array(np.clip(x * 40 + 128, 0, 255).astype(np.uint8)),
        "int64 near 2**62": pa.array((1 << 62) + (x * 1000).astype(np.int64)),
        "int64 everywhere": pa.array(stream(0).integers(-(2**63), 2**63 - 1, N)),
        "uint64 above 2**63": pa.array((x * 1000 + 5000).astype(np.uint64) + np.uint64(1 << 63)),
        "decimal": pa.array([Decimal(int(v * 1e5)).scaleb(-2) for v in x], pa.decimal128(12, 2)),
        "wide decimal": pa.array([Decimal(int(v * 1e9)) * 10**20 for v in x], pa.decimal128(38, 2)),
        "wide decimal of narrow values": pa.array([Decimal(int(v * 100)) for v in x], pa.decimal128(38, 0)),
        "float": pa.array(x),
        "float of two decimals": pa.array(np.round(x, 2)),
        "float32 of one decimal": pa.array(np.round(x, 1).astype(np.float32)),
        "date": pa.array(days.astype(np.int32)).cast(pa.date32()),
        "date before 1677": pa.array((days - 150_000).astype(np.int32)).cast(pa.date32()),
        "time": pa.array(np.clip(x * 10_000 + 43_200, 0, 86_399).astype(np.int64) * 1_000_000).cast(pa.time64("us")),
        "timestamp": pa.array(days * 3_600_000_000).cast(pa.timestamp("us", "Europe/Zurich")),
        "timestamp in ns": pa.array(days * 86_400 * 10**9).cast(pa.timestamp("ns")),
        "timestamp before 1677": pa.array((days - 400_000) * 86_400).cast(pa.timestamp("s")),
        "duration": pa.array(np.abs(days) * 1000).cast(pa.duration("ms")),
    }


@pytest.mark.parametrize("name", quantities())
def test_a_quantity_keeps_its_type_and_its_distribution(name):
    real = quantities()[name]
    drawn = redrawn(real, nullable=False)
    assert drawn.null_count == 0
    least = min(_plain(real))
    a, b = (np.sort([float(v - least) for v in _plain(x)]) for x in (real, drawn))
    spread = a[int(0.9 * N)] - a[int(0.1 * N)]
    assert np.abs(a - b)[50:-50].max() < 0.2 * spread


@pytest.mark.parametrize("name", quantities())
def test_no_exact_extreme_of_a_quantity_is_drawn(name):
    real = quantities()[name]
    values = _plain(real)
    held = {v: values.count(v) for v in (min(values), max(values))}
    drawn = set(_plain(redrawn(real)))
    assert not [v for v, n in held.items() if n < 10 and v in drawn]


def test_a_value_of_full_precision_never_comes_back():
    real = pa.array(numbers())
    assert not set(redrawn(real).to_pylist()) & set(real.to_pylist())


def test_a_wide_decimal_of_narrow_values_loses_no_digit():
    real = pa.array([Decimal(i % 7) for i in range(N)], pa.decimal128(38, 0))
    assert redrawn(real).equals(real)


def test_a_value_many_units_hold_is_kept_exactly():
    real = pa.array(np.where(np.arange(N) % 2 == 0, 2**63 - 1, -(2**63)).astype(np.int64))
    assert redrawn(real).equals(real)


def test_a_value_many_rows_of_one_unit_hold_is_no_atom():
    real = np.r_[numbers(), np.full(500, 77.77)]
    units = np.r_[np.arange(N), np.full(500, 9_999)].astype(np.uint64)
    drawn = redrawn(pa.array(real), units=units)
    assert 77.77 not in drawn.to_pylist()
    assert max(drawn.to_pylist()) < 20


def test_steps_and_decimals_are_kept():
    thousands = redrawn(pa.array((numbers() * 500).astype(np.int64) * 1000 + 300)).to_numpy()
    assert set(thousands % 1000) == {300}
    hours = redrawn(pa.array((numbers() * 5_000).astype(np.int64) * 3_600_000_000).cast(pa.timestamp("us")))
    assert set(np.asarray(hours.cast(pa.int64())) % 3_600_000_000) == {0}
    cents = redrawn(pa.array(np.round(numbers(), 2))).to_numpy()
    assert np.array_equal(cents, np.round(cents, 2))


def test_one_value_off_the_grid_does_not_show():
    real = np.r_[(numbers() * 500).astype(np.int64) * 1000, 12_345]
    assert set(redrawn(pa.array(real)).to_numpy() % 1000) == {0}


def test_null_nan_and_infinity_stay_apart():
    real = pa.array([None, np.nan, np.inf, -np.inf, 1.5, 2.5] * 100, pa.float64())
    drawn = redrawn(real)
    assert drawn.cast(pa.string()).equals(real.cast(pa.string()))


def test_an_infinity_few_units_hold_is_not_drawn():
    drawn = redrawn(pa.array(np.r_[numbers(), np.inf, -np.inf]))
    assert np.isfinite(drawn.to_numpy()).all()


@pytest.mark.parametrize("type_", [pa.float64(), pa.string(), pa.date32(), ENUM, pa.uuid(), pa.json_(), pa.bool_()])
def test_an_all_null_column_stays_all_null(type_):
    real = pa.nulls(50, type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_)
    real = pa.ExtensionArray.from_storage(type_, real) if isinstance(type_, pa.BaseExtensionType) else real
    assert redrawn(real).null_count == 50


@pytest.mark.parametrize("rows", [1, 2, 5, 9])
def test_of_fewer_than_k_units_only_the_first_digit_of_the_mean_is_kept(rows):
    real = pa.array([1234.56 + i for i in range(rows)])
    assert set(redrawn(real).to_pylist()) == {1000.0}


def test_of_two_equal_dates_neither_comes_back():
    real = pa.array([dt.date(1987, 6, 5)] * 2)
    assert dt.date(1987, 6, 5) not in redrawn(real).to_pylist()


@pytest.mark.parametrize("type_", [pa.int64(), pa.float32(), pa.string(), pa.bool_(), pa.uuid(), pa.binary(), ENUM])
def test_a_column_without_rows_has_a_state(type_):
    alphabet = learn_alphabet(pa.table({"c": pa.array([], type_)})["c"], Column("c", type_, nullable=False), None)
    assert alphabet.size == 1
    assert alphabet.decode(np.zeros(3, np.int32), stream(0)).null_count == 0


def test_a_constant_column_stays_constant():
    assert redrawn(pa.array([7] * 40)).to_pylist() == [7] * 40


def test_a_category_held_by_few_units_is_never_drawn():
    real = pa.array(["Bern"] * 500 + ["Basel"] * 300 + ["Soglio"] * 9)
    alphabet = learn_alphabet(real, Column("city", pa.string()), None)
    assert "Soglio" not in str(alphabet.to_json())
    assert set(redrawn(real).to_pylist()) == {"Bern", "Basel"}


def test_a_category_many_rows_of_one_unit_hold_is_never_drawn():
    real = pa.array(["Bern"] * 500 + ["Soglio"] * 300)
    units = np.r_[np.arange(500), np.full(300, 9_999)].astype(np.uint64)
    assert set(redrawn(real, units=units).to_pylist()) == {"Bern"}


def test_a_declared_label_is_drawn_however_rare():
    real = pa.array(["f"] * 50 + ["x"]).dictionary_encode()
    assert redrawn(real, labels=("f", "m", "x")).to_pylist() == real.to_pylist()
    assert set(redrawn(real).to_pylist()) == {"f"}
    public = pa.array(["CH"] * 50 + ["LI"])
    assert redrawn(public, public=True).equals(public)


def test_text_that_is_mostly_rare_becomes_fresh_text_of_its_shape():
    real = pa.array([f"AB-{i:012d}" for i in stream(0).integers(10**11, 10**12, N)])
    drawn = redrawn(real).to_pylist()
    assert not set(drawn) & set(real.to_pylist())
    assert {len(v) for v in drawn} == {15}
    assert {v[:3] for v in drawn} == {"AB-"}


def test_fresh_text_takes_no_shape_so_short_that_it_would_spell_real_values():
    rng, letters = stream(0), "abcdefghijklmnopqrstuvwxyz"
    real = ["".join(w).capitalize() for size in (3, 12) for w in rng.choice(list(letters), (1500, size))]
    drawn = redrawn(pa.array(real)).to_pylist()
    assert not {w for w in real if real.count(w) < 10} & set(drawn)
    assert max(map(len, drawn)) == 12


def test_text_that_is_all_rare_and_of_no_shape_becomes_letters_and_not_null():
    real = pa.array([f"{chr(97 + i % 26) * (i % 50 + 1)} {i * i}" for i in range(200)] + [None] * 50)
    drawn = redrawn(real)
    assert drawn.null_count == 50
    assert not set(drawn.drop_null().to_pylist()) & set(real.to_pylist())


@pytest.mark.parametrize("most", [[15] * 3 + [14] * 7, [15, 14, 13, 12], [15] * 9], ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_extreme_of_few_units_is_never_drawn_although_whole_numbers_lie_close(most, sign):
    body = np.clip(np.abs(stream(3).normal(0, 4, 2000)).astype(int), 0, 11)
    real = pa.array(sign * np.r_[body, most])
    alphabet = learn_alphabet(real, Column("c", pa.int64()), None)
    drawn = alphabet.decode(np.tile(np.arange(alphabet.size, dtype=np.int32), 5000), stream(4))
    assert sign * 15 not in drawn.to_pylist()


@pytest.mark.parametrize("few", [[5, 5, 5], [0], [3, 4]], ids=str)
def test_what_hardly_anybody_holds_is_not_told_by_its_mean(few):
    real = pa.array(few + [None] * 100)
    alphabet = learn_alphabet(real, Column("c", pa.int64()), None)
    drawn = alphabet.decode(np.arange(alphabet.size, dtype=np.int32), stream(4)).drop_null().to_pylist()
    assert not {min(few), max(few)} & set(drawn)


def test_prose_is_never_drawn():
    real = pa.array([f"The {i}th patient said " + "x" * (i % 70) + chr(200 + i % 50) for i in range(N)])
    assert not set(redrawn(real, kind=Kind.TEXT).to_pylist()) & set(real.to_pylist())
    assert redrawn(real, nullable=False, kind=Kind.TEXT).null_count == 0


def test_uuids_are_fresh():
    real = pa.array([uuid.uuid5(uuid.NAMESPACE_URL, str(i)).bytes for i in range(N)], pa.binary(16))
    drawn = redrawn(pa.ExtensionArray.from_storage(pa.uuid(), real)).to_pylist()
    assert len(set(drawn)) == N
    assert {u.version for u in drawn} == {4}


def test_rare_bytes_become_random_bytes_and_rare_json_an_empty_object():
    real = pa.array([b"%08d" % i for i in range(100)])
    assert not set(redrawn(real).to_pylist()) & set(real.to_pylist())
    documents = pa.ExtensionArray.from_storage(pa.json_(), pa.array([f'{{"id": {i}}}' for i in range(100)]))
    assert set(redrawn(documents, nullable=False).storage.to_pylist()) == {"{}"}
    assert redrawn(documents).null_count == 0


def test_what_has_no_state_of_its_own_shares_a_tail():
    real = pa.array([f"c{i % 180}" for i in range(180 * 12)])
    alphabet = Label.learn(real, Column("c", pa.string()), None, k=10, most=150)
    assert alphabet.size == 151
    tail = set(alphabet.decode(np.full(2_000, 150, np.int32), stream(0)).to_pylist())
    assert tail == set(real.to_pylist()) - set(alphabet.values[:150].to_pylist())


def test_every_one_of_many_categories_has_a_state():
    real = pa.array(np.tile(np.arange(3_000), 12)).cast(pa.string())
    assert redrawn(real).equals(real)


@pytest.mark.parametrize("type_", [pa.string(), pa.binary()], ids=str)
@pytest.mark.parametrize("rare", [0, 3, 900])
@pytest.mark.parametrize("nulls", [0, 40])
def test_compact_text_is_the_same_text_as_a_dictionary(type_, rare, nulls):
    words = [*["a"] * 300, *["bb"] * 200, *[None] * nulls, *(f"rare-{i:09d}" for i in range(rare))]
    real = pa.array(words, pa.string()).cast(type_)
    alphabet = learn_alphabet(real, Column("c", type_), None)
    codes = alphabet.encode(real)
    plain, compact = (alphabet.decode(codes, stream(0), compact=c) for c in (False, True))
    assert plain.type == type_
    assert compact.type == pa.dictionary(pa.int32(), type_)
    assert compact.cast(type_).equals(plain)
    assert plain.null_count == nulls


def test_a_number_declared_a_category_is_replayed_where_units_hold_it():
    real = pa.array([10**18 + 1] * 30 + [10**18 + 3] * 30 + [5])
    assert set(redrawn(real, kind=Kind.CATEGORY).to_pylist()) == {10**18 + 1, 10**18 + 3}


def test_states_do_not_depend_on_chunks_or_dictionaries():
    words = pa.array(["b", "a", None] * 40)
    other = pa.chunked_array([pa.array(["b", "a", None] * 20).dictionary_encode(), words.slice(60).dictionary_encode()])
    one, two = (learn_alphabet(x, Column("c", ENUM), None) for x in (words.dictionary_encode(), other))
    assert one.to_json() == two.to_json()


@pytest.mark.parametrize("table", [SUBJECTS, VISITS], ids=lambda t: t.name)
def test_the_clinic_goes_through_states(table):
    learnt = table.select(table.learnt)
    real = clinic()[table.name].select(list(table.learnt))
    alphabets: list[Alphabet] = [learn_alphabet(real[c.name], c, None) for c in learnt.columns]
    codes = encode(real, alphabets)
    for i, column in enumerate(learnt.columns):
        drawn = alphabets[i].decode(codes[:, i], stream(0))
        assert drawn.type == column.type
        assert drawn.null_count == real[column.name].null_count


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=60))
def test_any_integers_go_through_states(values):
    real = pa.array(values, pa.int64())
    drawn = redrawn(real)
    assert drawn.is_null().equals(real.is_null())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats() | st.none(), max_size=60))
def test_any_floats_go_through_states(values):
    redrawn(pa.array(values, pa.float64()))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**30), max_value=10**30)))
def test_any_decimals_go_through_states(values):
    redrawn(pa.array(values, pa.decimal128(38, 3)))


def test_runs_hold_enough_units():
    units = np.repeat(np.arange(40), 25)
    run = runs(len(units), units, most=30, k=10)
    assert count_units(run, units, int(run.max()) + 1).min() >= 10


def test_a_unit_counts_once_in_a_mean():
    values, units = np.r_[np.full(99, 100.0), 0.0], np.r_[np.zeros(99, np.int64), 1]
    assert mean_of_units(values, np.zeros(100, np.int64), units, 1)[0] == 50


def test_codes_of_a_quantity_follow_its_values():
    real = pa.array(np.r_[numbers(), np.zeros(300)])
    alphabet = learn_alphabet(real, Column("c", pa.float64()), None)
    assert isinstance(alphabet, Quantity)
    codes = alphabet.encode(real)
    means = [np.median(real.to_numpy()[codes == c]) for c in range(alphabet.size)]
    assert means == sorted(means)


def _plain(cells: pa.Array) -> list:
    if pa.types.is_temporal(cells.type):
        narrow = cells.cast(pa.int32()) if cells.type.bit_width == 32 else cells
        return narrow.cast(pa.int64()).to_pylist()
    return cells.to_pylist()
