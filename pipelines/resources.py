"""What the graph works on, as Dagster resources. Environments differ here, never by an `if` in an asset."""

import os
from pathlib import Path

from assets.project import Project
from assets.storage import NothingKept


def resources(root: Path) -> dict[str, Project | NothingKept]:
    """The project at `root`, drawn with as many processes as `TWINLAKE_WORKERS` says; one where it says nothing."""
    project = Project(root=str(root), workers=int(os.environ.get("TWINLAKE_WORKERS", "1")))
    return {"project": project, "io_manager": NothingKept()}
