"""Each floor imports only from floors below it; heavy libraries stay in their adapter files."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "src" / "twinlake"

SIBLINGS = ["sources", "generators", "fidelity", "privacy", "expectations", "storage", "report"]
LEAVES = [
    "project",
    "census",
    "units",
    "rules",
    "tables",
    "columns",
    "joining",
    "sql",
    "hashing",
    "schema",
    "spelling",
    "types",
    "card",
    "verdict",
    "random",
    "progress",
    "errors",
    "version",
]
ADAPTERS = {
    "sdv": {"generators/_sdv.py"},
    "torch": {"generators/_sdv.py"},
    "great_expectations": {"expectations/_gx.py"},
    "dvc": set(),
    "dagster": set(),
}


def below(floor: str) -> set[str]:
    """The floors that a floor may import from."""
    if floor in ("cli", "__init__"):
        return {"run", *SIBLINGS, *LEAVES}
    if floor == "run":
        return {*SIBLINGS, *LEAVES}
    if floor in SIBLINGS:
        return set(LEAVES)
    return set(LEAVES[LEAVES.index(floor) + 1 :])


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def floor_of(file: Path) -> str:
    return file.relative_to(LIBRARY).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", sorted(LIBRARY.rglob("*.py")), ids=lambda f: str(f.relative_to(LIBRARY)))
def test_imports_only_point_down(file: Path):
    floor = floor_of(file)
    for name in imports(file):
        parts = name.split(".")
        if parts[0] == "twinlake" and len(parts) > 1 and parts[1] != floor:
            assert parts[1] in below(floor), f"{file.name} imports {name}"


@pytest.mark.parametrize("library", ADAPTERS)
def test_heavy_libraries_are_imported_in_their_adapter_only(library: str):
    users = {
        str(f.relative_to(LIBRARY))
        for f in LIBRARY.rglob("*.py")
        if any(i.split(".")[0] == library for i in imports(f))
    }
    assert users <= ADAPTERS[library]


def test_assets_do_not_import_pipelines():
    for file in (ROOT / "assets").glob("*.py"):
        assert not any(i.split(".")[0] == "pipelines" for i in imports(file)), file


def test_the_command_line_is_quick_to_load():
    heavy = ["sdv", "great_expectations", "torch", "sklearn", "matplotlib", "scipy", "dvc", "pandas", "dagster"]
    code = f"import sys, twinlake, twinlake.cli; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
