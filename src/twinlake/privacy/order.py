"""Order: do a twin's rows, or its keys, stand in the order of the learnt rows that they are most like?

Surrogates that are counted up along the source, or rows that are written as they were read, say whose neighbour each
twin is, however little its columns say.
"""

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.columns import Codes, Floats, is_quantity
from twinlake.privacy import pairs
from twinlake.privacy.pool import code, learnt_columns
from twinlake.schema import Table

ROWS = 4_000  # of either side that are looked at
FEWEST = 10


def follows(learnt: pa.Table, synthetic: pa.Table, table: Table, *, rng: np.random.Generator) -> float:
    """Chance that the twin's order has so much to do with that of the learnt rows, were its rows and keys shuffled.

    Each synthetic row is held against the learnt row nearest to it by the learnt columns. The place of both among
    their own, by the key and by where they stand, are correlated (Spearman, 1904); of a shuffle, such a correlation
    times the root of the rows less one is close to standard normal. The smallest of the four chances is corrected for
    their number.

    Args:
        learnt: rows that were learnt, in the order they were read.
        synthetic: rows of the twin; they are of units of their own.
        table: the table.
        rng: draws rows.
    """
    quantities, others = learnt_columns(table)
    if not (quantities or others) or min(learnt.num_rows, synthetic.num_rows) < FEWEST:
        return 1.0
    at, drawn = (np.sort(rng.permutation(t.num_rows)[:ROWS]) for t in (learnt, synthetic))
    real, twins = learnt.take(pa.array(at)), synthetic.take(pa.array(drawn))
    known, cells = code(real, twins, quantities, others)
    nearest = pairs.owners(known, np.arange(len(at)), cells)[0][0]
    found = [_chance(order[nearest], own) for order in _orders(real, table) for own in _orders(twins, table)]
    return min(1.0, min(found) * len(found))


def _orders(rows: pa.Table, table: Table) -> list[Codes]:
    """The place of each row, and of its key where there is one of one column that can be ordered."""
    places = [np.arange(rows.num_rows)]
    own = table.key if len(table.key) == 1 and not _refers(table) else ()
    for column in (table[name] for name in own):
        if is_quantity(column) or pa.types.is_string(column.type):
            order = np.asarray(pc.sort_indices(rows[column.name]))
            places.append(np.argsort(order, kind="stable"))
    return places


def _refers(table: Table) -> bool:
    """Whether the key is another table's too, whose order it then has."""
    return any(set(reference.columns) & set(table.key) for reference in table.references)


def _chance(one: Codes, other: Codes) -> float:
    from scipy.stats import norm, rankdata

    a, b = (_standard(rankdata(v)) for v in (one, other))
    return float(2 * norm.sf(abs(float((a * b).sum())) * math.sqrt(len(a) - 1)))


def _standard(values: Floats) -> Floats:
    """Values of mean 0 and length 1; 0 where all are alike."""
    apart = values - values.mean()
    return np.asarray(apart / max(float(np.sqrt((apart**2).sum())), 1e-12))
