"""What the storage tests share: a project, a snapshot in staging, verdicts on it, and a release made of it."""

from collections.abc import Callable
from pathlib import Path

from scenario import clinic

from twinlake.card import Evidence
from twinlake.storage.layout import Layout
from twinlake.storage.manifest import Manifest, Origin
from twinlake.storage.publish import publish, snapshot_hash
from twinlake.storage.release import Release
from twinlake.storage.secret import vault_secret
from twinlake.storage.verdicts import store_verdicts
from twinlake.tables import Tables
from twinlake.verdict import Severity, Verdict
from twinlake.version import VERSION

ORIGIN = Origin(generator="forest", licence="Apache-2.0", settings={"trees": 3}, source="ab" * 32)


def project(root: Path, pipeline: str = "clinic") -> Layout:
    """A project with one pipeline file."""
    for folder in ("pipelines", f"expectations/{pipeline}"):
        (root / folder).mkdir(parents=True)
    (root / "dvc.yaml").touch()
    (root / f"pipelines/{pipeline}.yaml").write_text("source: duckdb:///x.duckdb\n")
    (root / f"expectations/{pipeline}/people.json").write_text("{}\n")
    return Layout(root)


def verdict(gate: str = "replay", table: str = "subjects", *, passed: bool = True, warns: bool = False) -> Verdict:
    return Verdict(
        gate=gate, table=table, value=0.5, n=10, limit=0.6, bound="at_most", passed=passed, reason="measured",
        severity=Severity.WARNING if warns else Severity.CRITICAL,
    )  # fmt: skip


EVIDENCE = Evidence(recipient="public", policy="first", version=VERSION)
GATES = {("subjects", "replay"), ("visits", "replay")}
GOOD = [verdict(table=t) for t, _ in sorted(GATES)]


def stage(layout: Layout, *, pipeline: str = "clinic", tables: Tables | None = None, seed: int = 0) -> Path:
    """A snapshot in staging."""
    folder = layout.staging(pipeline, f"snapshot-{seed}")
    (tables or clinic(20, seed)).save(folder)
    return folder


def judge(layout: Layout, staging: Path, verdicts=GOOD, *, pipeline: str = "clinic", expected=GATES) -> None:
    """Store verdicts on a snapshot."""
    store_verdicts(
        layout, pipeline, snapshot_hash(staging), verdicts, expected=expected, policy=EVIDENCE.policy,
        secret=vault_secret(layout),
    )  # fmt: skip


def put_out(
    layout: Layout, staging: Path, date: str, *, pipeline: str = "clinic", keep: int = 10,
    evidence: Evidence = EVIDENCE, report: Callable[[Manifest], str] = lambda manifest: f"<h1>{manifest.release}</h1>",
) -> Release:  # fmt: skip
    """Publish a snapshot."""
    return publish(
        layout, pipeline, staging, origin=ORIGIN, expected=GATES, evidence=evidence, date=date,
        secret=vault_secret(layout), keep=keep, report=report,
    )  # fmt: skip


def released(
    layout: Layout, date: str, *, seed: int = 0, pipeline: str = "clinic", keep: int = 10, tables: Tables | None = None
) -> Release:
    """Stage, judge and publish a snapshot."""
    staging = stage(layout, pipeline=pipeline, seed=seed, tables=tables)
    judge(layout, staging, pipeline=pipeline)
    return put_out(layout, staging, date, pipeline=pipeline, keep=keep)
