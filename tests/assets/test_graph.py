"""The graph of a pipeline file, before anything has run."""

import dagster as dg
import pytest
from projects import PIPELINE, make_project

from assets import keys
from pipelines.definitions import build
from twinlake.run.attacks import GATES as ATTACKS
from twinlake.storage.layout import Layout

WARNS = "gates: {fidelity: {column_shape: {limit: 0.8, severity: warning}}}\n"


def written(root, text: str, name: str = "clinic") -> Layout:
    """A project of pipeline files alone: loading asks for nothing else."""
    (root / "pipelines").mkdir(parents=True, exist_ok=True)
    layout = Layout(root)
    layout.pipeline_file(name).write_text(text, encoding="utf-8")
    return layout


def graph(layout: Layout):
    return build(layout.root).get_repository_def().asset_graph


def checks(layout: Layout) -> dict[tuple[str, str], dg.AssetCheckSpec]:
    found = graph(layout)
    specs = [found.get_check_spec(k) for k in found.asset_check_keys]
    return {(s.asset_key.to_user_string(), s.name): s for s in specs}


@pytest.fixture
def clinic(tmp_path) -> Layout:
    return written(tmp_path, PIPELINE)


def test_there_is_an_asset_per_table_and_stage(clinic):
    assert {k.to_user_string() for k in graph(clinic).get_all_asset_keys()} == {
        "clinic/real_wards", "clinic/real_subjects", "clinic/real_visits", "clinic/model",
        "clinic/synthetic_wards", "clinic/synthetic_subjects", "clinic/synthetic_visits", "clinic/release",
    }  # fmt: skip


def test_stages_follow_one_another(clinic):
    found = graph(clinic)
    real = {keys.real("clinic", t) for t in ("wards", "subjects", "visits")}
    drawn = {keys.synthetic("clinic", t) for t in ("wards", "subjects", "visits")}
    assert found.get(keys.model("clinic")).parent_keys == real
    assert all(found.get(key).parent_keys == {keys.model("clinic")} for key in drawn)
    assert found.get(keys.release("clinic")).parent_keys == drawn


def test_the_group_owners_and_kinds_come_from_the_file(tmp_path):
    found = graph(written(tmp_path, PIPELINE + 'owners: ["team:care"]\n'))
    nodes = [found.get(k) for k in found.get_all_asset_keys()]
    assert {n.group_name for n in nodes} == {"clinic"}
    assert {tuple(n.owners) for n in nodes} == {("team:care",)}
    assert found.get(keys.real("clinic", "wards")).kinds == {"duckdb"}
    assert all(n.description for n in nodes)


def test_every_gate_is_a_check_and_lookup_lists_are_not_measured(clinic):
    found = checks(clinic)
    subjects = {gate for asset, gate in found if asset == "clinic/synthetic_subjects"}
    assert subjects == {
        "structure", "rules", "expectations", "expectations_warning", "column_shape", "pair_trend", "cardinality",
        "parent_trend", "replay", *ATTACKS, "over_time",
    }  # fmt: skip
    assert {gate for asset, gate in found if asset == "clinic/synthetic_visits"} == {*subjects, "sibling_trend"}
    assert {gate for asset, gate in found if asset == "clinic/synthetic_wards"} == {
        "structure", "rules", "expectations", "expectations_warning",
    }  # fmt: skip
    assert {gate for asset, gate in found if asset == "clinic/real_visits"} == {
        "real_expectations", "real_expectations_warning",
    }  # fmt: skip


def test_files_have_the_gate_of_rules_only_where_the_pipeline_file_says_some(tmp_path):
    tables = "tables: {plain: , ruled: {rules: ['a > 1']}, parted: {unique: [a]}}\n"
    found = checks(written(tmp_path, "source: files:x\n" + tables, "p"))
    assert {asset for asset, gate in found if gate == "rules"} == {"p/synthetic_ruled", "p/synthetic_parted"}


def test_what_is_critical_blocks_and_what_warns_does_not(tmp_path):
    found = checks(written(tmp_path, "source: duckdb:///x.duckdb\ntables: {people: }\n" + WARNS, "p"))
    blocking = {name: spec.blocking for (asset, name), spec in found.items() if asset == "p/synthetic_people"}
    assert blocking == {
        "structure": True, "rules": True, "expectations": True, "expectations_warning": False, "column_shape": False,
        "pair_trend": True, "cardinality": False, "parent_trend": False, "replay": True,
        **dict.fromkeys(ATTACKS, True), "over_time": True, "shadow": True,
    }  # fmt: skip


def test_a_table_that_can_refer_to_nothing_has_no_checks_of_references(tmp_path):
    files = "source: files:rows\ntables: {people: , jobs: {references: [person -> people]}}\n"
    found = checks(written(tmp_path, files, "p"))
    related = {"cardinality", "parent_trend"}
    assert not related & {gate for asset, gate in found if asset == "p/synthetic_people"}
    assert related <= {gate for asset, gate in found if asset == "p/synthetic_jobs"}


def test_odd_table_names_make_a_graph(tmp_path):
    tables = 'tables: {"order items": , "order-items": , "say \\"x\\" ü/": , select: , class: }\n'
    found = graph(written(tmp_path, "source: duckdb:///x.duckdb\n" + tables, "odd name"))
    real = [k for k in found.get_all_asset_keys() if k.path[1].startswith("real_")]
    assert len(real) == 5
    assert {found.get(k).metadata["table"] for k in real} == {
        "order items", "order-items", 'say "x" ü/', "select", "class",
    }  # fmt: skip


def test_no_value_passes_between_assets(clinic):
    for assets in build(clinic.root).get_repository_def().assets_defs_by_key.values():
        assert all(output.dagster_type.is_nothing for output in assets.op.output_defs)
        assert all(given.dagster_type.is_nothing for given in assets.op.input_defs)


def test_a_project_needs_nothing_but_its_files_to_show_its_graph(tmp_path):
    assert graph(make_project(tmp_path / "project")).get_all_asset_keys()
