"""Models of the forest: the same rows whatever they are drawn and learnt on, and no larger than need be."""

import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators.forest import bag, discriminator, generator, plain
from twinlake.generators.forest.generator import Forest
from twinlake.generators.forest.model import ForestModel
from twinlake.generators.registry import read_table_model
from twinlake.hashing import hash_rows
from twinlake.random import stream
from twinlake.schema import Column, Table
from twinlake.tables import conform

AIRPORTS = 120  # more states than labels are told apart by one by one


def flights(rows: int = 4_000) -> tuple[pa.Table, Table]:
    """Everything a model keeps: labels of few and many states, quantities, a function, an end, a sum, nulls."""
    rng = stream(0, "flights")
    airport, start = rng.integers(0, AIRPORTS, rows), rng.integers(0, 10**7, rows)
    price, tax = rng.integers(0, 50_000, rows), rng.integers(0, 5_000, rows)
    data = pa.table(
        {
            "airport": [f"airport {a}" for a in airport],
            "zone": [f"zone {a // 10}" for a in airport],
            "miles": airport * 10.0 + rng.normal(size=rows),
            "start": pa.array(start, pa.timestamp("s")),
            "end": pa.array(start + rng.integers(0, 9_000, rows), pa.timestamp("s")),
            "price": price,
            "tax": tax,
            "total": price + tax,
            "seat": pa.array(rng.integers(0, 3, rows), mask=rng.random(rows) < 0.2),
        }
    )
    return data, Table("flights", tuple(Column(f.name, f.type) for f in data.schema))


def fitted(data: pa.Table, table: Table, *, context=None, **settings) -> ForestModel:
    return Forest(**({"trees": 4} | settings)).fit(data, table, units=None, context=context, rng=stream(1))


def drawn(model: ForestModel, rows: int = 2_000, *, context=None) -> pa.Table:
    return conform(model.sample(rows, context=context, rng=stream(2)), model.table)


def bytes_of(model: ForestModel, folder) -> list[bytes]:
    model.save(folder)
    return [p.read_bytes() for p in sorted(folder.iterdir())]


def same(one: pa.Table, other: pa.Table) -> bool:
    return one.schema.equals(other.schema) and np.array_equal(hash_rows(one), hash_rows(other))


@pytest.fixture(scope="module")
def learnt() -> ForestModel:
    return fitted(*flights(), preset="quality")


def test_a_model_holds_everything_that_can_be_saved(learnt):
    assert learnt.judge is not None
    assert any(c.ranks is not None for c in learnt.codings)
    assert any(step.table is not None for step in learnt.steps)
    assert any(step.bag is not None for step in learnt.steps)
    assert {r.target for r in learnt.relations.taken} >= {"total"}


def test_a_model_saved_and_read_draws_the_same_rows_and_saves_the_same_bytes(learnt, tmp_path):
    first = bytes_of(learnt, tmp_path / "a")
    read = read_table_model(tmp_path / "a")
    assert same(drawn(read), drawn(learnt))
    assert bytes_of(read, tmp_path / "b") == first


def test_relations_hold_in_every_row(learnt):
    twin = drawn(learnt)
    assert np.all(np.asarray(twin["end"]) >= np.asarray(twin["start"]))
    assert np.array_equal(np.asarray(twin["price"]) + np.asarray(twin["tax"]), np.asarray(twin["total"]))
    both = zip(twin["airport"].to_pylist(), twin["zone"].to_pylist(), strict=True)
    assert all(int(airport.split()[1]) // 10 == int(zone.split()[1]) for airport, zone in both)


def test_a_label_of_many_states_goes_with_a_quantity(learnt):
    twin = drawn(learnt)
    airport = np.array([int(a.split()[1]) for a in twin["airport"].to_pylist()])
    assert np.mean(np.abs(np.asarray(twin["miles"]) / 10 - airport) < 10) > 0.85


def test_how_many_threads_there_are_changes_nothing(monkeypatch, learnt, tmp_path):
    monkeypatch.setattr(generator, "_threads", lambda: 5)
    many = fitted(*flights(), preset="quality")
    monkeypatch.setattr(generator, "_threads", lambda: 1)
    one = fitted(*flights(), preset="quality")
    assert bytes_of(many, tmp_path / "5") == bytes_of(one, tmp_path / "1")
    assert bytes_of(learnt, tmp_path / "as ever") == bytes_of(one, tmp_path / "again")


def test_the_loops_in_numpy_learn_and_draw_the_same_bytes(monkeypatch, tmp_path):
    data, table = flights(1_200)
    compiled = fitted(data, table, preset="quality", trees=2)
    twin, saved = drawn(compiled), bytes_of(compiled, tmp_path / "compiled")
    for module in (bag, discriminator):
        monkeypatch.setattr(module, "loops", lambda: plain)
    slow = fitted(data, table, preset="quality", trees=2)
    assert bytes_of(slow, tmp_path / "plain") == saved
    assert same(drawn(slow), twin)


def test_a_model_saved_with_context_asks_for_it_again(tmp_path):
    data, table = flights(1_000)
    context = pa.table({"class": [f"class {i % 90}" for i in range(1_000)], "far": np.asarray(data["miles"])})
    model = fitted(data, table, context=context, preset="quality")
    model.save(tmp_path / "model")
    read = read_table_model(tmp_path / "model")
    assert same(drawn(read, 1_000, context=context), drawn(model, 1_000, context=context))


def test_rows_drawn_in_more_than_one_group_are_as_many_as_asked(learnt):
    assert learnt.sample(70_000, context=None, rng=stream(0)).num_rows == 70_000


def census(rows: int = 20_000) -> tuple[pa.Table, Table]:
    """Shaped as the Adult census: nine labels of uneven shares, six quantities, two mostly zero and one mostly 40."""
    rng = stream(0, "census")
    kind = rng.geometric(0.4, rows)
    labels = {
        f"label {i}": [f"{v}" for v in np.minimum(kind * (i % 3) + rng.geometric(0.5, rows), 16)] for i in range(8)
    }
    level = np.minimum(kind * 2 + rng.geometric(0.6, rows), 16)
    numbers = {
        "age": 17 + np.rint(rng.gamma(4, 5 + kind, rows)),
        "weight": np.rint(rng.gamma(4, 50_000, rows)),
        "level number": level,
        "gain": np.where(rng.random(rows) < 0.92, 0, np.rint(rng.gamma(2, 2_000 * kind, rows))),
        "loss": np.where(rng.random(rows) < 0.95, 0, np.rint(rng.gamma(8, 200, rows))),
        "hours": np.where(rng.random(rows) < 0.5, 40, np.rint(rng.normal(35 + kind, 12, rows))),
    }
    data = pa.table(labels | {"level": [f"level {v}" for v in level]} | numbers)
    return data, Table("census", tuple(Column(f.name, f.type) for f in data.schema))


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["fast", "quality"])
def test_a_model_of_15_columns_and_20_000_rows_is_small(preset, tmp_path):
    data, table = census()
    Forest(preset=preset).fit(data, table, units=None, context=None, rng=stream(1)).save(tmp_path / "model")
    assert data.num_columns == 15
    assert sum(p.stat().st_size for p in (tmp_path / "model").iterdir()) < 2_000_000  # Adult itself: twice as large
