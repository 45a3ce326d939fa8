"""Twinlake: synthetic twins of database tables, checked, versioned, served as SQL.

Example:
    >>> import twinlake as tl
    >>> people = tl.read("people.parquet")
    >>> model = tl.fit(people, generator="forest", seed=7)
    >>> drawn = model.sample(rows="1.0x")
"""

import importlib
from typing import TYPE_CHECKING, Any

from twinlake.version import VERSION

if TYPE_CHECKING:
    from twinlake.run.evaluate import Scorecard, evaluate
    from twinlake.run.model import Model, fit, load, read
    from twinlake.tables import Tables
    from twinlake.verdict import Verdict

__version__ = VERSION
__all__ = ["Model", "Scorecard", "Tables", "Verdict", "__version__", "evaluate", "fit", "load", "read"]

_HOMES = {
    "Scorecard": "run.evaluate",
    "evaluate": "run.evaluate",
    "Model": "run.model",
    "fit": "run.model",
    "load": "run.model",
    "read": "run.model",
    "Tables": "tables",
    "Verdict": "verdict",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import a public name when it is first used, so that `import twinlake` and `twinlake --help` are quick."""
    if name not in _HOMES:
        raise AttributeError(f"module twinlake has no attribute {name}")
    return getattr(importlib.import_module(f"twinlake.{_HOMES[name]}"), name)
