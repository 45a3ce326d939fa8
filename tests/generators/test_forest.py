"""The default generator on real-looking tables: what it learns, what it must never do."""

import numpy as np
import pyarrow as pa
import pytest
from scenario import SUBJECTS, clinic

from twinlake.errors import GeneratorError
from twinlake.generators.forest.bag import Bag, Growth
from twinlake.generators.forest.generator import Forest
from twinlake.generators.forest.order import determined, information, learning_order, ranked_by, with_determined
from twinlake.generators.registry import read_table_model
from twinlake.generators.states.alphabet import learn_alphabet
from twinlake.hashing import hash_rows
from twinlake.random import stream
from twinlake.schema import Column, Table

LEARNT = SUBJECTS.select(SUBJECTS.learnt)


def people(n: int = 3_000) -> pa.Table:
    return clinic(n)["subjects"].select(list(LEARNT.names))


def fitted(data: pa.Table, table: Table, *, units=None, context=None, seed=0, **settings):
    return Forest(**settings).fit(data, table, units=units, context=context, rng=stream(seed, "fit"))


def drawn(model, rows: int, *, context=None, seed=1) -> pa.Table:
    return model.sample(rows, context=context, rng=stream(seed, "sample"))


def same(one: pa.Table, other: pa.Table) -> bool:
    """Whether all rows are equal, NaN included."""
    return one.schema.equals(other.schema) and np.array_equal(hash_rows(one), hash_rows(other))


def table_of(**columns) -> tuple[pa.Table, Table]:
    data = pa.table(columns)
    return data, Table("t", tuple(Column(f.name, f.type) for f in data.schema))


def test_rows_are_typed_as_the_table():
    twin = drawn(fitted(people(), LEARNT), 1_000)
    assert twin.schema.equals(LEARNT.arrow)
    assert twin.num_rows == 1_000


def test_dependence_between_columns_is_learnt():
    real, twin = people(), drawn(fitted(people(), LEARNT), 3_000)

    def gap(t: pa.Table) -> float:
        smoker, male = (np.asarray(t[c].cast(pa.string())) for c in ("smoker", "sex"))
        return np.mean(smoker[male == "m"] == "true") - np.mean(smoker[male == "f"] == "true")

    def slope(t: pa.Table) -> float:
        born = t["born"].cast(pa.int32()).to_numpy()
        return np.corrcoef(born, t["income"].cast(pa.float64()).to_numpy())[0, 1]

    assert gap(twin) == pytest.approx(gap(real), abs=0.06)
    assert slope(twin) == pytest.approx(slope(real), abs=0.1)


def test_no_rare_category_and_no_real_row_is_drawn():
    real, twin = people(), drawn(fitted(people(), LEARNT), 3_000)
    assert "Soglio" not in twin["city"].to_pylist()
    assert not np.isin(hash_rows(twin), hash_rows(real)).any()


def test_the_same_stream_gives_the_same_rows_and_another_one_others():
    model = fitted(people(500), LEARNT)
    again = fitted(people(500), LEARNT)
    assert same(drawn(model, 300), drawn(again, 300))
    assert not same(drawn(model, 300), drawn(model, 300, seed=2))


def test_a_model_saved_and_read_draws_the_same_rows(tmp_path):
    model = fitted(people(500), LEARNT)
    model.save(tmp_path / "a")
    read = read_table_model(tmp_path / "a")
    assert same(drawn(read, 400), drawn(model, 400))
    read.save(tmp_path / "b")
    for name in ("model.json", "arrays.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_column_that_another_one_determines_stays_a_function_of_it():
    codes = stream(0).integers(0, 16, 4_000)
    data, table = table_of(level=[f"level {c}" for c in codes], number=codes, noise=stream(1).normal(size=4_000))
    twin = drawn(fitted(data, table), 4_000)
    assert twin["level"].to_pylist() == [f"level {n}" for n in twin["number"].to_pylist()]


def test_a_coarse_column_follows_the_fine_one_that_determines_it():
    city = stream(0).integers(0, 12, 3_000)
    data, table = table_of(country=[f"k{c // 3}" for c in city], city=[f"c{c}" for c in city])
    twin = drawn(fitted(data, table), 3_000).to_pylist()
    assert all(int(r["city"][1:]) // 3 == int(r["country"][1:]) for r in twin)


def test_two_columns_that_determine_one_another_are_drawn_once():
    codes = np.array([[0, 1], [1, 0]] * 50, np.int32)
    by = determined(codes, [0, 1], [], [np.ones(2, np.bool_)] * 2)
    assert by == {1: 0}
    assert with_determined([1, 0], {0: 1}) == [1, 0]


def test_a_column_few_units_hold_each_value_of_determines_nothing():
    codes = np.array([[0, 1], [1, 0]] * 50, np.int32)
    assert determined(codes, [0, 1], [], [np.array([True, False])] * 2) == {}


def test_context_is_learnt_from_and_needed():
    side = np.array(["left", "right"] * 1_000)
    data, table = table_of(x=np.where(side == "left", -5.0, 5.0) + stream(0).normal(size=2_000))
    model = fitted(data, table, context=pa.table({"side": side}))
    twin = drawn(model, 1_000, context=pa.table({"side": ["left"] * 1_000}))
    assert twin.column_names == ["x"]
    assert np.mean(twin["x"].to_numpy() < 0) > 0.98
    with pytest.raises(GeneratorError, match="needs a row of it for each row"):
        drawn(model, 1_000)
    with pytest.raises(GeneratorError, match="needs a row of it for each row"):
        drawn(model, 1_000, context=pa.table({"side": ["left"]}))


def test_a_context_value_never_seen_is_no_error():
    data, table = table_of(x=np.arange(500.0))
    model = fitted(data, table, context=pa.table({"side": ["a", "b"] * 250}))
    assert drawn(model, 2, context=pa.table({"side": ["c", None]})).num_rows == 2


def test_no_leaf_holds_fewer_units_than_asked():
    rng = stream(0)
    codes = rng.integers(0, 8, (4_000, 3)).astype(np.int32)
    codes[:, 2] = (codes[:, 0] + codes[:, 1]) % 8
    units = np.repeat(np.arange(400), 10)
    ranks = {i: np.arange(8, dtype=np.int32) for i in (0, 1)}
    growth = Growth(trees=1, share=1.0, min_leaf=60, depth=14, penalty=0.0)
    bag = Bag.grow(codes, 2, ranks, units, growth=growth, rng=stream(1))
    smallest = np.bincount(bag._walk(bag._ranked(codes), np.zeros(4_000, np.int32)))
    assert smallest[smallest > 0].min() >= 60  # rows


def test_a_leaf_of_one_unit_takes_the_shares_of_what_is_above_it():
    x = np.r_[np.zeros(1_000), np.ones(100)].astype(np.int32)
    y = np.r_[np.arange(1_000) % 2, np.full(100, 2)].astype(np.int32)
    units = np.r_[np.arange(1_000), np.full(100, 1_000)]  # one unit holds all rows with x = 1, and alone has y = 2
    bag = Bag.grow(
        np.c_[x, y].astype(np.int32), 1, {0: np.arange(2, dtype=np.int32)}, units,
        growth=Growth(trees=1, share=1.0, min_leaf=10, depth=5, penalty=0.0), rng=stream(0),
    )  # fmt: skip
    ones = bag.draw(np.ones((5_000, 2), np.int32), stream(1))
    assert np.mean(ones == 2) == pytest.approx(100 / 1_100, abs=0.02)


def test_unrelated_columns_share_no_information():
    codes = stream(0).integers(0, 10, (20_000, 3)).astype(np.int32)
    codes[:, 2] = codes[:, 0]
    shared = information(codes, stream(1))
    assert shared[0, 2] == pytest.approx(np.log(10), abs=0.02)
    assert shared[0, 1] < 0.002
    assert learning_order(shared, [10, 10, 10]) == [0, 2, 1]


def test_labels_are_ranked_by_what_they_tell_of_the_target():
    label = np.array(["b", "c", "a"] * 400)
    value = np.array([1.0, 2.0, 3.0] * 400)
    one = learn_alphabet(pa.array(label), Column("l", pa.string()), None)
    other = learn_alphabet(pa.array(value), Column("v", pa.float64()), None)
    codes = np.c_[one.encode(pa.array(label)), other.encode(pa.array(value))].astype(np.int32)
    ranks = ranked_by(codes, 0, 1, one, other)
    assert list(ranks[one.encode(pa.array(["b", "c", "a"]))]) == [0, 1, 2]


@pytest.mark.parametrize("rows", [0, 1, 2, 9, 25])
def test_tiny_tables_are_learnt_without_their_values(rows):
    real = people(30).slice(0, rows)
    twin = drawn(fitted(real, LEARNT), 20)
    assert twin.schema.equals(LEARNT.arrow)
    if rows < 10:
        assert not set(twin["income"].to_pylist()) & set(real["income"].to_pylist())
        assert not set(twin["city"].to_pylist()) & set(real["city"].to_pylist())


def test_no_rows_can_be_drawn():
    assert drawn(fitted(people(50), LEARNT), 0).equals(LEARNT.arrow.empty_table())


def test_one_column_is_learnt():
    data, table = table_of(x=["a", "b"] * 100)
    assert set(drawn(fitted(data, table), 100)["x"].to_pylist()) == {"a", "b"}


def test_more_rows_than_one_batch_are_drawn():
    data, table = table_of(x=["a", "b"] * 100, y=[1, 2] * 100)
    twin = drawn(fitted(data, table, trees=2), 70_000)
    assert twin.num_rows == 70_000
    assert len(set(zip(twin["x"].to_pylist(), twin["y"].to_pylist(), strict=True))) == 2


def test_whole_units_are_left_out_above_the_cap():
    units = np.repeat(np.arange(400, dtype=np.uint64), 5)
    data, table = table_of(x=stream(0).normal(size=2_000))
    model = fitted(data, table, units=units, rows=1_000)
    assert drawn(model, 10).num_rows == 10


@pytest.mark.slow
def test_a_table_of_300_columns_is_learnt():
    rng = stream(0)
    data, table = table_of(**{f"c{i}": rng.normal(size=2_000) for i in range(300)})
    assert drawn(fitted(data, table), 100).num_columns == 300


@pytest.mark.parametrize(("setting", "value"), [("trees", 0), ("min_leaf", 5), ("share", 0.0), ("depth", 99)])
def test_settings_out_of_range_are_refused(setting, value):
    with pytest.raises(GeneratorError, match=f"setting {setting} of generator forest is out of range"):
        Forest(**{setting: value})


def test_what_chance_explains_makes_no_cut():
    rng = np.random.default_rng(0)
    codes = np.asfortranarray(rng.integers(0, 64, (3000, 2)), dtype=np.int32)
    ranks = {0: np.arange(64, dtype=np.int32)}
    nodes = {}
    for penalty in (0.0, 1.5):
        growth = Growth(trees=1, share=1.0, min_leaf=20, depth=14, penalty=penalty)
        nodes[penalty] = len(Bag.grow(codes, 1, ranks, np.arange(3000), growth=growth, rng=stream(0)).left)
    assert nodes[1.5] < 10  # two columns that have nothing to do with each other
    assert nodes[0.0] > 100


def test_values_of_fewer_than_k_units_are_not_drawn_for_any_k():
    rows = pa.table({"city": ["Bern"] * 200 + ["Chur"] * 15})
    table = Table("t", (Column("city", pa.string()),))
    for k, drawn in ((10, {"Bern", "Chur"}), (20, {"Bern"})):
        model = Forest(k=k).fit(rows, table, units=None, context=None, rng=stream(1))
        assert set(model.sample(2000, context=None, rng=stream(2))["city"].to_pylist()) == drawn
