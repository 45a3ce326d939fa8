"""Generators by name: right words, helpful sentences, no needless imports."""

import json
import subprocess
import sys

import numpy as np
import pytest

from twinlake.errors import GeneratorError, ModelError
from twinlake.generators.protocols import TableGenerator
from twinlake.generators.registry import licence, names, read_table_model, table_generator
from twinlake.generators.saved import VERSION


def test_every_name_gives_a_generator_with_that_name_and_licence():
    assert names() == ("forest", "marginals", "gaussian_copula", "ctgan", "tvae")
    for name in names():
        generator = table_generator(name)
        assert isinstance(generator, TableGenerator)
        assert (generator.name, generator.licence) == (name, licence(name))


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("forrest", {}, 'there is no generator forrest; there are forest, marginals.* [dD]id you mean "forest"?'),
        ("forest", {"tree": 3}, 'no setting tree; its settings are preset, rounds, trees.*id you mean "trees"?'),
        ("forest", {"trees": "many"}, "setting trees of generator forest is out of range; it is a whole number"),
        ("forest", {"trees": 2.5}, "it is a whole number"),
        ("forest", {"share": 2}, "setting share of generator forest is out of range; 0.01 to 1 is allowed"),
        ("marginals", {"epochs": 3}, "generator marginals has no setting epochs; it has no settings"),
        ("ctgan", {"epochs": 0}, "setting epochs of generator ctgan is out of range.* of at least 1"),
        ("gaussian_copula", {"distribution": "normal"}, "setting distribution .* unknown; there are norm"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_answered_with_the_right_ones(name, settings, sentence):
    with pytest.raises(GeneratorError, match=sentence):
        table_generator(name, **settings)


def test_an_unknown_name_has_no_licence():
    with pytest.raises(GeneratorError, match="there is no generator nothing"):
        licence("nothing")


@pytest.mark.parametrize("head", ["", "[]", "{}", json.dumps({"version": 1, "generator": "forest"}),
                                  json.dumps({"version": 1, "generator": "other"})])  # fmt: skip
def test_a_damaged_model_is_refused(tmp_path, head):
    (tmp_path / "model.json").write_text(head)
    with pytest.raises(ModelError):
        read_table_model(tmp_path)


def test_a_model_with_objects_in_its_arrays_is_refused(tmp_path):
    head = {"version": VERSION, "generator": "marginals", "table": {}, "alphabets": []}
    (tmp_path / "model.json").write_text(json.dumps(head))
    np.savez(tmp_path / "arrays.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelError, match=r"arrays\.npz can't be read"):
        read_table_model(tmp_path)


def test_the_registry_imports_no_heavy_library():
    code = (
        "import sys; from twinlake.generators.registry import names, table_generator\n"
        "names(); table_generator('forest'); table_generator('ctgan')\n"
        "print([m for m in ('sdv', 'torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_its_extra_an_sdv_generator_says_how_to_get_it():
    code = (
        "import sys; sys.modules['sdv'] = None\n"
        "from twinlake.errors import GeneratorError\n"
        "from twinlake.generators.registry import table_generator\n"
        "try: table_generator('ctgan')\n"
        "except GeneratorError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "generator ctgan needs the extra `sdv`" in said
    assert "pip install 'twinlake[sdv]'" in said
