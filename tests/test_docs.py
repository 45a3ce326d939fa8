import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from pages import ROOT, Shell, blocks, commands, follow
from postgres import PASSWORD, binaries

from twinlake.cli.commands import main
from twinlake.project import json_schema, read_pipeline
from twinlake.storage.layout import Layout
from twinlake.storage.secret import vault_secret

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HOW_TOS = sorted((ROOT / "docs" / "how-to").glob("*.md"))
REFERENCE = ROOT / "docs" / "reference"
COMMITTED = ["assets", "pipelines", "expectations", "docs", "examples", ".dvc", "dvc.yaml", ".gitignore"]

pytestmark = pytest.mark.xdist_group("docs")  # the pages go on from the tutorial: one process for all


def today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


@pytest.fixture(scope="module")
def words(postgres) -> dict[str, str]:
    """What differs between a reader's machine and this one."""
    return {"localhost:5432": f"127.0.0.1:{postgres.port}", "2026-11-22": today()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, postgres) -> Iterator[Shell]:
    """A shell in a fresh checkout, whose vault has a known secret, so that the same twin is drawn each time."""
    root = tmp_path_factory.mktemp("docs") / "twinlake"
    root.mkdir()
    for name in COMMITTED:
        made_here = shutil.ignore_patterns("__pycache__", "cache", "tmp", "config.local")
        whole = (ROOT / name).is_dir()
        shutil.copytree(ROOT / name, root / name, ignore=made_here) if whole else shutil.copy(ROOT / name, root)
    vault_secret(Layout(root))
    bin_ = binaries()
    path = [str(Path(sys.executable).parent), *([str(bin_)] if bin_ else []), os.environ["PATH"]]
    shell = Shell(root)
    shell.environment |= {
        "PATH": os.pathsep.join(path),
        "PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGUSER": "twin", "PGPASSWORD": PASSWORD,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "reader", "GIT_AUTHOR_EMAIL": "reader@example.org",
        "GIT_COMMITTER_NAME": "reader", "GIT_COMMITTER_EMAIL": "reader@example.org",
    }  # fmt: skip
    shell.run("git init -q . && git add . && git commit -qm start")
    assert shell.status == 0
    yield shell
    postgres.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")


@pytest.fixture(scope="module")
def followed(checkout, words) -> Shell:
    """The checkout after somebody followed the tutorial to its end."""
    follow(ROOT / "docs" / "tutorial.md", checkout, words)
    return checkout


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(followed):
    assert (followed.folder / "data" / "lake" / "shop" / f"{today()}.2" / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("page", [*HOW_TOS, REFERENCE / "cli.md", REFERENCE / "python.md"], ids=lambda p: p.stem)
def test_each_page_does_what_it_says_after_the_tutorial(page, followed, words, tmp_path):
    folder = tmp_path / "twinlake"
    shutil.copytree(followed.folder, folder, symlinks=True)
    follow(page, Shell(folder, dict(followed.environment)), words)


def test_the_graph_has_the_job_and_the_schedule_that_the_tutorial_names(followed):
    from pipelines.definitions import build

    schedules = {s.name: s.job_name for s in build(followed.folder).get_repository_def().schedule_defs}
    assert schedules["shop_schedule"] == "shop"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_yaml_block_is_read_as_a_pipeline_file(page, tmp_path):
    for block in (b for b in blocks(page, {}) if b.language == "yaml"):
        text = block.text
        text += "" if re.search("^source:", text, re.MULTILINE) else "source: duckdb:///shop.duckdb\n"
        text += "" if re.search("^tables:", text, re.MULTILINE) else "tables: {customers: {}, orders: {}, visits: {}}\n"
        (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
        read_pipeline(tmp_path / "shop.yaml", environment=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_decision_is_listed():
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    there = {p.name for p in (ROOT / "docs" / "decisions").glob("*.md")} - {"README.md"}
    assert there == set(re.findall(r"\]\(([\w-]+\.md)\)", index))


def test_the_readmes_python_runs(tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for block in (b for b in blocks(ROOT / "README.md", {}) if b.language == "python"):
        done = subprocess.run([sys.executable, "-c", block.text], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_readme_and_the_demo_offer_the_same_sql_and_it_runs():
    told = {
        said.command.removeprefix("twinlake sql ").strip('"').replace('\\"', '"')
        for block in blocks(ROOT / "README.md", {}) if block.language == "console"
        for said in commands(block.text) if said.command.startswith("twinlake sql ")
    }  # fmt: skip
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\\", "\x00").replace("\\", "")
    offered = {q.replace("\x00", "") for q in re.findall(r'twinlake sql "(.*)""$', makefile, re.MULTILINE)}
    assert told == offered
    assert len(told) == 3
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA adult")
        con.execute(f"CREATE VIEW adult.people AS FROM '{ROOT}/examples/adult/people.parquet'")
        assert all(con.sql(query).fetchall() for query in told)


def test_the_reference_tells_every_key_of_the_pipeline_file_with_its_default():
    page = (REFERENCE / "pipeline.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\S+).*?\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    for section, keys in _keys():
        for key, default in keys.items():
            row = re.search(rf"^\| `{re.escape(key)}` \| (.*?) \|", sections[section], re.MULTILINE)
            assert row, f"{section}: {key}"
            assert default is None or row[1] == f"`{default}`", f"{section}: {key} is {default} where it is left out"


def test_the_reference_tells_every_command_with_its_options_and_its_example():
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(main.commands)
    for name, command in main.commands.items():
        assert all(o in sections[name] for p in command.params for o in p.opts if o.startswith("--")), name
        assert f"$ twinlake {name}" in sections[name]
        assert "Example: twinlake" in CliRunner().invoke(main, [name, "--help"]).output


def test_the_reference_tells_all_that_the_package_offers():
    import twinlake

    page = (REFERENCE / "python.md").read_text(encoding="utf-8")
    assert all(f"tl.{name}" in page for name in twinlake.__all__ if not name.startswith("__"))


def _keys() -> Iterator[tuple[str, dict[str, object]]]:
    """The sections of the reference with the keys and plain defaults that the JSON Schema has for them."""
    schema = json_schema()
    parts = {
        "tables": "TableChoice", "columns": "ColumnChoice", "generator": "GeneratorChoice",
        "snapshot": "SnapshotChoice", "retrain": "RetrainChoice",
        "gates.fidelity": "FidelityGates", "gates.privacy": "PrivacyGates", "release": "ReleaseChoice",
        "shadow": "ShadowChoice",
        "vault": "VaultChoice",
    }  # fmt: skip
    yield "pipeline", _plain(schema)
    for section, name in parts.items():
        yield section, _plain(schema["$defs"][name])


def _plain(part: dict) -> dict[str, object]:
    part = next((p for p in part.get("anyOf", []) if "properties" in p), part)
    return {key: _default(value.get("default")) for key, value in part["properties"].items()}


def _default(value: object) -> object:
    if isinstance(value, dict):
        return value.get("limit")
    return str(value).lower() if isinstance(value, bool) else value or None


def test_every_test_that_the_page_of_threats_names_is_there():
    page = (REFERENCE / "threats.md").read_text(encoding="utf-8")
    tests = {f: f.read_text(encoding="utf-8") for f in (ROOT / "tests").rglob("test_*.py")}
    named = set(re.findall(r"`(test_\w+)`", page))
    files = set(re.findall(r"`(tests/[\w/]+\.py)`", page))
    assert [n for n in named if not any(f"def {n}(" in text for text in tests.values())] == []
    assert [f for f in files if not (ROOT / f).exists()] == []
    assert len(re.findall(r"^\| \d+ \|", page, re.MULTILINE)) == 25
    assert len(named | files) > 30
