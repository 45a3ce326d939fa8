import numpy as np
import pyarrow as pa
import pytest
from orders import ORDERS, orders

from twinlake.generators.forest import imputation
from twinlake.generators.forest.generator import Forest
from twinlake.generators.forest.imputation import impute
from twinlake.generators.forest.likelihood import Likelihood
from twinlake.generators.forest.model import ForestModel
from twinlake.hashing import hash_rows
from twinlake.random import stream
from twinlake.schema import Column, Table

ALL = frozenset(ORDERS.names)


@pytest.fixture(scope="module")
def model() -> ForestModel:
    return Forest().fit(orders(), ORDERS, units=None, context=None, rng=stream(0, "fit"))


@pytest.fixture(scope="module")
def fresh() -> pa.Table:
    return orders(3_000, seed=9)


def filled(model: ForestModel, rows: pa.Table, fill=ALL, seed: int = 1, **more) -> pa.Table:
    return impute(model, rows, fill=frozenset(fill), rng=stream(seed, "impute"), **more)


def same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Whether all cells are equal, NaN included."""
    return np.array_equal(hash_rows(pa.table({"c": one})), hash_rows(pa.table({"c": other})))


@pytest.mark.parametrize("gone", [["price"], ["product", "month"], ["weight", "low", "high"], ["state", "code"]])
def test_what_is_given_stays_as_it_is_and_what_is_not_comes(model, fresh, gone):
    got = filled(model, fresh.drop_columns(gone), fill=())
    assert got.column_names == list(ORDERS.names)
    assert [f.type for f in got.schema] == [f.type for f in ORDERS.arrow]
    assert all(same(got[c], fresh[c]) for c in ORDERS.names if c not in gone)
    assert not any(same(got[c], fresh[c]) for c in gone)


def test_a_column_that_another_determines_is_found_from_it_and_the_other_way_round(model, fresh):
    for gone in ("state", "code"):
        got = filled(model, fresh.drop_columns([gone]), fill=())
        assert same(got[gone], fresh[gone])


def test_nulls_are_filled_with_values_only_where_that_is_asked_for(model, fresh):
    got = filled(model, fresh, fill=("product",))
    assert got["product"].null_count == 0
    assert got["weight"].null_count == fresh["weight"].null_count
    there = np.flatnonzero(fresh["product"].is_valid())
    assert same(got["product"].take(pa.array(there)), fresh["product"].take(pa.array(there)))


def known(n: int, seed: int) -> tuple[pa.Table, Table]:
    """a is a coin; b says a with 80 in 100, c says a with 90 in 100: what a is given b and c is known."""
    rng = stream(seed, "known")
    a = rng.random(n) < 0.3
    b, c = np.where(rng.random(n) < 0.8, a, ~a), np.where(rng.random(n) < 0.9, a, ~a)
    d = a * 2.0 + rng.normal(size=n)
    data = pa.table({"a": a, "b": b, "c": c, "d": d})
    return data, Table("known", tuple(Column(f.name, f.type) for f in data.schema))


def share_of_a(got: pa.Table, b: bool, c: bool) -> float:
    rows = (np.array(got["b"]) == b) & (np.array(got["c"]) == c)
    return float(np.mean(np.array(got["a"])[rows]))


def bayes(b: bool, c: bool) -> float:
    one = 0.3 * (0.8 if b else 0.2) * (0.9 if c else 0.1)
    other = 0.7 * (0.2 if b else 0.8) * (0.1 if c else 0.9)
    return one / (one + other)


@pytest.fixture(scope="module")
def coins() -> ForestModel:
    data, table = known(30_000, 0)
    return Forest().fit(data, table, units=None, context=None, rng=stream(0, "fit"))


@pytest.mark.parametrize("b", [True, False])
@pytest.mark.parametrize("c", [True, False])
def test_what_is_filled_in_is_as_bayes_has_it(coins, b, c):
    data, _ = known(8_000, 5)
    got = filled(coins, data.select(["b", "c"]), fill=())
    rows = int(((np.array(data["b"]) == b) & (np.array(data["c"]) == c)).sum())
    expected = bayes(b, c)
    assert share_of_a(got, b, c) == pytest.approx(expected, abs=0.02 + 4 * (expected * (1 - expected) / rows) ** 0.5)


def test_a_quantity_that_is_given_tells(coins):
    data, _ = known(8_000, 5)
    got = filled(coins, data.select(["d"]), fill=())
    d, a = np.array(data["d"]), np.array(got["a"])
    for low, high in ((-3, 0), (0.5, 1), (1.5, 2), (2.5, 5)):
        rows = (d > low) & (d < high)
        one, other = 0.3 * np.exp(-((d - 2) ** 2) / 2), 0.7 * np.exp(-(d**2) / 2)
        assert a[rows].mean() == pytest.approx((one / (one + other))[rows].mean(), abs=0.06)


def test_candidates_that_are_not_weighted_are_told_apart(coins, monkeypatch):
    monkeypatch.setattr(imputation, "_log", lambda likely: np.zeros(len(likely)))
    data, _ = known(8_000, 5)
    got = filled(coins, data.select(["b", "c"]), fill=())
    assert max(abs(share_of_a(got, b, c) - bayes(b, c)) for b in (True, False) for c in (True, False)) > 0.2


def test_filled_rows_of_the_model_look_like_rows_of_the_model(model):
    whole = model.sample(3_000, context=None, rng=stream(3, "whole"))
    got = filled(model, whole.drop_columns(["product"]), fill=())

    def prices(rows: pa.Table) -> list[float]:
        of, price = np.array(rows["product"].to_pylist()), rows["price"].cast(pa.float64()).to_numpy()
        return [float(np.log(price[of == p]).mean()) for p in ("x", "y", "z")]

    assert prices(got) == pytest.approx(prices(whole), abs=0.12)


def test_the_same_seed_fills_in_the_same(model, fresh):
    some = fresh.slice(0, 300).drop_columns(["price"])
    one, two, other = (hash_rows(filled(model, some, seed=s)) for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_no_rows_are_no_rows(model, fresh):
    assert filled(model, fresh.slice(0, 0).drop_columns(["price"])).num_rows == 0


def test_a_value_that_the_model_never_saw_is_given_all_the_same(model, fresh):
    strange = fresh.slice(0, 20).set_column(0, "state", pa.array(["Atlantis"] * 20))
    got = filled(model, strange.drop_columns(["product"]), fill=())
    assert set(got["state"].to_pylist()) == {"Atlantis"}
    assert got.num_rows == 20


def test_likelihoods_are_the_shares_of_what_is_drawn(model):
    for step in model.steps:
        if step.bag is None:
            continue
        codes = np.zeros((1, len(model.codings)), np.int32, order="F")
        states = np.arange(model.codings[step.target].size, dtype=np.int32)
        told = Likelihood.of(step.bag).told(np.asfortranarray(np.repeat(codes, len(states), axis=0)), states)
        drawn = step.bag.draw(np.asfortranarray(np.repeat(codes, 200_000, axis=0)), stream(0, "drawn"))
        assert told.sum() == pytest.approx(1, abs=1e-6)
        shares = np.bincount(drawn, minlength=len(states)) / len(drawn)
        assert np.abs(told - shares).max() < 0.006


def test_parts_of_a_date_and_terms_of_a_sum_follow_from_what_is_computed_of_them():
    rng = stream(0, "sums")
    a, b = rng.integers(0, 500, 4_000), rng.integers(0, 900, 4_000)
    data = pa.table({"a": a, "b": b, "total": a + b, "c": rng.normal(size=4_000)})
    table = Table("sums", tuple(Column(f.name, f.type) for f in data.schema))
    model = Forest().fit(data, table, units=None, context=None, rng=stream(0, "fit"))
    assert model.relations.taken  # else nothing is proven
    for gone in ("a", "b", "total"):
        got = impute(model, data.slice(0, 200).drop_columns([gone]), fill=frozenset(), rng=stream(1, "x"))
        assert got[gone].to_pylist() == data[gone].slice(0, 200).to_pylist()


def test_a_beginning_that_is_lacking_lies_before_the_end_that_is_given():
    rng = stream(0, "gaps")
    begin = rng.integers(0, 10_000, 4_000)
    data = pa.table({"begin": begin, "end": begin + rng.integers(0, 300, 4_000), "c": rng.normal(size=4_000)})
    table = Table("gaps", tuple(Column(f.name, f.type) for f in data.schema))
    model = Forest().fit(data, table, units=None, context=None, rng=stream(0, "fit"))
    assert [r.target for r in model.relations.taken] == ["end"]  # else nothing is proven
    got = impute(model, data.drop_columns(["begin"]), fill=frozenset(), rng=stream(1, "x"))
    gap = np.array(got["end"]) - np.array(got["begin"])
    assert gap.min() >= 0
    assert gap.mean() == pytest.approx(150, abs=15)
    assert same(got["end"], data["end"])
