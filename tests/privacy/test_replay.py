from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scenario import SCHEMA, clinic

from twinlake.hashing import mix
from twinlake.privacy.forbidden import breaks, forbidden
from twinlake.privacy.replay import replay
from twinlake.schema import Column, Kind, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units
from twinlake.verdict import Verdict


def put(tables: Tables, name: str, data: pa.Table) -> Tables:
    return Tables(tables.schema, {**{n: tables[n] for n in tables}, name: data})


def planted(data: pa.Table, column: str, value: pa.Scalar, *, row: int = 0) -> pa.Table:
    """`data` with one cell of a column replaced."""
    old = data[column].combine_chunks()
    new = pa.concat_arrays([old.slice(0, row), pa.array([value], old.type), old.slice(row + 1)])
    return data.set_column(data.column_names.index(column), data.schema.field(column), new)


REAL = clinic(400, seed=0)
HOLDOUT = clinic(100, seed=1)
UNITS = assign_units(REAL, "subjects")


def other_clinic() -> Tables:
    """A twin from the same distribution with keys and names of its own and without the rare city."""
    twin = clinic(400, seed=2)
    people = twin["subjects"].take(pa.array(np.arange(1, 400)))
    fresh = pa.array([f"Somebody {i}" for i in range(399)])
    people = people.set_column(0, SUBJECT_FIELD, pa.array(np.arange(399) + 10**6))
    people = people.set_column(1, people.schema.field("name"), fresh).set_column(2, people.schema.field("email"), fresh)
    return put(twin, "subjects", people)


SUBJECT_FIELD = SCHEMA["subjects"].arrow.field("id")
TWIN = other_clinic()


def judged(twin: Tables, name: str = "subjects", **settings: object) -> Verdict:
    return replay(REAL, HOLDOUT, twin, name, units=settings.get("units", UNITS[name]))  # type: ignore[arg-type]


def test_a_twin_of_other_people_passes() -> None:
    verdict = judged(TWIN)
    assert verdict.passed, verdict.reason
    assert (verdict.value, verdict.limit, verdict.n) == (0, 0, 399)


def test_one_copied_row_in_a_rich_table_is_a_violation() -> None:
    learnt = list(SCHEMA["subjects"].learnt)
    person = REAL["subjects"].slice(5, 1)
    copy = TWIN["subjects"].slice(0, 1)
    for column in learnt:
        copy = planted(copy, column, person[column][0])
    verdict = judged(put(TWIN, "subjects", pa.concat_tables([TWIN["subjects"], copy])))
    assert not verdict.passed
    assert verdict.parts["row of fewer than k units"] == 1


def test_a_label_that_few_units_hold_is_a_violation_wherever_it_was_held() -> None:
    verdict = judged(put(TWIN, "subjects", planted(TWIN["subjects"], "city", "Soglio")))
    assert verdict.parts == {"value of fewer than k units: city": 1}
    assert "Soglio" not in verdict.reason
    held_back = put(HOLDOUT, "subjects", planted(HOLDOUT["subjects"], "city", "Tschlin"))
    twin = put(TWIN, "subjects", planted(TWIN["subjects"], "city", "Tschlin"))
    assert not replay(REAL, held_back, twin, "subjects", units=UNITS["subjects"]).passed
    assert replay(REAL, HOLDOUT, twin, "subjects", units=UNITS["subjects"]).passed


def test_a_label_that_one_unit_holds_in_many_rows_is_rare() -> None:
    schema = Schema((Table("t", (Column("who", pa.int64()), Column("word", pa.string()))),))
    data = {"t": pa.table({"who": [1] * 20 + list(range(2, 200)), "word": ["secret"] * 20 + ["x"] * 198})}
    real = Tables(schema, data)
    units = mix(real["t"]["who"].to_numpy().astype(np.uint64))
    rules = forbidden(real["t"], real["t"].slice(0, 0), schema, "t", units=units)
    hit = breaks([r for r in rules if r.part.startswith("value")], real["t"])
    assert hit.tolist() == [True] * 20 + [False] * 198


@pytest.mark.parametrize("name", ["Ada Real0", "  ada REAL0 "])
def test_a_personal_value_is_a_violation_whatever_its_case_and_space(name: str) -> None:
    verdict = judged(put(TWIN, "subjects", planted(TWIN["subjects"], "name", REAL["subjects"]["name"][0])))
    assert verdict.parts == {"personal value: name": 1}
    known = put(REAL, "subjects", planted(REAL["subjects"], "name", "Ada Real0"))
    twin = put(TWIN, "subjects", planted(TWIN["subjects"], "name", name))
    verdict = replay(known, HOLDOUT, twin, "subjects", units=UNITS["subjects"])
    assert verdict.parts == {"personal value: name": 1}


def test_a_real_key_is_a_violation() -> None:
    twin = put(TWIN, "subjects", planted(TWIN["subjects"], "id", REAL["subjects"]["id"][7]))
    assert judged(twin).parts == {"key: id": 1}


def test_parts_of_a_composite_key_are_natural() -> None:
    assert not [p for p in judged(TWIN, "visits").parts if p.startswith("key")]


def test_short_text_keys_have_no_room_for_fresh_ones() -> None:
    schema = Schema((Table("codes", (Column("code", pa.string(), nullable=False),), key=("code",)),))
    short = Tables(schema, {"codes": pa.table({"code": ["ab", "ac", "bd"]})})
    long = Tables(schema, {"codes": pa.table({"code": [f"{i:08d}" for i in range(0, 10**8, 12345678)]})})
    assert replay(short, short, short, "codes", units=None).passed
    assert replay(long, long, long, "codes", units=None).value == long.rows("codes")


@pytest.mark.parametrize("column", ["born", "income", "bmi"])
@pytest.mark.parametrize("end", ["first", "last"])
def test_an_exact_extreme_is_a_violation(column: str, end: str) -> None:
    values = sorted(v for v in REAL["subjects"][column].to_pylist() if v is not None and v == v)
    twin = put(TWIN, "subjects", planted(TWIN["subjects"], column, values[0 if end == "first" else -1]))
    verdict = judged(twin)
    assert verdict.parts[f"exact extreme: {column}"] == 1


def test_near_unique_values_copied_from_learnt_rows_are_told_from_chance() -> None:
    income = REAL["subjects"]["income"].take(pa.array(np.arange(100, 400)))
    mixed = pa.concat_arrays([income.combine_chunks(), TWIN["subjects"]["income"].combine_chunks().slice(0, 99)])
    at = SCHEMA["subjects"].names.index("income")
    copied = TWIN["subjects"].set_column(at, SCHEMA["subjects"].arrow.field("income"), mixed)
    parts = judged(put(TWIN, "subjects", copied)).parts
    assert parts["values that one unit holds: income, beyond chance"] >= 5


def test_in_a_coarse_table_copies_are_held_against_the_holdout() -> None:
    rng = np.random.default_rng(0)
    table = Table("t", (Column("a", pa.int64(), kind=Kind.NUMBER), Column("b", pa.int64(), kind=Kind.NUMBER)))
    schema = Schema((table,))

    def draw(n: int) -> pa.Table:
        return pa.table({"a": rng.geometric(0.05, n), "b": rng.geometric(0.05, n)})

    learnt, held = draw(3000), draw(1000)
    real, holdout = Tables(schema, {"t": learnt}), Tables(schema, {"t": held})
    units = mix(np.arange(3000, dtype=np.uint64))
    rules = forbidden(learnt, held, schema, "t", units=units)
    assert not [r for r in rules if r.part.startswith("row")]
    fresh = draw(3000)
    fresh = fresh.filter(pa.array(~breaks(rules, fresh)))
    assert replay(real, holdout, Tables(schema, {"t": fresh}), "t", units=units).passed
    copied = learnt.filter(pa.array(~breaks(rules, learnt)))
    parts = replay(real, holdout, Tables(schema, {"t": copied}), "t", units=units).parts
    assert parts["rows that one unit holds, beyond chance"] > 100


def test_nobodys_rows_may_recur_but_their_rare_labels_may_not() -> None:
    verdict = replay(REAL, REAL, REAL, "wards", units=None)
    assert verdict.passed, verdict.reason
    schema = Schema((Table("t", (Column("word", pa.string()),)),))
    words = Tables(schema, {"t": pa.table({"word": ["often"] * 20 + ["once"]})})
    assert replay(words, words, words, "t", units=None).parts == {"value of fewer than k units: word": 1}


def test_declared_labels_truth_values_and_public_columns_may_be_rare() -> None:
    columns = (
        Column("sex", SCHEMA["subjects"]["sex"].type, labels=("f", "m", "x")),
        Column("smoker", pa.bool_()),
        Column("country", pa.string(), public=True),
    )
    schema = Schema((Table("t", columns),))
    data = pa.table({"sex": pa.array(["x"]).dictionary_encode(), "smoker": [True], "country": ["Tuvalu"]})
    rules = forbidden(data.cast(schema["t"].arrow), schema["t"].arrow.empty_table(), schema, "t", units=None)
    assert rules == ()


def test_a_public_table_is_carried_over() -> None:
    schema = Schema((replace(SCHEMA["wards"], public=True),))
    wards = Tables(schema, {"wards": REAL["wards"]})
    assert "public" in replay(wards, wards, wards, "wards", units=None).reason


def test_an_empty_twin_of_real_rows_is_not_let_through() -> None:
    empty = put(TWIN, "subjects", TWIN["subjects"].slice(0, 0))
    assert not judged(empty).passed


def test_every_type_is_read_without_a_value_in_the_verdict() -> None:
    rows = 40
    data = pa.table(
        {
            "id": pa.array([bytes([i]) * 16 for i in range(rows)], pa.binary(16)).cast(pa.uuid()),
            "doc": pa.array([f'{{"n": {i}}}' for i in range(rows)]).cast(pa.json_()),
            "blob": pa.array([bytes([i, 7]) for i in range(rows)]),
            "at": pa.array(np.arange(rows) * 10**9, pa.timestamp("us", "Europe/Zurich")),
            "time": pa.array(np.arange(rows), pa.time64("us")),
            "took": pa.array(np.arange(rows), pa.duration("ms")),
            "none": pa.nulls(rows, pa.float64()),
        }
    )
    table = Table("t", tuple(Column(f.name, f.type) for f in data.schema), key=("id",))
    same = Tables(Schema((table,)), {"t": data})
    verdict = replay(
        same, Tables(same.schema, {"t": data.slice(0, 0)}), same, "t", units=mix(np.arange(rows, dtype=np.uint64))
    )
    assert verdict.parts["key: id"] == verdict.parts["row of fewer than k units"] == rows
    assert (
        verdict.parts["value of fewer than k units: doc"] == verdict.parts["value of fewer than k units: blob"] == rows
    )
    assert verdict.parts["exact extreme: at"] == verdict.parts["exact extreme: took"] == 2


@pytest.mark.slow
def test_half_of_a_real_table_passes_as_twin_of_the_other_half_and_one_copied_row_fails_it() -> None:
    data = pq.read_table("examples/adult/people.parquet").slice(0, 20_000)
    table = Table(
        "people",
        tuple(
            Column(n, pa.string() if "string" in str(t) else t)
            for n, t in zip(data.schema.names, data.schema.types, strict=True)
        ),
    )
    schema, data = Schema((table,)), data.cast(table.arrow)
    units = mix(np.arange(8000, dtype=np.uint64))
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(20_000)
        learnt, held, twin = (data.take(pa.array(order[a:b])) for a, b in ((0, 8000), (8000, 11_000), (11_000, 20_000)))
        twin = twin.filter(pa.array(~breaks(forbidden(learnt, held, schema, "people", units=units), twin)))
        real, holdout = Tables(schema, {"people": learnt}), Tables(schema, {"people": held})
        assert replay(real, holdout, Tables(schema, {"people": twin}), "people", units=units).passed
        leak = pa.concat_tables([twin, learnt.slice(seed, 1)])
        assert not replay(real, holdout, Tables(schema, {"people": leak}), "people", units=units).passed


def test_a_twin_on_disk_is_judged_like_one_in_memory(tmp_path) -> None:  # type: ignore[no-untyped-def]
    TWIN.save(tmp_path)
    assert judged(Tables.open(tmp_path)) == judged(TWIN)
