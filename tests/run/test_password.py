"""The source's password stands in no message, file, verdict, manifest or event, whatever goes wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dagsters import launch, told
from postgres import Postgres
from projects import make_project

from twinlake.storage.layout import Layout

PASSWORD = "quohog-8472-canary"
URLS = {
    "host": f"postgresql://u:{PASSWORD}@no-such-host.invalid/db",
    "port": f"postgresql://u:{PASSWORD}@127.0.0.1:1/db",
    "query": f"postgresql://u@127.0.0.1:1/db?password={PASSWORD}",
    "option": f"postgresql://u:{PASSWORD}@127.0.0.1:1/db?nonsense={PASSWORD}",
    "unescaped": f"postgresql://u:{PASSWORD}/x@127.0.0.1:1/db",
    "no port": f"postgresql://u:{PASSWORD}@127.0.0.1:x/db",
    "scheme": f"mysql://u:{PASSWORD}@h/db",
    "no scheme": f"u:{PASSWORD}@h/db",
    "duckdb": f"duckdb:///no.duckdb?password={PASSWORD}",
    "slashes": f"duckdb://u:{PASSWORD}@x",
}


def said(layout: Layout, *command: str) -> tuple[int, str]:
    """What a command says in a process of its own, with a traceback where it would show one."""
    start = [sys.executable, "-c", "from twinlake.cli import main; main()"]
    environment = os.environ | {"CLINIC_PASSWORD": PASSWORD}
    done = subprocess.run([*start, *command], cwd=layout.root, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def holds(root: Path, *, without: Path) -> list[Path]:
    forms = [PASSWORD.encode(form) for form in ("utf-8", "utf-16-le", "utf-16-be")]
    files = (p for p in root.rglob("*") if p.is_file() and p != without)
    return [p for p in files if any(form in p.read_bytes() for form in forms)]


@pytest.fixture(scope="module")
def layout(tmp_path_factory) -> Layout:
    return make_project(tmp_path_factory.mktemp("password") / "project")


@pytest.mark.slow
@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_no_command_repeats_it(layout, url):
    own, text = layout.pipeline_file("clinic"), layout.pipeline_file("clinic").read_text()
    own.write_text(text.replace("duckdb:///clinic.duckdb", f'"{url}"'))
    try:
        for command in (["check", "clinic"], ["run", "clinic"], ["init", url, "other"], ["fit", url, "--out", "m"]):
            status, output = said(layout, *command)
            assert status == 2, output
            assert PASSWORD not in output
        assert holds(layout.root, without=own) == []
    finally:
        own.write_text(text)


@pytest.mark.slow
def test_neither_a_release_nor_the_vault_nor_dagster_holds_it(postgres: Postgres, tmp_path, monkeypatch):
    """Also where all goes well; the password in the file is the worst way to give it."""
    import dagster as dg

    layout = make_project(tmp_path / "p")
    postgres.create("clinic_password")
    postgres.execute(
        "DROP ROLE IF EXISTS borrower", f"CREATE ROLE borrower LOGIN PASSWORD '{PASSWORD}'",
        "CREATE TABLE subjects AS SELECT i AS id, i % 7 AS site, (i * 37 % 101) / 2.0 AS weight "
        "FROM generate_series(1, 3000) AS t (i)", "ALTER TABLE subjects ADD PRIMARY KEY (id)",
        "GRANT SELECT ON subjects TO borrower", database="clinic_password",
    )  # fmt: skip
    url = postgres.url("clinic_password", user="borrower", password=PASSWORD)
    own = layout.pipeline_file("clinic")
    loose = "gates: {fidelity: {column_shape: 0.5, pair_trend: 0.5}, privacy: {copying: 0.000001, holdout_units: 20}}"
    own.write_text(f"source: {url}\ntables: {{subjects: {{key: id}}}}\ngenerator: {{name: marginals}}\n{loose}\n")
    status, output = said(layout, "run", "clinic", "--date", "2025-03-01")
    assert status in (0, 1), output  # released, or refused by a gate: it ran
    home = tmp_path / "home"
    home.mkdir()
    with dg.instance_for_test(temp_dir=str(home)) as instance:
        launch(layout, instance)
        own.write_text(own.read_text().replace("subjects: {key: id}", "subjects: {key: id}, gone: {}"))
        assert not launch(layout, instance, date="2025-03-02").success
        texts = list(told(home))
    assert PASSWORD not in output
    assert not any(PASSWORD in text for text in texts)
    assert any("subjects" in text for text in texts)
    assert holds(tmp_path, without=own) == []


def test_the_search_finds_it_where_it_is(tmp_path):
    (tmp_path / "leak").write_bytes(b"..." + PASSWORD.encode("utf-16-le"))
    assert holds(tmp_path, without=tmp_path / "x")
