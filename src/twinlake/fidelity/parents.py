"""Gate `parent_trend`: do columns go with those of the rows they refer to as they do in rows that were held back?"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinlake.columns import Codes
from twinlake.fidelity.coding import RARE
from twinlake.fidelity.comparison import Likeness, Sides, Words, compared, nothing_to_compare, trivial
from twinlake.fidelity.databases import FEW, Databases, coarser, numbered
from twinlake.fidelity.pairs import (
    PAIRS_FOR_INTERVAL,
    SHOWN,
    Frame,
    Pairs,
    frames,
    likenesses,
    mean,
    rows_for,
    spreads,
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
    bootstrap over parents with all their rows (over rows where the parents are public, for then twin and holdout have
    the same ones), or over units where these are fewer. The baseline are learnt rows beside those held back. A
    reference passes where its upper end reaches the limit, or where it is not below its baseline by more than chance;
    value, interval and baseline are those of the reference that falls shortest, or comes closest to it. `parts` are the
    20 worst pairs of all references. With fewer than 10 such families held back a reference is left out.
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
    kept = _some(three[1].num_rows, rows, rng)
    sides = Sides.draw(three[0], three[1].take(pa.array(kept)), three[2], columns=referring, rows=rows, rng=rng)
    base = frames(sides, [table[n] for n in own])
    units = databases.units[name]
    case = _Case(databases, table, sides, base, None if units is None else numbered(units[kept]))
    most = max(PAIRS_FOR_INTERVAL // len(followed), 20)
    found = [_judge(case, r, most, rng) for r in followed]
    judged = sorted((j for j in found if j and j.parts), key=lambda j: (j.found.margin(limit), str(j.reference)))
    if not judged:
        few = f"too few rows to tell chance from a difference: fewer than {FEW} families were held back"
        reason = "no pair of columns has a trend" if any(found) else few
        return trivial(GATE, table, n=base[1].rows, limit=limit, reason=reason)
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


@dataclass(frozen=True, slots=True)
class _Case:
    """The rows of a table whose references are judged: as tables, and as frames of their own columns.

    Attributes:
        units: the unit of each row of the holdout, numbered from 0; None where they are nobody's.
    """

    databases: Databases
    table: Table
    sides: Sides
    own: tuple[Frame, Frame, Frame]
    units: Codes | None


def _judge(case: _Case, reference: Reference, most: int, rng: np.random.Generator) -> _Judged | None:
    """What is found of a reference; None where too few families were held back."""
    parent = case.databases.real.schema[reference.table]
    at, parents = _joined(case.databases, reference, case.sides)
    own, made, known = (np.arange(len(a), dtype=np.intp) if parent.public else _families(a) for a in at)
    by = (coarser(own, case.units), made, known)
    if by[0].max(initial=-1) + 1 < FEW:
        return None
    held, twin, learnt = (f.beside(p.at(a)) for f, p, a in zip(case.own, parents, at, strict=True))
    pairs = Pairs.across(len(case.table.learnt), len(parent.learnt))
    scores = likenesses(held, twin, pairs)
    error, apart = spreads(held, twin, learnt, pairs.some(most, rng), rng, by=by)
    found = Likeness(mean(scores), mean(likenesses(held, learnt, pairs)), error, apart)
    there = _title(case.table, reference)
    named = [f"{a} × {there}.{b}" for a in case.table.learnt for b in parent.learnt]
    return _Judged(reference, found, worst(scores, named))


def _families(parents: Codes) -> Codes:
    """Rows by their parent, numbered from 0; a row without a parent is alone."""
    alone = np.arange(len(parents), dtype=np.intp) + parents.max(initial=0) + 1
    return numbered(np.where(parents < 0, alone, parents))


def _some(rows: int, most: int, rng: np.random.Generator) -> Codes:
    """At most so many rows, in order."""
    every = np.arange(rows, dtype=np.intp)
    return every if rows <= most else np.sort(rng.choice(every, most, replace=False))


def _joined(
    databases: Databases, reference: Reference, sides: Sides
) -> tuple[tuple[Codes, Codes, Codes], tuple[Frame, Frame, Frame]]:
    """The parent of each row of holdout, twin and learnt rows, and the parents that rows have, as frames."""
    parent = databases.real.schema[reference.table]
    columns = tuple(n for n in parent.names if n in {*parent.learnt, *reference.to})
    real, drawn = databases.whole(parent.name, columns), databases.synthetic.columns(parent.name, columns)
    at = [
        databases.leads(sides.holdout, reference, held=True),
        places(sides.synthetic, drawn, reference),
        databases.leads(sides.real, reference, held=False),
    ]
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
