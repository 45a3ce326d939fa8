"""How much each unit of the pool looks as if it had been learnt: scores of six attacks, made without the labels.

near copy          the twins to which this unit is the nearest of all real ones, by how far the second nearest is off
record to twin     how near the nearest twin is for a record in so sparse a place, and how many twins crowd around it
shared cells       how unlikely it is that a twin has these cells in common with it by chance
single values      how unlikely it is that twins have these very values, each by itself: see `values`
single record      the same, for judging the one record that stands out most: see `single`
crowd              how many twins it is the nearest to

A unit of several rows scores by its highest row and by the mean of its rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinlake.columns import Codes, Floats, sampled
from twinlake.privacy import pairs
from twinlake.privacy.pool import Cells, Known, Members, Sides, code
from twinlake.privacy.single import single
from twinlake.privacy.values import met

TWINS = 15_000
REFERENCE = 8_000  # real rows that each is held against, spread over an order that knows no side
NEIGHBOURS = np.array([5, 20])
NEVER = -9.0  # the score of who is nearest to no twin
BLUR = 0.01  # of a column: distances below this are one
FAMILIES = ("near copy", "record to twin", "shared cells", "single values")

Scores = dict[str, dict[str, Floats]]


@dataclass(frozen=True, slots=True)
class Closeness:
    """What attacks found.

    Attributes:
        members: whether each unit was learnt, shape (units,). No score depends on it; `single` does.
        families: scores by attack and name, shape (units,) each.
        crowd: the like, which tells how far all units lean; what of that is harm is for `membership` to say.
        single: chance of the least likely coincidences of twins with learnt units; see `single`.
        lonely: mean distance of each unit's row to its 5 nearest of other units, the largest of its rows.
    """

    members: Members
    families: Mapping[str, Mapping[str, Floats]]
    crowd: Mapping[str, Floats]
    single: float
    lonely: Floats

    @property
    def features(self) -> Floats:
        """All scores side by side, shape (units, scores)."""
        return np.column_stack([s for family in (*self.families.values(), self.crowd) for s in family.values()])


def closeness(
    sides: Sides, synthetic: pa.Table, quantities: list[str], others: list[str], *, rng: np.random.Generator
) -> Closeness:
    """Scores of all attacks on the units of `sides` by the rows of a twin, at most 15,000 of them.

    Args:
        sides: the units attacked.
        synthetic: rows of the twin.
        quantities: columns compared by size.
        others: columns compared as labels.
        rng: draws twins.
    """
    drawn = sampled(synthetic, TWINS, rng)
    known, twins = code(sides.rows, drawn, quantities, others)
    rows = len(sides.unit)
    reference = np.arange(rows) if rows <= REFERENCE else np.linspace(0, rows - 1, REFERENCE).astype(np.intp)
    radii, beside = pairs.among(known, sides.unit, reference, NEIGHBOURS)
    apart, chance, exact, within = pairs.towards(known, twins, radii)
    shared = {"by chance": -np.log(chance) + np.log(beside), "whole row": _surprise(exact)}
    found: Scores = {
        "near copy": _owned(known, sides.unit, twins),
        "record to twin": {
            "sparse": -np.log((apart + BLUR) / (radii[:, 0] + BLUR)),
            **{f"{k} around": np.log((within[:, i] + 0.5) / (k + 0.5)) for i, k in enumerate(NEIGHBOURS.tolist())},
        },
        "shared cells": shared,
        "single values": _values(met(sides.rows, drawn, known.quantities)),
    }
    units = len(sides.members)
    families = {f: _by_unit(own, sides.unit, units) for f, own in found.items()}
    return Closeness(
        sides.members,
        families,
        _by_unit({"crowd": pairs.crowds(known, twins)}, sides.unit, units),
        single(known, sides.unit, twins, sides.members, reference),
        _highest(np.where(np.isfinite(radii[:, 0]), radii[:, 0], 0.0), sides.unit, units),
    )


def _surprise(chance: Floats) -> Floats:
    """Nats; -inf where nothing is alike."""
    return np.where(chance < 1, -np.log(chance), -np.inf)


def _values(surprise: Floats) -> dict[str, Floats]:
    return {"rarest": surprise.max(axis=1, initial=0.0), "together": surprise.sum(axis=1)}


def _owned(known: Known, unit: Codes, twins: Cells) -> dict[str, Floats]:
    """By how far each row is the best explanation of a twin, the largest over the twins it explains best.

    Each of three measures finds other copies: of many cells a little off, of a few cells far off, of rare cells. The
    score is the mean of a row's places by all three, as normal scores: one score, so nothing has to be corrected for.
    """
    places, values = pairs.owners(known, unit, twins)
    first, second = values[..., 0], values[..., 1]
    leads = [np.where(np.isfinite(b), np.log((b + BLUR) / (a + BLUR)), 0.0)
             for a, b in zip(first[:2], second[:2], strict=True)]  # fmt: skip
    leads.append(np.where(second[2] <= 1, np.log(second[2]) - np.log(first[2]), 0.0))
    found = [_largest(at, lead, len(unit)) for at, lead in zip(places, leads, strict=True)]
    return {"best explanation": np.asarray(np.mean([normal_scores(f) for f in found], axis=0))}


def normal_scores(values: Floats) -> Floats:
    """Mid-ranks along the first axis as quantiles of a standard normal."""
    from scipy.stats import norm, rankdata

    return np.asarray(norm.ppf((rankdata(values, axis=0) - 0.5) / len(values)))


def _largest(at: Codes, values: Floats, rows: int) -> Floats:
    """The largest value that points to each row; ties, which point nowhere, count for none."""
    found = np.full(rows, NEVER)
    clear = values > 1e-6
    np.maximum.at(found, at[clear], values[clear])
    return found


def _by_unit(rows: Mapping[str, Floats], unit: Codes, units: int) -> dict[str, Floats]:
    """Scores of units; where they have one row each, the row's."""
    if len(unit) == units:
        order = np.argsort(unit, kind="stable")
        return {name: scores[order] for name, scores in rows.items()}
    found = {f"{name}, highest": _highest(scores, unit, units) for name, scores in rows.items()}
    size = np.maximum(1, np.bincount(unit, minlength=units))
    for name, scores in rows.items():
        finite = np.where(np.isfinite(scores), scores, 0.0)
        found[f"{name}, mean"] = np.bincount(unit, weights=finite, minlength=units) / size
    return found


def _highest(scores: Floats, unit: Codes, units: int) -> Floats:
    found = np.full(units, -np.inf)
    np.maximum.at(found, unit, scores)
    return found
