"""The relabelling test alarms as often as it says where nothing leaks, and finds a lead of a few units in thousands."""

import numpy as np
import pytest
from scipy.stats import binom

from twinlake.privacy.relabel import holm, relabel
from twinlake.random import stream


def p_of(scores, members, seed=0) -> float:
    return relabel({"one": {"score": scores}}, members, rng=stream(seed, "deal"))["one"]


def coin(n: int, seed: int, share: float = 0.5) -> np.ndarray:
    return stream(seed, "coin").random(n) < share


def test_alarms_are_as_rare_as_promised_where_labels_mean_nothing():
    runs, found = 300, {"tied": 0, "several": 0}
    for seed in range(runs):
        rng = stream(seed, "scores")
        scores = rng.normal(size=400)
        families = {
            "tied": {"few values": rng.integers(0, 3, 400).astype(np.float64)},
            "several": {"a": scores, "b": scores + rng.normal(size=400), "never": np.full(400, -np.inf)},
        }
        for family, p in relabel(families, coin(400, seed, 0.7), rng=stream(seed, "deal"), draws=399).items():
            found[family] += p < 0.05
    low, high = binom.ppf([1e-4, 1 - 1e-4], runs, 0.05)
    assert all(low <= count <= high for count in found.values()), found


def test_a_lead_of_twenty_in_two_thousand_is_found():
    members, scores = coin(2000, 1), stream(1, "scores").normal(size=2000)
    assert p_of(scores, members) > 0.01
    scores[np.flatnonzero(members)[:20]] += 9
    assert p_of(scores, members) < 0.001


def test_units_held_back_that_lead_are_no_leak():
    members, scores = coin(2000, 2), stream(2, "scores").normal(size=2000)
    scores[np.flatnonzero(~members)[:60]] += 9
    assert p_of(scores, members) > 0.5


def test_ties_are_broken_by_a_coin_not_by_place():
    members = np.arange(1000) < 500  # learnt units stand first
    found = [p_of(np.zeros(1000), members, seed) for seed in range(40)]
    assert min(found) > 0.001
    assert sum(p < 0.05 for p in found) <= binom.ppf(1 - 1e-4, 40, 0.05)


def test_each_family_is_judged_by_itself():
    members, rng = coin(1000, 3), stream(3, "scores")
    leak = np.where(members, 3.0, 0.0) + rng.normal(size=1000)
    found = relabel({"leak": {"a": leak}, "noise": {"a": rng.normal(size=1000)}}, members, rng=rng)
    assert found["leak"] == pytest.approx(1 / 2000)
    assert found["noise"] > 0.01


def test_the_real_deal_counts_as_one_so_no_chance_is_nil():
    members = coin(200, 4)
    assert relabel({"f": {"a": members * 1.0}}, members, rng=stream(4, "deal"), draws=99)["f"] == 1 / 100


def test_where_one_side_is_empty_there_is_nothing_to_tell():
    assert p_of(np.arange(50.0), np.ones(50, np.bool_)) == 1.0
    assert p_of(np.arange(50.0), np.zeros(50, np.bool_)) == 1.0


def test_the_same_stream_gives_the_same_chance():
    members, scores = coin(500, 5), stream(5, "scores").normal(size=500)
    assert p_of(scores, members, 9) == p_of(scores, members, 9)


def test_chances_are_corrected_for_how_many_there_are():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_a_test_with_a_larger_share_of_the_significance_is_corrected_less():
    found = holm({"a": 0.01, "b": 0.01, "c": 0.5}, {"a": 6, "b": 3, "c": 1})
    assert found == pytest.approx({"a": 0.01 * 10 / 6, "b": 0.01 * 10 / 6, "c": 0.5})  # a step never leads back
    assert holm({"a": 0.01, "b": 0.02}, {"a": 1, "b": 1}) == holm({"a": 0.01, "b": 0.02})
