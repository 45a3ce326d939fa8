"""Databases as they are measured: without orphans, and cut into halves that share nobody."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.databases import DATABASES, Database, halves
from bench.ledger import orphans
from twinlake.schema import Kind

TREE = Database("tree", "tree", "roots", text={"leaves": ("note",)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Roots, leaves that may point to a lost root, veins whose key is their leaf's: some of them lost."""
    roots = pa.table({"id": list(range(40)), "size": [1.5] * 40})
    leaves = pa.table({"leaf": list(range(100)), "root": [i % 50 for i in range(100)], "note": ["n"] * 100})
    veins = pa.table({"leaf": [*range(0, 100, 2), 777], "wide": [1] * 51})
    (tmp_path / "tree").mkdir()
    for name, rows in (("roots", roots), ("leaves", leaves), ("veins", veins)):
        pq.write_table(rows, tmp_path / "tree" / f"{name}.parquet")
    keys = {"roots": ["id"], "leaves": ["leaf"], "veins": ["leaf"]}
    told = {
        "tables": {n: {"primary_key": k} for n, k in keys.items()},
        "foreign_keys": [
            {"table": "leaves", "columns": ["root"], "ref_table": "roots", "ref_columns": ["id"]},
            {"table": "veins", "columns": ["leaf"], "ref_table": "leaves", "ref_columns": ["leaf"]},
        ],
    }
    (tmp_path / "tree" / "keys.json").write_text(json.dumps(told), encoding="utf-8")
    return tmp_path


def test_what_points_nowhere_is_null_or_left_out(folder: Path) -> None:
    tables = TREE.read(folder)
    assert tables.rows("leaves") == 100
    assert tables["leaves"]["root"].null_count == 20
    assert tables.rows("veins") == 50  # its key can't be null
    assert all(orphans(tables, t, r) == 0 for t in tables.schema for r in t.references)


def test_halves_share_nobody_and_keep_families_together(folder: Path) -> None:
    tables = TREE.read(folder)
    learnt, held = halves(tables, "roots", seed=0)
    for name in tables:
        assert learnt.rows(name) + held.rows(name) == tables.rows(name)
    assert not set(learnt["roots"]["id"].to_pylist()) & set(held["roots"]["id"].to_pylist())
    assert all(orphans(side, t, r) == 0 for side in (learnt, held) for t in side.schema for r in t.references)
    assert halves(tables, "roots", seed=0)[0]["roots"] == learnt["roots"]
    assert halves(tables, "roots", seed=1)[0]["roots"] != learnt["roots"]


def test_fewer_rows_are_whole_families(folder: Path) -> None:
    some = TREE.read(folder, rows=50)
    assert 10 < some.rows("leaves") < 90
    assert all(orphans(some, t, r) == 0 for t in some.schema for r in t.references)


def test_choices_are_taken_over(folder: Path) -> None:
    chosen = Database(
        "tree", "tree", "roots", only=("roots", "leaves"), columns={"leaves": ("root", "leaf", "note")},
        left_out={"roots": ("size",)}, text={"leaves": ("note",)}, keys={"leaves": ()}, order_by={"leaves": "leaf"},
        rows={"leaves": 60},
    ).read(folder)  # fmt: skip
    leaves = chosen.schema["leaves"]
    assert chosen.schema.names == ("roots", "leaves")
    assert (leaves.names, leaves.key, leaves.order_by) == (("root", "leaf", "note"), (), "leaf")
    assert leaves["note"].kind is Kind.TEXT
    assert chosen.schema["roots"].names == ("id",)
    assert chosen.rows("leaves") == 60


def test_data_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--folder"):
        DATABASES["nafld"].read(tmp_path)
