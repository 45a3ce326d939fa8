import numpy as np

from twinlake.hashing import mix
from twinlake.privacy.excess import Sides, uncommon
from twinlake.units import rare


def units(n: int) -> np.ndarray:
    return mix(np.arange(n, dtype=np.uint64))


def p_value(sides: Sides, twin: np.ndarray) -> float:
    return sides.p_value(*sides.hits(np.isin(sides.rare, twin)))


def test_a_perfect_generator_hits_both_sides_alike_although_the_holdout_is_smaller() -> None:
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        learnt, held, twin = (rng.zipf(1.4, n).astype(np.uint64) for n in (2000, 500, 2000))
        alarms += p_value(Sides.of(learnt, units(2000), held, None, k=10), twin) < 0.01
    assert alarms <= 6  # 2 expected at 1 %


def test_a_unit_of_many_rows_counts_once() -> None:
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        habits = rng.integers(0, 3000, (500, 3)).astype(np.uint64)  # each unit has few values and repeats them
        rows = habits[np.repeat(np.arange(500), 20), rng.integers(0, 3, 10_000)]
        owner = np.repeat(units(500), 20)
        twin = rng.integers(0, 3000, 400).astype(np.uint64)
        alarms += p_value(Sides.of(rows[:8000], owner[:8000], rows[8000:], owner[8000:], k=10), twin) < 0.01
    assert alarms <= 6


def test_copies_of_learnt_values_are_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    learnt, held = (rng.integers(0, 10**6, n).astype(np.uint64) for n in (2000, 500))
    sides = Sides.of(learnt, units(2000), held, None, k=10)
    hit = sides.hits(np.isin(sides.rare, learnt))
    assert hit[0] == 2000
    assert sides.p_value(*hit) < 1e-9
    assert sides.excess(*hit) > 100


def test_what_few_units_hold_is_found_as_by_counting_all() -> None:
    rng = np.random.default_rng(1)
    hashes, owner = rng.integers(0, 300, 5000).astype(np.uint64), mix(rng.integers(0, 40, 5000).astype(np.uint64))
    assert uncommon(hashes, owner, k=13).tolist() == rare(hashes, owner, k=13).tolist()


def test_a_small_lean_is_none_where_some_is_let_pass() -> None:
    rng = np.random.default_rng(1)
    values = np.arange(20_000, dtype=np.uint64)
    learnt, held = values[:16_000], values[16_000:]
    sides = Sides.of(learnt, units(16_000), held, None, k=2)

    def chances(more: float) -> tuple[float, float]:
        hit = np.concatenate([learnt[rng.random(16_000) < 0.2 * more], held[rng.random(4_000) < 0.2]])
        counts = sides.hits(np.isin(sides.rare, hit))
        return sides.p_value(*counts), sides.p_value(*counts, lean=1.25)

    alone, let = chances(1.12)
    assert alone < 0.01 < let
    assert max(chances(1.6)) < 0.01
