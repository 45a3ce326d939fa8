"""Attackers who learn from games: chance is 0.5, and their bounds hold."""

import numpy as np
import pytest

from twinlake.privacy.attacker import Answer, decided, plain, quantile, taught
from twinlake.random import stream


def games(seed: int, *, shift: float, count: int = 60, signals: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = stream(seed, "games")
    end = rng.random(count) < 0.5
    seen = rng.normal(size=(count, signals))
    seen[:, 0] += shift * end
    return seen, end


def test_who_knows_nothing_scores_one_half_whether_taught_or_not() -> None:
    seen = [games(s, shift=0) for s in range(150)]
    learnt = [taught("a", x, end, general=10).auc for x, end in seen]
    assert np.mean(learnt) == pytest.approx(0.5, abs=0.03)  # left out one by one it would be about 0.4
    assert np.mean([plain("a", x, end).auc for x, end in seen]) == pytest.approx(0.5, abs=0.03)


def test_a_taught_attacker_finds_the_one_signal_that_tells() -> None:
    x, end = games(1, shift=4)
    assert taught("a", x, end, general=10).auc > 0.9
    assert plain("a", x, end).auc < taught("a", x, end, general=10).auc


def test_leaving_a_pair_out_is_what_the_closed_form_says() -> None:
    x, end = games(3, shift=1, count=14, signals=3)
    known = (x - x.mean(axis=0)) / x.std(axis=0)
    advice = known.sum(axis=1, keepdims=True)
    known = np.hstack([known, (advice - advice.mean()) / advice.std() * np.sqrt(3)])
    ridge = np.trace(known.T @ known) / 4 * np.eye(4)
    wins = []
    for i in np.flatnonzero(end):
        for j in np.flatnonzero(~end):
            rest = np.setdiff1d(np.arange(14), [i, j])
            # the constant is fitted with its whole weight on all games, as the closed form has it
            a = np.hstack([np.ones((14, 1)), known])
            gram = a.T @ a + np.block([[np.zeros((1, 1)), np.zeros((1, 4))], [np.zeros((4, 1)), ridge]])
            own = a[[i, j]]
            left = gram - own.T @ own
            weights = np.linalg.solve(left, a[rest].T @ np.where(end[rest], 1.0, -1.0))
            wins.append(float(a[i] @ weights > a[j] @ weights))
    assert taught("a", x, end, general=3).auc == pytest.approx(np.mean(wins))


def test_bounds_above_the_truth_are_as_rare_as_they_say() -> None:
    # signals at an AUC of 0.6: two normals so far apart
    far = 0.3583
    above = {"plain": 0, "taught": 0}
    for seed in range(400):
        rng = stream(seed, "bounds")
        end = rng.random(60) < 0.5
        x = rng.normal(size=(60, 1)) + far * end[:, None]
        noise = rng.normal(size=(60, 15))
        above["plain"] += plain("a", x, end).bounds(1.645)[0] > 0.6
        above["taught"] += taught("a", np.hstack([x, noise]), end, general=1).bounds(1.645)[0] > 0.6
    assert above["plain"] <= 35  # 20 are expected
    assert above["taught"] <= 35


def test_several_targets_tell_more_closely_than_one() -> None:
    x, end = games(1, shift=0)
    one = plain("a", x, end)
    assert Answer.pooled("all", [one] * 5).error(0.6) == pytest.approx(one.error(0.6) / np.sqrt(5))
    assert quantile(12) > quantile(1) > 1.64


def test_games_of_one_end_decide_nothing() -> None:
    assert not decided(np.array([True] * 8 + [False] * 2))
    assert decided(np.array([True] * 8 + [False] * 3))


def test_signals_that_never_vary_tell_nothing() -> None:
    _, end = games(1, shift=0)
    assert taught("a", np.ones((60, 3)), end, general=2).auc == 0.5
    assert plain("a", np.ones((60, 3)), end).auc == 0.5
