"""Gate `copying`: are learnt units copied into the twin, whole, nearly, or cell by cell?"""

from collections.abc import Sequence

from twinlake.privacy.closeness import Closeness
from twinlake.privacy.relabel import DRAWS, holm, relabel
from twinlake.random import stream
from twinlake.verdict import Verdict

GATE = "copying"
SINGLE = "single record"


def copying(
    views: Sequence[Closeness], table: str, *, limit: float, tables: int, held_units: int, n: int, seed: int
) -> Verdict:
    """The smallest p-value of four attacks, corrected for how many there are (Holm, 1979); at least `limit`.

    Three attacks are relabelling tests (see `relabel`), exact; the fourth judges the single record that stands out
    most (see `single`). A unit is attacked by its rows, and by what its parent and children look like together.

    Args:
        views: what attacks found, by rows and by whole units.
        table: which table.
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
    parts = {name: min(1.0, p * tables) for name, p in holm(chances).items()}
    worst = min(parts, key=lambda name: (parts[name], name))
    held = int((~first.members).sum())
    found, enough = parts[worst] < limit, held >= held_units
    reason = f"{worst}: p {parts[worst]:.4f}; {limit:g} and more is let pass"
    if found:
        reason = f"copies of learnt units are in the twin ({reason}). Use larger leaves, or more and smaller samples"
    elif not enough:
        reason += (
            f". {held:,} held-back units are too few to clear the table; {held_units:,} are needed: hold more back"
        )
    return Verdict(
        gate=GATE, table=table, value=parts[worst], low=None, high=None, n=n, limit=limit, bound="at_least",
        passed=not found and enough, inconclusive=not found and not enough, reason=reason, parts=parts,
    )  # fmt: skip
