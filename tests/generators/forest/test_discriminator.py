"""What tells drawn rows from real ones, and what keeping by its odds does to rows."""

import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators.forest.discriminator import Boosting, Discriminator, _packed, discriminate
from twinlake.generators.forest.generator import Forest
from twinlake.random import stream
from twinlake.schema import Column, Table
from twinlake.tables import conform

SMALL = Boosting(trees=20, min_leaf=20)


def moons(rows: int, *, related: bool, seed: int = 0) -> np.ndarray:
    """Codes of three columns; where they are related, the first two lie near one another."""
    rng = stream(seed, "moons")
    codes = rng.integers(0, 100, (rows, 3)).astype(np.int32)
    if related:
        codes[:, 1] = np.clip(codes[:, 0] + rng.integers(-20, 21, rows), 0, 99)
    return codes


def judge(boosting: Boosting = SMALL) -> Discriminator:
    return discriminate(moons(1_500, related=True), moons(12_000, related=False, seed=1), boosting, rng=stream(0))


def test_packed_trees_give_the_log_odds_of_scikit_learn_up_to_a_constant():
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = stream(1)
    x = np.c_[moons(3_000, related=True), rng.integers(0, 1_000, 3_000)].astype(np.float32)
    y = x[:, 0] + x[:, 3] / 20 + rng.normal(0, 20, 3_000) > 80
    learner = HistGradientBoostingClassifier(max_iter=15, max_depth=9, max_features=0.5, random_state=0).fit(x, y)
    ours = _packed([tree.nodes for (tree,) in learner._predictors], 0.0, 1.0)
    unseen = np.c_[moons(1_000, related=False, seed=5), rng.integers(0, 1_100, 1_000)].astype(np.int32)
    gap = learner.decision_function(unseen.astype(np.float32)) - ours.scores(unseen)
    assert np.ptp(ours.scores(unseen)) > 1
    assert np.ptp(gap) < 1e-5


def test_real_rows_have_higher_odds_than_drawn_ones():
    real, drawn = (judge().scores(moons(2_000, related=related, seed=7)) for related in (True, False))
    assert np.mean(real[:, None] > drawn) > 0.7  # of pairs of a real row and a drawn one


def test_rows_of_one_kind_have_even_odds():
    even = discriminate(moons(1_500, related=True), moons(12_000, related=True, seed=1), SMALL, rng=stream(0))
    real, drawn = (even.scores(moons(2_000, related=True, seed=seed)) for seed in (7, 8))
    assert np.mean(real[:, None] > drawn) == pytest.approx(0.5, abs=0.05)
    assert even.kept > 0.4


def test_keeping_by_odds_makes_drawn_rows_like_real_ones():
    drawn = moons(20_000, related=False, seed=9)
    found = judge()
    kept = drawn[found.keeps(drawn, stream(3))]
    near = [np.mean(np.abs(codes[:, 0] - codes[:, 1]) <= 20) for codes in (moons(5_000, related=True), drawn, kept)]
    assert near[1] < 0.4 < 0.9 < near[2] <= near[0] + 0.01
    assert np.bincount(kept[:, 2] // 20) / len(kept) == pytest.approx(0.2, abs=0.04)  # what was right stays so


def test_as_many_rows_are_kept_as_it_says():
    found = judge()
    share = np.mean(found.keeps(moons(20_000, related=False, seed=11), stream(4)))
    assert share == pytest.approx(found.kept, rel=0.15)  # learnt on other rows


def test_it_is_written_and_read_as_arrays():
    found = judge()
    read = Discriminator.from_arrays(found.to_arrays())
    codes = moons(1_000, related=False, seed=2)
    assert np.array_equal(read.keeps(codes, stream(0)), found.keeps(codes, stream(0)))
    assert (read.cap, read.kept) == (found.cap, found.kept)


def test_few_rows_can_be_told_from_drawn_ones():
    for rows in (1, 2, 5):
        found = discriminate(moons(rows, related=True), moons(8 * rows, related=False), SMALL, rng=stream(0))
        assert 0 < found.kept <= 1


def test_it_does_not_depend_on_how_many_threads_there_are():
    from threadpoolctl import threadpool_limits

    found = []
    for threads in (1, 3):
        with threadpool_limits(threads, user_api="openmp"):
            found.append(judge(Boosting(trees=5, rounds=1)).to_arrays())
    assert all(a.tobytes() == found[1][name].tobytes() for name, a in found[0].items())


def related(rows: int, *, context: bool = False) -> tuple[pa.Table, Table, pa.Table]:
    """A curve: its rows, their schema, and x on its own; as context, it is not among the columns."""
    rng = stream(0, "related")
    x = rng.normal(size=rows)
    y = np.sin(3 * x) + 0.2 * rng.normal(size=rows)
    columns = {"x": x, "y": y} if not context else {"y": y}
    table = Table("t", tuple(Column(name, pa.float64()) for name in columns))
    return pa.table(columns), table, pa.table({"x": x})


def off(rows: pa.Table) -> float:
    """The mean distance from the curve that real rows lie on."""
    return float(np.mean(np.abs(np.sin(3 * np.asarray(rows["x"])) - np.asarray(rows["y"]))))


def test_quality_removes_what_the_trees_are_kept_from_learning():
    data, table, _ = related(3_000)
    gap = {}
    for preset in ("fast", "quality"):
        model = Forest(preset=preset, depth=1).fit(data, table, units=None, context=None, rng=stream(1))
        gap[preset] = off(conform(model.sample(3_000, context=None, rng=stream(2)), table)) / off(data)
    assert gap["fast"] > 2.5
    assert gap["quality"] < 1.6


def test_quality_keeps_each_row_with_its_own_context():
    data, table, context = related(3_000, context=True)
    model = Forest(preset="quality", depth=2).fit(data, table, units=None, context=context, rng=stream(1))
    fast = Forest(depth=2).fit(data, table, units=None, context=context, rng=stream(1))
    given = pa.table({"x": np.repeat([-0.5, 0.5], 500)})
    twin = {name: m.sample(1_000, context=given, rng=stream(2)) for name, m in (("fast", fast), ("quality", model))}
    gap = {name: off(given.append_column("y", t["y"])) for name, t in twin.items()}
    assert gap["quality"] < 0.8 * gap["fast"]
    assert np.mean(np.asarray(twin["quality"]["y"])[:500] < 0) > 0.97
    assert np.mean(np.asarray(twin["quality"]["y"])[500:] > 0) > 0.97


def test_quality_says_of_one_unit_with_many_rows_no_more_than_the_trees_do():
    rng = stream(0)
    labels = rng.integers(0, 10, (3_000, 5))
    labels[:300] = np.arange(5) + 2  # one unit's, over and over
    units = np.arange(3_000, dtype=np.uint64)
    units[:300] = 0
    data = pa.table({f"c{i}": [f"v{v}" for v in labels[:, i]] for i in range(5)})
    table = Table("t", tuple(Column(f.name, f.type) for f in data.schema))

    def told(preset: str) -> float:
        model = Forest(preset=preset).fit(data, table, units=units, context=None, rng=stream(1))
        rows = model.sample(10_000, context=None, rng=stream(2)).to_pylist()
        return float(np.mean([all(r[f"c{i}"] == f"v{i + 2}" for i in range(5)) for r in rows]))

    assert told("quality") <= told("fast") + 0.005
