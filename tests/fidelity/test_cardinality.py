import numpy as np
import pyarrow as pa
import pytest
from kin import CHILDREN, databases, drawn, family

from twinlake.fidelity.cardinality import cardinality
from twinlake.fidelity.databases import Databases
from twinlake.random import stream
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units, held
from twinlake.verdict import Verdict


def judged(sides: Databases, name: str = "children", *, limit: float = 0.95) -> Verdict:
    return cardinality(sides, name, limit=limit, rng=stream(1, "cardinality"))


def counted(*counts: int, parents: int = 300) -> Tables:
    """Parents whose numbers of children are `counts`, in turn."""
    return family(np.resize(np.array(counts), parents))


def test_other_parents_of_the_same_kind_pass() -> None:
    verdict = judged(databases(drawn(0), drawn(1), drawn(2)))
    assert verdict.passed, verdict.reason
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < verdict.value < verdict.high


def test_the_value_is_one_minus_the_total_variation_distance() -> None:
    half = counted(1, 3)
    assert judged(databases(half, half, counted(1, 1, 1, 3))).value == pytest.approx(0.75)
    assert judged(databases(half, half, counted(1, 2))).value == pytest.approx(0.5)
    assert judged(databases(half, half, counted(1, 3))).value == 1.0


def test_the_same_mean_in_another_shape_fails() -> None:
    verdict = judged(databases(counted(2), counted(2, parents=299), counted(0, 4)))
    assert not verdict.passed
    assert verdict.value == 0.0
    assert "parent -> parents(id)" in verdict.reason


def test_parents_without_children_count() -> None:
    real = counted(0, 0, 0, 2)
    verdict = judged(databases(real, real, counted(1, 1, 1, 2)))
    assert not verdict.passed


def test_a_count_that_few_parents_have_is_pooled_with_its_neighbours() -> None:
    real = family(np.array([1] * 290 + [7] * 9 + [50]))
    twin = family(np.array([1] * 290 + [6] * 10))
    assert judged(databases(real, real, twin)).value == 1.0


def test_a_common_count_has_a_bin_of_its_own_beside_rare_ones() -> None:
    real = family(np.array([0] * 12 + [3] * 280 + [4] * 8))
    verdict = judged(databases(real, real, family(np.array([0] * 280 + [3] * 20))))
    assert not verdict.passed


def test_a_parent_held_back_has_its_children_of_both_sides() -> None:
    whole = family(np.full(400, 5))
    units = assign_units(whole, None)  # each row its own: children part from their parents
    sides = [
        Tables(whole.schema, {n: whole[n].filter(pa.array(held(units[n], share=0.2, seed=7) == s)) for n in whole})
        for s in (False, True)
    ]
    split = Databases(*sides, counted(5, parents=400), assign_units(sides[1], None))
    verdict = judged(split)
    assert verdict.value == verdict.baseline == 1.0


def _looked_up(counts: np.ndarray, *, public: bool = True) -> Tables:
    made = family(counts)
    parents, children = made.schema
    tables = (Table("parents", parents.columns, key=parents.key, public=public), children)
    return Tables(Schema(tables), dict(made))


def test_public_parents_are_compared_whole() -> None:
    everybody = _looked_up(np.resize([0, 2, 4], 300))
    units = assign_units(everybody, None)
    side = held(units["children"], share=0.2, seed=3)
    real, holdout = (
        Tables(everybody.schema, {**everybody, "children": everybody["children"].filter(pa.array(side == s))})
        for s in (False, True)
    )
    assert judged(Databases(real, holdout, everybody, assign_units(holdout, None))).value == 1.0
    assert not judged(Databases(real, holdout, _looked_up(np.full(300, 2)), assign_units(holdout, None))).passed


@pytest.mark.parametrize("times", [3, 10])
def test_public_parents_have_more_children_in_a_larger_twin(times: int) -> None:
    counts = np.resize([0, 2, 4], 300)
    real = _looked_up(counts)
    sides = Databases(real, real, _looked_up(counts * times), assign_units(real, None) | {"children": None})
    assert judged(sides).value == 1.0


def test_public_parents_have_fewer_children_in_a_smaller_twin() -> None:
    counts = np.resize([0, 20, 40], 600)
    real, thinned = _looked_up(counts), np.random.default_rng(0).binomial(counts, 0.1)
    verdict = judged(Databases(real, real, _looked_up(thinned), assign_units(real, None) | {"children": None}))
    assert verdict.passed, verdict.reason


def test_the_reference_that_is_kept_least_well_decides() -> None:
    made = [_twice(s) for s in range(3)]
    fine = judged(databases(*made))
    assert fine.passed, fine.reason
    assert set(fine.parts) == {"parent -> parents(id)", "other -> parents(id)"}
    broken = judged(databases(*made[:2], _twice(2, flat=True)))
    assert not broken.passed
    assert broken.value == broken.parts["other -> parents(id)"]
    assert "parent -> parents(id)" not in broken.reason


def _twice(seed: int, *, flat: bool = False) -> Tables:
    """Children that refer to their parents twice."""
    made = drawn(seed)
    rng, n = stream(seed, "twice"), made["children"].num_rows
    ids = made["parents"]["id"].to_numpy()
    other = np.resize(ids, n) if flat else rng.choice(ids[: len(ids) // 2], n)
    second = Reference(("other",), "parents", ("id",))
    columns = (*CHILDREN.columns, Column("other", pa.int64()))
    table = Table("children", columns, key=CHILDREN.key, references=(*CHILDREN.references, second))
    rows = made["children"].append_column("other", pa.array(other))
    return Tables(Schema((made.schema["parents"], table)), {"parents": made["parents"], "children": rows})


def test_few_parents_are_not_judged_and_the_reason_says_so() -> None:
    small = counted(1, 2, parents=9)
    verdict = judged(databases(small, small, counted(9, parents=5)))
    assert verdict.passed
    assert "too few" in verdict.reason


def test_few_units_held_back_are_not_judged() -> None:
    real, holdout = counted(1, 3, parents=200), counted(1, 3, parents=9)
    assert "too few" in judged(databases(real, holdout, counted(7))).reason


def test_a_twin_without_rows_fails_and_a_table_without_references_can_not() -> None:
    real = drawn(0)
    empty = Tables(real.schema, {n: real[n].slice(0, 0) for n in real})
    assert not judged(databases(real, drawn(1), empty)).passed
    assert judged(databases(empty, empty, empty)).passed
    assert "refers to no table" in judged(databases(real, drawn(1), drawn(2)), "parents").reason


def test_rows_that_point_nowhere_are_nobodys_children() -> None:
    real = drawn(0)
    parent = pa.concat_arrays([pa.nulls(500, pa.int64()), real["children"]["parent"].combine_chunks().slice(500)])
    loose = Tables(real.schema, {**real, "children": real["children"].set_column(1, "parent", parent)})
    assert not judged(databases(real, drawn(1), loose)).passed


def test_the_same_stream_gives_the_same_verdict() -> None:
    sides = databases(drawn(0), drawn(1), drawn(2))
    assert judged(sides) == judged(sides)
