"""History: what was let out of a table before a candidate, and who stood behind it."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from twinlake.census import Census
from twinlake.hashing import Hashes
from twinlake.tables import Tables


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """A release that is still there.

    Attributes:
        name: its name.
        tables: its rows; read when they are looked at.
        census: who stood behind the table; None where nobody can tell.
        unknown: why nobody can tell.
    """

    name: str
    tables: Tables
    census: Census | None
    unknown: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Gone:
    """Real rows behind the last release that are not behind the candidate, of either side, with the unit of each."""

    learnt: pa.Table
    holdout: pa.Table
    units: Hashes
    held_units: Hashes


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What was let out of one table before the candidate.

    Attributes:
        now: who stands behind the candidate.
        retained: the releases that are still there, oldest first.
        ever: name and census of every release that was ever let out, oldest first, one at a time.
        last: of the retained ones, the release that was let out last; None where that is gone.
        gone: rows of units that left or changed since the last release, where the vault still has them.
        rows: synthetic rows of the table in all releases, those that are gone included.
        source: rows of the source's table.
    """

    now: Census
    retained: tuple[Earlier, ...] = ()
    ever: Iterable[tuple[str, Census]] = ()
    last: Earlier | None = None
    gone: Gone | None = None
    rows: int = 0
    source: int = 0


def releases_left(before: int, rows: int, limit: float) -> int:
    """How many more releases of so many rows a limit allows."""
    return max(0, int((limit - before) // max(1, rows)))
