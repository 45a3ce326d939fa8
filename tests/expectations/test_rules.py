from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from scenario import SCHEMA, VISITS, clinic

from twinlake.expectations.rules import breaches, rules
from twinlake.rules import make_rule, parent_columns
from twinlake.schema import Origin, Schema
from twinlake.tables import Tables

CLINIC = clinic(60)
ASKED = ("visit_no > 0", '"at"::DATE > subjects.born', "visit_no < wards.beds")


def ruled(*asked: str, unique: tuple[tuple[str, ...], ...] = ()) -> Schema:
    parents = parent_columns(SCHEMA, VISITS)
    made = tuple(make_rule(sql, VISITS, parents, origin=Origin.FILE) for sql in asked)
    return Schema((SCHEMA["wards"], SCHEMA["subjects"], replace(VISITS, rules=made, unique=unique)))


def changed(schema: Schema, column: str, values: list[object]) -> Tables:
    rows = CLINIC["visits"]
    at = rows.column_names.index(column)
    cells = pa.array(values, rows.schema.field(column).type)
    return Tables(schema, {**CLINIC, "visits": rows.set_column(at, rows.schema.field(column), cells)})


def test_real_rows_that_hold_every_rule_pass(tmp_path: Path) -> None:
    schema = ruled(*ASKED, unique=(("id", "visit_no"),))
    verdict = rules(CLINIC, schema, "visits")
    assert (verdict.passed, verdict.value, verdict.limit, verdict.n) == (True, 1.0, 1.0, CLINIC["visits"].num_rows)
    assert set(verdict.parts) == {*ASKED, "unique: id, visit_no"}
    Tables(schema, dict(CLINIC)).save(tmp_path)
    assert rules(Tables.open(tmp_path), schema, "visits") == verdict


@pytest.mark.parametrize("broken", [1, 7])
def test_rows_that_break_a_rule_are_counted_and_block(broken: int) -> None:
    numbers = CLINIC["visits"]["visit_no"].to_pylist()
    twin = changed(ruled(*ASKED), "visit_no", [0] * broken + numbers[broken:])
    verdict = rules(twin, ruled(*ASKED), "visits")
    assert verdict.blocks
    assert verdict.value == pytest.approx(1 - broken / len(numbers))
    assert verdict.parts["visit_no > 0"] == pytest.approx(1 - broken / len(numbers))
    assert verdict.parts['"at"::DATE > subjects.born'] == 1.0
    assert verdict.reason == f"{broken} of {len(numbers)} rows break a rule: visit_no > 0 ({broken})"


def test_rows_older_than_their_parents_are_found() -> None:
    schema = ruled('"at"::DATE > subjects.born')
    at = CLINIC["visits"]["at"].to_pylist()
    verdict = rules(changed(schema, "at", [at[0].replace(year=1850), *at[1:]]), schema, "visits")
    assert verdict.parts == {'"at"::DATE > subjects.born': pytest.approx(1 - 1 / len(at))}


def test_repeats_of_what_is_unique_are_found_and_nulls_are_none() -> None:
    schema = ruled(unique=(("ward",), ("at",)))
    rows = CLINIC["visits"]
    at, wards = rows["at"].to_pylist(), [None] * rows.num_rows
    twin = changed(schema, "ward", wards)
    again = Tables(schema, {**twin, "visits": twin["visits"].set_column(4, "at", pa.array([at[0]] * 3 + at[3:]))})
    own = len(at) - len(set([at[0]] * 3 + at[3:]))
    found = breaches(schema, schema["visits"], lambda t: (b.select(list(t.names)) for b in again.batches(t.name)))
    assert found.unique == {("ward",): 0, ("at",): own}
    assert found.any == own
    assert not rules(again, schema, "visits").passed


def test_a_row_that_breaks_two_rules_counts_once() -> None:
    schema = ruled("visit_no > 0", "visit_no > -1")
    numbers = CLINIC["visits"]["visit_no"].to_pylist()
    verdict = rules(changed(schema, "visit_no", [-5, *numbers[1:]]), schema, "visits")
    assert verdict.value == pytest.approx(1 - 1 / len(numbers))


def test_a_table_without_rows_breaks_nothing() -> None:
    schema = ruled(*ASKED, unique=(("at",),))
    empty = Tables(schema, {**CLINIC, "visits": CLINIC["visits"].slice(0, 0)})
    assert rules(empty, schema, "visits").passed
