"""What chance may hit, held against the holdout: rows of a coarse table, and values of quantities."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.columns import is_quantity
from twinlake.hashing import Hashes
from twinlake.privacy.excess import Sides
from twinlake.privacy.forbidden import RICH, coincidence
from twinlake.privacy.holders import Hash, found, repeating, row_hash, value_hash
from twinlake.schema import Table

ALPHA = 0.01
LEAN = 1.25
"""How much more often the value of a learnt unit may be met than another's.

A quantile that stands on so many units lies closer to each of them than to anybody else, so a twin that is drawn from
quantiles meets their values a little more often, by density and by no copy. In large tables any such lean is beyond
chance; how far it may go is for `membership` to say.
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """One thing that chance may hit: held against the holdout, not against zero."""

    part: str
    hash: Hash
    sides: Sides
    lean: float = 1.0

    def mark(self, data: pa.Table, seen: npt.NDArray[np.bool_]) -> None:
        """Note which rare hashes rows of the twin hold; `seen` has the shape of them."""
        at, hit = found(np.unique(self.hash(data)), self.sides.rare)
        seen[at[hit]] = True


def judged(learnt: pa.Table, holdout: pa.Table, table: Table, units: Hashes, held: Hashes | None) -> Iterator[Judged]:
    """The rules of a table that are held against the holdout.

    What one real unit alone holds is looked at: what several hold is hit by chance more often, and hides copies.
    """
    columns = repeating(learnt, table)
    if columns and coincidence(learnt, holdout, table) >= RICH:
        yield _judged("rows that one unit holds", row_hash(columns), learnt, holdout, units, held)
    for name in table.learnt:
        if is_quantity(table[name]) and not table[name].public:
            part = f"values that one unit holds: {name}"
            yield _judged(part, value_hash(name), learnt, holdout, units, held, lean=LEAN)


def _judged(
    part: str, hash_: Hash, learnt: pa.Table, holdout: pa.Table, units: Hashes, held: Hashes | None, *,
    lean: float = 1.0,
) -> Judged:  # fmt: skip
    return Judged(part, hash_, Sides.of(hash_(learnt), units, hash_(holdout), held, k=2), lean)


def beyond_chance(rules: list[Judged], seen: list[npt.NDArray[np.bool_]]) -> dict[str, float]:
    """Units hit beyond chance by each rule that fails: rows alone, columns after Holm's step-down (1979)."""
    counts = [rule.sides.hits(s) for rule, s in zip(rules, seen, strict=True)]
    tested = [(rule.sides.p_value(*c, lean=rule.lean), rule, c) for rule, c in zip(rules, counts, strict=True)]
    rows = [t for t in tested if t[1].part.startswith("rows")]
    columns = sorted((t for t in tested if t not in rows), key=lambda t: (t[0], t[1].part))
    failed = [t for t in rows if t[0] < ALPHA]
    for i, test in enumerate(columns):
        if test[0] >= ALPHA / (len(columns) - i):
            break
        failed.append(test)
    return {f"{rule.part}, beyond chance": float(rule.sides.excess(*c)) for _, rule, c in failed}
