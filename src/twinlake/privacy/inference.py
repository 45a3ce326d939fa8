"""Gate `attribute_inference`: is a column guessed better from the others for learnt units than for held-back ones?

Guessing well is what a twin is for. Guessing better where a person was learnt than where not is a leak.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinlake.columns import Codes, sampled
from twinlake.privacy import pairs
from twinlake.privacy.leads import Lead, lead
from twinlake.privacy.pool import Cells, Members, Sides, code, one_row_each
from twinlake.privacy.relabel import holm
from twinlake.verdict import Verdict

GATE = "attribute_inference"
TWINS = 10_000
TREE_TWINS = 3_000
TREES = 8  # columns that boosted trees guess, those declared secret first
CLASSES = 12
PARTS = 10  # a quantity is guessed right where the tenth of the pool's values is
KNOWN = 0.99  # a column guessed right so often holds nothing to infer
EVIDENCE = 0.01


@dataclass(frozen=True, slots=True)
class Guessed:
    """How often each side's cells of a column were guessed right.

    Attributes:
        column: which one.
        right: whether each unit's was, shape (units,).
        usual: whether it would be by another real unit instead of the twin, shape (units,).
        p: chance of so large a lead of the learnt side, were labels dealt anew: Fisher's exact test (1935).
    """

    column: str
    right: Codes
    usual: Codes
    p: float


def attribute_inference(
    sides: Sides, synthetic: pa.Table, table: str, quantities: Sequence[str], others: Sequence[str], *,
    secrets: Sequence[str], limit: float, confidence: float, held_units: int, trees: bool, rng: np.random.Generator,
) -> Verdict:  # fmt: skip
    """The lead of learnt units over held-back ones, as a share of what is there to gain; its upper end at most `limit`.

    Each column is guessed from all others, from the twin alone: by the row that is nearest in them, and by
    boosted trees. Of one row per unit. The lead is (right of learnt - right of held back) / (1 - right of held
    back), over all columns together; a column declared secret is held to the limit by itself. A column whose lead is
    beyond chance (Fisher's exact test, p < 0.01 after Holm's correction, half of it for secrets) and may be over the
    limit fails, however small the lead of all is.

    Args:
        sides: units to attack.
        synthetic: rows of the twin.
        table: which table.
        quantities: columns guessed by their tenth.
        others: columns guessed by label.
        secrets: columns that nobody may infer.
        limit: of the upper end.
        confidence: of the upper end, one-sided.
        held_units: how many held-back units it takes to clear a table.
        trees: whether boosted trees guess too, which takes most of the time.
        rng: draws rows.
    """
    one = one_row_each(sides, rng)
    known, twins = code(one.rows, sampled(synthetic, TWINS, rng), quantities, others)
    names = [*known.labels, *known.quantities]
    truth, drawn = _bins(known.cells), _bins(twins)
    nearest, usual = pairs.without_each(known.cells, twins), _usual(known.cells, truth)
    several = range(len(names)) if len(names) > 1 else ()  # one column alone is inferred from nothing

    def guessed(c: int, by: Codes) -> Guessed:
        return _guessed(names[c], by == truth[:, c], usual[:, c], one.members)

    found = [guessed(c, drawn[nearest[:, c], c]) for c in several]
    if trees and several:
        chosen = sorted(range(len(names)), key=lambda c: (names[c] not in secrets, c))[:TREES]
        found += [guessed(c, _by_trees(truth, drawn, c, rng)) for c in chosen]
    open_ = [g for g in found if 0 < g.right.mean() < KNOWN]
    return _verdict(open_, one, table, secrets, limit, confidence, held_units, synthetic.num_rows)


def _verdict(
    found: list[Guessed], sides: Sides, table: str, secrets: Sequence[str], limit: float, confidence: float,
    held_units: int, n: int,
) -> Verdict:  # fmt: skip
    leads = {"all columns": _lead(found, sides.members, confidence)}
    alone = [(g.column, _lead([g], sides.members, confidence)) for g in found]
    for column, own in alone:  # whichever guesser gains more of it
        if column in secrets:
            leads[column] = max(leads.get(column, own), own, key=lambda of: of.high)
    over = {column for column, own in alone if own.high > limit}
    worst = max(leads, key=lambda c: (leads[c].high, c))
    value, high = leads[worst].value, leads[worst].high
    guesses = [g.column for g in found]
    by_column = {c: min(1.0, guesses.count(c) * min(g.p for g in found if g.column == c)) for c in guesses}
    failing = sorted(c for c, p in holm(by_column, _shares(by_column, secrets)).items() if p < EVIDENCE and c in over)
    enough = sides.held >= held_units
    passed = not failing and high <= limit and enough
    reason = f"{worst}: guessed better for learnt units by {value:.1%} of what there is to gain, {high:.1%} at most"
    if failing:
        reason += f"; beyond chance in {', '.join(failing)}. The generator follows single units: use larger leaves"
    elif not passed:
        needed = max(held_units, leads[worst].needed(sides.held, limit))
        reason += f". {sides.held:,} held-back units are too few to tell; about {needed:,} are needed: hold back more"
    return Verdict(
        gate=GATE, table=table, value=round(value, 6), low=None, high=round(high, 6), baseline=0.0, n=n, limit=limit,
        bound="at_most", passed=passed, inconclusive=not passed and not failing, reason=reason,
        parts={c: round(own.high, 6) for c, own in leads.items()},
    )  # fmt: skip


def _shares(columns: Collection[str], secrets: Sequence[str]) -> dict[str, float]:
    """Of the significance: half is for columns declared secret, where there are any."""
    chosen = [c for c in columns if c in secrets]
    return {c: 1 / len(chosen) if c in chosen else 1 / max(1, len(columns) - len(chosen)) for c in columns}


def _guessed(column: str, right: Codes, usual: Codes, members: Members) -> Guessed:
    from scipy.stats import hypergeom

    mine, all_ = int(right[members].sum()), int(right.sum())
    p = float(hypergeom.sf(mine - 1, len(right), all_, int(members.sum())))
    return Guessed(column, right.astype(np.intp), usual, p)


def _lead(found: Sequence[Guessed], members: Members, confidence: float) -> Lead:
    """The lead over columns together; each unit counts once for all columns.

    The gain of all columns is shared out, not the mean taken of each column's: a column that is nearly always guessed
    right would weigh a hundred times another.
    """
    if not found:
        return Lead(0.0, 0.0)
    right, usual = (np.mean([getattr(g, of) for g in found], axis=0) for of in ("right", "usual"))
    return lead(right, usual, members, confidence=confidence)


def _usual(cells: Cells, truth: Codes) -> Codes:
    """Whether the real unit nearest in all other columns tells each cell right, shape (units, columns).

    Half of the units, every other one of an order that knows no side, are guessed by the other half.
    """
    found = np.zeros(truth.shape, np.intp)
    halves = [np.arange(start, len(cells), 2) for start in (0, 1)]
    for asked, told in (halves, halves[::-1]):
        if len(told):
            nearest = told[pairs.without_each(cells.at(asked), cells.at(told))]
            found[asked] = np.take_along_axis(truth, nearest, axis=0) == truth[asked]
    return found


def _bins(cells: Cells) -> Codes:
    """Labels as they are, quantities by tenths; shape (rows, columns)."""
    tenths = np.minimum(PARTS, (cells.ranks * PARTS).astype(np.intp))
    return np.concatenate([cells.codes.astype(np.intp), tenths], axis=1)


def _by_trees(truth: Codes, drawn: Codes, column: int, rng: np.random.Generator) -> Codes:
    """What boosted trees that saw the twin alone guess of a column of the real rows, shape (rows,)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = rng.permutation(len(drawn))[:TREE_TWINS]
    values, counts = np.unique(drawn[rows, column], return_counts=True)
    common = values[np.argsort(-counts, kind="stable")][:CLASSES]
    kept = rows[np.isin(drawn[rows, column], common)]
    if len(common) < 2:
        return np.full(len(truth), common[0] if len(common) else -1)
    rest = [c for c in range(drawn.shape[1]) if c != column]
    model = HistGradientBoostingClassifier(
        max_iter=15, max_leaf_nodes=15, learning_rate=0.3, early_stopping=False, random_state=0
    )
    guessed: Codes = model.fit(drawn[kept][:, rest], drawn[kept, column]).predict(truth[:, rest])
    return guessed
