"""Gate `singling_out`: does what singles out one row of the twin single out a real unit, above all a learnt one?

Who has the twin alone looks for a combination of cells that one of its rows has and no other, and claims that exactly
one real person has it too. In a rich table that is often so of people nobody learnt; more often of learnt ones is a
leak. One of the three risks of the Article 29 Working Party's Opinion 05/2014, as `attribute_inference` and
`linkability` are the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinlake.columns import Codes, Floats, sampled
from twinlake.hashing import Hashes, mix
from twinlake.privacy.holders import found
from twinlake.privacy.leads import Lead, lead
from twinlake.privacy.pool import Cells, Sides, code
from twinlake.privacy.relabel import holm, relabel
from twinlake.units import holders
from twinlake.verdict import Verdict

GATE = "singling_out"
TWINS = 15_000
WIDTHS = {"one column": (1, 1), "two columns": (2, 2), "three to five columns": (3, 5), "all columns": (0, 0)}
DRAWN = 96  # sets of columns of each width, of which equal ones count once
PARTS = (10, 50, 250)  # of a quantity: conditions as narrow as these; or its very value
LEAST = 500  # guesses that an attacker makes at least: who has fewer is wrong about the others
EVIDENCE = 0.01


@dataclass(frozen=True, slots=True)
class Singled:
    """What conditions of one width single out.

    Attributes:
        guesses: conditions that one row of the twin alone meets.
        right: how many of these exactly one real unit meets, by that unit, shape (units,).
        usual: how many conditions each unit alone meets, whatever the twin holds, shape (units,).
    """

    guesses: int
    right: Floats
    usual: Floats

    @property
    def rate(self) -> Floats:
        """Of all guesses those right about each unit, as if half of the units were on either side; shape (units,)."""
        return self.right * len(self.right) / 2 / max(LEAST, self.guesses)


def singling_out(
    sides: Sides, synthetic: pa.Table, table: str, quantities: list[str], others: list[str], *, limit: float,
    confidence: float, held_units: int, rng: np.random.Generator,
) -> Verdict:  # fmt: skip
    """The lead of learnt units over held-back ones among those singled out; its upper end is at most `limit`.

    A condition names one to all columns: labels by their value, quantities by a tenth, a fiftieth, a 250th of the
    pool's values or by the value itself. It counts as right where exactly one unit of the pool meets it. By how many
    columns it names, the lead is (right of learnt - right of held back) / (1 - right of held back), as shares of all
    conditions that single out a row of the twin; the worst decides. What is beyond chance (see `relabel`; p < 0.01
    after Holm's correction) and may be over the limit fails.

    Args:
        sides: units to attack.
        synthetic: rows of the twin.
        table: which table.
        quantities: columns compared by size.
        others: columns compared by label.
        limit: of the upper end.
        confidence: of the upper end, one-sided.
        held_units: how many held-back units it takes to clear a table.
        rng: draws rows, and sets of columns.
    """
    known, twins = code(sides.rows, sampled(synthetic, TWINS, rng), quantities, others)
    singled = {w: _singled(known.cells, twins, sides, least, most, rng) for w, (least, most) in WIDTHS.items()}
    leads = {w: lead(s.rate, s.usual, sides.members, confidence=confidence) for w, s in singled.items()}
    chances = holm(relabel({w: {"right": s.right} for w, s in singled.items()}, sides.members, rng=rng))
    return _verdict(leads, chances, sides, table, limit, held_units, synthetic.num_rows)


def _verdict(
    leads: Mapping[str, Lead], chances: Mapping[str, float], sides: Sides, table: str, limit: float, held_units: int,
    n: int,
) -> Verdict:  # fmt: skip
    worst = max(leads, key=lambda w: (leads[w].high, w))
    told, enough = leads[worst], sides.held >= held_units
    failed = any(chances[w] < EVIDENCE and leads[w].high > limit for w in leads)
    passed = told.high <= limit and enough
    reason = (
        f"conditions on {worst}: learnt units are singled out more often by {told.value:.1%} of what there is to gain, "
        f"{told.high:.1%} at most"
    )
    if failed:
        reason += ". That is beyond chance: the generator follows single units. Use larger leaves"
    elif not passed:
        needed = max(held_units, told.needed(sides.held, limit))
        reason += f". {sides.held:,} held-back units are too few to tell; about {needed:,} are needed: hold back more"
    return Verdict(
        gate=GATE, table=table, value=round(told.value, 6), low=None, high=round(told.high, 6), baseline=0.0, n=n,
        limit=limit, bound="at_most", passed=passed, inconclusive=not passed and not failed, reason=reason,
        parts={w: round(of.high, 6) for w, of in leads.items()},
    )  # fmt: skip


def _singled(cells: Cells, twins: Cells, sides: Sides, least: int, most: int, rng: np.random.Generator) -> Singled:
    """What conditions on `least` to `most` columns single out; 0 is all columns."""
    columns = cells.codes.shape[1] + cells.ranks.shape[1]
    units, guesses = len(sides.members), 0
    right, usual = np.zeros(units), np.zeros(units)
    for chosen, parts in _sets(columns, cells.codes.shape[1], least, most, rng):
        real, drawn = (_conditions(side, chosen, parts) for side in (cells, twins))
        unit = _alone(real, sides.unit)
        values, often = np.unique(drawn, return_counts=True)
        guess = values[often == 1]
        guesses += len(guess)
        np.add.at(usual, unit[1], 1)
        np.add.at(right, unit[1][found(unit[0], guess)[1]], 1)
    return Singled(guesses, right, usual)


def _sets(columns: int, labels: int, least: int, most: int, rng: np.random.Generator) -> Iterator[tuple[Codes, Codes]]:
    """Sets of columns with the parts of each (0: its very value), no set twice; labels come first and have no parts."""
    seen = set[bytes]()
    for _ in range(DRAWN if columns else 0):
        width = int(rng.integers(least, most + 1)) if most else columns
        chosen = np.sort(rng.permutation(columns)[: min(width, columns)])
        parts = np.where(chosen < labels, 0, rng.choice((*PARTS, 0), len(chosen)))
        name = np.stack([chosen, parts]).tobytes()
        if name not in seen:
            seen.add(name)
            yield chosen, parts


def _alone(conditions: Hashes, unit: Codes) -> tuple[Hashes, Codes]:
    """The conditions that one unit alone meets, and which unit that is."""
    values, count = holders(conditions, unit.astype(np.uint64))
    once = values[count == 1]
    at, hit = found(conditions, once)
    of = np.zeros(len(once), np.intp)
    of[at[hit]] = unit[hit]
    return once, of


def _conditions(cells: Cells, columns: Codes, parts: Codes) -> Hashes:
    """What each row has in these columns, quantities to so many parts (0: exactly); shape (rows,)."""
    labels, found_ = cells.codes.shape[1], np.zeros(len(cells), np.uint64)
    for column, size in zip(columns.tolist(), parts.tolist(), strict=True):
        if column < labels:
            own = cells.codes[:, column].astype(np.int64)
        else:
            rank = cells.ranks[:, column - labels]
            own = np.floor(rank * size).astype(np.int64) if size else rank.view(np.int32).astype(np.int64)
        found_ = mix(found_ ^ mix(own.view(np.uint64) + np.uint64(column)))
    return found_
