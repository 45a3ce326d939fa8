"""Gate `pair_trend`: do columns go together as they do in rows that were held back?"""

import numpy as np
import pyarrow as pa

from twinlake.columns import Codes
from twinlake.fidelity.comparison import Likeness, Sides, compared, nothing_to_compare, trivial
from twinlake.fidelity.pairs import Frame, Pairs, frames, likenesses, mean, rows_for, spread, worst
from twinlake.schema import Table
from twinlake.verdict import Verdict

GATE = "pair_trend"
COLUMNS_FOR_INTERVAL = 20


def pair_trend(
    real: pa.Table, holdout: pa.Table, synthetic: pa.Table, table: Table, *, limit: float, rng: np.random.Generator
) -> Verdict:
    """Mean likeness of holdout and twin over all pairs of learnt columns, 1.0 where they are the same; see `pairs`.

    At most 20,000 rows of each side are used (fewer beyond 20,000 pairs), drawn with `rng`. The interval is value
    +- 1.96 standard deviations of a bootstrap over rows, over the pairs of at most 20 columns. Baseline and passing
    are those of `column_shape`. `parts` are the 20 worst pairs.
    """
    names = table.learnt
    early = nothing_to_compare(GATE, real, holdout, synthetic, table, limit=limit, columns=names)
    if early or len(names) == 1:
        alone = "there is one learnt column, hence nothing to pair"
        return early or trivial(GATE, table, n=synthetic.num_rows, limit=limit, reason=alone)
    pairs = Pairs.of_all(len(names))
    sides = Sides.draw(real, holdout, synthetic, columns=names, rows=rows_for(len(pairs)), rng=rng)
    held, twin, learnt = frames(sides, [table[n] for n in names])
    scores = likenesses(held, twin, pairs)
    if np.isnan(scores).all():
        return trivial(GATE, table, n=synthetic.num_rows, limit=limit, reason="no pair of columns has a trend")
    told = [f"{names[i]} × {names[j]}" for i, j in zip(pairs.first, pairs.second, strict=True)]
    found = Likeness(mean(scores), mean(likenesses(held, learnt, pairs)), error=_spread(held, twin, rng))
    return compared(GATE, table, found, worst(scores, told), limit=limit, n=twin.rows, words=sides.words("pair"))


def _spread(held: Frame, twin: Frame, rng: np.random.Generator) -> float:
    columns = len(held.sizes)
    some: Codes = np.sort(rng.choice(columns, min(columns, COLUMNS_FOR_INTERVAL), replace=False)).astype(np.intp)
    return spread(held.only(some), twin.only(some), Pairs.of_all(len(some)), rng)
