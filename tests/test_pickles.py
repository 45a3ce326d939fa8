"""No line of ours can run what a file holds: no pickle is written or read anywhere (CWE-502)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(f for home in ("src", "assets", "pipelines") for f in (ROOT / home).rglob("*.py"))
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "skops", "jsonpickle"}
CALLS = {
    "torch.load", "torch.save", "pandas.read_pickle", "pd.read_pickle", "pd.to_pickle", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "eval", "exec", "compile", "numba.jit", "pa.deserialize",
}  # fmt: skip
METHODS = {"to_pickle", "read_pickle", "load_synthesizer"}
OBJECTS = {"np.load", "np.save", "np.lib.format.write_array", "np.lib.format.read_array", "np.savez", "numpy.load"}
EXCEPTIONS = {
    ("_sdv.py", "joblib"),  # to keep SDV's own use of it in one process
    ("versions.py", "yaml.load"),  # ruamel's round-trip loader, which makes no objects
}


def findings(file: Path) -> Iterator[str]:
    """What in a file writes or reads something that runs when it is read."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.split(".")[0] in MODULES]
            yield from (n for n in names if (file.name, n) not in EXCEPTIONS)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in MODULES:
            yield node.module
        elif isinstance(node, ast.Call):
            yield from _of_call(file, node)


def _of_call(file: Path, call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    told = {k.arg: ast.unparse(k.value) for k in call.keywords}
    if name in ("import_module", "importlib.import_module", "__import__") and call.args:
        imported = ast.unparse(call.args[0]).strip("'\"").split(".")[0]
        if imported in MODULES:
            yield imported
    if (name in CALLS or name.split(".")[-1] in METHODS) and (file.name, name) not in EXCEPTIONS:
        yield name
    if told.get("allow_pickle", "False") != "False":
        yield f"{name}(allow_pickle=...)"
    if name in OBJECTS and "allow_pickle" not in told:
        yield f"{name} without allow_pickle=False"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_no_file_of_ours_writes_or_reads_a_pickle(file):
    assert list(findings(file)) == []


def test_all_of_the_code_was_looked_at():
    assert {"apart.py", "saved.py", "real.py", "definitions.py"} <= {f.name for f in FILES}
    assert len(FILES) > 100


@pytest.mark.parametrize("code", [
    "import pickle", "import cloudpickle as c", "from joblib import load", "import dill.source",
    "from pickle import loads", "importlib.import_module('pickle')", "__import__('dill')", "torch.load('m')",
    "pd.read_pickle('x')",
    "frame.to_pickle('x')", "np.load('x', allow_pickle=True)", "np.load('x', allow_pickle=flag)", "np.load('x')",
    "np.save('x', a)", "yaml.load(text)", "CTGANSynthesizer.load_synthesizer('x')", "eval(text)", "import shelve",
])  # fmt: skip
def test_a_planted_one_is_found(tmp_path, code):
    file = tmp_path / "planted.py"
    file.write_text(f"def f():\n    {code}\n")
    assert len(list(findings(file))) == 1
