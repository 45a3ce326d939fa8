"""The default generator on real-looking tables: what it learns, what it must never do."""

import numpy as np
import pyarrow as pa
import pytest
from scenario import SUBJECTS, clinic

from twinlake.errors import GeneratorError
from twinlake.generators.forest.bag import Bag, Growth, Looks, Target
from twinlake.generators.forest.generator import Forest
from twinlake.generators.registry import read_table_model
from twinlake.hashing import hash_rows
from twinlake.random import stream
from twinlake.schema import Column, Table
from twinlake.tables import conform

LEARNT = SUBJECTS.select(SUBJECTS.learnt)


def people(n: int = 3_000) -> pa.Table:
    return clinic(n)["subjects"].select(list(LEARNT.names))


def fitted(data: pa.Table, table: Table, *, units=None, context=None, seed=0, **settings):
    return Forest(**settings).fit(data, table, units=units, context=context, rng=stream(seed, "fit"))


def drawn(model, rows: int, *, context=None, seed=1) -> pa.Table:
    return conform(model.sample(rows, context=context, rng=stream(seed, "sample")), model.table)


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
    codes = np.asfortranarray(stream(0).integers(0, 64, (3_000, 2)), np.int32)
    none = np.zeros(64, np.bool_)
    nodes = {}
    for penalty in (0.0, 1.5):
        growth = Growth(trees=1, share=1.0, min_leaf=20, depth=14, penalty=penalty, groups=8, smoothing=3)
        looks = Looks.over(codes, [0], [np.arange(64, dtype=np.uint8)])
        target = Target(np.ascontiguousarray(codes[:, 1]), none, none, ordinal=True)
        nodes[penalty] = len(Bag.grow(target, looks, np.arange(3_000), growth=growth, rng=stream(0)).nodes)
    assert nodes[1.5] < 10  # two columns that have nothing to do with each other
    assert nodes[0.0] > 100


def test_values_of_fewer_than_k_units_are_not_drawn_for_any_k():
    rows = pa.table({"city": ["Bern"] * 200 + ["Chur"] * 15})
    table = Table("t", (Column("city", pa.string()),))
    for k, drawn in ((10, {"Bern", "Chur"}), (20, {"Bern"})):
        model = Forest(k=k).fit(rows, table, units=None, context=None, rng=stream(1))
        assert set(model.sample(2_000, context=None, rng=stream(2))["city"].to_pylist()) == drawn


PRESETS = ["fast", "quality"]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("rows", [1, 2])
def test_one_row_or_two_equal_ones_make_a_sound_twin(preset, rows):
    real = pa.concat_tables([people(30).slice(3, 1)] * rows)
    twin = drawn(fitted(real, LEARNT, preset=preset), 50)
    assert twin.num_rows == 50
    assert not set(twin["income"].drop_null().to_pylist()) & set(real["income"].to_pylist())


@pytest.mark.parametrize("preset", PRESETS)
def test_columns_that_tell_nothing_make_a_sound_twin(preset):
    data, table = table_of(
        nothing=pa.nulls(400, pa.string()), none=pa.nulls(400, pa.float64()), same=["a"] * 400, zero=[0] * 400,
        own=[f"own {i}" for i in range(400)], id=np.arange(400) * 7919 % 4_001, x=stream(0).normal(size=400),
    )  # fmt: skip
    twin = drawn(fitted(data, table, preset=preset), 400)
    assert twin["nothing"].null_count == twin["none"].null_count == 400
    assert set(twin["same"].to_pylist()) == {"a"}
    assert set(twin["zero"].to_pylist()) == {0}
    assert not {*twin["own"].to_pylist()} & {*data["own"].to_pylist()}
    assert np.all((np.asarray(twin["id"]) >= 0) & (np.asarray(twin["id"]) <= 4_001))
    assert np.mean(twin["x"].to_numpy()) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("preset", PRESETS)
def test_only_constant_columns_make_a_sound_twin(preset):
    data, table = table_of(a=["a"] * 100, b=[1.5] * 100, c=pa.nulls(100, pa.int64()))
    assert drawn(fitted(data, table, preset=preset), 100).equals(data.cast(table.arrow))


@pytest.mark.parametrize("preset", PRESETS)
def test_nulls_nan_infinities_and_empty_text_stay_apart(preset):
    rng = stream(0)
    kind = rng.integers(0, 5, 3_000)
    odd = np.choose(kind, [np.nan, np.inf, -np.inf, 0.0, rng.normal(size=3_000)])
    data, table = table_of(
        odd=pa.array(odd, mask=rng.random(3_000) < 0.1), x=rng.normal(size=3_000),
        text=pa.array(np.array(["", "NaN", "null", " ", "x"])[kind], mask=rng.random(3_000) < 0.1),
    )  # fmt: skip
    twin = drawn(fitted(data, table, preset=preset), 3_000)
    for test in (np.isnan, np.isposinf, np.isneginf, lambda x: x == 0):
        shares = [np.mean(test(np.asarray(t["odd"].drop_null()))) for t in (data, twin)]
        assert shares[1] == pytest.approx(shares[0], abs=0.04)
    for name in ("odd", "text"):
        assert twin[name].null_count == pytest.approx(data[name].null_count, abs=80)
    assert set(twin["text"].drop_null().to_pylist()) == {"", "NaN", "null", " ", "x"}
    empty = np.asarray(twin["text"].to_pylist()) == ""  # goes with NaN or null
    assert np.mean([x is None or np.isnan(x) for x in np.array(twin["odd"].to_pylist(), object)[empty]]) > 0.9


@pytest.mark.parametrize("preset", PRESETS)
def test_a_context_value_never_seen_is_no_error_with_many_states(preset):
    rng = stream(0)
    side = [f"side {v}" for v in rng.integers(0, 90, 2_000)]
    data, table = table_of(x=rng.normal(size=2_000), y=rng.integers(0, 5, 2_000))
    model = fitted(data, table, context=pa.table({"side": side, "z": rng.normal(size=2_000)}), preset=preset)
    odd = pa.table({"side": ["never", None, "side 3"], "z": [np.inf, None, np.nan]})
    assert drawn(model, 3, context=odd).num_rows == 3


@pytest.mark.parametrize("preset", PRESETS)
def test_columns_that_another_one_determines_stay_functions_of_it(preset):
    rng = stream(0)
    city = rng.integers(0, 90, 6_000)
    data, table = table_of(
        city=[f"c{c}" for c in city],
        canton=[f"k{c // 6}" for c in city],
        tariff=city % 7 * 1.25,
        x=rng.normal(size=6_000),
    )
    twin = drawn(fitted(data, table, preset=preset), 6_000).to_pylist()
    assert all(int(r["city"][1:]) // 6 == int(r["canton"][1:]) for r in twin)
    assert all(int(r["city"][1:]) % 7 * 1.25 == r["tariff"] for r in twin)


def fleet(planes: int, rows: int) -> tuple[pa.Table, Table]:
    """Planes of many carriers: each flies for one carrier, mostly on that carrier's routes."""
    rng = stream(0, "fleet")
    plane = rng.integers(0, planes, rows)
    carrier = plane * 7_919 % 12
    astray = np.where(rng.random(rows) < 0.05, rng.integers(0, 12, rows), carrier)
    return table_of(
        carrier=[f"carrier {c}" for c in astray], plane=[f"N{p:05d}" for p in plane],
        miles=carrier * 200 + rng.integers(0, 100, rows),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_a_label_of_5000_categories_goes_with_the_columns_it_went_with(preset):
    data, table = fleet(5_000, 100_000)
    twin = drawn(fitted(data, table, preset=preset), 20_000)
    known = np.array([p[:1] == "N" and p[1:].isdigit() for p in twin["plane"].to_pylist()])
    plane = np.array([int(p[1:]) if k else 0 for p, k in zip(twin["plane"].to_pylist(), known, strict=True)])
    carrier = np.array([int(c.split()[1]) for c in twin["carrier"].to_pylist()])
    own = plane * 7_919 % 12
    assert known.mean() > 0.85  # the others are held by fewer than k units
    assert np.mean(carrier[known] == own[known]) > 0.85  # 0.95 in real rows; 0.08 if they had nothing to do with it
    assert np.mean((np.asarray(twin["miles"]) // 200)[known] == own[known]) > 0.85
    assert len(np.unique(plane[known])) > 3_000


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_a_table_of_1000_columns_and_50_rows_is_learnt(preset):
    rng = stream(0)
    data, table = table_of(**{f"c{i}": rng.normal(size=50) for i in range(1_000)})
    twin = drawn(fitted(data, table, preset=preset), 50)
    assert twin.num_columns == 1_000
    assert np.isfinite(np.stack([np.asarray(c) for c in twin.columns])).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_floats_as_large_as_can_be_make_a_sound_twin(preset):
    rng = stream(0)
    few = np.r_[1e308, -1e308, 5e-324, np.inf, -np.inf, rng.normal(size=995)]
    data, table = table_of(
        few=few, all=rng.normal(size=1_000) * 1e300, near=np.r_[1e308, np.rint(rng.normal(size=999))]
    )
    twin = drawn(fitted(data, table, preset=preset), 1_000)
    assert not {1e308, -1e308, np.inf, -np.inf} & {x for name in table.names for x in twin[name].to_pylist()}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("count", [1, 2, 12])
def test_few_units_with_many_rows_make_a_sound_twin(preset, count):
    real = people(600)
    twin = drawn(fitted(real, LEARNT, units=np.arange(600, dtype=np.uint64) % count, preset=preset), 200)
    assert twin.schema.equals(LEARNT.arrow)
    if count < 10:
        assert not set(twin["city"].to_pylist()) & set(real["city"].to_pylist())
