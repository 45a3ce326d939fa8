"""Rows that point to no row: dropped with all that refer to them, emptied, or kept; a slow plain way agrees."""

import uuid
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinlake.errors import DataError
from twinlake.random import stream
from twinlake.schema import Column, Orphans, Reference, Schema, Table
from twinlake.sources.orphans import settle
from twinlake.tables import Tables, fingerprint, parts
from twinlake.types import ENUM

DROP, NULL, KEEP, REFUSE = Orphans.DROP, Orphans.NULL, Orphans.KEEP, Orphans.REFUSE


def ints(name, nullable=True):
    return Column(name, pa.int64(), nullable)


def table(name, *columns, references=()):
    return Table(name, (ints("id", False), *columns), key=("id",), references=tuple(references))


def refer(columns, to, how, names=None):
    names = names or ("id",)
    return Reference(tuple(columns.split()), to, tuple(names), how)


def settled(folder, schema, rows):
    """What is left of the tables, and what was told."""
    data = {t.name: pa.table(rows[t.name], schema=t.arrow) for t in schema}
    Tables(schema, data).save(folder / "all")
    told = settle(folder / "all", schema, scratch=folder)
    assert sorted(p.name for p in folder.iterdir()) == ["all"]
    return Tables.open(folder / "all"), {(s.table, s.reference.split(" ->")[0], s.handling.value): s.rows for s in told}


def family(fourth):
    """Houses, flats in them, people in flats, and pets of people, which refer by `fourth`."""
    return Schema((
        table("houses"),
        table("flats", ints("house"), references=[refer("house", "houses", DROP)]),
        table("people", ints("flat"), references=[refer("flat", "flats", REFUSE)]),
        table("pets", ints("owner"), references=[refer("owner", "people", fourth)]),
    ))  # fmt: skip


FAMILY = {
    "houses": {"id": [1, 2]},
    "flats": {"id": [1, 2, 3], "house": [1, 9, None]},
    "people": {"id": [1, 2, 3, 4], "flat": [1, 2, 2, None]},
    "pets": {"id": [1, 2, 3, 4], "owner": [1, 2, 3, 4]},
}


def test_what_is_dropped_takes_its_descendants_along(tmp_path):
    left, told = settled(tmp_path, family(REFUSE), FAMILY)
    assert {n: left[n]["id"].to_pylist() for n in left} == {
        "houses": [1, 2], "flats": [1, 3], "people": [1, 4], "pets": [1, 4],
    }  # fmt: skip
    assert told == {("flats", "house", "drop"): 1, ("people", "flat", "drop"): 2, ("pets", "owner", "drop"): 2}


def test_a_descendant_whose_reference_may_be_emptied_stays(tmp_path):
    left, told = settled(tmp_path, family(NULL), FAMILY)
    assert left["pets"]["owner"].to_pylist() == [1, None, None, 4]
    assert told["pets", "owner", "null"] == 2


def test_a_descendant_that_may_point_nowhere_stays_as_it_is(tmp_path):
    left, told = settled(tmp_path, family(KEEP), FAMILY)
    assert left["pets"]["owner"].to_pylist() == [1, 2, 3, 4]
    assert told["pets", "owner", "keep"] == 2


def test_a_tree_loses_whole_branches_however_long(tmp_path):
    node = table("nodes", ints("above"), references=[refer("above", "nodes", DROP)])
    above = [None, 1, *range(2, 300), 999, *range(301, 600)]
    left, told = settled(tmp_path, Schema((node,)), {"nodes": {"id": range(1, 601), "above": above}})
    assert left["nodes"]["id"].to_pylist() == list(range(1, 301))
    assert told == {("nodes", "above", "drop"): 300}


def test_a_column_that_another_reference_needs_is_not_emptied(tmp_path):
    port = table("ports")
    hour = Table("hours", (ints("port", False), ints("hour", False)), key=("port", "hour"))
    flight = table(
        "flights", ints("port"), ints("hour"),
        references=[refer("port", "ports", REFUSE), refer("port hour", "hours", NULL, ("port", "hour"))],
    )  # fmt: skip
    rows = {
        "ports": {"id": [1, 2]},
        "hours": {"port": [1, 1, 2], "hour": [5, 6, 5]},
        "flights": {"id": [1, 2, 3, 4], "port": [1, 2, None, 1], "hour": [5, 6, 9, None]},
    }
    left, told = settled(tmp_path, Schema((port, hour, flight)), rows)
    assert left["flights"]["port"].to_pylist() == [1, 2, None, 1]
    assert left["flights"]["hour"].to_pylist() == [5, None, 9, None]
    assert told == {("flights", "port, hour", "null"): 1}


def test_where_nothing_is_asked_for_no_byte_changes(tmp_path):
    schema = family(REFUSE)
    firm = Schema(tuple(replace(t, references=tuple(replace(r, orphans=REFUSE) for r in t.references)) for t in schema))
    Tables(firm, {t.name: pa.table(FAMILY[t.name], schema=t.arrow) for t in firm}).save(tmp_path)
    before = fingerprint(tmp_path)
    assert settle(tmp_path, firm, scratch=tmp_path) == ()
    assert fingerprint(tmp_path) == before


def test_odd_names_and_types_are_carried_and_footers_hold_no_statistics(tmp_path):
    key = [uuid.UUID(int=i).bytes for i in range(4)]
    parent = Table(
        'p "x".y', (Column("a", ENUM, False, labels=("u", "v")), Column("a.b", pa.uuid(), False)), ("a", "a.b")
    )
    child = Table(
        "select",
        (Column("file_row_number", ENUM, labels=("u", "v")), Column("number", pa.uuid()), Column("j", pa.json_())),
        references=(Reference(("file_row_number", "number"), parent.name, ("a", "a.b"), NULL),),
    )
    schema = Schema((parent, child))
    ids = lambda at: pa.ExtensionArray.from_storage(pa.uuid(), pa.array([key[i] for i in at], pa.binary(16)))  # noqa: E731
    data = {
        parent.name: pa.table([pa.array(["u", "v"]).dictionary_encode(), ids([0, 1])], schema=parent.arrow),
        child.name: pa.table(
            [pa.array(["v", "u", "v"]).dictionary_encode(), ids([1, 1, 3]),
             pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', None, "[]"]))],
            schema=child.arrow,
        ),
    }  # fmt: skip
    Tables(schema, data).save(tmp_path / "all")
    told = settle(tmp_path / "all", schema, scratch=tmp_path)
    left = Tables.open(tmp_path / "all")["select"]
    assert [s.rows for s in told] == [2]
    assert left["number"].null_count == left["file_row_number"].null_count == 2
    assert left["j"].to_pylist() == data["select"]["j"].to_pylist()
    meta = pq.read_metadata(parts(tmp_path / "all", "select")[0])
    assert all(meta.row_group(0).column(i).statistics is None for i in range(meta.num_columns))


def test_a_table_that_loses_every_row_is_a_sentence(tmp_path):
    rows = {**FAMILY, "flats": {"id": [1, 2, 3], "house": [8, 9, 8]}}
    with pytest.raises(DataError, match=r"no row of table flats is left .* write null or keep under orphans"):
        settled(tmp_path, family(REFUSE), rows)


@pytest.mark.parametrize("seed", range(6))
def test_a_slow_plain_way_leaves_the_same_rows(tmp_path, seed):
    rng = stream(seed, "orphans")
    names = ("a", "b", "c", "d")
    how = [[list(Orphans)[k] for k in row] for row in rng.integers(0, 4, (4, 4))]
    schema = Schema(tuple(
        table(n, *(ints(m) for m in names), references=[refer(m, m, how[i][j]) for j, m in enumerate(names)])
        for i, n in enumerate(names)
    ))  # fmt: skip
    rows = {n: {"id": range(60)} | {m: _some(rng, 60) for m in names} for n in names}
    left, _ = settled(tmp_path, schema, rows)
    plain = _plainly(schema, rows)
    assert {n: left[n].to_pylist() for n in left} == plain


def _some(rng, rows):
    """Keys, of which about one in twenty points nowhere; half are null."""
    return [None if rng.random() < 0.5 else int(rng.integers(0, 63)) for _ in range(rows)]


def _plainly(schema, rows):
    there = {n: {i: {c: rows[n][c][i] for c in rows[n]} for i in range(60)} for n in rows}
    every = [(t.name, r.columns[0], r.table, r.orphans) for t in schema for r in t.references]

    def lost(name, column, parent):
        return [i for i, row in there[name].items() if row[column] is not None and row[column] not in there[parent]]

    gone = {n: set() for n in there}
    while True:
        dropped = [
            (name, i)
            for name, column, parent, how in every
            for i in lost(name, column, parent)
            if how is DROP or (how is REFUSE and there[name][i][column] in gone[parent])
        ]
        if not dropped:
            break
        for name, i in dropped:
            there[name].pop(i, None)
            gone[name].add(i)
    emptied = [(n, c, i) for n, c, p, how in every if how is NULL for i in lost(n, c, p)]
    for name, column, i in emptied:
        there[name][i][column] = None
    return {n: list(there[n].values()) for n in there}
