"""Schemas that others refuse, with sequences in them: every twin is sound, in order, and the same bytes again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators import relational
from twinlake.generators.forest.generator import Forest
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.hashing import hash_rows
from twinlake.joining import places
from twinlake.random import stream
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables, file_hash
from twinlake.units import assign_units

World = tuple[tuple[Table, ...], dict[str, dict[str, Any]], str | None]
TYPES = {
    "day": pa.int32(),
    "date": pa.date32(),
    "at": pa.timestamp("us", "UTC"),
    "text": pa.string(),
    "x": pa.float64(),
}


def table(
    name: str, columns: str, key: str = "", references: tuple[str, ...] = (), order_by: str | None = None
) -> Table:
    """Columns as `name:type?`, int64 without a type, nullable with a `?`; references as `a b -> table a b`."""
    made = []
    for column in columns.split():
        own, _, kind = column.rstrip("?").partition(":")
        made.append(Column(own, TYPES.get(kind, pa.int64()), nullable=column.endswith("?")))
    found = []
    for reference in references:
        child, _, parent = reference.partition(" -> ")
        found.append(Reference(tuple(child.split()), parent.split()[0], tuple(parent.split()[1:])))
    return Table(name, tuple(made), tuple(key.split()), tuple(found), order_by)


def dates(days: np.ndarray) -> pa.Array:
    return pa.array(days.astype(np.int32)).cast(pa.date32())


def order_within_the_key() -> World:
    rng, n = stream(1), 300
    sizes = rng.integers(0, 9, n)
    who = np.repeat(np.arange(n), sizes)
    day = np.concatenate([np.sort(rng.choice(400, s, replace=False)) for s in sizes])
    kind, x = np.array(["a", "b"])[rng.integers(0, 2, len(who))], rng.normal(size=len(who))
    told = {"id": who, "kind": kind, "day": day, "x": x}
    columns = "id kind:text day:day x:x"
    return (
        (
            table("people", "id born:date?", "id"),
            table("declared", columns, "id day kind", ("id -> people id",), "day"),
            table("found", columns, "id kind day", ("id -> people id",)),
        ),
        {"people": {"id": np.arange(n), "born": dates(rng.integers(0, 9_000, n))}, "declared": told, "found": told},
        "people",
    )


def key_that_is_a_reference() -> World:
    rng, n = stream(2), 300
    half = np.arange(0, n, 2)
    sizes = rng.integers(0, 5, len(half))
    who, no = np.repeat(half, sizes), np.concatenate([np.arange(1, s + 1) for s in sizes])
    return (
        (
            table("people", "id sex:text boss?", "id", ("boss -> people id",)),
            table("details", "id height:x since:at", "id", ("id -> people id",), "since"),
            table("notes", "id no other? x:x", "id no", ("id -> details id", "other -> people id"), "x"),
        ),
        {
            "people": {
                "id": np.arange(n),
                "sex": np.array(["f", "m"])[rng.integers(0, 2, n)],
                "boss": pa.array(np.maximum(np.arange(n) - 7, 0), mask=np.arange(n) < 40),
            },
            "details": {
                "id": half,
                "height": rng.normal(170, 9, len(half)),
                "since": pa.array(rng.integers(0, 10**15, len(half)), TYPES["at"]),
            },
            "notes": {
                "id": who,
                "no": no,
                "other": pa.array(rng.integers(0, n, len(who)), mask=rng.random(len(who)) < 0.3),
                "x": np.round(rng.random(len(who)), 2),
            },
        },
        "people",
    )


def chain_of_seven() -> World:
    rng, n = stream(3), 60
    above, day, x = pa.table({"k0": np.arange(n)}), rng.integers(0, 9_000, n), rng.normal(size=n)
    tables, data = [table("t0", "k0 x:x date:date", "k0")], {"t0": {"k0": np.arange(n), "x": x, "date": dates(day)}}
    for i in range(1, 7):  # each key is its parent's and a number
        sizes = rng.integers(0, 4, above.num_rows) if i < 5 else rng.integers(0, 3, above.num_rows)
        at, no = np.repeat(np.arange(above.num_rows), sizes), np.concatenate([np.arange(s) for s in sizes])
        up, above = " ".join(above.column_names), above.take(pa.array(at)).append_column(f"k{i}", pa.array(no))
        key = " ".join(above.column_names)
        order = "date" if i % 2 else None
        tables.append(table(f"t{i}", f"{key} x:x date:date", key, (f"{up} -> t{i - 1} {up}",), order))
        day, x = day[at] + no * 10 + rng.integers(0, 9, len(at)), x[at] + rng.normal(size=len(at))
        data[f"t{i}"] = {c: above[c] for c in above.column_names} | {"x": x, "date": dates(day)}
    return tuple(tables), data, "t0"


def thirty_tables() -> World:
    rng, n = stream(4), 100
    tables, data = [table("hub", "id x:x", "id")], {"hub": {"id": np.arange(n), "x": rng.normal(size=n)}}
    for i in range(15):  # a star
        tables.append(table(f"ray{i}", "id hub x:x day:day", "id", ("hub -> hub id",), "day"))
        hub, day = rng.integers(0, n, n), rng.integers(0, 99, n)
        data[f"ray{i}"] = {"id": np.arange(n), "hub": hub, "x": rng.normal(size=n), "day": day}
    last = "hub"
    for i in range(14):  # and a chain
        tables.append(table(f"link{i}", f"id up{'?' * (i % 2)} kind:text", "id", (f"up -> {last} id",)))
        kind = np.array(["u", "v", "w"])[rng.integers(0, 3, n)]
        data[f"link{i}"], last = {"id": np.arange(n), "up": rng.integers(0, n, n), "kind": kind}, f"link{i}"
    return tuple(tables), data, "hub"


def circle_and_junctions() -> World:
    rng, n = stream(5), 200
    pairs, meets = (np.unique(rng.integers(0, top, (600, len(top))), axis=0) for top in ([n, 12], [n, n, 50]))
    depts, ids = ("dept -> depts id",), np.arange(100)
    return (
        (
            table("depts", "id head? name:text", "id", ("head -> staff id",)),
            table("staff", "id dept pay:x since:day", "id", depts, "since"),
            table("badges", "staff dept x:x", "staff dept", ("staff -> staff id", *depts)),
            table("meets", "a b day:day", "a b day", ("a -> staff id", "b -> staff id"), "day"),
            table("crowd", "id dept day:day", "dept day", depts, "day"),
            table("empty", "id dept day:day", "id", depts, "day"),
            table("blank", "id dept day:day?", "id", depts, "day"),
        ),
        {
            "depts": {
                "id": np.arange(12),
                "head": pa.array(rng.integers(0, n, 12), mask=np.arange(12) < 2),
                "name": [f"d{i}" for i in range(12)],
            },
            "staff": {
                "id": np.arange(n),
                "dept": rng.integers(0, 12, n),
                "pay": rng.normal(size=n),
                "since": rng.integers(1990, 2020, n),
            },
            "badges": {"staff": pairs[:, 0], "dept": pairs[:, 1], "x": rng.normal(size=len(pairs))},
            "meets": {"a": meets[:, 0], "b": meets[:, 1], "day": meets[:, 2]},
            "crowd": {
                "id": np.arange(12 * 40),
                "dept": np.repeat(np.arange(12), 40),
                "day": np.tile(np.arange(40), 12),
            },
            "empty": {"id": [], "dept": [], "day": []},
            "blank": {"id": ids, "dept": ids % 12, "day": pa.nulls(100, pa.int32())},
        },
        None,
    )


def one_parent() -> World:
    rng, n = stream(6), 900
    return (
        (table("p", "id x:x", "id"), table("c", "id p? x:x kind:text", "id", ("p -> p id",), "x")),
        {
            "p": {"id": [7], "x": [1.0]},
            "c": {
                "id": np.arange(n),
                "p": pa.array(np.full(n, 7), mask=np.arange(n) < 20),
                "x": np.r_[np.inf, -np.inf, rng.random(n - 2)],
                "kind": [f"v{i % 5}" for i in range(n)],
            },
        },
        None,
    )


WORLDS = [
    order_within_the_key, key_that_is_a_reference, chain_of_seven, thirty_tables, circle_and_junctions, one_parent
]  # fmt: skip


def fitted(world: World) -> tuple[Tables, RelationalModel]:
    tables, data, unit = world
    real = Tables(Schema(tables), {t.name: pa.table(data[t.name], schema=t.arrow) for t in tables})
    generator = RelationalGenerator(Forest(trees=4), k=10)
    return real, generator.fit(real, units=assign_units(real, unit), seed=1, unit=unit)


def bytes_of(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): file_hash(p) for p in sorted(folder.rglob("*.*"))}


def wrong(made: Tables) -> list[str]:
    """What does not hold in a twin."""
    found = []
    for t in made.schema:
        rows = made[t.name]
        found += [f"{t.name}: types"] * (not rows.schema.equals(t.arrow))
        found += [f"{t.name}.{c.name}: null" for c in t.columns if not c.nullable and rows[c.name].null_count]
        found += [f"{t.name}: key"] * (bool(t.key) and len(set(hash_rows(rows.select(list(t.key))))) < rows.num_rows)
        for reference in t.references:
            there = rows.select(list(reference.columns)).drop_null()
            at = places(there, made[reference.table].select(list(reference.to)), reference)
            found += [f"{t.name}: {reference}"] * bool((at < 0).any())
        found += [f"{t.name}: order"] * (bool(t.order_by and t.references) and not in_order(made, t))
    return found


def in_order(made: Tables, of: Table) -> bool:
    """Whether rows of the first parent stand in their order."""
    reference = of.references[0]
    rows = made[of.name].select(list(dict.fromkeys([*reference.columns, of.order_by]))).to_pandas().dropna()
    return all(g[of.order_by].is_monotonic_increasing for _, g in rows.groupby(list(reference.columns)))


@pytest.mark.parametrize("world", WORLDS)
def test_any_schema_gives_a_sound_twin_in_order_at_any_scale(world: Callable[[], World], tmp_path: Path) -> None:
    real, model = fitted(world())
    for scale in (0.3, 1.0, 2.0):
        made = model.sample(tmp_path / f"{scale}", scale=scale, seed=2)
        assert wrong(made) == []
        for name in real:
            wanted = max(1, round(scale * real.rows(name))) if real.rows(name) else 0
            assert made.rows(name) == pytest.approx(wanted, rel=0.05, abs=2)


@pytest.mark.parametrize("world", [order_within_the_key, chain_of_seven])
def test_workers_and_a_saved_model_give_the_same_bytes(
    world: Callable[[], World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relational, "ROWS", 20)  # so that tables are cut
    _, model = fitted(world())
    model.save(tmp_path / "model")
    again = read_model(tmp_path / "model")
    model.sample(tmp_path / "one", scale=1.0, seed=2)
    for name, workers in (("two", 1), ("three", 3)):
        with ThreadPoolExecutor(workers) as pool:
            again.sample(tmp_path / name, scale=1.0, seed=2, executor=pool)
        assert bytes_of(tmp_path / name) == bytes_of(tmp_path / "one")
    assert len(bytes_of(tmp_path / "one")) > 10


def test_a_check_that_finds_nothing_is_noticed(tmp_path: Path) -> None:
    _, model = fitted(order_within_the_key())
    made = model.sample(tmp_path / "one", scale=1.0, seed=2)
    rows = made["declared"]
    planted = {
        "order": rows.take(pa.array(np.arange(rows.num_rows)[::-1])),
        "key": pa.concat_tables([rows, rows.slice(0, 1)]),
        "id -> people(id)": rows.set_column(0, "id", pa.array(np.full(rows.num_rows, -5))),
    }
    for what, broken in planted.items():
        data = {n: broken if n == "declared" else made[n] for n in made}
        assert any(what in w for w in wrong(Tables(made.schema, data)))
