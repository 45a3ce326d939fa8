"""Every private table is attacked; where that can't be done, the verdict says why in a sentence."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from dealt import PEOPLE, people, with_copies
from kin import SCHEMA as KIN
from kin import drawn

from twinlake.project.pipeline import PrivacyGates
from twinlake.run.attacks import GATES, Attacks
from twinlake.schema import Column, Kind, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units
from twinlake.verdict import Severity, Verdict


def of(rows: pa.Table, table: Table = PEOPLE) -> Tables:
    return Tables(Schema((table,)), {table.name: rows})


def attacks(real: Tables, holdout: Tables, twin: Tables, *, name="people", unit=None, trees=False, **settings):
    units, held = assign_units(real, unit)[name], assign_units(holdout, unit)[name]
    assert units is not None
    assert held is not None
    privacy = PrivacyGates.model_validate({"recipient": "internal", **settings})
    return Attacks(
        real, holdout, twin, name, units, held, unit, privacy, confidence=0.95, tables=1, seed=0, trees=trees
    )  # fmt: skip


def judged(*sides: Tables, **settings) -> dict[str, Verdict]:
    found = attacks(*sides, **settings)
    return {gate: found.verdict(gate) for gate in GATES}


REAL, HOLDOUT, TWIN = (of(people(n, seed)) for n, seed in ((2500, 0), (1800, 1), (2500, 2)))
ROOMY = {"membership_tpr": 0.1, "attribute_inference": 0.2}  # limits that eighteen hundred people can meet


def test_a_sound_twin_passes_every_gate():
    verdicts = judged(REAL, HOLDOUT, TWIN, trees=True, **ROOMY)
    assert all(v.passed for v in verdicts.values()), [v.reason for v in verdicts.values() if not v.passed]
    assert [v.gate for v in verdicts.values()] == list(GATES)
    assert {v.n for v in verdicts.values()} == {2500}


def test_a_twin_of_copies_fails_every_gate():
    copies = of(with_copies(TWIN["people"], REAL["people"].slice(0, 1500)))
    verdicts = judged(REAL, HOLDOUT, copies, **ROOMY)
    assert {v.outcome for v in verdicts.values()} == {"failed"}


def test_a_holdout_too_small_to_attack_with_is_inconclusive_and_says_how_many_are_needed():
    for verdict in judged(REAL, of(people(6, 1)), TWIN, holdout_units=700).values():
        assert verdict.inconclusive
        assert verdict.reason == (
            "6 held-back units are too few to attack with, 700 are needed: hold back more"
        ), verdict.gate  # fmt: skip


def test_a_holdout_too_small_to_clear_a_table_is_inconclusive_and_says_how_many_are_needed():
    for verdict in judged(REAL, of(people(40, 1)), TWIN, holdout_units=700).values():
        assert verdict.inconclusive
        assert "40 held-back units are too few" in verdict.reason


@pytest.mark.parametrize(
    ("sides", "why"),
    [
        ((REAL, REAL, TWIN), "could not run: the learnt rows are the rows held back"),
        ((REAL, of(people(0, 1)), TWIN), "could not run: no rows were held back"),
        ((REAL, HOLDOUT, of(people(0, 2))), "could not run: the twin has no rows"),
    ],
)
def test_what_can_not_be_attacked_fails_and_says_why(sides, why):
    for verdict in judged(*sides).values():
        assert (verdict.passed, verdict.reason) == (False, why)


def test_a_table_without_learnt_columns_has_nothing_to_attack():
    made_up = Table("people", (Column("name", pa.string(), kind=Kind.PERSONAL, provider="full_name"),))
    side = of(pa.table({"name": [f"n{i}" for i in range(30)]}), made_up)
    for verdict in judged(side, side, side).values():
        assert verdict.passed
        assert verdict.reason == "no column of this table is learnt"


def test_no_rows_on_either_side_pass():
    empty = of(people(0, 0))
    assert {v.reason for v in judged(empty, empty, empty).values()} == {"the real table has no rows, nor has the twin"}


def test_a_gate_that_warns_warns():
    asked = {"membership": {"limit": 0.6, "severity": "warning"}}
    found = attacks(REAL, of(people(9, 1)), TWIN, **asked)
    assert found.verdict("membership").severity is Severity.WARNING
    assert found.verdict("copying").severity is Severity.CRITICAL


def test_the_same_seed_gives_the_same_verdicts():
    sides = (of(people(400, 0)), of(people(300, 1)), of(people(400, 2)))
    assert judged(*sides, trees=True) == judged(*sides, trees=True)


def test_columns_that_the_file_names_are_judged_by_themselves_and_no_value_is_told():
    verdicts = judged(REAL, HOLDOUT, TWIN, subgroups=["people.region"], secrets=["people.trade"])
    assert "trade" in verdicts["attribute_inference"].parts
    groups = [g for g in verdicts["membership"].parts if g.startswith("region, ")]
    assert groups[0] == "region, group 1"
    said = " ".join(f"{v.reason} {' '.join(v.parts)}" for v in verdicts.values())
    assert "region 1" not in said
    assert "trade 1" not in said


def kin(real: Tables, holdout: Tables, twin: Tables) -> Attacks:
    return attacks(real, holdout, twin, name="parents", unit="parents")


def test_a_family_that_is_copied_is_found_by_what_its_children_look_like():
    real, holdout, twin = drawn(1, 500), drawn(2, 400), drawn(3, 500)
    assert kin(real, holdout, twin).verdict("copying").passed
    parents = twin["parents"].to_pandas()
    own, learnt = twin["children"].to_pandas(), real["children"].to_pandas()
    several = learnt.groupby("parent").filter(lambda rows: len(rows) >= 4)["parent"].unique()[:80]
    places = dict(zip(several, parents["id"], strict=False))  # their children, given to made-up parents
    copied = learnt[learnt["parent"].isin(several)].assign(parent=lambda rows: rows["parent"].map(places))
    kept = own[~own["parent"].isin(places.values())]
    children = pa.concat_tables(
        pa.Table.from_pandas(part, schema=KIN["children"].arrow, preserve_index=False) for part in (kept, copied)
    ).set_column(0, "id", [np.arange(len(kept) + len(copied))])
    leak = Tables(KIN, {"parents": twin["parents"], "children": children})
    verdict = kin(real, holdout, leak).verdict("copying")
    assert verdict.outcome == "failed", verdict.reason
    alone = replace(kin(real, holdout, leak), unit=None)  # parents by their own columns: these are made up
    assert alone.verdict("copying").passed
