"""The relational bench from data to page: measured, kept, told; the peer on what it accepts."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import relational
from bench.databases import DATABASES, Database, halves
from bench.ledger import Told
from bench.relational import kept, measure, twinned_by_hma
from bench.scorecard import HMA, OURS, Outcome, page, progress
from twinlake.random import stream

SHOP = Database("shop", "shop", "buyers", told_apart=False)
REFERENCE = "sales: buyer -> buyers(id)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home, rng = tmp_path_factory.mktemp("data"), stream(0, "shop")
    buyer = np.repeat(np.arange(120), rng.integers(0, 5, 120))
    (home / "shop").mkdir()
    pq.write_table(pa.table({"id": np.arange(120), "age": rng.integers(20, 60, 120)}), home / "shop/buyers.parquet")
    sales = {"sale": np.arange(len(buyer)), "buyer": buyer, "price": rng.normal(size=len(buyer)).round(2)}
    pq.write_table(pa.table(sales), home / "shop/sales.parquet")
    told = {
        "tables": {"buyers": {"primary_key": ["id"]}, "sales": {"primary_key": ["sale"]}},
        "foreign_keys": [{"table": "sales", "columns": ["buyer"], "ref_table": "buyers", "ref_columns": ["id"]}],
    }
    (home / "shop/keys.json").write_text(json.dumps(told), encoding="utf-8")
    return home


def told(auc: float = 0.6, tvd: float = 0.02) -> dict[str, Told]:
    return {
        "repeated sales": Told(0, 0), f"orphans {REFERENCE}": Told(0, 0), f"children {REFERENCE}": Told(tvd, 0.01),
        "joined sales": Told(auc, 0.5), "parents buyers": Told(auc, 0.5), "fit_wall": Told(2.0), "fit_cpu": Told(3.0),
        "rows_per_second": Told(4e5), "model_mb": Told(1.5),
    }  # fmt: skip


def test_a_database_is_learnt_drawn_and_judged_and_found_again(folder: Path, tmp_path: Path) -> None:
    first = kept(SHOP, OURS, 0, {}, folder=folder, home=tmp_path, rows=None, fresh=False)
    assert not first.failed
    assert first.told[f"orphans {REFERENCE}"] == Told(0, 0)
    assert 0 <= first.told[f"children {REFERENCE}"].value < 1
    assert first.told["fit_wall"].value > 0
    assert first.told["rows_per_second"].value > 0
    again = kept(SHOP, OURS, 0, {}, folder=folder, home=tmp_path, rows=None, fresh=False)
    assert again.cached
    assert {n: t.value for n, t in again.told.items()} == {n: t.value for n, t in first.told.items()}


def test_what_can_not_be_learnt_has_a_reason_on_the_page(folder: Path, tmp_path: Path) -> None:
    failed = kept(SHOP, OURS, 0, {"preset": "slow"}, folder=folder, home=tmp_path, rows=None, fresh=False)
    assert "preset" in failed.failed
    assert f"{OURS} could not run: {failed.failed}" in page({"shop": {OURS: [failed]}}, rows=None, settings={})
    assert "could not run" in progress("shop", OURS, 0, failed)


@pytest.mark.slow
def test_the_peer_learns_the_same_half(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("sdv", reason="the extra sdv is not installed")
    learnt, _ = halves(SHOP.read(folder), "buyers", seed=0)
    twin, cost = twinned_by_hma(learnt, tmp_path, seed=0)
    assert twin.schema == learnt.schema
    assert twin.rows("buyers") == learnt.rows("buyers")
    assert cost["rows_per_second"] > 0
    assert measure(SHOP, generator=HMA, folder=folder)[f"orphans {REFERENCE}"].value == 0


def test_every_measure_stands_beside_its_floor() -> None:
    shown = page({"nafld": {OURS: [Outcome(told(0.6)), Outcome(told(0.62))]}}, rows=None, settings={})
    assert f"| `{REFERENCE}` | 0 | 0.020 ± 0.000 | 0.010 ± 0.000 |" in shown
    assert "| `sales` | 0.610 ± 0.127 (0.500 ± 0.000) | – | – |" in shown
    assert "| `buyers` | – | 0.610 ± 0.127 (0.500 ± 0.000) | – |" in shown
    assert "trial" not in shown
    assert "trial" in page({}, rows=100, settings={"preset": "fast"})


def test_one_orphan_in_one_seed_is_shown() -> None:
    bad = told() | {f"orphans {REFERENCE}": Told(1, 0), "repeated sales": Told(2, 0)}
    shown = page({"nafld": {OURS: [Outcome(told()), Outcome(bad)]}}, rows=None, settings={})
    assert f"| `{REFERENCE}` | 1 |" in shown
    assert "Repeated keys in 1 tables with a key: 2." in shown


def test_the_peer_stands_beside_with_ratios() -> None:
    theirs = Outcome(told(0.9, 0.2) | {"rows_per_second": Told(400.0)})
    shown = page({"subjects+events": {OURS: [Outcome(told())], HMA: [theirs]}}, rows=None, settings={})
    assert "| AUC with all parents `sales` | 0.600 | 0.900 | 0.500 | 4.0 × |" in shown
    assert f"| children per parent, TVD `{REFERENCE}` | 0.020 | 0.200 | 0.010 | 10.0 × |" in shown
    assert f"| orphans `{REFERENCE}` | 0 | 0 | 0 | both perfect |" in shown
    assert "| rows/s as Parquet | 400,000 | 400 |  | 1,000 × |" in shown


def test_the_command_writes_the_page(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(DATABASES, "shop", SHOP)
    out = tmp_path / "page.md"
    options = ["--data", "shop", "--seeds", "1", "--home", str(tmp_path), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["relational.py", *options, "--folder", str(folder)])
    assert relational.main() == 0
    assert "## shop" in out.read_text(encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["relational.py", *options, "--folder", str(tmp_path)])
    assert relational.main() == 2
    assert "--folder" in capsys.readouterr().err
