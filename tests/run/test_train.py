"""What a model is learnt with: more careful where anyone may read, but where the pipeline file says otherwise."""

import pytest
from projects import PIPELINE, PRIVACY, job, make_project

from twinlake.generators.forest.generator import Forest
from twinlake.run.train import FOR_ANYONE, UNITS_FOR_ANYONE, generator


def forest(folder, *, privacy: str, settings: str = "{}") -> Forest:
    text = PIPELINE.replace("name: marginals", f"name: forest, settings: {settings}").replace(PRIVACY, privacy)
    made = generator(job(make_project(folder, pipeline=text))).default
    assert isinstance(made, Forest)
    return made


def test_for_the_public_leaves_and_what_is_kept_are_larger(tmp_path):
    found = forest(tmp_path, privacy="{}")
    assert (found.min_leaf, found.smoothing, found.k) == (*FOR_ANYONE["forest"].values(), UNITS_FOR_ANYONE)


@pytest.mark.parametrize("recipient", ["internal", "partner"])
def test_others_are_given_the_generators_own_defaults(tmp_path, recipient):
    found = forest(tmp_path, privacy=f"{{recipient: {recipient}}}")
    assert (found.min_leaf, found.smoothing, found.k) == (Forest().min_leaf, Forest().smoothing, 10)


def test_what_the_file_says_counts(tmp_path):
    found = forest(tmp_path, privacy="{min_units: 12}", settings="{min_leaf: 33}")
    assert (found.min_leaf, found.smoothing, found.k) == (33, FOR_ANYONE["forest"]["smoothing"], 12)
