"""What the graph works on, as Dagster resources. Environments differ here, never by an `if` in an asset."""

import os
from pathlib import Path

from assets.project import Project


def resources(root: Path) -> dict[str, Project]:
    """The project at `root`, drawn with as many processes as `TWINLAKE_WORKERS` says; one where it says nothing."""
    return {"project": Project(root=str(root), workers=int(os.environ.get("TWINLAKE_WORKERS", "1")))}
