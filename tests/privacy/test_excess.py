import numpy as np

from twinlake.hashing import mix
from twinlake.privacy.excess import fair


def test_a_perfect_generator_hits_both_sides_alike_although_the_holdout_is_smaller() -> None:
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        learnt, held, twin = (rng.zipf(1.4, n).astype(np.uint64) for n in (2000, 500, 2000))
        sides = fair(learnt, mix(np.arange(2000, dtype=np.uint64)), held, k=10)
        a, b = (int(np.isin(side, twin).sum()) for side in (sides.learnt, sides.holdout))
        alarms += sides.p_value(hit_learnt=a, hit_holdout=b) < 0.01
    assert alarms <= 6  # 2 expected at 1 %


def test_copies_of_learnt_values_are_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    learnt, held = (rng.integers(0, 10**6, n).astype(np.uint64) for n in (2000, 500))
    sides = fair(learnt, mix(np.arange(2000, dtype=np.uint64)), held, k=10)
    a, b = (int(np.isin(side, learnt).sum()) for side in (sides.learnt, sides.holdout))
    assert sides.p_value(hit_learnt=a, hit_holdout=b) < 1e-9
    assert sides.excess(hit_learnt=a, hit_holdout=b) > 100
