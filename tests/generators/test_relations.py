"""Relations between columns: found where every row keeps them, and only there; kept by every row that is drawn."""

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinlake.generators.relations.kinds import Clock, Gap, Linear, Part, Product, Whole
from twinlake.generators.relations.relations import Relations
from twinlake.random import stream
from twinlake.schema import Column, Kind, Table

ROWS = 600
UTC = pa.timestamp("us", "UTC")


def rng(*names: str) -> np.random.Generator:
    return stream(3, "relations", *names)


def table_of(data: pa.Table, **kinds: Kind) -> Table:
    return Table("t", tuple(Column(f.name, f.type, kind=kinds.get(f.name, Kind.AUTO)) for f in data.schema))


def learn(columns: dict[str, Any] | pa.Table, k: int = 10) -> Relations:
    data = columns if isinstance(columns, pa.Table) else pa.table(columns)
    found = Relations.learn(data, table_of(data), None, k=k)
    reduced = found.reduce(data)
    assert reduced.schema.equals(found.reduced.arrow)
    assert found.restore(reduced).equals(data)  # whatever is found, no real row is changed by it
    assert Relations.from_json(json.loads(json.dumps(found.to_json()))) == found
    return found


def targets(found: Relations) -> dict[str, str]:
    return {r.target: type(r).__name__ for r in found.taken}


def moments(n: int = ROWS, *, seconds: int = 3 * 365 * 86_400) -> np.ndarray:
    start = np.datetime64("2021-01-01T00:00:00", "us")
    return start + rng("moments").integers(0, seconds, n) * np.timedelta64(1_000_000, "us")


def broken(values: pa.Array, row: int, by: int) -> pa.Array:
    """The same values, one of them off."""
    plain = values.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(values.type) else values.cast(pa.int64())
    moved = pc.add(plain, pa.array(np.where(np.arange(len(values)) == row, by, 0)))
    return (moved.cast(pa.int32()) if pa.types.is_date32(values.type) else moved).cast(values.type)


# sums ---------------------------------------------------------------------------------------------------------------


def numbers() -> dict[str, np.ndarray]:
    r = rng("numbers")
    return {c: r.integers(0, most, ROWS) for c, most in (("a", 900), ("b", 60), ("c", 4000), ("noise", 70))}


SUMS: dict[str, Callable[[dict[str, np.ndarray]], np.ndarray]] = {
    "a sum": lambda x: x["a"] + x["b"],
    "a sum and a constant": lambda x: x["a"] + x["b"] + 17,
    "a difference": lambda x: x["a"] - x["b"],
    "hundreds": lambda x: 100 * x["a"] + x["b"],
    "hours in minutes": lambda x: 60 * x["a"] + x["b"],
    "a sum of three": lambda x: x["a"] + x["b"] + x["c"],
    "a sum less another": lambda x: x["a"] + x["b"] - x["c"],
    "a number spelt in three": lambda x: 10_000 * x["a"] + 100 * x["b"] + x["c"],
    "a scaled copy": lambda x: 12 * x["a"] - 5,
    "a mirrored copy": lambda x: 1_000 - x["a"],
}


@pytest.mark.parametrize("form", SUMS)
def test_a_column_that_is_a_sum_in_every_row_is_computed(form):
    columns = numbers()
    found = learn(columns | {"y": SUMS[form](columns)})
    assert list(targets(found).values()) == ["Linear"]
    assert len(found.reduced.names) == 4


@pytest.mark.parametrize("form", SUMS)
def test_one_row_that_is_off_forbids_a_sum(form):
    columns = numbers()
    y = SUMS[form](columns)
    y[451] += 1
    assert "Linear" not in targets(learn(columns | {"y": y})).values()


def test_the_column_with_most_values_is_computed_from_those_with_few():
    hour, minute = rng("hhmm").integers(5, 23, ROWS), rng("m").integers(0, 60, ROWS)
    found = learn({"at": 100 * hour + minute, "hour": hour, "minute": minute})
    assert found.taken == (Linear("at", ("hour", "minute"), (100, 1)),)


def test_a_part_that_may_be_negative_does_not_make_a_total_leave_its_range():
    r = rng("profit")
    cost, profit = r.integers(100, 900, ROWS), r.integers(-50, 100, ROWS)
    assert set(targets(learn({"revenue": cost + profit, "cost": cost, "profit": profit}))) <= {"revenue", "cost"}


@pytest.mark.parametrize("type_", [pa.float64(), pa.float32(), pa.decimal128(12, 2)])
def test_sums_of_few_decimals_are_exact_in_every_type(type_):
    r = rng("money")
    net, tax = r.integers(100, 90_000, ROWS), r.integers(0, 9_000, ROWS)

    def money(cents: np.ndarray) -> pa.Array:
        if pa.types.is_decimal(type_):
            return pa.array([Decimal(int(c)) / 100 for c in cents], type_)
        return pa.array(cents / 100).cast(type_, safe=False)

    found = learn({"net": money(net), "tax": money(tax), "gross": money(net + tax)})
    assert targets(found) == {"gross": "Linear"}


def test_columns_of_different_decimals_are_summed_in_common_units():
    r = rng("decimals")
    whole, cents = r.integers(0, 500, ROWS), r.integers(0, 9_000, ROWS)
    found = learn({"whole": whole, "part": cents / 100, "total": (whole * 100 + cents) / 100})
    assert targets(found) == {"total": "Linear"}


def test_an_end_is_its_start_and_a_duration():
    start, length = moments(), rng("length").integers(60, 90_000, ROWS) * 1_000_000
    ends = pa.array(start + length.astype("timedelta64[us]"), pa.timestamp("us"))
    for span in (pa.array(length, pa.duration("us")), pa.array(length // 1_000_000), pa.array(length / 1e6)):
        found = learn({"start": pa.array(start), "end": ends, "span": span})
        assert targets(found) == {"end": "Linear"}


def test_a_date_and_a_time_of_day_make_a_timestamp():
    at = pa.array(moments())
    found = learn({"at": at, "on": at.cast(pa.date32()), "time": at.cast(pa.time64("us"))})
    assert "at" in targets(found)
    assert set(found.reduced.names) <= {"on", "time", "at since date"}
    assert len(found.taken) == 2


def test_a_sum_is_null_exactly_where_a_part_is():
    columns = numbers()
    missing = rng("missing").random(ROWS) < 0.2
    a, y = pa.array(columns["a"], mask=missing), pa.array(columns["a"] + columns["b"], mask=missing)
    rest = {"b": columns["b"], "noise": columns["noise"]}
    assert targets(learn({"a": a, "y": y, **rest})) == {"y": "Linear"}
    also = pa.array(columns["a"] + columns["b"], mask=missing | (np.arange(ROWS) == np.flatnonzero(~missing)[7]))
    assert "Linear" not in targets(learn({"a": a, "y": also, **rest})).values()


def test_chained_sums_close_no_circle():
    x = numbers()
    columns = x | {"y": x["a"] + x["b"], "z": x["a"] + x["b"] + x["c"], "w": x["b"] + x["c"]}
    found = learn(columns)
    assert len(found.taken) == 3
    assert len(found.reduced.names) == 4


def test_few_values_of_one_column_are_left_to_the_trees():
    code = rng("code").integers(0, 9, ROWS)
    assert not learn({"code": code, "rank": 3 * code + 1, "other": numbers()["c"]}).taken


def test_a_weight_that_fewer_than_k_rows_speak_for_is_not_learnt():
    x = numbers()
    bonus = np.where(np.arange(ROWS) < 5, 7, 0)
    assert "Linear" not in targets(learn({"a": x["a"], "bonus": bonus, "y": x["a"] + bonus})).values()
    bonus = np.where(np.arange(ROWS) < 50, 7, 0)
    assert targets(learn({"a": x["a"], "bonus": bonus, "y": x["a"] + bonus})) == {"y": "Linear"}


# products -----------------------------------------------------------------------------------------------------------


def test_a_total_is_price_times_quantity():
    r = rng("product")
    price, quantity = r.integers(99, 9_999, ROWS), r.integers(1, 12, ROWS)
    total = pa.array([Decimal(int(t)) / 100 for t in price * quantity], pa.decimal128(12, 2))
    found = learn({"price": price / 100, "quantity": quantity, "total": total})
    assert found.taken == (Product("total", "price", "quantity"),)


@pytest.mark.parametrize("ties", ["away", "even", "down"])
def test_a_rounded_product_is_rounded_the_same_way(ties):
    r = rng("rounded")
    price, rate = r.integers(100, 90_000, ROWS), r.integers(1, 99, ROWS) * 5
    by, left = np.divmod(price * rate, 1_000)
    half = {"away": True, "even": by % 2 == 1, "down": False}[ties]
    up = (left > 500) & (ties != "down") | (left == 500) & half
    found = learn({"price": price / 100, "rate": rate / 1_000, "tax": (by + up) / 100})
    assert found.taken == (Product("tax", "price", "rate", 3, ties),)
    tax = (by + up) / 100
    tax[99] += 0.01
    assert not learn({"price": price / 100, "rate": rate / 1_000, "tax": tax}).taken


# dates --------------------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "day": pc.day,
    "month": pc.month,
    "hour": pc.hour,
    "minute": pc.minute,
    "second": pc.second,
    "quarter": pc.quarter,
    "day of year": pc.day_of_year,
    "week": pc.iso_week,
    "weekday from Monday 0": pc.day_of_week,
    "weekday from Sunday 1": lambda t: pc.day_of_week(t, count_from_zero=False, week_start=7),
    "yyyymm": lambda t: pc.add(pc.multiply(pc.year(t), 100), pc.month(t)),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_timestamp_is_computed(part):
    at = pa.array(moments()).cast(UTC)
    held = PARTS[part](at)
    found = learn({"at": at, "part": held})
    if part == "yyyymm":  # enough to begin a time with
        assert found.taken == (Whole("at", (("yyyymm", "part"),), None, "at since yyyymm", ("part",)),)
    else:
        assert found.taken == (Part("part", "at", part),)
    assert not learn({"at": at, "part": broken(held, 17, 1)}).taken


def test_years_before_1970_have_the_same_parts():
    at = pa.array(np.datetime64("1890-03-01", "us") + (moments() - moments().min()))
    found = learn({"at": at, "doy": pc.day_of_year(at), "week": pc.iso_week(at), "hour": pc.hour(at)})
    assert targets(found) == {"doy": "Part", "week": "Part", "hour": "Part"}


def test_a_time_is_put_together_from_its_parts_and_what_is_left():
    at = pa.array(moments()).cast(UTC)
    columns = {"at": at, "y": pc.year(at), "m": pc.month(at), "d": pc.day(at), "h": pc.hour(at)}
    found = learn(columns | {"weekday": pc.day_of_week(at)})
    assert targets(found) == {"at": "Whole", "weekday": "Part"}
    assert found.reduced.names == ("at since hour", "y", "m", "d", "h")
    hourly = pc.floor_temporal(at, unit="hour")
    assert learn(columns | {"at": hourly}).reduced.names == ("y", "m", "d", "h")


@pytest.mark.parametrize("type_", [pa.timestamp(u) for u in ("s", "ms", "us", "ns")] + [pa.date32()])
def test_a_year_and_the_time_since_it_began_are_exact_in_every_unit(type_):
    at = pa.array(moments()).cast(type_, safe=False)
    found = learn({"year": pc.year(at), "at": at})
    assert found.taken == (Whole("at", (("year", "year"),), None, "at since year", ("year",)),)


def test_parts_of_clocks_elsewhere_are_found_with_their_daylight_time():
    at = pa.array(moments()).cast(UTC)
    there = pc.local_timestamp(at.cast(pa.timestamp("us", "America/New_York")))
    found = learn({"at": at, "on": there.cast(pa.date32()), "h": pc.hour(there)})
    assert [r.zone for r in found.taken if isinstance(r, Whole)] == ["America/New_York"]
    tokyo = at.cast(pa.timestamp("us", "Asia/Tokyo"))
    assert learn({"at": tokyo, "q": pc.day_of_year(tokyo)}).taken == (Part("q", "at", "day of year", "Asia/Tokyo"),)
    east = pc.local_timestamp(at.cast(pa.timestamp("us", "+03:00")))
    assert learn({"at": at, "h": pc.hour(east)}).taken == (Part("h", "at", "hour", "+03:00"),)


def test_an_impossible_date_is_put_right_together_with_its_parts():
    at = pc.floor_temporal(pa.array(moments()), unit="day")
    data = pa.table({"at": at, "y": pc.year(at), "m": pc.month(at), "d": pc.day(at)})
    found = learn(data)
    drawn = found.restore(pa.table({"y": [2023, 2024], "m": [2, 2], "d": [30, 31]}))
    assert drawn["at"].to_pylist() == [dt.datetime(2023, 2, 28), dt.datetime(2024, 2, 29)]
    assert drawn["d"].to_pylist() == [28, 29]


def test_a_date_is_known_before_the_time_that_falls_on_it():
    at = pa.array(moments()).cast(UTC)
    on = at.cast(pa.timestamp("us")).cast(pa.date32())
    found = learn({"at": at, "on": on, "y": pc.year(on), "m": pc.month(on), "d": pc.day(on), "h": pc.hour(at)})
    assert next(r.target for r in found.taken) == "on"
    assert targets(found)["at"] == "Whole"


# clocks -------------------------------------------------------------------------------------------------------------


def flights(n: int = 3_000) -> dict[str, pa.Array]:
    """Like departures of an airport: parts of a UTC time as New York shows it, and HHMM times around midnight."""
    r = rng("flights")
    day = np.datetime64("2013-01-01") + r.integers(0, 365, n)
    hour, minute = r.integers(5, 24, n), r.integers(0, 60, n)
    delay = np.where(r.random(n) < 0.8, r.integers(-20, 30, n), r.integers(0, 1_500, n))
    delay[:20] = 1440 - (hour * 60 + minute)[:20]  # some leave at midnight sharp
    cancelled, diverted = r.random(n) < 0.03, r.random(n) < 0.02
    local = pa.array(day.astype("datetime64[us]") + hour * np.timedelta64(3_600_000_000, "us"))
    utc = pc.assume_timezone(local, "America/New_York").cast(UTC)
    arrival = (hour * 60 + minute + r.integers(60, 300, n)) % 1440

    def hhmm(minutes: np.ndarray) -> np.ndarray:
        at = minutes % 1440
        return np.where(at == 0, 2400, at // 60 * 100 + at % 60)

    late = delay + r.integers(-30, 30, n)
    return {
        "year": pc.year(local), "month": pc.month(local), "day": pc.day(local),
        "dep_time": pa.array(hhmm(hour * 60 + minute + delay), mask=cancelled),
        "sched_dep_time": pa.array(hour * 100 + minute),
        "dep_delay": pa.array(delay, mask=cancelled),
        "arr_time": pa.array(hhmm(arrival + late), mask=cancelled),
        "sched_arr_time": pa.array(hhmm(arrival) % 2400),
        "arr_delay": pa.array(late, mask=cancelled | diverted),
        "hour": pa.array(hour), "minute": pa.array(minute), "time_hour": utc,
    }  # fmt: skip


def test_flights_are_reduced_to_what_is_free():
    found = learn(flights())
    kinds = targets(found)
    assert kinds == {"time_hour": "Whole", "sched_dep_time": "Linear", "dep_time": "Clock", "arr_time": "Clock"}
    assert "arr_time without arr_delay" in found.reduced.names
    assert next(r.midnight for r in found.taken if isinstance(r, Clock)) == 2400


def test_midnight_written_in_two_ways_is_no_clock():
    columns = {n: flights()[n] for n in ("dep_time", "sched_dep_time", "dep_delay")}
    late = np.flatnonzero(pc.equal(columns["dep_time"], 2400).fill_null(False))
    assert len(late) > 1
    columns["dep_time"] = broken(columns["dep_time"], int(late[0]), -2400)
    assert "dep_time" not in targets(learn(columns))


def test_one_flight_that_is_an_hour_off_forbids_the_clock():
    columns = {n: flights()[n] for n in ("dep_time", "sched_dep_time", "dep_delay")}
    row = int(np.flatnonzero(pc.less(columns["dep_time"], 1000).fill_null(False))[0])
    columns["dep_time"] = broken(columns["dep_time"], row, 100)
    assert "Clock" not in targets(learn(columns)).values()


# gaps ---------------------------------------------------------------------------------------------------------------


def stays() -> dict[str, pa.Array]:
    r = rng("stays")
    begin = moments().astype("datetime64[D]")
    middle = begin + r.integers(0, 30, ROWS)
    return {"begin": pa.array(begin), "middle": pa.array(middle), "end": pa.array(middle + r.integers(1, 90, ROWS))}


def test_a_chain_of_dates_refers_to_the_one_before():
    found = learn(stays())
    assert {r.target: (r.earlier, r.least) for r in found.taken if isinstance(r, Gap)} == {
        "middle": ("begin", 0), "end": ("middle", 1),
    }  # fmt: skip
    assert found.reduced.names == ("begin", "middle - begin", "end - middle")


def test_one_end_before_its_start_forbids_the_order():
    columns = stays()
    columns["end"] = broken(columns["end"], 300, -4_000)
    assert "end" not in targets(learn(columns))


@given(st.lists(st.tuples(*[st.none() | st.integers(-40_000, 40_000)] * 3), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_whatever_is_drawn_an_end_is_never_before_its_start(cells):
    found = Relations.learn(pa.table(stays()), table_of(pa.table(stays())), None, k=10)
    drawn = pa.table([pa.array(c, pa.int32()) for c in zip(*cells, strict=True)], list(found.reduced.names))
    rows = found.restore(drawn.cast(found.reduced.arrow))
    assert pc.all(pc.less_equal(rows["begin"], rows["middle"])).as_py() is not False
    assert pc.all(pc.less(rows["middle"], rows["end"])).as_py() is not False


def test_an_end_without_a_start_keeps_its_value():
    columns = stays()
    begin, end = columns["begin"], columns["end"]
    open_ = rng("open").random(ROWS) < 0.3
    still_there = pc.if_else(pa.array(open_), None, end)
    assert targets(learn({"begin": begin, "end": still_there})) == {"end": "Gap"}
    assert not learn({"begin": pc.if_else(pa.array(open_), None, begin), "end": end}).taken


def test_a_date_that_stands_for_never_is_not_torn_apart():
    columns = stays()
    never = pa.scalar(dt.date(9999, 12, 31))
    end = pc.if_else(pa.array(rng("never").random(ROWS) < 0.4), never, columns["end"])
    assert not learn({"begin": columns["begin"], "end": end}).taken


def test_numbers_are_told_by_their_gap_only_where_they_are_close():
    r = rng("prices")
    low, spread = r.integers(1_000, 90_000, ROWS), r.integers(0, 900, ROWS)
    assert targets(learn({"low": low, "high": low + spread, "other": low % 991})) == {"high": "Gap"}
    hits = r.integers(0, 600, ROWS)
    assert not learn({"at bat": hits + r.integers(0, 800, ROWS), "hits": hits}).taken


def test_a_rest_never_has_the_name_of_a_column():
    columns = stays()
    found = learn({**columns, "middle - begin": numbers()["noise"], "end - middle": numbers()["c"]})
    assert len(set(found.reduced.names)) == len(found.reduced.names) == 5


# what takes no part -------------------------------------------------------------------------------------------------


def test_too_few_rows_or_units_teach_no_relation():
    x = numbers()
    few = pa.table({n: c[:99] for n, c in (x | {"y": x["a"] + x["b"]}).items()})
    assert not Relations.learn(few, table_of(few), None, k=10).taken
    data = pa.table(x | {"y": x["a"] + x["b"]})
    units = np.arange(ROWS, dtype=np.uint64)
    assert not Relations.learn(data, table_of(data), units % np.uint64(9), k=10).taken
    assert Relations.learn(data, table_of(data), units % np.uint64(90), k=10).taken


def test_categories_keys_and_the_order_of_rows_are_left_alone():
    x = numbers()
    data = pa.table({"a": x["a"], "b": x["b"], "y": x["a"] + x["b"]})
    assert not Relations.learn(data, table_of(data, a=Kind.CATEGORY), None, k=10).taken
    keyed = Table("t", table_of(data).columns, key=("a",))
    assert not Relations.learn(data, keyed, None, k=10).taken
    ordered = Table("t", table_of(data).columns, order_by="y")
    assert "y" not in targets(Relations.learn(data, ordered, None, k=10))


@pytest.mark.parametrize("cells", [[], [None] * 300, [1.5] * 300, [float("nan"), float("inf")] * 150])
def test_nothing_is_found_where_there_is_nothing(cells):
    for type_ in (pa.float64(), pa.int16(), pa.decimal128(30, 4), UTC, pa.date32(), pa.time32("s"), pa.duration("ms")):
        plain = pa.array([c if type_ == pa.float64() else None for c in cells], type_)
        data = pa.table({"a": plain, "b": plain, "c": plain})
        found = Relations.learn(data, table_of(data), None, k=10)
        assert not found.taken
        assert found.reduce(data).schema.equals(data.schema)


def test_no_row_and_a_single_row_are_restored_too():
    found = learn(flights())
    assert found.restore(found.reduced.arrow.empty_table()).schema.equals(found.table.arrow)
    assert found.restore(found.reduce(pa.table(flights())).slice(0, 1)).num_rows == 1
    data = pa.table(flights()).slice(0, 1)
    assert not Relations.learn(data, table_of(data), None, k=10).taken


def test_what_a_type_cannot_hold_becomes_its_nearest_bound():
    x = numbers()
    small, large = pa.array(x["b"] % 60, pa.int8()), pa.array(x["noise"] % 60, pa.int8())
    found = learn({"a": small, "b": large, "y": pc.add(small, large)})
    drawn = found.restore(pa.table({"a": [120, -120], "b": [120, -120]}, schema=found.reduced.arrow))
    assert drawn["y"].to_pylist() == [127, -128]
    big = pa.array(x["a"].astype(np.uint64) + np.uint64(2**40))
    found = learn({"a": big, "b": pa.array(x["b"], pa.uint64()), "y": pc.add(big, pa.array(x["b"], pa.uint64()))})
    top = pa.table({"a": [2**64 - 1, 5], "b": [2**64 - 1, 6]}, schema=found.reduced.arrow)
    assert found.restore(top)["y"].to_pylist()[1] == 11


def test_only_names_and_small_numbers_are_kept():
    data = pa.table(flights())
    kept = set(_numbers(Relations.learn(data, table_of(data), None, k=10).to_json()["taken"]))
    assert kept <= {0, 1, 100, 2400}


def test_hundreds_of_columns_are_searched_without_trying_all_triples():
    r = rng("wide")
    columns = {f"c{i}": r.integers(0, 10 ** (2 + i % 6), ROWS) for i in range(300)}
    columns["y"] = columns["c41"] + columns["c205"]
    columns["z"] = columns["c7"] + columns["c77"] + columns["c177"]
    columns["w"] = columns["c6"] * columns["c12"]
    assert targets(learn(columns)) == {"y": "Linear", "z": "Linear", "w": "Product"}


def _numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in _numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in _numbers(v)]
    return [value] if isinstance(value, int) else []
