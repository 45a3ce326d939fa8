import numpy as np
import pyarrow as pa
import pytest
from kin import CHILDREN, SCHEMA, apart, databases, drawn

from twinlake.fidelity.databases import Databases
from twinlake.fidelity.parents import parent_trend
from twinlake.fidelity.trend import pair_trend
from twinlake.random import stream
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units
from twinlake.verdict import Verdict

REAL, HOLDOUT, TWIN = (drawn(s) for s in range(3))


def judged(sides: Databases, name: str = "children", *, limit: float = 0.95) -> Verdict:
    return parent_trend(sides, name, limit=limit, rng=stream(1, "parents"))


def cut_loose(tables: Tables) -> Tables:
    """Each child with the parent of some other child: as many children per parent, and nothing in common with it."""
    children = tables["children"]
    order = pa.array(np.random.default_rng(0).permutation(children.num_rows))
    return Tables(
        tables.schema, {**tables, "children": children.set_column(1, "parent", children["parent"].take(order))}
    )


def test_other_families_of_the_same_kind_pass() -> None:
    verdict = judged(databases(REAL, HOLDOUT, TWIN))
    assert verdict.passed, verdict.reason
    assert verdict.value == pytest.approx(verdict.baseline, abs=0.02)


def test_children_of_other_parents_fail() -> None:
    verdict = judged(databases(REAL, HOLDOUT, cut_loose(TWIN)))
    assert not verdict.passed
    assert verdict.parts["weight × parents.size"] == pytest.approx(0.55, abs=0.06)
    assert next(iter(verdict.parts)) == "weight × parents.size"
    assert "weight × parents.size" in verdict.reason


def test_the_measure_is_that_of_pair_trend_on_the_joined_table() -> None:
    def beside(tables: Tables) -> pa.Table:
        children = tables["children"]
        at = pa.compute.index_in(children["parent"], tables["parents"]["id"])
        return pa.table({"weight": children["weight"], "size": tables["parents"]["size"].take(at)})

    table = Table("joined", (Column("weight", pa.float64()), Column("size", pa.float64())))
    joined = pair_trend(*(beside(t) for t in (REAL, HOLDOUT, TWIN)), table, limit=0.9, rng=stream(1))
    verdict = judged(databases(REAL, HOLDOUT, TWIN))
    assert verdict.parts["weight × parents.size"] == pytest.approx(joined.value, abs=1e-6)


def test_a_real_row_is_joined_with_its_parent_on_the_other_side() -> None:
    whole = drawn(0, parents=1500)
    sides = apart(whole)
    split = Databases(*sides, drawn(1, parents=1500), assign_units(sides[1], None))
    assert judged(split).parts["weight × parents.size"] > 0.98
    assert not judged(Databases(*sides, cut_loose(whole), assign_units(sides[1], None))).passed


def test_a_row_that_points_nowhere_has_null_there() -> None:
    def loosened(tables: Tables) -> Tables:
        children = tables["children"]
        n = children.num_rows
        parent = pa.array(children["parent"].to_numpy(), mask=np.arange(n) < n // 2)
        return Tables(tables.schema, {**tables, "children": children.set_column(1, "parent", parent)})

    assert judged(databases(*(loosened(t) for t in (REAL, HOLDOUT, TWIN)))).passed
    verdict = judged(databases(REAL, HOLDOUT, loosened(TWIN)))
    assert not verdict.passed
    assert verdict.parts["mood × parents.kind"] < 0.6


def _public(tables: Tables, *, names: list[str]) -> Tables:
    parents, children = SCHEMA
    columns = (*parents.columns[:2], Column("kind", pa.string()))
    lookup = Table("parents", columns, key=("id",), public=True)
    kinds = pa.array(np.resize(np.array(names, dtype=object), 600), pa.string())
    rows = tables["parents"].set_column(2, "kind", kinds)
    return Tables(Schema((lookup, children)), {**tables, "parents": rows})


def test_rare_labels_of_public_parents_are_compared_and_those_of_others_are_not() -> None:
    names = [f"n{i}" for i in range(60)]
    alike = {"parents": REAL["parents"], "children": REAL["children"]}
    public = _public(REAL, names=names)
    twin = Tables(public.schema, {**public, "children": cut_loose(REAL)["children"]})
    units = assign_units(public, None)
    shown = judged(Databases(public, public, twin, units)).parts
    assert shown["mood × parents.kind"] < 0.99
    many = [f"m{i}" for i in range(600)]
    private = {**alike, "parents": REAL["parents"].set_column(2, "kind", pa.array(many))}
    real = Tables(SCHEMA, private)
    assert judged(databases(real, real, real)).parts["mood × parents.kind"] == 1.0


def test_the_reference_that_is_kept_least_well_decides() -> None:
    second = Reference(("other",), "parents", ("id",))
    table = Table("children", (*CHILDREN.columns, Column("other", pa.int64())), key=("id",), references=(
        *CHILDREN.references, second))  # fmt: skip

    def twice(tables: Tables, *, same: bool = True) -> Tables:
        other = (tables if same else cut_loose(tables))["children"]["parent"]
        rows = tables["children"].append_column("other", other)
        return Tables(Schema((tables.schema["parents"], table)), {**tables, "children": rows})

    fine = judged(databases(*(twice(t) for t in (REAL, HOLDOUT, TWIN))))
    assert fine.passed
    broken = judged(databases(twice(REAL), twice(HOLDOUT), twice(TWIN, same=False)))
    assert not broken.passed
    assert "other -> parents(id)" in broken.reason
    assert broken.value < 0.9
    assert {"weight × parent → parents.size", "weight × other → parents.size"} <= set(fine.parts)


def test_few_families_are_not_judged_and_the_reason_says_so() -> None:
    verdict = judged(databases(REAL, drawn(1, parents=8), cut_loose(TWIN)))
    assert verdict.passed
    assert "too few" in verdict.reason


def test_missing_rows_fail_and_a_parent_of_keys_alone_has_nothing_to_compare() -> None:
    empty = Tables(SCHEMA, {n: TWIN[n].slice(0, 0) for n in TWIN})
    assert not judged(databases(REAL, HOLDOUT, empty)).passed
    bare = Table("parents", (Column("id", pa.int64()),), key=("id",))
    sides = (Tables(Schema((bare, CHILDREN)), {"parents": t["parents"].select(["id"]), "children": t["children"]})
             for t in (REAL, HOLDOUT, TWIN))  # fmt: skip
    verdict = judged(databases(*sides))
    assert verdict.value == 1.0
    assert "no table it refers to has a learnt column" in verdict.reason


def test_the_same_stream_gives_the_same_verdict() -> None:
    sides = databases(REAL, HOLDOUT, TWIN)
    assert judged(sides) == judged(sides)
