"""What is unique is so across shards, and rules hold over references that are filled last."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators.rules import repeats
from twinlake.generators.wholes import hold_late, part_unique, relinked
from twinlake.random import stream
from twinlake.rules import Lookup, make_rule, parent_columns, reading
from twinlake.schema import Column, Origin, Reference, Schema, Table
from twinlake.tables import TableWriter, read_table

STAFF = Table(
    "staff",
    (
        Column("id", pa.int64(), nullable=False),
        Column("born", pa.int32()),
        Column("seat", pa.int32(), nullable=False),
        Column("code", pa.string()),
        Column("chief", pa.int64()),
    ),
    key=("id",),
    references=(Reference(("chief",), "staff", ("id",)),),
)
N = 3000


def ruled(*asked: str, unique: tuple[tuple[str, ...], ...] = ()) -> Table:
    parents = parent_columns(Schema((STAFF,)), STAFF)
    rules = tuple(make_rule(sql, STAFF, parents, origin=Origin.FILE) for sql in asked)
    return replace(STAFF, rules=rules, unique=unique)


def written(folder: Path, table: Table, *, shards: int = 3) -> pa.Table:
    """Staff whose chiefs stand before them, and whose ages, seats and codes know nothing of it."""
    rng = stream(1, "staff")
    chiefs = np.array([rng.integers(0, i) if i else 0 for i in range(N)])
    rows = pa.table(
        {
            "id": np.arange(N), "born": rng.integers(1950, 2000, N), "seat": rng.integers(0, 2500, N),
            "code": [f"s{x:05d}" for x in rng.integers(0, 9000, N)], "chief": pa.array(chiefs, mask=np.arange(N) < 9),
        }
    ).cast(table.arrow)  # fmt: skip
    for shard in range(shards):
        with TableWriter(folder, table, part=shard) as writer:
            writer.write(rows.slice(shard * N // shards, N // shards))
    return rows


@pytest.mark.parametrize("unique", [("seat",), ("code",), ("seat", "born")])
def test_what_is_unique_differs_between_shards(tmp_path: Path, unique: tuple[str, ...]):
    table = ruled("seat >= 0", unique=(unique,))
    before = written(tmp_path, table)
    assert repeats(before, table).any()
    assert part_unique(tmp_path, table, stream(2, "x")) == 0
    after = read_table(tmp_path, table)
    assert not repeats(after, table).any()
    assert after.num_rows == N
    assert min(after["seat"].to_pylist()) >= 0
    same = [c for c in table.names if c not in unique]
    assert after.select(same) == before.select(same)


def test_one_shard_is_left_as_it_is(tmp_path: Path):
    table = ruled(unique=(("seat",),))
    before = written(tmp_path, table, shards=1)
    assert part_unique(tmp_path, table, stream(2, "x")) == 0
    assert read_table(tmp_path, table) == before


def test_what_a_rule_over_a_parent_looks_at_stays_and_repeats_are_left_out(tmp_path: Path):
    table = ruled("chief.seat >= 0 AND seat >= 0", unique=(("seat",),))
    before = written(tmp_path, table)
    left_out = part_unique(tmp_path, table, stream(2, "x"))
    assert left_out == repeats(before, table).sum() > 0
    assert read_table(tmp_path, table).num_rows == N - left_out


def test_a_rule_over_a_reference_that_is_filled_last_holds_and_trees_stay_trees(tmp_path: Path):
    table = ruled("chief.born <= born")
    before = written(tmp_path, table)
    changed = hold_late(tmp_path, Schema((table,)), table, table.references[0], stream(3, "x"))
    after = read_table(tmp_path, table)
    found = Lookup.of(table.references[0], after, ["born"]).beside(after)
    assert not reading(table.rules[0], table).broken(after, {"chief": found}).any()
    assert N / 4 < changed < N
    assert after["chief"].null_count < before["chief"].null_count + N / 10  # most found another chief
    chief = np.array(after["chief"].fill_null(-1))
    at = np.arange(N)
    for _ in range(N):
        at = np.where(at >= 0, chief[at], -1)
    assert (at < 0).all()


def test_a_table_without_rules_over_the_reference_is_left_as_it_is(tmp_path: Path):
    table = ruled("seat >= 0")
    written(tmp_path, table)
    assert hold_late(tmp_path, Schema((table,)), table, table.references[0], stream(3, "x")) == 0


def test_rows_that_may_point_to_nobody_point_nowhere():
    targets = np.array([-1, 0, 1, 2])
    none = relinked(targets, lambda places, to: np.zeros(len(places), np.bool_), stream(4, "x"), tries=5, is_own=True)
    assert none.tolist() == [-1, -1, -1, -1]
