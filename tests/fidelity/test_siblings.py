from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from kin import CHILDREN, PARENTS, SCHEMA, apart, databases, drawn, family

from twinlake.fidelity.databases import Databases
from twinlake.fidelity.siblings import leader, sibling_trend
from twinlake.random import stream
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units
from twinlake.verdict import Verdict

REAL, HOLDOUT, TWIN = (drawn(s) for s in range(3))


def judged(sides: Databases, *, limit: float = 0.95, unit: str | None = "parents") -> Verdict:
    return sibling_trend(sides, "children", limit=limit, unit=unit, rng=stream(1, "siblings"))


def shuffled(tables: Tables) -> Tables:
    """The same children of the same parents, their moods dealt anew."""
    children = tables["children"]
    order = pa.array(np.random.default_rng(0).permutation(children.num_rows))
    return Tables(tables.schema, {**tables, "children": children.set_column(4, "mood", children["mood"].take(order))})


def test_other_families_of_the_same_kind_pass() -> None:
    verdict = judged(databases(REAL, HOLDOUT, TWIN))
    assert verdict.passed, verdict.reason
    assert verdict.value == pytest.approx(verdict.baseline, abs=0.02)
    assert set(verdict.parts) == {"at × at before", "weight × weight before", "mood × mood before"}


def test_rows_without_memory_fail() -> None:
    verdict = judged(databases(REAL, HOLDOUT, shuffled(TWIN)))
    assert not verdict.passed
    assert next(iter(verdict.parts)) == "mood × mood before"
    assert verdict.parts["mood × mood before"] == pytest.approx(0.55, abs=0.05)  # 1 - (0.95 - 0.5)
    assert verdict.parts["at × at before"] > 0.98


def test_rows_stand_in_the_order_of_their_column_wherever_they_lie() -> None:
    def thrown(tables: Tables) -> Tables:
        order = pa.array(np.random.default_rng(1).permutation(tables["children"].num_rows))
        return Tables(tables.schema, {**tables, "children": tables["children"].take(order)})

    still, moved = (judged(databases(REAL, HOLDOUT, t)).parts for t in (TWIN, thrown(TWIN)))
    assert moved == pytest.approx(still)


def test_parents_have_all_their_rows_whichever_side_these_are_on() -> None:
    whole = drawn(0, parents=1500)
    sides = apart(whole)
    split = Databases(*sides, drawn(1, parents=1500), assign_units(sides[1], None))
    verdict = judged(split, unit=None)
    assert verdict.parts["mood × mood before"] > 0.95
    assert verdict.passed


def test_public_parents_are_parted_by_a_coin() -> None:
    lookup = replace(PARENTS, public=True)
    real, twin = (Tables(Schema((lookup, CHILDREN)), dict(t)) for t in (REAL, shuffled(REAL)))
    units = {**assign_units(real, None), "children": None}
    assert judged(Databases(real, real, real, units), unit=None).passed
    assert not judged(Databases(real, real, twin, units), unit=None).passed


def test_the_way_to_the_unit_leads_before_what_lies_in_the_key_and_the_widest() -> None:
    wide = Reference(("a", "b"), "wards", ("a", "b"))
    columns = (*CHILDREN.columns, Column("a", pa.int64()), Column("b", pa.int64()))
    wards = Table("wards", (Column("a", pa.int64()), Column("b", pa.int64())), key=("a", "b"))

    def led(unit: str | None, **changes: object) -> str:
        table = Table("children", columns, references=(*CHILDREN.references, wide), order_by="at", **changes)
        schema = Schema((PARENTS, wards, table))
        tables = Tables(schema, {t.name: t.arrow.empty_table() for t in schema})
        found = leader(Databases(tables, tables, tables, {}), "children", unit)
        return found.table if found else ""

    assert led("parents", key=("a", "b", "id")) == "parents"
    assert led(None, key=("parent", "id")) == "parents"
    assert led(None, key=("id",)) == "wards"


def test_parents_with_one_row_each_have_nothing_to_compare() -> None:
    single = family(np.ones(300, dtype=int))
    verdict = judged(databases(single, single, single))
    assert verdict.passed
    assert "none follows another" in verdict.reason
    assert not judged(databases(REAL, HOLDOUT, single)).passed


def test_few_families_are_not_judged_and_the_reason_says_so() -> None:
    verdict = judged(databases(REAL, drawn(1, parents=8), shuffled(TWIN)))
    assert verdict.passed
    assert "too few" in verdict.reason


def test_a_table_without_order_has_nothing_to_compare() -> None:
    loose = Schema((PARENTS, replace(CHILDREN, order_by=None)))
    sides = (Tables(loose, dict(t)) for t in (REAL, HOLDOUT, TWIN))
    assert "no order" in judged(databases(*sides)).reason
    empty = Tables(SCHEMA, {n: TWIN[n].slice(0, 0) for n in TWIN})
    assert not judged(databases(REAL, HOLDOUT, empty)).passed


def test_one_long_family_is_cut() -> None:
    long = family(np.array([30_000, *[2] * 40]))
    assert judged(databases(long, long, long)).passed


def test_the_same_stream_gives_the_same_verdict() -> None:
    sides = databases(REAL, HOLDOUT, TWIN)
    assert judged(sides) == judged(sides)
