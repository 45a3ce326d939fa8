"""A run asks nobody on the network: no model is fetched, nobody is told that Twinlake, Dagster, DVC or GX is used."""

import os
import subprocess
import sys

import pytest
from projects import make_project

HOOK = """
import os, sys
def heard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        where = arguments[1] if event != "socket.getaddrinfo" else arguments[0]
        if isinstance(where, (tuple, str)) and str(where) not in ("localhost", "127.0.0.1") and "/" not in str(where):
            with open(os.environ["HEARD"], "a") as out:
                out.write(f"{event} {where}\\n")
            raise OSError("there is no network here")
sys.addaudithook(heard)
"""
RUN = """
import subprocess, sys
for date in ("2025-03-01", "2025-03-02"):
    subprocess.run([sys.executable, "-c", "from twinlake.cli import main; main()", "run", "clinic", "--date", date])
"""
ASKS = "import urllib.request; urllib.request.urlopen('http://example.org')"


def heard(folder, code: str, *, at) -> str:
    """What a program and all that it starts tried to reach."""
    (folder / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    log = folder / "heard"
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": paths, "HEARD": str(log)}
    subprocess.run([sys.executable, "-c", code], cwd=at, env=environment, capture_output=True)
    return log.read_text() if log.exists() else ""


@pytest.mark.slow
def test_a_run_with_dvc_and_expectations_asks_nobody(tmp_path):
    layout = make_project(tmp_path / "p")
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=layout.root, check=True, capture_output=True)
    assert heard(tmp_path, RUN, at=layout.root) == ""
    assert len(list((layout.own_vault("clinic") / "runs").glob("*.json"))) == 2


def test_whoever_asks_is_heard(tmp_path):
    assert "example.org" in heard(tmp_path, ASKS, at=tmp_path)
