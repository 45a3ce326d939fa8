import dataclasses
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from orders import ORDERS, orders

from twinlake.errors import GeneratorError
from twinlake.generators.forest.conditions import Conditioned
from twinlake.generators.forest.generator import Forest
from twinlake.generators.forest.model import ForestModel
from twinlake.generators.forest.narrow import Narrow
from twinlake.generators.forest.predicate import Predicate
from twinlake.hashing import hash_rows
from twinlake.random import stream

ROWS = 3_000


@pytest.fixture(scope="module")
def model() -> ForestModel:
    return Forest().fit(orders(), ORDERS, units=None, context=None, rng=stream(0, "fit"))


@pytest.fixture(scope="module")
def many(model) -> pa.Table:
    """What the model draws when nothing is asked of it."""
    return model.sample(400_000, context=None, rng=stream(1, "many"))


def under(model: ForestModel, text: str) -> Conditioned:
    return Conditioned.of(model, Predicate.read(text, ORDERS))


def drawn(model: ForestModel, text: str, rows: int = ROWS, seed: int = 2) -> pa.Table:
    return under(model, text).sample(rows, context=None, rng=stream(seed, "drawn"))


def furthest(drawn: pa.Table, by_rejection: pa.Table) -> float:
    """The furthest of all columns' and pairs' shares from those of the other table, in standard errors."""
    parts = [_parts(drawn[c], by_rejection[c]) for c in drawn.column_names]
    pairs = [(i, j) for i in range(len(parts)) for j in range(i)]
    far = [_far(*part) for part in parts]
    far += [_far(*(a * 1_000 + b for a, b in zip(parts[i], parts[j], strict=True))) for i, j in pairs]
    return max(far)


def _parts(one: pa.ChunkedArray, other: pa.ChunkedArray) -> list[np.ndarray]:
    """Values of two columns as a few parts: labels, or eighths of a quantity; nulls and NaN for themselves."""
    if pa.types.is_string(one.type) or pa.types.is_dictionary(one.type):
        words = pc.unique(other.cast(pa.string())).to_pylist()
        return [
            np.array([words.index(w) if w in words else 99 for w in c.cast(pa.string()).to_pylist()])
            for c in (one, other)
        ]
    plain = [np.array([np.inf if x is None else x for x in c.cast(pa.float64()).to_pylist()]) for c in (one, other)]
    finite = plain[1][np.isfinite(plain[1])]
    cuts = np.unique(np.quantile(finite, np.arange(1, 8) / 8)) if len(finite) else np.empty(0)
    return [np.where(np.isnan(x), 50, np.where(np.isinf(x), 51, np.searchsorted(cuts, x))) for x in plain]


def _far(one: np.ndarray, other: np.ndarray) -> float:
    values = np.unique(np.concatenate([one, other]))
    p, q = (np.array([np.mean(x == v) for v in values]) for x in (one, other))
    both = (p * len(one) + q * len(other)) / (len(one) + len(other))
    often = both * min(len(one), len(other)) >= 10  # below, counts are not normal
    error = np.sqrt(both * (1 - both) * (1 / len(one) + 1 / len(other)) + 1e-12)
    return float((np.abs(p - q) / error)[often].max(initial=0))


NEAR = 6  # standard errors; rows drawn one after the other share trees, so that shares vary a little more than chance


@pytest.mark.parametrize(
    "text",
    [
        "state = 'OH'",
        "state = 'OH' AND product = 'z' AND month IN (2, 3)",
        "price BETWEEN 10 AND 30",
        "weight > 3.21 AND state <> 'CA'",
        "product IS NULL",
        "isnan(weight)",
        "state = 'NY' OR price > 100",
        "low < high AND month = 4",
        "code = 30 AND month <= 2",
        "month % 3 = 1 AND price < 20",
        "(state = 'OH' AND month = 2) OR (state = 'NY' AND product = 'w')",
    ],
)
def test_rows_are_distributed_as_those_that_the_model_draws_and_the_predicate_keeps(model, many, text):
    read = Predicate.read(text, ORDERS)
    by_rejection = many.filter(pa.array(read.holds(many)))
    got = drawn(model, text)
    assert got.num_rows == ROWS
    assert read.holds(got).all()
    assert got.schema.equals(ORDERS.arrow)
    assert furthest(got, by_rejection) < NEAR


def test_the_likelihood_is_the_share_of_rows_that_satisfy_the_predicate(model, many):
    made = under(model, "state = 'OH' AND price < 20 AND month = 3")
    made.sample(5_000, context=None, rng=stream(3, "x"))
    expected = made.predicate.holds(many).mean()
    assert made.efforts[0].likelihood == pytest.approx(expected, rel=0.06)


class Careless(Narrow):
    """Draws the right states, but does not tell how likely they were."""

    def draw(self, codes, rng):
        states, likely = super().draw(codes, rng)
        return states, np.sign(likely)


def test_rows_that_are_not_weighted_are_told_apart(model, many):
    made = under(model, "price BETWEEN 10 AND 30")
    careless = {i: Careless(*(getattr(n, f.name) for f in dataclasses.fields(n))) for i, n in made.narrow.items()}
    wrong = dataclasses.replace(made, narrow=careless).sample(ROWS, context=None, rng=stream(2, "drawn"))
    by_rejection = many.filter(pa.array(made.predicate.holds(many)))
    assert furthest(wrong, by_rejection) > 2 * NEAR


def test_with_the_preset_quality_rows_are_those_that_the_judge_keeps():
    model = Forest(preset="quality").fit(orders(4_000), ORDERS, units=None, context=None, rng=stream(0, "fit"))
    many = model.sample(60_000, context=None, rng=stream(1, "many"))
    text = "state = 'OH' AND month <= 2"
    by_rejection = many.filter(pa.array(Predicate.read(text, ORDERS).holds(many)))
    assert furthest(drawn(model, text, 1_500), by_rejection) < NEAR


def test_one_in_a_hundred_thousand_comes_in_seconds_and_tells_its_effective_sample_size(model):
    made = under(model, "state = 'AK' AND product = 'w' AND month = 3 AND weight IS NULL")
    began = time.process_time()
    got = made.sample(1_000, context=None, rng=stream(5, "rare"))
    assert time.process_time() - began < 20
    assert (got.num_rows, made.predicate.holds(got).all()) == (1_000, True)
    (effort,) = made.efforts
    assert effort.likelihood < 2e-5
    assert effort.effective == 1_000
    assert effort.tried < 1_000 / effort.likelihood / 50  # rejection would have taken that many


def test_rows_that_must_be_picked_twice_count_less(model, monkeypatch):
    monkeypatch.setattr("twinlake.generators.forest.conditions._CELLS", 1)
    monkeypatch.setattr("twinlake.generators.forest.conditions._BATCH", 2**18)
    made = under(model, "low < high - 55 AND price > 100")  # hard: cheap to tell only of whole rows
    got = made.sample(20_000, context=None, rng=stream(5, "rare"))
    assert got.num_rows == 20_000
    distinct = len(np.unique(hash_rows(got)))
    assert distinct < 20_000
    assert made.efforts[0].effective <= distinct


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("month = 3 AND state = 'Ohio'", "column state: no row satisfies state = 'Ohio'; its values are CA"),
        ("price > 1000000", r"column price: no row satisfies price > 1000000; its values go from .* to .*"),
        ("low < 10 AND month = 2 AND low > 40", "column low: no row satisfies both low < 10 and low > 40"),
        ("state = 'OH' AND code = 10", "columns .*: no row satisfies both"),
        ("1 = 2 AND low > 4", "no row satisfies 1 = 2"),
        ("month IS NULL", 'column month: no row satisfies "month" IS NULL'),
    ],
)
def test_the_part_of_a_predicate_that_can_not_be_is_named(model, text, told):
    with pytest.raises(GeneratorError, match=told):
        drawn(model, text, 5)


def test_a_predicate_over_columns_that_never_holds_is_told_after_trying(model, monkeypatch):
    monkeypatch.setattr("twinlake.generators.forest.conditions._IDLE", 1)
    with pytest.raises(GeneratorError, match=r"rows drawn satisfies low > .* beside the rest of the predicate"):
        drawn(model, "month = 2 AND low > high + 100", 5)


def test_the_same_seed_draws_the_same_rows(model):
    text = "state = 'OH' AND price > 20 AND low < high"
    one, two, other = (hash_rows(drawn(model, text, 200, seed=s)) for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_narrow_bag_draws_what_its_bag_draws_and_its_factors_keep(model):
    step = next(s for s in model.steps if s.bag is not None and model.relations.reduced.names[s.target] == "price")
    codes = np.zeros((40_000, len(model.codings)), np.int32, order="F")
    factors = (np.arange(model.codings[step.target].size) % 3 == 0) * 0.5
    states, likely = Narrow.of(step.bag, factors).draw(codes, stream(0, "narrow"))
    plain = step.bag.draw(codes, stream(1, "plain"))
    kept = plain[(factors[plain] > 0)]
    assert factors[states].min() > 0
    assert likely.mean() == pytest.approx(factors[plain].mean(), rel=0.03)
    assert _far(states // 64, kept // 64) < NEAR
