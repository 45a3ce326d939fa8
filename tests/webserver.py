"""A real Dagster UI on this machine, and everything that it answers about what an instance was told."""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEFINITIONS = """
from pathlib import Path
from pipelines.definitions import build
defs = build(Path({root!r}))
"""
ENTRIES = """metadataEntries { __typename label description ... on TextMetadataEntry { text }
  ... on MarkdownMetadataEntry { mdStr } ... on JsonMetadataEntry { jsonString } ... on PathMetadataEntry { path }
  ... on UrlMetadataEntry { url } ... on FloatMetadataEntry { floatValue } ... on IntMetadataEntry { intRepr }
  ... on BoolMetadataEntry { boolValue } ... on TableMetadataEntry { table { records } }
  ... on TableSchemaMetadataEntry { schema { columns { name type description } } } }"""
QUERIES = {
    "runs": "{ runsOrError { ... on Runs { results { id runId status jobName runConfigYaml tags { key value } } } } }",
    "assets": f"""{{ assetsOrError {{ ... on AssetConnection {{ nodes {{ key {{ path }} definition {{ description
        kinds {ENTRIES} type {{ ... on DagsterType {{ {ENTRIES} }} }} }}
        assetMaterializations {{ partition tags {{ key value }} {ENTRIES} }} }} }} }} }}""",
    "checks": f"""{{ assetNodes {{ assetKey {{ path }} assetChecksOrError {{ ... on AssetChecks {{ checks {{ name
        description executionForLatestMaterialization {{ status evaluation {{ severity description {ENTRIES} }} }}
        }} }} }} }} }}""",
    "location": """{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
        ... on PythonError { message stack }
        ... on RepositoryLocation { repositories { name schedules { name cronSchedule }
          allTopLevelResourceDetails { name configuredValues { key value } } } } } } } } }""",
}

LOGS = """{ capturedLogsMetadata(logKey: ["RUN"]) { stdoutLocation stderrLocation }
    logsForRun(runId: "RUN") { ... on EventConnection { events { __typename
    ... on MessageEvent { message level stepKey } } } } }"""


@dataclass(frozen=True)
class Ui:
    """A running UI.

    Attributes:
        port: where it answers.
        listening: the addresses on which its process accepts connections.
    """

    port: int
    listening: frozenset[str]

    def get(self, path: str) -> bytes:
        """What it answers to a GET, unpacked."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return _unpacked(answer.read())

    def ask(self, query: str) -> bytes:
        """What GraphQL answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=120) as answer:
            return _unpacked(answer.read())

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Every answer that tells of runs, assets, checks and logs, by a name."""
        yield "page", self.get("/")
        for name, query in QUERIES.items():
            yield name, self.ask(query)
        found = json.loads(self.ask(QUERIES["runs"]))["data"]["runsOrError"]["results"]
        for at, run in enumerate(found):
            yield f"run {at}", self.get(f"/download_debug/{run['runId']}")  # all that happened in it
            yield f"logs {at}", self.ask(LOGS.replace("RUN", run["runId"]))


@contextmanager
def ui(root: Path, home: Path, *, environment: Mapping[str, str], patience: float = 240) -> Iterator[Ui]:
    """Start the UI of a project as `make ui` does, on this machine only, and stop it afterwards."""
    definitions = home / "definitions.py"
    definitions.write_text(DEFINITIONS.format(root=str(root)), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "--host", "127.0.0.1", "--port", str(port)]
    log = (home / "webserver.log").open("wb")
    started = subprocess.Popen(
        [*command, "--python-file", str(definitions)], env={**os.environ, **environment, "DAGSTER_HOME": str(home)},
        stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    try:
        made = Ui(port, frozenset())
        until = time.monotonic() + patience
        while not _answers(made):
            if started.poll() is not None or time.monotonic() > until:
                raise RuntimeError((home / "webserver.log").read_text())
            time.sleep(0.5)
        yield Ui(port, frozenset(_listening(port)))
    finally:
        started.terminate()
        started.wait(60)
        log.close()


def _answers(made: Ui) -> bool:
    try:
        return b"dagster" in made.get("/server_info")
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _listening(port: int) -> Iterator[str]:
    """The addresses on which anything listens at a port, from the kernel's own table."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, number = line.split()[1].split(":")
            if int(number, 16) == port and line.split()[3] == "0A":
                yield ".".join(str(b) for b in reversed(bytes.fromhex(address))) if table == "tcp" else address


def _unpacked(body: bytes) -> bytes:
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
