"""Over any schema: keys are unique and fresh, references hold, types and nullability stay, bytes repeat."""

import datetime as dt
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario import clinic

from twinlake.errors import GeneratorError, ModelError
from twinlake.generators.protocols import DatabaseGenerator
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.generators.rows import nearest_free
from twinlake.hashing import hash_rows
from twinlake.schema import Column, Kind, Reference, Schema, Table
from twinlake.tables import Tables, file_hash
from twinlake.units import assign_units


def fit(tables: Tables, **settings_: object) -> RelationalModel:
    generator = RelationalGenerator(table_generator("marginals"), **settings_)
    return generator.fit(tables, units=assign_units(tables, None), seed=5)


def sound(made: Tables) -> None:
    """Every key differs and is not null, every reference holds, types and nullability are the schema's."""
    for table in made.schema:
        rows = made[table.name]
        assert rows.schema.equals(table.arrow)
        assert [c.name for c in table.columns if not c.nullable and rows[c.name].null_count] == []
        assert [c for c in table.key if rows[c].null_count] == []
        if table.key:
            assert len(np.unique(hash_rows(rows.select(list(table.key))))) == rows.num_rows
        for reference in table.references:
            child = rows.select(list(reference.columns)).drop_null()
            parents = hash_rows(made[reference.table].select(list(reference.to)))
            assert np.isin(hash_rows(child), parents).all(), str(reference)


def bytes_of(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): file_hash(p) for p in sorted(folder.rglob("*.*"))}


def ints(name: str, *, nullable: bool = False) -> Column:
    return Column(name, pa.int64(), nullable=nullable)


def refer(columns: str, table: str, to: str) -> Reference:
    return Reference(tuple(columns.split()), table, tuple(to.split()))


def made_of(tables: tuple[Table, ...], data: dict[str, dict[str, object]]) -> Tables:
    return Tables(Schema(tables), {t.name: pa.table(data[t.name], schema=t.arrow) for t in tables})


@pytest.fixture(scope="module")
def real() -> Tables:
    return clinic()


@pytest.fixture(scope="module")
def model(real: Tables) -> RelationalModel:
    return fit(real)


@pytest.fixture(scope="module")
def twin(model: RelationalModel, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return model.sample(tmp_path_factory.mktemp("twin"), scale=1.0, seed=3)


def test_it_is_a_database_generator() -> None:
    assert isinstance(RelationalGenerator(table_generator("marginals")), DatabaseGenerator)


def test_a_twin_is_sound_and_as_large_as_its_source(real: Tables, twin: Tables) -> None:
    sound(twin)
    assert {n: twin.rows(n) for n in twin} == {n: real.rows(n) for n in real}


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_scale_multiplies_every_table(scale: float, real: Tables, model: RelationalModel, tmp_path: Path) -> None:
    made = model.sample(tmp_path, scale=scale, seed=4)
    sound(made)
    assert {n: made.rows(n) for n in made} == {n: max(1, round(scale * real.rows(n))) for n in real}


def test_no_key_is_a_real_one_and_none_tells_the_order_of_rows(real: Tables, twin: Tables) -> None:
    ids = twin["subjects"]["id"].to_numpy()
    assert not np.isin(ids, real["subjects"]["id"].to_numpy()).any()
    assert abs(np.corrcoef(ids, np.arange(len(ids)))[0, 1]) < 0.2


def test_rows_of_a_parent_are_numbered_from_one_in_the_order_of_time(twin: Tables) -> None:
    visits = twin["visits"].to_pandas()
    for _, rows in visits.groupby("id"):
        assert list(rows["visit_no"]) == list(range(1, len(rows) + 1))
        assert rows["at"].is_monotonic_increasing


def test_a_key_of_plain_columns_keeps_its_runs(twin: Tables) -> None:
    wards = twin["wards"].to_pandas()
    assert wards.groupby("ward").size().max() > 1


def test_children_per_parent_keep_their_shape(real: Tables, twin: Tables) -> None:
    def shares(tables: Tables) -> np.ndarray:
        ids, children = tables["subjects"]["id"].to_numpy(), tables["visits"]["id"].to_numpy()
        counts = np.array([np.count_nonzero(children == i) for i in ids])
        return np.bincount(np.minimum(counts, 9), minlength=10) / len(ids)

    assert np.abs(shares(real) - shares(twin)).max() < 0.06


def test_nulls_of_references_keep_their_share(real: Tables, twin: Tables) -> None:
    for table, column in (("visits", "ward"), ("subjects", "mentor")):
        share = [t[table][column].null_count / t.rows(table) for t in (real, twin)]
        assert share[0] == pytest.approx(share[1], abs=0.02)


def test_a_row_never_refers_to_itself_or_in_a_circle(twin: Tables) -> None:
    mentors = dict(zip(*(twin["subjects"][c].to_pylist() for c in ("id", "mentor")), strict=True))
    for start in mentors:
        seen, at = {start}, mentors[start]
        while at is not None:
            assert at not in seen
            seen.add(at)
            at = mentors[at]


def test_personal_columns_hold_nobodys_value(real: Tables, twin: Tables) -> None:
    for column in ("name", "email"):
        made, own = set(twin["subjects"][column].to_pylist()), set(real["subjects"][column].to_pylist())
        assert made.isdisjoint(own)
    assert pc.count_distinct(twin["subjects"]["email"]).as_py() == 400  # as in the source, all differ


def test_a_saved_model_and_workers_give_the_same_bytes(model: RelationalModel, twin: Tables, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    again = read_model(tmp_path / "model")
    alone = again.sample(tmp_path / "alone", scale=1.0, seed=3)
    sound(alone)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        again.sample(tmp_path / "pool", scale=1.0, seed=3, executor=pool)
    assert bytes_of(tmp_path / "alone") == bytes_of(tmp_path / "pool")
    twin.save(tmp_path / "unsaved")
    alone.save(tmp_path / "again")
    assert bytes_of(tmp_path / "unsaved") == bytes_of(tmp_path / "again")


def test_another_seed_gives_another_twin(model: RelationalModel, twin: Tables, tmp_path: Path) -> None:
    assert not model.sample(tmp_path, scale=1.0, seed=4)["visits"].equals(twin["visits"])


def test_equal_models_are_saved_as_equal_bytes(real: Tables, model: RelationalModel, tmp_path: Path) -> None:
    model.save(tmp_path / "one")
    fit(real).save(tmp_path / "two")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_a_saved_model_holds_no_rare_or_personal_value(model: RelationalModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    saved = b"".join(p.read_bytes() for p in tmp_path.rglob("*.json"))
    for word in (b"Soglio", b"Real", b"clinic.example"):
        assert word not in saved


def test_progress_tells_every_table(real: Tables, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    generator = RelationalGenerator(table_generator("marginals"))
    model = generator.fit(real, units=assign_units(real, None), seed=1, progress=lambda *a: told.append(a))
    model.sample(tmp_path, scale=1.0, seed=1, progress=lambda *a: told.append(a))
    assert told[-1] == ("sample visits", 1, 1)
    assert ("learn subjects", 2, 3) in told


def test_children_stay_with_their_parents_when_a_table_is_cut(
    model: RelationalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinlake.generators.relational.ROWS", 100)
    made = model.sample(tmp_path, scale=1.0, seed=3)
    sound(made)
    assert len(list((tmp_path / "visits").iterdir())) > 5
    assert made.rows("subjects") == 400


def test_plain_composite_keys_differ_across_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinlake.generators.relational.ROWS", 50)
    teams = Table("teams", (ints("year"), Column("team", pa.string(), nullable=False)), key=("year", "team"))
    pairs = [(y, t) for y in range(1990, 2010) for t in "ABCDEFGHIJKLMNO"]
    years, names = zip(*pairs, strict=True)
    made = fit(made_of((teams,), {"teams": {"year": years, "team": names}})).sample(tmp_path, scale=1.0, seed=1)
    sound(made)
    assert made.rows("teams") == 300


def junction(pupils: int = 60, courses: int = 20, share: float = 0.3) -> Tables:
    pupil, course = Table("pupils", (ints("id"),), key=("id",)), Table("courses", (ints("no"),), key=("no",))
    takes = Table(
        "takes",
        (ints("pupil"), ints("course"), Column("grade", pa.float64())),
        key=("pupil", "course"),
        references=(refer("pupil", "pupils", "id"), refer("course", "courses", "no")),
    )
    rng = np.random.default_rng(0)
    pairs = [(p, c) for p in range(pupils) for c in range(courses) if rng.random() < share]
    left, right = zip(*pairs, strict=True)
    return made_of(
        (takes, pupil, course),
        {
            "pupils": {"id": range(pupils)},
            "courses": {"no": range(courses)},
            "takes": {"pupil": left, "course": right, "grade": rng.normal(size=len(pairs))},
        },
    )


@pytest.mark.parametrize("share", [0.1, 0.95])
def test_pairs_of_a_junction_table_differ(share: float, tmp_path: Path) -> None:
    tables = junction(share=share)
    made = fit(tables).sample(tmp_path, scale=1.0, seed=2)
    sound(made)
    assert made.rows("takes") >= 0.97 * tables.rows("takes")


def test_a_table_one_to_one_with_its_parent_has_no_more_rows_than_it(tmp_path: Path) -> None:
    person = Table("people", (ints("id"), ints("age")), key=("id",))
    passport = Table("passports", (ints("id"), ints("year")), key=("id",), references=(refer("id", "people", "id"),))
    tables = made_of(
        (person, passport),
        {
            "people": {"id": range(100), "age": [i % 7 for i in range(100)]},
            "passports": {"id": range(0, 100, 2), "year": [2000 + i % 3 for i in range(50)]},
        },
    )
    made = fit(tables).sample(tmp_path, scale=1.0, seed=2)
    sound(made)
    assert made.rows("passports") == 50


def test_references_that_share_columns_hold_together(tmp_path: Path) -> None:
    airport = Table("airports", (Column("faa", pa.string(), nullable=False),), key=("faa",))
    weather = Table(
        "weather",
        (Column("origin", pa.string(), nullable=False), Column("hour", pa.timestamp("us"), nullable=False)),
        key=("origin", "hour"),
        references=(refer("origin", "airports", "faa"),),
    )
    flight = Table(
        "flights",
        (ints("id"), Column("origin", pa.string(), nullable=False), Column("dest", pa.string()),
         Column("hour", pa.timestamp("us"), nullable=False)),
        key=("id",),
        references=(refer("origin", "airports", "faa"), refer("dest", "airports", "faa"),
                    refer("origin hour", "weather", "origin hour")),
    )  # fmt: skip
    codes = [f"{a}{b}X" for a in "ABCDE" for b in "ABCDE"]
    hours = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=h) for h in range(40)]
    where = [c for c in codes[:3] for _ in hours]
    rng = np.random.default_rng(1)
    at = rng.integers(0, 120, 500)
    tables = made_of(
        (flight, weather, airport),
        {
            "airports": {"faa": codes},
            "weather": {"origin": where, "hour": hours * 3},
            "flights": {"id": range(500), "origin": [where[i] for i in at], "hour": [(hours * 3)[i] for i in at],
                        "dest": [None if i % 10 == 0 else codes[i % 25] for i in range(500)]},
        },
    )  # fmt: skip
    made = fit(tables, k=3).sample(tmp_path, scale=1.0, seed=2)
    sound(made)
    assert made.rows("flights") == 500
    assert made["flights"]["dest"].null_count == 50
    assert pc.count_distinct(made["weather"]["origin"]).as_py() == 3


def test_a_circle_is_broken_where_null_is_allowed(tmp_path: Path) -> None:
    team = Table(
        "teams",
        (ints("id"), ints("captain", nullable=True)),
        key=("id",),
        references=(refer("captain", "players", "id"),),
    )
    player = Table("players", (ints("id"), ints("team")), key=("id",), references=(refer("team", "teams", "id"),))
    tables = made_of(
        (team, player),
        {
            "teams": {"id": range(20), "captain": [None if i == 3 else i * 10 for i in range(20)]},
            "players": {"id": range(200), "team": [i // 10 for i in range(200)]},
        },
    )
    made = fit(tables).sample(tmp_path, scale=1.0, seed=2)
    sound(made)
    assert made["teams"]["captain"].null_count == 1
    assert pc.count_distinct(made["teams"]["captain"]).as_py() >= 19


def test_a_reference_to_its_own_table_that_may_not_be_null_has_one_root(tmp_path: Path) -> None:
    unit = Table("units", (ints("id"), ints("under")), key=("id",), references=(refer("under", "units", "id"),))
    tables = made_of((unit,), {"units": {"id": range(80), "under": [max(i // 3, 0) for i in range(80)]}})
    made = fit(tables).sample(tmp_path, scale=1.0, seed=2)
    sound(made)
    assert pc.sum(pc.equal(made["units"]["id"], made["units"]["under"])).as_py() == 1


def test_a_reference_to_a_unique_column_that_is_no_key_holds(tmp_path: Path) -> None:
    user = Table("users", (ints("id"), Column("login", pa.string(), nullable=False)), key=("id",))
    post = Table(
        "posts", (ints("id"), Column("by", pa.string())), key=("id",), references=(refer("by", "users", "login"),)
    )
    logins = [f"user{i:03d}" for i in range(100)]
    tables = made_of(
        (user, post),
        {"users": {"id": range(100), "login": logins},
         "posts": {"id": range(300), "by": [None if i % 6 == 0 else logins[i % 50] for i in range(300)]}},
    )  # fmt: skip
    made = fit(tables).sample(tmp_path, scale=1.0, seed=2)
    sound(made)
    assert set(made["users"]["login"].to_pylist()).isdisjoint(logins)
    assert made["posts"]["by"].null_count == 50


def test_a_public_table_is_carried_over_as_it_is(real: Tables, tmp_path: Path) -> None:
    public = Schema(tuple(replace(t, public=t.name == "wards") for t in real.schema))
    tables = Tables(public, {n: real[n] for n in real})
    fit(tables).save(tmp_path / "model")
    made = read_model(tmp_path / "model").sample(tmp_path / "twin", scale=3.0, seed=2)
    sound(made)
    assert made["wards"].equals(real["wards"])


def test_an_email_can_be_a_key_and_a_small_number_too(tmp_path: Path) -> None:
    person = Table(
        "people",
        (Column("email", pa.string(), nullable=False, kind=Kind.PERSONAL, provider="email"), ints("age")),
        key=("email",),
    )
    kind = Table("kinds", (Column("no", pa.int8(), nullable=False), ints("x")), key=("no",))
    emails = [f"real{i}@source.example" for i in range(200)]
    tables = made_of(
        (person, kind),
        {"people": {"email": emails, "age": [i % 9 for i in range(200)]}, "kinds": {"no": range(100), "x": [1] * 100}},
    )
    made = fit(tables).sample(tmp_path, scale=1.0, seed=2)
    sound(made)
    assert set(made["people"]["email"].to_pylist()).isdisjoint(emails)
    assert all("@example." in e for e in made["people"]["email"].to_pylist())
    assert made.rows("kinds") == 100


def test_children_of_parents_held_back_are_no_nulls(tmp_path: Path, real: Tables) -> None:
    some = real["subjects"].filter(pa.array(np.arange(400) % 5 != 0))
    tables = Tables(real.schema, {"wards": real["wards"], "subjects": some, "visits": real["visits"]})
    made = fit(tables).sample(tmp_path, scale=1.0, seed=2)
    sound(made)
    assert made.rows("visits") == real.rows("visits")


def test_an_empty_table_stays_empty(tmp_path: Path, real: Tables) -> None:
    tables = Tables(
        real.schema, {"wards": real["wards"], "subjects": real["subjects"], "visits": real["visits"].slice(0, 0)}
    )
    made = fit(tables).sample(tmp_path, scale=1.0, seed=2)
    sound(made)
    assert made.rows("visits") == 0


def test_bad_requests_get_a_sentence(real: Tables, model: RelationalModel, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match=r'no locale "xx"'):
        fit(real, locale="xx")
    with pytest.raises(GeneratorError, match=r"no table visit; .* Did you mean \"visits\"\?"):
        fit(real, per_table={"visit": table_generator("marginals")})
    with pytest.raises(GeneratorError, match="scale of a snapshot must be above 0"):
        model.sample(tmp_path, scale=0, seed=1)
    with ProcessPoolExecutor(1) as pool, pytest.raises(GeneratorError, match="workers need a saved model"):
        model.sample(tmp_path, scale=1, seed=1, executor=pool)


def test_a_public_table_may_not_refer_to_fresh_keys(real: Tables) -> None:
    public = Schema(tuple(replace(t, public=t.name == "visits") for t in real.schema))
    with pytest.raises(GeneratorError, match="public table refers to subjects"):
        fit(Tables(public, {n: real[n] for n in real}))


def test_a_damaged_foreign_or_newer_model_is_refused(model: RelationalModel, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no readable model\.json"):
        read_model(tmp_path)
    model.save(tmp_path / "m")
    head = json.loads((tmp_path / "m" / "model.json").read_text())
    for change, sentence in (
        ({"version": 99}, "another format"),
        ({"generator": "marginals"}, "no model of a database"),
        ({"schema": {}}, "damaged"),
    ):
        (tmp_path / "m" / "model.json").write_text(json.dumps(head | change))
        with pytest.raises(ModelError, match=sentence):
            read_model(tmp_path / "m")


TYPES = (
    pa.int16(),
    pa.int64(),
    pa.string(),
    pa.uuid(),
    pa.date32(),
    pa.timestamp("us", "UTC"),
    pa.decimal128(12, 0),
    pa.binary(),
)


def key_values(type_: pa.DataType, n: int) -> pa.Array:
    if type_ == pa.uuid():
        return pa.ExtensionArray.from_storage(type_, pa.array([i.to_bytes(16, "big") for i in range(n)], pa.binary(16)))
    if type_ in (pa.string(), pa.binary()):
        return pa.array([f"K{i:04d}" for i in range(n)], pa.string()).cast(type_)
    numbers = pa.array(range(n), pa.int32() if type_ == pa.date32() else pa.int64())
    return numbers.cast(pa.decimal128(21, 0)).cast(type_) if pa.types.is_decimal(type_) else numbers.cast(type_)


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_small_schema_gives_a_sound_twin(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    tables, rows, rng = [], {}, np.random.default_rng(data.draw(st.integers(0, 99)))
    for number in range(data.draw(st.integers(1, 4))):
        n, name = data.draw(st.integers(1, 60)), f"t{number}"
        type_ = data.draw(st.sampled_from(TYPES))
        columns, references = [Column("k", type_, nullable=False)], []
        rows[name] = {"k": key_values(type_, n)}
        for to in data.draw(st.lists(st.integers(0, number), max_size=3, unique=True)):
            parent = type_ if to == number else tables[to].columns[0].type
            nullable = to == number or data.draw(st.booleans())
            pool = key_values(parent, n if to == number else len(rows[f"t{to}"]["k"]))
            taken = pa.array(rng.integers(0, len(pool), n), mask=(rng.random(n) < 0.3) & nullable)
            columns.append(Column(f"r{to}", parent, nullable=nullable))
            references.append(Reference((f"r{to}",), f"t{to}", ("k",)))
            rows[name][f"r{to}"] = pool.take(taken)
        tables.append(Table(name, tuple(columns), key=("k",), references=tuple(references)))
    real = Tables(Schema(tuple(tables)), {n: pa.table(c) for n, c in rows.items()})
    scale = data.draw(st.sampled_from([0.5, 1.0, 3.0]))
    made = fit(real).sample(tmp_path_factory.mktemp("any"), scale=scale, seed=1)
    sound(made)
    assert {n: made.rows(n) for n in made} == {n: max(1, round(scale * real.rows(n))) for n in real}


def test_which_row_of_a_public_table_is_referred_to_is_learnt(tmp_path):
    wards = Table("wards", (Column("ward", pa.string(), nullable=False),), key=("ward",), public=True)
    stays = Table(
        "stays",
        (Column("ward", pa.string()), Column("days", pa.int64())),
        references=(Reference(("ward",), "wards", ("ward",)),),
    )
    names = ["north"] * 900 + ["south"] * 297 + ["attic"] * 3  # the attic is rare, but its name is public
    days = [1] * 900 + [9] * 300
    rows = {
        "wards": pa.table({"ward": ["north", "south", "attic", "empty"]}),
        "stays": pa.table({"ward": names, "days": days}),
    }
    real = Tables(Schema((wards, stays)), rows)
    model = RelationalGenerator(table_generator("forest")).fit(real, units=assign_units(real, None), seed=1)
    drawn = model.sample(tmp_path / "s", scale=5, seed=2)["stays"].to_pylist()
    shares = Counter(row["ward"] for row in drawn)
    assert abs(shares["north"] / len(drawn) - 0.75) < 0.03
    assert set(shares) == {"north", "south", "attic"}
    assert {row["days"] for row in drawn if row["ward"] == "south"} == {9}


def test_a_key_that_repeats_takes_the_nearest_value_that_occurs_but_not_in_its_group() -> None:
    values, groups = np.array([2000, 2000, 2001, 1990, 2000]), np.array([1, 1, 1, 2, 3], np.uint64)
    assert nearest_free(values, groups, np.array([1])).tolist() == [2000, 1990, 2001, 1990, 2000]
    full = np.array([5, 5]), np.array([1, 1], np.uint64)
    assert nearest_free(*full, np.array([1])).tolist() == [5, 5]
