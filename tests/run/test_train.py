"""What a model is learnt with: more careful where anyone may read, but where the pipeline file says otherwise."""

import pytest
from projects import PIPELINE, PRIVACY, job, make_project

from twinlake.generators.forest.generator import Forest, Preset
from twinlake.run.extract import extract, open_extract
from twinlake.run.record import Record
from twinlake.run.train import FOR_ANYONE, UNITS_FOR_ANYONE, generator, model_settings


def forest(folder, *, privacy: str, settings: str = "{}") -> Forest:
    text = PIPELINE.replace("name: marginals", f"name: forest, settings: {settings}").replace(PRIVACY, privacy)
    made = generator(job(make_project(folder, pipeline=text))).default
    assert isinstance(made, Forest)
    return made


def test_for_the_public_leaves_and_what_is_kept_are_larger(tmp_path):
    found = forest(tmp_path, privacy="{}")
    assert (found.min_leaf, found.smoothing, found.k) == (*FOR_ANYONE["forest"].values(), UNITS_FOR_ANYONE)


def test_for_the_public_a_discriminator_judges_where_a_table_stands_alone(tmp_path):
    several = forest(tmp_path / "several", privacy="{}")
    one = "source: duckdb:///clinic.duckdb\ntables: {wards: {}}\ngenerator: {name: forest}\n"
    alone = generator(job(make_project(tmp_path / "one", pipeline=one))).default
    assert isinstance(alone, Forest)
    assert (several.preset, alone.preset, alone.rounds) == (Preset.FAST, Preset.QUALITY, 1)
    assert (alone.min_leaf, alone.k) == (several.min_leaf, several.k)


@pytest.mark.parametrize("recipient", ["internal", "partner"])
def test_others_are_given_the_generators_own_defaults(tmp_path, recipient):
    found = forest(tmp_path, privacy=f"{{recipient: {recipient}}}")
    assert (found.min_leaf, found.smoothing, found.k) == (Forest().min_leaf, Forest().smoothing, 10)


def test_what_the_file_says_counts(tmp_path):
    found = forest(tmp_path, privacy="{min_units: 12}", settings="{min_leaf: 33}")
    assert (found.min_leaf, found.smoothing, found.k) == (33, FOR_ANYONE["forest"]["smoothing"], 12)


def test_a_model_is_known_by_all_settings_it_is_learnt_with(tmp_path, monkeypatch):
    text = PIPELINE.replace("name: marginals", "name: forest").replace(PRIVACY, "{}")
    there = job(make_project(tmp_path, pipeline=text))
    learnt = open_extract(there, extract(there, Record("p", "2026-11-22")).need("extract"))
    before = model_settings(there, learnt)
    monkeypatch.setitem(FOR_ANYONE, "forest", {"min_leaf": 81})
    assert model_settings(there, learnt) != before
