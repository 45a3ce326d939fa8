import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from orders import ORDERS, orders

from twinlake.errors import GeneratorError
from twinlake.generators.forest.generator import Forest
from twinlake.generators.forest.model import ForestModel
from twinlake.generators.forest.predicate import Predicate
from twinlake.generators.forest.rebalancing import Rebalanced
from twinlake.hashing import hash_rows
from twinlake.random import stream

ROWS = 6_000


@pytest.fixture(scope="module")
def model() -> ForestModel:
    return Forest().fit(orders(), ORDERS, units=None, context=None, rng=stream(0, "fit"))


def drawn(model: ForestModel, shares, where: str | None = None, seed: int = 2) -> pa.Table:
    read = None if where is None else Predicate.read(where, ORDERS)
    return Rebalanced.of(model, shares, where=read).sample(ROWS, context=None, rng=stream(seed, "drawn"))


def share(rows: pa.Table, where: str) -> float:
    return float(Predicate.read(where, ORDERS).holds(rows).mean())


def noise(of: float, rows: int = ROWS) -> float:
    """Four standard errors of a share."""
    return 4 * (of * (1 - of) / rows) ** 0.5


def test_named_values_get_their_shares_and_the_rest_keeps_its_own(model):
    plain, got = model.sample(60_000, context=None, rng=stream(1, "plain")), drawn(model, {"state": {"AK": 0.5}})
    assert share(got, "state = 'AK'") == pytest.approx(0.5, abs=1 / ROWS)
    for state in ("CA", "NY", "OH"):
        expected = 0.5 * share(plain, f"state = '{state}'") / share(plain, "state <> 'AK'")
        assert share(got, f"state = '{state}'") == pytest.approx(expected, abs=noise(expected))


def test_within_a_value_rows_are_as_the_model_has_them(model):
    plain, got = model.sample(100_000, context=None, rng=stream(1, "plain")), drawn(model, {"state": {"OH": 0.6}})
    plain, got = (t.filter(pc.equal(t["state"].cast(pa.string()), "OH")) for t in (plain, got))
    for asked in ("product = 'z'", "month <= 4", "price > 30", "weight IS NULL", "low < high"):
        expected = share(plain, asked)
        assert share(got, asked) == pytest.approx(expected, abs=noise(expected, got.num_rows))
    assert abs(share(got, "product = 'z'") - share(drawn(model, {"state": {"CA": 0.9}}), "product = 'z'")) > 0.1


def test_shares_of_two_columns_hold_at_once(model):
    got = drawn(model, {"state": {"OH": 0.5}, "product": {"w": 0.2, None: 0.1}})
    assert share(got, "state = 'OH'") == pytest.approx(0.5, abs=0.005)
    assert share(got, "product = 'w'") == pytest.approx(0.2, abs=0.005)
    assert share(got, "product IS NULL") == pytest.approx(0.1, abs=0.005)
    assert share(got, "product IS NULL AND state = 'OH'") == 0  # only in NY is a product unknown


def test_shares_hold_among_rows_under_a_predicate(model):
    got = drawn(model, {"state": {"AK": 0.3}}, where="month = 2 AND low < high")
    assert share(got, "month = 2 AND low < high") == 1
    assert share(got, "state = 'AK'") == pytest.approx(0.3, abs=1 / ROWS)


def test_a_share_of_one_leaves_no_rest_and_a_share_of_none_leaves_the_value_out(model):
    assert share(drawn(model, {"state": {"AK": 0.25, "NY": 0.75}}), "state IN ('AK', 'NY')") == 1
    assert share(drawn(model, {"state": {"CA": 0}}), "state = 'CA'") == 0


def test_the_same_seed_draws_the_same_rows(model):
    one, two, other = (hash_rows(drawn(model, {"state": {"AK": 0.5}}, seed=s)) for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({"state": {"Ohio": 0.5}}, "column state: no row satisfies state = 'Ohio'"),
        ({"stat": {"OH": 0.5}}, 'no column stat that is learnt.*Did you mean "state"'),
        ({"state": {"OH": 0.7, "NY": 0.4}}, r"rebalance state: shares add up to 1\.1; 1 at most"),
        ({"state": {"OH": 1.4}}, "a share is no number from 0 to 1"),
        ({"state": {"OH": "half"}}, "a share is no number from 0 to 1"),
        ({"state": {}}, "no value has a share"),
        ({}, "no column has shares"),
        ({"state": {"OH": 0.5}, "product": {None: 0.8}}, "no rows have all these shares at once"),
        ({"month": dict.fromkeys(range(1, 12), 0.05), "low": dict.fromkeys(range(40), 0.01)}, "at most 256"),
    ],
)
def test_shares_that_can_not_be_are_one_sentence(model, shares, told):
    with pytest.raises(GeneratorError, match=told):
        drawn(model, shares)
