"""Gate `parent_trend`: do columns go with those of the rows they refer to as they do in rows that were held back?"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinlake.columns import Codes
from twinlake.fidelity.coding import RARE
from twinlake.fidelity.comparison import Likeness, Sides, Words, compared, nothing_to_compare, trivial
from twinlake.fidelity.databases import Databases
from twinlake.fidelity.pairs import (
    PAIRS_FOR_INTERVAL,
    SHOWN,
    Frame,
    Pairs,
    clusters,
    frames,
    likenesses,
    mean,
    rows_for,
    spread,
    worst,
)
from twinlake.joining import places
from twinlake.schema import Reference, Table
from twinlake.verdict import Verdict

GATE = "parent_trend"


def parent_trend(databases: Databases, name: str, *, limit: float, rng: np.random.Generator) -> Verdict:
    """Likeness of holdout and twin in how columns go with parents' columns, of the reference that keeps it least well.

    Of each reference the mean likeness (see `pairs`) over each learnt column of the table with each learnt column of
    the table it refers to; a row that points nowhere has null there. Labels that fewer than 10 real parents hold are
    one state, unless the parents are public. A real row is joined to its parent whichever side that is on.

    At most 20,000 rows of each side are used, drawn with `rng`. The interval is value +- 1.96 standard deviations of a
    bootstrap over parents with all their rows, or over rows where the parents are public, for then twin and holdout
    have the same ones. The baseline are learnt rows beside those held back. A reference passes where its upper end
    reaches the limit, or its baseline if that is lower; value, interval and baseline are those of the reference that
    falls shortest, or comes closest to it. `parts` are the 20 worst pairs of all references.
    """
    table = databases.real.schema[name]
    own = table.learnt
    others = {r: databases.real.schema[r.table].learnt for r in table.references}
    followed = [r for r in table.references if others[r]]
    three = (databases.real[name], databases.holdout[name], databases.synthetic[name])
    early = nothing_to_compare(GATE, *three, table, limit=limit, columns=own)
    if early or not followed:
        nothing = "no table it refers to has a learnt column"
        return early or trivial(GATE, table, n=three[2].num_rows, limit=limit, reason=nothing)
    rows = rows_for(sum(len(own) * len(others[r]) for r in followed))
    referring = tuple(n for n in table.names if n in {*own, *(c for r in followed for c in r.columns)})
    sides = Sides.draw(*three, columns=referring, rows=rows, rng=rng)
    base = frames(sides, [table[n] for n in own])
    most = max(PAIRS_FOR_INTERVAL // len(followed), 20)
    judged = [_judge(databases, table, r, sides, base, most, rng) for r in followed]
    judged = sorted((j for j in judged if j.parts), key=lambda j: (j.found.margin(limit), str(j.reference)))
    if not judged:
        return trivial(GATE, table, n=base[1].rows, limit=limit, reason="no pair of columns has a trend")
    least = judged[0]
    every = sorted(((n, x) for j in judged for n, x in j.parts.items()), key=lambda p: (p[1], p[0]))
    words = _words(sides, least.reference)
    return compared(
        GATE, table, least.found, dict(every[:SHOWN]), limit=limit, n=base[1].rows, words=words, worst=least.parts
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """A reference: its likeness, and its worst pairs by name."""

    reference: Reference
    found: Likeness
    parts: dict[str, float]


def _words(sides: Sides, reference: Reference) -> Words:
    alike, unlike = (f"{sides.counted} go with {reference} {w} the rows held back" for w in ("as do", "unlike"))
    return Words(passed=alike, failed=unlike, part="pair")


def _judge(
    databases: Databases, table: Table, reference: Reference, sides: Sides, base: tuple[Frame, Frame, Frame], most: int,
    rng: np.random.Generator,
) -> _Judged:  # fmt: skip
    names = databases.real.schema[reference.table].learnt
    at, parents = _joined(databases, reference, sides)
    held, twin, learnt = (f.beside(p.at(a)) for f, p, a in zip(base, parents, at, strict=True))
    pairs = Pairs.across(len(table.learnt), len(names))
    scores = likenesses(held, twin, pairs)
    some = pairs.some(most, rng)
    by = None if databases.carried(reference.table) else (clusters(at[0]), clusters(at[1]))
    error = spread(held, twin, some, rng, by=by)
    found = Likeness(mean(scores), mean(likenesses(held, learnt, pairs)), error=error)
    there = _title(table, reference)
    return _Judged(reference, found, worst(scores, [f"{a} × {there}.{b}" for a in table.learnt for b in names]))


def _joined(
    databases: Databases, reference: Reference, sides: Sides
) -> tuple[tuple[Codes, Codes, Codes], tuple[Frame, Frame, Frame]]:
    """The parent of each row of holdout, twin and learnt rows, and the parents that rows have, as frames."""
    parent = databases.real.schema[reference.table]
    columns = tuple(n for n in parent.names if n in {*parent.learnt, *reference.to})
    real, drawn = databases.whole(parent.name, columns), databases.synthetic.columns(parent.name, columns)
    at = [places(s, t, reference) for s, t in zip(sides.tables, (real, drawn, real), strict=True)]
    there, made = np.unique(np.concatenate([at[0], at[2]])), np.unique(at[1])
    there, made = there[there >= 0], made[made >= 0]
    used = Sides(real.take(pa.array(there)), drawn.take(pa.array(made)), real.slice(0, 0), len(made))
    rare = 1 if parent.public else RARE
    known, twin, _ = frames(used, [parent[n] for n in parent.learnt], rare=rare)
    held, own, learnt = (_among(a, u) for a, u in zip(at, (there, made, there), strict=True))
    return (held, own, learnt), (known, twin, known)


def _among(at: Codes, used: Codes) -> Codes:
    return np.where(at < 0, -1, np.searchsorted(used, at)).astype(np.intp)


def _title(table: Table, reference: Reference) -> str:
    """How parts name the table that a reference leads to: by its name, and by the way where there are several."""
    several = sum(r.table == reference.table for r in table.references) > 1
    return f"{', '.join(reference.columns)} → {reference.table}" if several else reference.table
