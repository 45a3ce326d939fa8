"""Finds columns that are the product of two others, exact or rounded to their own decimals."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from twinlake.generators.relations.kinds import Product
from twinlake.generators.relations.plan import Plan
from twinlake.generators.relations.ruler import is_time
from twinlake.generators.relations.sheet import Group, Sheet
from twinlake.generators.states.census import Floats

_MOST = 400  # columns of one group; above, the first ones
_PROBES = 24


def take_products(sheet: Sheet, plan: Plan) -> None:
    """Compute columns that are products."""
    for group in filter(lambda g: g.complete, sheet.groups):
        for target, left, right in _guesses(sheet, group):
            _take(sheet, plan, target, left, right)


def _take(sheet: Sheet, plan: Plan, target: str, left: str, right: str) -> None:
    decimals = {n: sheet.rulers[n].decimals for n in (target, left, right)}
    shift = decimals[left] + decimals[right] - decimals[target]
    if shift > 12:
        return
    for ties in ("away", "even", "down") if shift > 0 else ("away",):
        relation = Product(target, left, right, shift, ties)
        if plan.offer(relation, partial(_holds, sheet, plan, relation)):
            return


def _guesses(sheet: Sheet, group: Group) -> Iterator[tuple[str, str, str]]:
    """Targets and factors that fit in a few rows."""
    usable = [
        i for i, n in enumerate(group.names)
        if not is_time(sheet.rulers[n].type) and len(np.unique(group.ticks[i])) >= 2
    ][:_MOST]  # fmt: skip
    if len(usable) < 3:
        return
    values, unit = _probed(sheet, group, usable)
    a, b = np.triu_indices(len(usable), 1)
    for y, name in enumerate(group.names[i] for i in usable):
        if name not in group.targets or len(np.unique(group.ticks[usable[y]])) < 3:
            continue
        left = np.flatnonzero((a != y) & (b != y))
        for row in range(values.shape[1]):
            off = np.abs(values[a[left], row] * values[b[left], row] - values[y, row])
            left = left[off <= unit[y] * 1.000001 + 1e-12 * np.abs(values[y, row])]
            if not len(left):
                break
        for pair in left:
            yield name, group.names[usable[a[pair]]], group.names[usable[b[pair]]]


def _probed(sheet: Sheet, group: Group, usable: list[int]) -> tuple[Floats, Floats]:
    """Values of the columns in a few rows, shape (columns, rows), and the last decimal of each, shape (columns,)."""
    unit = np.array([10.0 ** -sheet.rulers[group.names[i]].decimals for i in usable])
    rows = np.linspace(0, group.ticks.shape[1] - 1, _PROBES).astype(np.int64)
    return group.ticks[usable][:, rows] * unit[:, None], unit


def _holds(sheet: Sheet, plan: Plan, relation: Product) -> bool:
    if not plan.computes(relation.target, relation.inputs, relation.computed):
        return False
    rows = sheet.valid(relation.target)
    return all(sheet.supported(name, rows) for name in relation.inputs)
