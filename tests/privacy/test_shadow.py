"""The shadow game: a generator that keeps single units is caught, one that keeps none is not."""

import numpy as np
import pyarrow as pa
import pytest
from kin import SCHEMA, family
from scenario import clinic

from twinlake.privacy.shadow import Game, nothing_learnt, shadow
from twinlake.random import stream
from twinlake.schema import Column, Schema, Table
from twinlake.tables import Tables
from twinlake.verdict import Outcome, Verdict

PEOPLE = Table("people", (Column("age", pa.int64()), Column("city", pa.string()), Column("pay", pa.float64())))


def people(rows: int = 300, seed: int = 0) -> Tables:
    rng = stream(seed, "people")
    city = rng.choice(["Bern", "Basel", "Chur", "Genf"], rows, p=[0.6, 0.3, 0.08, 0.02])
    cells = {"age": rng.integers(18, 90, rows), "city": city, "pay": rng.lognormal(10, 1, rows)}
    return Tables(Schema((PEOPLE,)), {"people": pa.table(cells, schema=PEOPLE.arrow)})


def copies(learnt: Tables, _seed: int) -> Tables:
    """A generator that gives back what it learnt."""
    return learnt


def shuffles(learnt: Tables, seed: int) -> Tables:
    """A generator that keeps columns and loses rows."""
    rng, name = stream(seed, "shuffles"), learnt.schema.names[0]
    rows = learnt[name]
    mixed = [rows[c].take(pa.array(rng.integers(0, len(rows), len(rows)))) for c in rows.column_names]
    return Tables(learnt.schema, {name: pa.table(mixed, schema=rows.schema)})


def forgets(learnt: Tables, seed: int) -> Tables:
    """A generator that has learnt nothing but the size."""
    name = learnt.schema.names[0]
    return people(learnt.rows(name), seed=seed + 1)


def families(count: int = 120, seed: int = 3) -> Tables:
    return family(stream(seed, "counts").binomial(9, 0.4, count), seed)


def played(game: Game, draw: object, limit: float = 0.6) -> Verdict:
    signals = np.array([game.signals(fit, draw) for fit in range(len(game.learnt))])  # type: ignore[arg-type]
    return shadow(game, signals, limit=limit)


def test_a_generator_that_copies_is_caught_in_twelve_fits() -> None:
    verdict = played(Game.lay_out(people(), "people", unit=None, fits=12, seed=1), copies)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.low is not None
    assert verdict.low > 0.6
    assert "larger leaves" in verdict.reason


def test_a_generator_that_knows_nobody_passes() -> None:
    outcomes = [played(Game.lay_out(people(), "people", unit=None, fits=30, seed=s), forgets).outcome for s in range(8)]
    assert outcomes == [Outcome.PASSED] * 8


def test_what_one_target_gives_away_fails_though_the_others_give_nothing() -> None:
    game = Game.lay_out(people(), "people", unit=None, fits=60, seed=2)
    target = game.world["people"].slice(int(game.targets[2]), 1)
    known = target.to_pylist()[0]

    def leaks(learnt: Tables, seed: int) -> Tables:
        drawn = forgets(learnt, seed)["people"]
        if known in learnt["people"].to_pylist():
            drawn = pa.concat_tables([drawn.slice(0, len(drawn) - 1), target])
        return Tables(learnt.schema, {"people": drawn})

    verdict = played(game, leaks)
    assert verdict.outcome is Outcome.FAILED
    assert "one isolated unit" in verdict.reason
    assert verdict.parts["target 3, added up"] > 0.85


def test_a_family_that_is_copied_with_its_children_is_caught() -> None:
    game = Game.lay_out(families(), "parents", unit="parents", fits=16, seed=1)
    assert played(game, copies).outcome is Outcome.FAILED


def test_children_alone_give_their_parent_away() -> None:
    def keeps_children(learnt: Tables, seed: int) -> Tables:
        rng = stream(seed, "parents")
        parents = learnt["parents"]
        size = pa.array(rng.normal(size=len(parents)))
        return Tables(SCHEMA, {"parents": parents.set_column(1, "size", size), "children": learnt["children"]})

    game = Game.lay_out(families(), "parents", unit="parents", fits=30, seed=1)
    assert played(game, keeps_children).outcome is Outcome.FAILED


def test_each_lesson_holds_the_units_its_coins_chose_and_no_rows_of_others() -> None:
    game = Game.lay_out(clinic(200), "subjects", unit="subjects", fits=4, seed=1, units=60)
    assert game.world.rows("subjects") == 60
    for fit in range(4):
        lesson = game.lesson(fit)
        ids = game.world["subjects"]["id"].filter(pa.array(game.learnt[fit])).to_pylist()
        assert lesson["subjects"]["id"].to_pylist() == ids
        assert set(lesson["visits"]["id"].to_pylist()) <= set(ids)
        wards = {(r["ward"], r["site"]) for r in lesson["visits"].to_pylist() if r["ward"]}
        assert {(r["ward"], r["site"]) for r in lesson["wards"].to_pylist()} == wards


def test_the_targets_are_those_that_stand_out() -> None:
    real = people()
    odd = pa.table({"age": [200], "city": ["Soglio"], "pay": [1e9]}, schema=PEOPLE.arrow)
    with_odd = Tables(real.schema, {"people": pa.concat_tables([real["people"], odd])})
    game = Game.lay_out(with_odd, "people", unit=None, fits=4, seed=1)
    assert with_odd.rows("people") - 1 in game.targets


def test_without_a_unit_a_table_is_a_world_of_its_learnt_columns() -> None:
    game = Game.lay_out(clinic(200), "visits", unit=None, fits=4, seed=1)
    assert game.world.schema.names == ("visits",)
    assert game.world.schema["visits"].names == ("at", 'the "score" ü')


def test_games_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    one, same, other = (Game.lay_out(people(), "people", unit=None, fits=8, seed=s, units=100) for s in (1, 1, 2))
    assert one.world["people"].equals(same.world["people"])
    assert np.array_equal(one.learnt, same.learnt)
    assert not one.world["people"].equals(other.world["people"])
    assert np.array_equal(one.signals(3, shuffles), same.signals(3, shuffles))


@pytest.mark.parametrize("fits", [2, 6])
def test_too_few_fits_decide_nothing(fits: int) -> None:
    verdict = played(Game.lay_out(people(), "people", unit=None, fits=fits, seed=1), forgets)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "shadow_fits" in verdict.reason


def test_a_table_without_learnt_columns_has_nothing_to_tell() -> None:
    table = Table("keys", (Column("id", pa.int64()),), key=("id",))
    real = Tables(Schema((table,)), {"keys": pa.table({"id": [1, 2]}, schema=table.arrow)})
    verdict = nothing_learnt(real, "keys", None, limit=0.6)
    assert verdict is not None
    assert verdict.passed
    assert nothing_learnt(people(), "people", None, limit=0.6) is None


def test_a_verdict_quotes_no_cell() -> None:
    verdict = played(Game.lay_out(people(), "people", unit=None, fits=12, seed=1), copies)
    told = verdict.reason + " ".join(verdict.parts)
    assert not any(city in told for city in ("Bern", "Basel", "Chur", "Genf"))
