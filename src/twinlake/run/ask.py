"""One query of anybody's, asked in a process of its own: what it takes is bounded, whatever DuckDB makes of it.

DuckDB heeds its limits between steps. One call of a function, `repeat('x', 3_000_000_000)`, is a single step, so the
kernel has to set the limits of memory and time.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from twinlake.errors import LakeError
from twinlake.storage.lake import LIMITS, SMALLER, Limits, query
from twinlake.storage.layout import Layout

_ROOM = 3 << 30  # addresses beyond what the query may take: libraries, stacks, and the answer as text
_GRACE = 15.0  # seconds for starting, and for DuckDB to notice that time is up


def ask(
    layout: Layout, sql: str, *, at: str | None = None, csv: bool = False, formulas: bool = True,
    limits: Limits = LIMITS,
) -> str:  # fmt: skip
    """The answer to one SELECT over the lake as text.

    Args:
        layout: the project.
        sql: one statement that reads; see `twinlake.storage.lake.query`, whose `at` and errors are the same.
        at: a release, its name or a date.
        csv: comma-separated values of all rows, instead of a table of the first 200.
        formulas: whether texts that a spreadsheet would run stay as they are; see `twinlake.report.listing.as_text`.
        limits: what it may take.
    """
    told = {"root": str(layout.root), "sql": sql, "at": at, "csv": csv, "formulas": formulas, "limits": asdict(limits)}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "twinlake.run.ask"], input=json.dumps(told).encode(), capture_output=True,
            timeout=limits.seconds + _GRACE, cwd=layout.root, env=_environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LakeError("the query took longer than it may", where="SQL", fix=SMALLER) from None
    if done.returncode == 0:
        return done.stdout.decode()
    said = json.loads(done.stdout)["said"] if done.stdout.startswith(b'{"said":') else ""
    raise LakeError(
        said or "the query needs more memory than it may take", where="" if said else "SQL", fix="" if said else SMALLER
    )


def _environment() -> dict[str, str]:
    """What the asking process is told: nothing that holds a password, and an allocator that asks for what it needs."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")
    own = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    return {name: os.environ[name] for name in kept if name in os.environ} | own


def _answer() -> None:
    """Read a question from standard input, answer it on standard output."""
    told = json.load(sys.stdin)
    limits = Limits(**told["limits"])
    _bound(limits)
    try:
        from twinlake.report.listing import as_text

        rows = query(Layout(Path(told["root"])), told["sql"], at=told["at"], limits=limits)
        sys.stdout.write(as_text(rows, csv=told["csv"], formulas=told["formulas"]))
        sys.stdout.flush()
    except LakeError as error:
        _end(str(error))
    except MemoryError:
        _end("")


def _end(said: str) -> None:
    print(json.dumps({"said": said}))
    sys.stdout.flush()
    os._exit(2)


def _bound(limits: Limits) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory + _ROOM, limits.memory + _ROOM))


if __name__ == "__main__":
    _answer()
