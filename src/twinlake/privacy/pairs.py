"""The loops over pairs of rows: compiled where numba is there, else in numpy."""

import importlib.util

import numpy as np
import numpy.typing as npt

from twinlake.columns import Codes, Floats
from twinlake.privacy import plain
from twinlake.privacy.pool import Cells, Known, Ranks

COMPILED = importlib.util.find_spec("numba") is not None


def towards(known: Known, twins: Cells, radii: Ranks) -> tuple[Ranks, Floats, Floats, npt.NDArray[np.int32]]:
    """See `plain.towards`."""
    if not COMPILED:
        return plain.towards(known, twins, radii)
    from twinlake.privacy import _compiled

    found: tuple[Ranks, Floats, Floats, npt.NDArray[np.int32]]
    found = _compiled.towards(*_known(known), twins.ranks, twins.codes, radii)
    return found


def among(known: Known, unit: Codes, ks: Codes) -> tuple[Ranks, Floats]:
    """See `plain.among`."""
    if not COMPILED:
        return plain.among(known, unit, ks)
    from twinlake.privacy import _compiled

    found: tuple[Ranks, Floats] = _compiled.among(*_known(known), unit, ks)
    return found


def owners(known: Known, unit: Codes, twins: Cells) -> tuple[Codes, Ranks, Ranks, Codes, Floats, Floats]:
    """See `plain.owners`."""
    if not COMPILED:
        return plain.owners(known, unit, twins)
    from twinlake.privacy import _compiled

    found: tuple[Codes, Ranks, Ranks, Codes, Floats, Floats]
    found = _compiled.owners(*_known(known), unit, twins.ranks, twins.codes)
    return found


def without_each(cells: Cells, twins: Cells) -> Codes:
    """See `plain.without_each`."""
    if not COMPILED:
        return plain.without_each(cells, twins)
    from twinlake.privacy import _compiled

    found: Codes = _compiled.without_each(cells.ranks, cells.codes, twins.ranks, twins.codes)
    return found


def _known(known: Known) -> tuple[npt.NDArray[np.generic], ...]:
    return known.cells.ranks, known.ties, known.cells.codes, known.shares, known.lifts, known.parents
