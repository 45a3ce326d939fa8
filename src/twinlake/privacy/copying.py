"""Gate `copying`: are learnt units copied into the twin, whole, nearly, or cell by cell?"""

from collections.abc import Sequence

from twinlake.privacy.closeness import Closeness
from twinlake.privacy.relabel import DRAWS, holm, relabel
from twinlake.random import stream
from twinlake.verdict import Verdict

GATE = "copying"
SINGLE = "single record"
ORDER = "order of rows"
SHARES = {
    "near copy": 0.35,
    "record to twin": 0.15,
    "shared cells": 0.15,
    "single values": 0.1,
    SINGLE: 0.2,
    ORDER: 0.05,
}
"""Of the significance. What finds most of what was planted has most; the order, where it is kept, is plain to see."""
COPIED = ("copies of learnt units are in the twin", "Use larger leaves, or more and smaller samples")
SAYS = {ORDER: ("the twin's rows or keys are in the order of the learnt rows they are like", "Shuffle rows and keys")}


def copying(
    views: Sequence[Closeness], table: str, *, order: float, limit: float, tables: int, held_units: int, n: int,
    seed: int,
) -> Verdict:  # fmt: skip
    """The smallest p-value of six attacks, corrected for how many there are (Holm, 1979); at least `limit`.

    Four attacks are relabelling tests (see `relabel`), exact; one judges the single record that stands out most (see
    `single`), one the order of the twin's rows and keys (see `order`). A unit is attacked by its rows, and by what its
    parent and children look like together.

    Args:
        views: what attacks found, by rows and by whole units.
        table: which table.
        order: chance that the twin follows the order of learnt rows so closely.
        limit: p-values below are taken for evidence of a leak.
        tables: how many tables are judged: each has its part of `limit`.
        held_units: how many held-back units it takes to clear a table.
        n: rows of the twin.
        seed: of the deals of labels.
    """
    first = views[0]
    families = {
        family: {f"{i} {name}": scores for i, v in enumerate(views) for name, scores in v.families[family].items()}
        for family in first.families
    }
    rng = stream(seed, GATE, table)
    chances = relabel(families, first.members, rng=rng, draws=DRAWS * max(1, tables // 2))
    chances[SINGLE] = min(1.0, min(v.single for v in views) * len(views))
    chances[ORDER] = order
    parts = {name: min(1.0, p * tables) for name, p in holm(chances, SHARES).items()}
    worst = min(parts, key=lambda name: (parts[name], name))
    held = int((~first.members).sum())
    found, enough = parts[worst] < limit, held >= held_units
    reason = f"{worst}: p {parts[worst]:.4f}; {limit:g} and more is let pass"
    if found:
        what, mend = SAYS.get(worst, COPIED)
        reason = f"{what} ({reason}). {mend}"
    elif not enough:
        reason += (
            f". {held:,} held-back units are too few to clear the table; {held_units:,} are needed: hold more back"
        )
    return Verdict(
        gate=GATE, table=table, value=parts[worst], low=None, high=None, n=n, limit=limit, bound="at_least",
        passed=not found and enough, inconclusive=not found and not enough, reason=reason, parts=parts,
    )  # fmt: skip
