"""The loops over pairs of rows: compiled where numba is there, else in numpy."""

import importlib.util
from types import ModuleType

import numpy as np
import numpy.typing as npt

from twinlake.columns import Codes, Floats
from twinlake.privacy import plain
from twinlake.privacy.pool import Cells, Known, Ranks

COMPILED = importlib.util.find_spec("numba") is not None


def towards(known: Known, twins: Cells, radii: Ranks) -> tuple[Ranks, Floats, Floats, npt.NDArray[np.int32]]:
    """See `plain.towards`."""
    if (loops := _loops()) is None:
        return plain.towards(known, twins, radii)
    found: tuple[Ranks, Floats, Floats, npt.NDArray[np.int32]]
    found = loops.towards(*_known(known), twins.ranks, twins.codes, radii)
    return found


def among(known: Known, unit: Codes, reference: Codes, ks: Codes) -> tuple[Ranks, Floats]:
    """See `plain.among`."""
    if (loops := _loops()) is None:
        return plain.among(known, unit, reference, ks)
    found: tuple[Ranks, Floats] = loops.among(*_known(known), unit, reference, ks)
    return found


def owners(known: Known, unit: Codes, twins: Cells) -> tuple[Codes, Floats]:
    """See `plain.owners`."""
    if (loops := _loops()) is None:
        return plain.owners(known, unit, twins)
    found: tuple[Codes, Floats] = loops.owners(*_known(known), known.weights, unit, twins.ranks, twins.codes)
    return found


def crowds(known: Known, twins: Cells) -> Floats:
    """See `plain.crowds`."""
    if (loops := _loops()) is None:
        return plain.crowds(known, twins)
    found: Floats = loops.crowds(known.cells.ranks, known.cells.codes, twins.ranks, twins.codes)
    return np.round(found, plain.PLACES)


def coincide(known: Known, unit: Codes, twins: Cells, twin_unit: Codes, most: int) -> Floats:
    """See `plain.coincide`."""
    if (loops := _loops()) is None:
        return plain.coincide(known, unit, twins, twin_unit, most)
    found: Floats = loops.coincide(*_known(known), unit, twins.ranks, twins.codes, twin_unit, most)
    return found


def without_each(cells: Cells, twins: Cells) -> Codes:
    """See `plain.without_each`."""
    if (loops := _loops()) is None:
        return plain.without_each(cells, twins)
    found: Codes = loops.without_each(cells.ranks, cells.codes, twins.ranks, twins.codes)
    return found


def linked(cells: Cells, twins: Cells, halves: npt.NDArray[np.int8]) -> Floats:
    """See `plain.linked`."""
    if (loops := _loops()) is None:
        return plain.linked(cells, twins, halves)
    found: Floats = loops.linked(cells.ranks, cells.codes, twins.ranks, twins.codes, halves)
    return found


def _loops() -> ModuleType | None:
    if not COMPILED:
        return None
    from twinlake.privacy import _compiled

    return _compiled


def _known(known: Known) -> tuple[npt.NDArray[np.generic], ...]:
    return known.cells.ranks, known.ties, known.cells.codes, known.shares, known.lifts, known.parents
