"""Gate `linkability`: does the twin tie together what two sources say of one person, above all of a learnt one?

Who has half of somebody's columns from one source and the other half from another takes the twin for a bridge: if the
row that is nearest in the one half is nearest in the other too, both are said to be of one person. One of the three
risks of the Article 29 Working Party's Opinion 05/2014, as `attribute_inference` and `singling_out` are the others.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.columns import Floats, sampled
from twinlake.privacy import pairs
from twinlake.privacy.leads import Lead, lead
from twinlake.privacy.pool import Cells, Members, Sides, code, one_row_each
from twinlake.verdict import Verdict

GATE = "linkability"
TWINS = 10_000
UNITS = 10_000  # attacked at most
SPLITS = 8  # ways to deal the columns to two sources
EVIDENCE = 0.01

Halves = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Linked:
    """How often the two halves of each unit are linked, shape (units,); `usual` is by other real units."""

    right: Floats
    usual: Floats

    def lead(self, members: Members, confidence: float) -> Lead:
        """Of learnt units over held-back ones."""
        return lead(self.right, self.usual, members, confidence=confidence)

    def chance(self, members: Members) -> float:
        """Of so large a lead, were labels dealt anew: Mann and Whitney's test (1947), one-sided."""
        from scipy.stats import mannwhitneyu

        if self.right.min() == self.right.max():
            return 1.0
        test = mannwhitneyu(self.right[members], self.right[~members], alternative="greater", method="asymptotic")
        return float(test.pvalue)


def linkability(
    sides: Sides, synthetic: pa.Table, table: str, quantities: list[str], others: list[str], *, limit: float,
    confidence: float, held_units: int, rng: np.random.Generator,
) -> Verdict:  # fmt: skip
    """The lead of learnt units over held-back ones among those linked; its upper end is at most `limit`.

    Columns are dealt to two sources in eight ways, half of them to each. A unit is linked where the same row of the
    twin is nearest to it in either half; where several are as near, one is drawn for each. The lead is (linked of
    learnt - linked of held back) / (1 - linked of held back), over all ways together. What is beyond chance (p < 0.01)
    and may be over the limit fails.

    Args:
        sides: units to attack, by one row each.
        synthetic: rows of the twin.
        table: which table.
        quantities: columns compared by size.
        others: columns compared by label.
        limit: of the upper end.
        confidence: of the upper end, one-sided.
        held_units: how many held-back units it takes to clear a table.
        rng: draws rows, and deals columns.
    """
    one = _some(one_row_each(sides, rng))
    known, twins = code(one.rows, sampled(synthetic, TWINS, rng), quantities, others)
    linked = _linked(known.cells, twins, rng)
    told, chance = linked.lead(one.members, confidence), linked.chance(one.members)
    enough = one.held >= held_units
    passed = told.high <= limit and enough
    failed = chance < EVIDENCE and told.high > limit
    reason = (
        f"two halves of a learnt unit are linked more often by {told.value:.1%} of what there is to gain, "
        f"{told.high:.1%} at most"
    )
    if failed:
        reason += ". That is beyond chance: the generator follows single units. Use larger leaves"
    elif not passed:
        needed = max(held_units, told.needed(one.held, limit))
        reason += f". {one.held:,} held-back units are too few to tell; about {needed:,} are needed: hold back more"
    return Verdict(
        gate=GATE, table=table, value=round(told.value, 6), low=None, high=round(told.high, 6), baseline=0.0,
        n=synthetic.num_rows, limit=limit, bound="at_most", passed=passed,
        inconclusive=not passed and not failed, reason=reason,
    )  # fmt: skip


def _some(one: Sides) -> Sides:
    """As many units as are attacked, half of them held back where there are so many; in the order that they had."""
    if len(one.members) <= UNITS:
        return one
    back = np.flatnonzero(~one.members)[: UNITS // 2]
    kept = np.sort(np.concatenate([back, np.flatnonzero(one.members)[: UNITS - len(back)]]))
    return Sides(one.rows.take(pa.array(kept)), np.arange(len(kept)), one.members[kept], one.names[kept])


def _linked(cells: Cells, twins: Cells, rng: np.random.Generator) -> Linked:
    """By the twin, and by every other real unit in the order of units, which knows no side."""
    columns = cells.codes.shape[1] + cells.ranks.shape[1]
    if columns < 2:  # one column is one source's
        return Linked(np.zeros(len(cells)), np.zeros(len(cells)))
    halves = np.array([rng.permutation(np.arange(columns) % 2) for _ in range(SPLITS)], np.int8)
    usual = np.zeros(len(cells))
    for start in (0, 1):
        asked, told = np.arange(start, len(cells), 2), np.arange(1 - start, len(cells), 2)
        if len(told):
            usual[asked] = pairs.linked(cells.at(asked), cells.at(told), halves).mean(axis=1)
    return Linked(pairs.linked(cells, twins, halves).mean(axis=1), usual)
