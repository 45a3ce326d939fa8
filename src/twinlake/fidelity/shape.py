"""Gate `column_shape`: does each column alone look like the column of rows that were held back?"""

import numpy as np
import pyarrow as pa

from twinlake.columns import Floats
from twinlake.fidelity.coding import Coded, code_states
from twinlake.fidelity.comparison import Likeness, Sides, compared, nothing_to_compare, spread
from twinlake.schema import Table
from twinlake.verdict import Verdict

GATE = "column_shape"
ROWS = 50_000  # of each side; more would not move the third decimal


def column_shape(
    real: pa.Table, holdout: pa.Table, synthetic: pa.Table, table: Table, *, limit: float, rng: np.random.Generator
) -> Verdict:
    """Mean over learnt columns of the likeness of holdout and twin, 1.0 where they are the same; at least `limit`.

    A quantity scores 1 - Kolmogorov-Smirnov distance of its values, times 1 - the difference of the shares of null;
    where a side has no values, the shares alone. A discrete column scores 1 - total variation distance, null being a
    label, and labels that fewer than 10 real rows hold being one label: the twin may not hold them. Without nulls and
    rare labels these are SDMetrics' KSComplement and TVComplement.

    The interval is value +- 1.96 standard deviations of a bootstrap over rows; it takes rows for independent. The
    baseline is the same measure between the learnt rows (as many as the twin's) and the holdout. Passes where the
    upper end reaches the limit, or the baseline if that is lower: real rows can do no better. At most 50,000 rows of
    each side are used, drawn with `rng`.
    """
    names = table.learnt
    early = nothing_to_compare(GATE, real, holdout, synthetic, table, limit=limit, columns=names)
    if early:
        return early
    sides = Sides.draw(real, holdout, synthetic, columns=names, rows=ROWS, rng=rng)
    coded = [code_states(sides, table[n]) for n in names]
    scores = [_likeness(c, c.counts_holdout(), c.counts_synthetic()) for c in coded]
    baseline = [_likeness(c, c.counts_holdout(), c.counts_real()) for c in coded]

    def again(at_holdout: Floats, at_synthetic: Floats) -> float:
        return _mean([_likeness(c, c.counts_holdout(at_holdout), c.counts_synthetic(at_synthetic)) for c in coded])

    found = Likeness(_mean(scores), _mean(baseline), error=spread(again, sides, rng))
    parts = dict(zip(names, scores, strict=True))
    return compared(GATE, table, found, parts, limit=limit, n=sides.synthetic.num_rows, words=sides.words("column"))


def _likeness(coded: Coded, holdout: Floats, synthetic: Floats) -> float:
    """The likeness of two columns from how often each state occurs; state 0 is null."""
    p, q = holdout / holdout.sum(), synthetic / synthetic.sum()
    if not coded.ordered:
        return float(1 - np.abs(p - q).sum() / 2)
    agreement = 1 - abs(p[0] - q[0])
    if p[0] == 1 or q[0] == 1:
        return float(agreement)
    distance = np.abs(np.cumsum(p[1:]) / p[1:].sum() - np.cumsum(q[1:]) / q[1:].sum()).max(initial=0.0)
    return float((1 - distance) * agreement)


def _mean(scores: list[float]) -> float:
    return float(np.mean(scores))
