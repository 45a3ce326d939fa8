"""The code location: what it declares, what it leaves out, and how little loading it takes."""

import json
import subprocess
import sys
from pathlib import Path

from projects import PIPELINE

from pipelines.definitions import ROOT, build, defs

HEAVY = {"sdv", "great_expectations", "torch", "sklearn", "matplotlib", "dvc", "scipy", "mimesis"}


def project(root: Path, **pipelines: str) -> Path:
    (root / "pipelines").mkdir()
    for name, text in pipelines.items():
        (root / f"pipelines/{name}.yaml").write_text(text, encoding="utf-8")
    return root


def jobs(root: Path) -> set[str]:
    return {job.name for job in build(root).jobs or ()}


def test_the_checkout_declares_the_demo():
    assert "adult" in {job.name for job in defs().jobs or ()}
    assert defs().get_repository_def().has_job("adult")


def test_importing_builds_nothing_and_loading_imports_nothing_heavy():
    code = "import sys, json, pipelines.definitions as d; print(type(d.defs).__name__); d.defs().get_repository_def()"
    told = subprocess.run(
        [sys.executable, "-c", f"{code}; print(json.dumps(sorted(sys.modules)))"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert told[0] == "LazyDefinitions"
    assert not HEAVY & set(json.loads(told[-1]))


def test_a_broken_pipeline_is_left_out_with_a_sentence_and_the_others_stay(tmp_path, caplog):
    root = project(
        tmp_path, good=PIPELINE, typo=PIPELINE + "hold_out: 0.3\n", never=PIPELINE.replace("0 3 * * *", "0 0 31 2 *")
    )
    assert jobs(root) == {"good"}
    said = caplog.text
    assert 'pipelines/typo.yaml is left out: typo.yaml:15: unknown key "hold_out"' in said
    assert "pipelines/never.yaml is left out" in said


def test_a_secret_that_is_not_set_takes_no_pipeline_off_the_graph(tmp_path, monkeypatch):
    monkeypatch.delenv("CLINIC_PASSWORD", raising=False)
    source = "postgresql://reader:${CLINIC_PASSWORD}@nowhere.invalid/clinic"
    assert jobs(project(tmp_path, clinic=PIPELINE.replace("duckdb:///clinic.duckdb", source))) == {"clinic"}


def test_no_secret_is_told_to_dagster(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINIC_PASSWORD", "hunter2-canary")
    source = "postgresql://reader:${CLINIC_PASSWORD}@nowhere.invalid/clinic"
    made = build(project(tmp_path, clinic=PIPELINE.replace("duckdb:///clinic.duckdb", source)))
    assets = made.get_repository_def().asset_graph
    shown = [(n.metadata, n.tags, n.description, n.kinds) for n in map(assets.get, assets.get_all_asset_keys())]
    assert "hunter2" not in repr(shown)


def test_a_project_without_pipelines_loads(tmp_path):
    assert jobs(project(tmp_path)) == set()


def test_dagster_finds_the_location_from_any_folder(tmp_path):
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "Validation successful for code location twinlake" in told.stdout + told.stderr
