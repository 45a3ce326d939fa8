"""A unit is attacked as a whole too: its own columns, and what its children look like together."""

import numpy as np
import pyarrow as pa
import pytest
from kin import SCHEMA, drawn, family
from scenario import clinic

from twinlake.privacy.entity import children, embed, frequent_labels
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables


def embedded(tables: Tables, name: str = "parents") -> tuple[pa.Table, list[str]]:
    return embed(tables, name, frequent_labels([tables], name))


def test_a_parent_is_described_by_its_own_columns_and_by_its_children():
    tables = drawn(0, 40)
    rows, added = embedded(tables)
    assert rows.num_rows == 40
    assert [name.removeprefix("parent -> children") for name in added] == [
        ": rows", ".at: mean", ".at: min", ".at: max", ".weight: mean", ".weight: min", ".weight: max",
        ".mood: share 0", ".mood: share 1",
    ]  # fmt: skip
    data, first = tables["children"].to_pandas(), tables["parents"]["id"][0].as_py()
    own = data[data["parent"] == first]
    row = rows.slice(0, 1).to_pylist()[0]
    assert row["parent -> children: rows"] == len(own)
    assert row["parent -> children.weight: mean"] == pytest.approx(own["weight"].mean())
    assert row["parent -> children.weight: max"] == own["weight"].max()
    assert row["size"] == tables["parents"]["size"][0].as_py()
    shares = sorted(row[f"parent -> children.mood: share {i}"] for i in (0, 1))
    assert shares == sorted((own["mood"] == m).mean() for m in "xy")


def test_who_has_no_children_has_none_of_their_means():
    rows, added = embedded(family(np.array([0, 3, 0, 5])))
    assert rows["parent -> children: rows"].to_pylist() == [0, 3, 0, 5]
    for name in added[1:]:
        assert np.isnan(rows[name].to_numpy()).tolist() == [True, False, True, False]


def test_a_table_whose_children_are_all_elsewhere_is_as_wide_as_any():
    assert embed(family(np.array([0, 0])), "parents", frequent_labels([drawn(0)], "parents"))[0].num_rows == 2


def test_which_labels_are_told_of_does_not_depend_on_who_was_learnt():
    one, other = drawn(0, 60), drawn(1, 60)
    found, swapped = frequent_labels([one, other], "parents"), frequent_labels([other, one], "parents")
    assert {n: h.tolist() for n, h in found.items()} == {n: h.tolist() for n, h in swapped.items()}
    assert list(found) == ["children.mood"]


def test_made_up_columns_and_other_tables_are_left_out():
    tables = clinic(50)
    rows, added = embed(tables, "subjects", frequent_labels([tables], "subjects"))
    assert not {"name", "email"} & set(rows.column_names)
    assert all(name.startswith("id -> visits") for name in added)  # a mentor's subjects are people of their own
    assert [t.name for t, _ in children(tables.schema, "subjects")] == ["visits"]
    assert children(SCHEMA, "children") == []


def test_two_references_to_one_parent_are_described_apart():
    flights = Table(
        "flights", (Column("from", pa.int64()), Column("to", pa.int64()), Column("miles", pa.float64())),
        references=(Reference(("from",), "towns", ("id",)), Reference(("to",), "towns", ("id",))),
    )  # fmt: skip
    towns = Table("towns", (Column("id", pa.int64()),), key=("id",))
    world = Tables(
        Schema((towns, flights)),
        {"towns": pa.table({"id": [1, 2]}), "flights": pa.table({"from": [1, 1], "to": [2, 2], "miles": [5.0, 7.0]})},
    )
    rows, added = embedded(world, "towns")
    assert len(added) == len(set(added)) == 8
    assert sorted(rows[n].to_pylist() for n in added if n.endswith(": rows")) == [[0.0, 2.0], [2.0, 0.0]]
