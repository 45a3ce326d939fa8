"""What is learnt of a reference: how many rows point nowhere or to no row, how many children parents have.

No pairs, no values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.generators.degrees import Degrees
from twinlake.generators.thinning import Split
from twinlake.hashing import hash_rows
from twinlake.joining import places
from twinlake.schema import Reference, Table


@dataclass(frozen=True, slots=True)
class Link:
    """A reference with the shape of its real links.

    Attributes:
        nulls: share of rows that point nowhere.
        loops: share of rows that point to themselves, where at least k do; else 0.
        single: whether no parent has more than one child.
        degrees: children of each parent, with those that were held back; without `loops`.
        orphans: share of rows that point to a row which is not there, where the twin shall have such rows too; else 0.
    """

    reference: Reference
    nulls: float
    loops: float
    single: bool
    degrees: Degrees
    orphans: float = 0.0

    @classmethod
    def learn(
        cls, child: pa.Table, parent: pa.Table, reference: Reference, *, own: bool, k: int, rng: np.random.Generator,
        orphans: float = 0.0, split: Split | None = None,
    ) -> Self:  # fmt: skip
        """What to keep of a reference.

        Args:
            child: the referring columns.
            parent: the columns they refer to; rows may be missing that were held back.
            reference: which is which.
            own: whether both are the same table.
            k: how many parents must share a count for it to be told.
            rng: of what is estimated where children were held back apart from their parents.
            orphans: share of rows that point to a row which is not there, and was not held back either.
            split: how children were held back; none were by default.
        """
        pointing = child.select(list(reference.columns))
        linked, at = complete(pointing), places(pointing, parent, reference)
        different = np.sort(np.unique(hash_rows(parent.select(list(reference.to))), return_index=True)[1])
        counts = np.bincount(at[at >= 0], minlength=parent.num_rows).astype(np.int64)
        single = bool(len(counts) and counts.max() <= 1 and counts.sum() >= k)
        selves = at == np.arange(len(at)) if own else np.zeros(len(at), dtype=np.bool_)
        loops = selves.mean() if selves.sum() >= k else 0.0
        others = np.where(selves & (loops > 0), -1, at)
        before = (split or Split()).before(others, parent.num_rows, rng, most=1 if single else None)
        return cls(
            reference=reference,
            nulls=1.0 - float(linked.mean()) if len(linked) else 0.0,
            loops=float(loops),
            single=single,
            degrees=Degrees.learn(before[different], k),
            orphans=orphans,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **self.reference.to_json(),
            "nulls": self.nulls,
            "loops": self.loops,
            "single": self.single,
            "degrees": self.degrees.to_json(),
            "orphan_share": self.orphans,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The link that `to_json` wrote."""
        degrees = Degrees.from_json(data["degrees"])
        told = data["nulls"], data["loops"], data["single"], degrees, data["orphan_share"]
        return cls(Reference.from_json(data), *told)


def leading_first(table: Table, links: Sequence[Link], *, path: Reference | None) -> tuple[Link, ...]:
    """The leading reference first: one that is or lies in the key, else the one to the unit; then the widest first."""

    def leading(i: int) -> tuple[bool, int, bool, int, int]:
        reference = links[i].reference
        columns = set(reference.columns)
        within = bool(table.key) and columns <= set(table.key)
        return (within, len(columns.intersection(table.key)), reference == path, len(columns), -i)

    if not links:
        return ()
    first = max(range(len(links)), key=leading)
    others = [i for i in range(len(links)) if i != first]
    return (links[first], *(links[i] for i in sorted(others, key=lambda i: -len(links[i].reference.columns))))


def complete(rows: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether no column of a row is null, shape (rows,)."""
    found = np.ones(rows.num_rows, dtype=np.bool_)
    for column in rows.columns:
        found &= np.asarray(pc.is_valid(column).to_numpy())
    return found
