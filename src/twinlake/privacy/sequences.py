"""The rows of one parent in their order: whether a twin has a learnt one's, whole or in part, or with its parent."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from twinlake.columns import Floats
from twinlake.hashing import Hashes, mix
from twinlake.privacy.children import WHOLE, Rows
from twinlake.privacy.excess import Sides, beyond
from twinlake.privacy.holders import found
from twinlake.privacy.relabel import holm
from twinlake.schema import Reference, Schema, Table
from twinlake.tables import Tables

LENGTHS = (WHOLE, 8, 16, 32)
"""Rows in a row that are looked for; the next length where chance brings about the one before."""

ALPHA = 0.01
FALL = 0.25  # of the units that share some rows, at least so many are believed to share one more,
LATER = 0.7  # and of those that share four
_WITH_PARENT = (2, 4, 8)
_COUNTED = (1, 2, 3, 4)  # rows in a row that chance is counted at
_PLAIN = ("all columns", "dates moved")
_ALONE = 3  # columns that are looked at by themselves: those with the most different values


@dataclass(frozen=True, slots=True)
class Met:
    """How many units of each side hold rows in a row that the twin has too, and of how many."""

    learnt: int
    holdout: int
    of_learnt: int
    of_holdout: int

    @property
    def p_value(self) -> float:
        """Chance of at least so many learnt units, were what is met not told by the side."""
        return beyond(self.learnt, self.holdout, of_learnt=self.of_learnt, of_holdout=self.of_holdout)


@dataclass(frozen=True, slots=True)
class Finding:
    """Learnt units that are met: by chance not at all where `p_value` is None; `plain` where in all columns."""

    part: str
    units: float
    p_value: float | None
    plain: bool = False


def copied_sequences(
    real: Tables, holdout: Tables, twin: Tables, name: str, *, units: Hashes | None, held: Hashes | None, k: int
) -> dict[str, float]:
    """Learnt units of which the twin has rows in a row that fewer than `k` real units hold; see `replay`.

    Args:
        real: the learnt rows.
        holdout: the rows held back.
        twin: whose rows are told apart by the parents they refer to.
        name: the table.
        units: of learnt rows, shape (rows,); None for nobody's, which have no sequences.
        held: of held-back rows; None where the rows of a parent are one unit's.
        k: how many units make rows in a row common.
    """
    table, findings = real.schema[name], list[Finding]()
    for reference in _family(real.schema, table) if units is not None and table.learnt else ():
        sides = [Rows.of(real, table, reference, units), Rows.of(holdout, table, reference, held),
                 Rows.of(twin, table, reference, None)]  # fmt: skip
        if _is_family(sides[0]):
            findings += _findings(sides, table, reference.table, k=k)
    return _failed(findings)


def _family(schema: Schema, table: Table) -> list[Reference]:
    return [r for r in table.references if r.table != table.name and not schema[r.table].public]


def _is_family(rows: Rows) -> bool:
    """Whether the rows of each parent are one unit's, so that what they tell together is about it."""
    first = np.searchsorted(rows.parent, rows.parent)
    return bool(len(rows.parent)) and bool((rows.owners == rows.owners[first]).all())


def _findings(sides: list[Rows], table: Table, parent: str, *, k: int) -> Iterator[Finding]:
    for view, columns in _views(sides[0], table).items():
        what = f"rows in a row of one {parent}, {view}"
        trio = Trio(sides, columns, plain=view in _PLAIN)
        yield from _runs(trio, LENGTHS, what, k=k)
        whole = trio.met(0, k=k)
        if whole.learnt:
            yield trio.finding(f"all rows of one {parent}, {view}", whole, WHOLE, sure=WHOLE // 2)
    if len(np.unique(sides[0].above)) > 1:
        trio = Trio(sides, table.learnt, with_parent=True)
        yield from _runs(trio, _WITH_PARENT, f"rows in a row with their {parent}", k=k)


@dataclass(frozen=True, eq=False)
class Trio:
    """Learnt, held-back and twin's rows, looked at over some columns."""

    sides: list[Rows]
    columns: tuple[str, ...]
    with_parent: bool = False
    plain: bool = False
    _known: dict[int, tuple[int, int]] = field(default_factory=dict)

    def met(self, length: int, *, k: int) -> Met:
        """How many real units hold rare rows in a row that the twin has too."""
        (learnt, units), (held, held_units), (made, _) = self._grams(*self.sides, length=length)
        real = Sides.of(learnt, units, held, held_units, k=k)
        seen = np.zeros(len(real.rare), np.bool_)
        at, hit = found(np.unique(made), real.rare)
        seen[at[hit]] = True
        return Met(*real.hits(seen), real.learnt, real.holdout)

    def chance(self, length: int) -> bool:
        """Whether two real units share rows in a row, rare or not, or a held-back unit does so with the twin."""
        return any(self._shared(length))

    def finding(self, part: str, met: Met, length: int, *, sure: int) -> Finding:
        """What was met at a length: chance does not reach it where it does not reach `sure` rows in a row.

        Where chance reaches the length itself, learnt units are held against held-back ones. Else it is the less likely
        of two: so many learnt units among those met, and so many met at all (twice its chance, for there are two).
        """
        from scipy.stats import poisson

        if not self.chance(sure):
            return Finding(part, met.learnt, None, self.plain)
        if self.chance(length):
            return Finding(part, met.learnt, met.p_value, self.plain)
        at_all = float(poisson.sf(met.learnt - 1, self.expected(length)))
        return Finding(part, met.learnt, min(1.0, 2 * min(met.p_value, at_all)), self.plain)

    def expected(self, length: int) -> float:
        """How many learnt units chance lets the twin meet at a length that it was not seen to reach, at most.

        Carried on from the shortest of one to four rows that it did not reach, as the slower of the last two steps
        fell, and never faster than to `FALL` with each row; from four rows on never faster than to `LATER`: a few units
        whose rows hardly change share many.
        """
        most = _COUNTED[-1]
        if length > most:
            return self.expected(most) * float(max(LATER, self._fall) ** (length - most))
        at = min(self._last + 1, length - 1)
        return float(self._counts[at] * self._fall ** (length - 1 - at))

    @cached_property
    def _counts(self) -> Floats:
        return np.array([self._count(length) for length in _COUNTED])

    @cached_property
    def _last(self) -> int:
        """The last place of `_counts` at which chance met anybody."""
        return max((place for place, length in enumerate(_COUNTED) if self.chance(length)), default=0)

    @property
    def _fall(self) -> float:
        """By what share the counts fell with a row, the slower of the last two steps."""
        step = min(self._last, len(_COUNTED) - 2)
        falls = (self._counts[1:] / self._counts[:-1])[max(0, step - 1) : step + 1]
        return float(min(1.0, max(FALL, falls.max())))

    def _count(self, length: int) -> float:
        """Learnt units that chance lets the twin meet, as the twin meets held-back ones or as real ones meet.

        The larger of the two, each taken for one more than was counted: what was not met once may be met.
        """
        learnt, held, made = (max(1, len(np.unique(s.owners))) for s in self.sides)
        among, by_twin = self._shared(length)
        return max((by_twin + 1) * learnt / held, (among + 1) * learnt * made / (learnt + held) ** 2)

    def _shared(self, length: int) -> tuple[int, int]:
        """How many real units share rows in a row with another, and how many held-back ones with the twin."""
        if length not in self._known:
            (learnt, units), (held, held_units), (made, _) = self._grams(*self.sides, length=length)
            owners = np.concatenate([units, mix(held_units ^ np.uint64(0xA5A5A5A5))])
            hashes = np.concatenate([learnt, held])
            order = np.argsort(hashes, kind="stable")
            hashes, owners = hashes[order], owners[order]
            same = np.flatnonzero((hashes[1:] == hashes[:-1]) & (owners[1:] != owners[:-1]))
            among = len(np.unique(owners[np.concatenate([same, same + 1])]))
            by_twin = len(np.unique(held_units[found(held, np.unique(made))[1]]))
            self._known[length] = among, by_twin
        return self._known[length]

    def _grams(self, *sides: Rows, length: int) -> Iterator[tuple[Hashes, Hashes]]:
        return (s.grams(self.columns, length, with_parent=self.with_parent) for s in sides)


def _views(rows: Rows, table: Table) -> dict[str, tuple[str, ...]]:
    """The columns to look at, by what is said of them: all, all but one, and telling ones alone."""
    names = table.learnt
    views = {_PLAIN[0]: names}
    if "gap" in rows.cells:
        views[_PLAIN[1]] = (*(n for n in names if n != table.order_by), "gap")
    if len(names) > 1:
        views |= {f"without {n}": tuple(m for m in names if m != n) for n in names}
    if len(names) > 2:
        telling = sorted(names, key=lambda n: -len(np.unique(rows.cells[n])))[:_ALONE]
        views |= {f"{n} alone": (n,) for n in telling}
    return views


def _runs(trio: Trio, lengths: tuple[int, ...], what: str, *, k: int) -> Iterator[Finding]:
    """What is met at each length, up to the first that chance can't reach: it reaches no quarter of it."""
    for length in lengths:
        met = trio.met(length, k=k)
        if not met.learnt:
            return
        finding = trio.finding(f"{length} {what}", met, length, sure=max(1, length // 4))
        yield finding
        if finding.p_value is None:
            return


def _failed(findings: list[Finding]) -> dict[str, float]:
    """Those that chance does not explain; half of the significance is for copies of all that rows hold."""
    parts = {f.part: float(f.units) for f in findings if f.p_value is None}
    tested = {f"{i}": f for i, f in enumerate(findings) if f.p_value is not None}  # references may share a name
    plain = sum(f.plain for f in tested.values())
    shares = {i: 1 / plain if f.plain else 1 / (len(tested) - plain) for i, f in tested.items()}
    chances = holm({i: f.p_value or 0.0 for i, f in tested.items()}, shares)
    beyond_chance = [tested[i] for i, p in chances.items() if p < ALPHA]
    return parts | {f"{f.part}, beyond chance": float(f.units) for f in sorted(beyond_chance, key=lambda f: f.units)}
