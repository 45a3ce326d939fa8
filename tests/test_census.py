import numpy as np
import pyarrow as pa
from scenario import clinic

from twinlake.census import Census, definitions, take_census
from twinlake.random import stream
from twinlake.tables import Tables
from twinlake.units import assign_units, held

NONE = np.empty(0, np.uint64)


def sides(tables: Tables, share: float = 0.25) -> tuple[Tables, Tables]:
    """Learnt and held-back rows, by the coin of units."""
    units = assign_units(tables, "subjects")
    coins = {n: held(u, share=share, seed=1) for n, u in units.items()}
    both = [
        {n: tables[n] if coin is None else tables[n].filter(pa.array(coin == side)) for n, coin in coins.items()}
        for side in (False, True)
    ]
    return Tables(tables.schema, both[0]), Tables(tables.schema, both[1])


def shuffled(tables: Tables) -> Tables:
    rng = stream(3, "shuffle")
    return Tables(tables.schema, {n: t.take(pa.array(rng.permutation(t.num_rows))) for n, t in tables.items()})


def without(tables: Tables, subjects: int) -> Tables:
    """The clinic without its first subjects."""
    gone = tables["subjects"]["id"][:subjects].to_pylist()
    stay = {n: pa.compute.invert(pa.compute.is_in(tables[n]["id"], pa.array(gone))) for n in ("subjects", "visits")}
    return Tables(tables.schema, {n: t.filter(stay[n]) if n in stay else t for n, t in tables.items()})


def edited(tables: Tables, subjects: int) -> Tables:
    """The clinic with another beat of the last subjects' smoking."""
    smoker = tables["subjects"]["smoker"].to_pylist()
    smoker[-subjects:] = [not s for s in smoker[-subjects:]]
    people = tables["subjects"]
    people = people.set_column(people.column_names.index("smoker"), "smoker", pa.array(smoker))
    return Tables(tables.schema, {**tables, "subjects": people})


def census(tables: Tables, name: str = "subjects") -> Census:
    return take_census(*sides(tables), "subjects")[name]


def test_rows_in_another_order_are_no_change():
    world = clinic(200)
    for name in ("subjects", "visits"):
        assert census(shuffled(world), name).changed(census(world, name)) == 0


def test_learnt_units_that_came_went_or_changed_are_counted_and_held_back_ones_are_not():
    world = clinic(200)
    before = census(world)
    now = census(edited(without(world, 12), 8))
    learnt = set(before.units[before.learnt].tolist())
    gone = [u for u in before.units.tolist() if u not in set(now.units.tolist())]
    assert len(gone) == 12
    other = now.came(before).tolist()
    assert len(other) == 8
    assert now.changed(before) == before.changed(now) == sum(u in learnt for u in gone + other)
    assert 0 < now.changed(before) < 20


def test_a_unit_whose_rows_changed_in_one_table_changed_in_that_table_only():
    world = clinic(200)
    assert census(edited(world, 40), "visits").changed(census(world, "visits")) == 0
    assert census(edited(world, 40), "subjects").changed(census(world, "subjects")) > 0


def test_units_are_on_the_side_where_the_coin_put_them():
    learnt, holdout = sides(clinic(200))
    found = take_census(learnt, holdout, "subjects")["subjects"]
    units = [assign_units(side, "subjects")["subjects"] for side in (learnt, holdout)]
    assert found.learnt_among(units[0]).all()
    assert found.held_among(units[1]).all()
    assert not found.learnt_among(units[1]).any()
    assert not found.held_among(units[0]).any()


def test_against_an_empty_census_everybody_came():
    now, nobody = census(clinic(50)), Census(NONE, NONE, np.empty(0, bool))
    assert now.came(nobody).tolist() == now.units.tolist()
    assert nobody.came(now).tolist() == []
    assert now.changed(nobody) == int(now.learnt.sum())
    assert not nobody.among(now.units).any()


def test_what_units_are_told_by_changes_with_the_unit_and_its_key():
    schema = clinic(5).schema
    assert definitions(schema, "subjects") == dict.fromkeys(["subjects", "visits"], "subjects(id int64)")
    assert definitions(schema, None)["wards"] == "(ward string, site int16)"
