"""Gate `cardinality`: do parents have as many children as they do among parents that were held back?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinlake.columns import Codes, Floats
from twinlake.fidelity.comparison import REPLICATES, Likeness, Words, compared, trivial
from twinlake.fidelity.databases import FEW, Databases, numbered
from twinlake.joining import places
from twinlake.schema import Reference, Table
from twinlake.verdict import Verdict

GATE = "cardinality"
SHARE = 0.05  # of the parents: who share a count and are as many have a bin of their own

Integers = npt.NDArray[np.int64]


def cardinality(databases: Databases, name: str, *, limit: float, rng: np.random.Generator) -> Verdict:
    """Likeness of holdout and twin in how many children parents have, of the reference that keeps it least well.

    Of each reference 1 - total variation distance of the shares of parents that have 0, 1, 2, ... children. Counts that
    few parents have are pooled with their neighbours: a bin holds at least 10 real parents, and as a rule a twentieth
    of them. Real children count whether they were learnt or held back, because a parent that was held back may have
    both. The baseline are learnt parents beside those held back. Where all real parents are on both sides (lookup
    lists) the twin is compared with all of them, and the baseline is what as many parents drawn from them reach.

    The interval is value +- 1.96 standard deviations of a bootstrap over held-back units and over synthetic parents. A
    reference passes where its upper end reaches the limit, or where it is not below its baseline by more than chance;
    value, interval and baseline are those of the reference that falls shortest, or comes closest to it. `parts` are the
    values of all references. Left out are references to fewer than 20 parents, and those whose held-back parents belong
    to fewer than 10 units.
    """
    table = databases.real.schema[name]
    rows = databases.synthetic.rows(name)
    early = _nothing_to_compare(databases, table, limit=limit, rows=rows)
    if early:
        return early
    counted = {str(r): count(databases, table, r, rng) for r in table.references}
    if empty := [n for n, c in counted.items() if c.parents and not len(c.synthetic)]:
        return Verdict.could_not_run(GATE, name, why=f"the twin has no parents for {empty[0]}")
    found = {n: _likeness(c, rng) for n, c in counted.items() if c.parents >= 2 * FEW and c.families >= FEW}
    if not found:
        few = f"too few parents to tell chance from a difference: under {2 * FEW}, or held back from under {FEW} units"
        return trivial(GATE, table, n=rows, limit=limit, reason=few)
    order = sorted(found, key=lambda n: (found[n].margin(limit), n))
    parents = len(counted[order[0]].synthetic)
    heads = [f"{parents:,} parents have {w} numbers of {name} as those held back" for w in ("such", "other")]
    words = Words(passed=heads[0], failed=heads[1], part="reference")
    parts = {n: found[n].value for n in order}
    failing = {n: x for n, x in parts.items() if found[n].margin(limit) < 0}
    return compared(GATE, table, found[order[0]], parts, limit=limit, n=rows, words=words, worst=failing or parts)


def _nothing_to_compare(databases: Databases, table: Table, *, limit: float, rows: int) -> Verdict | None:
    if not table.references or table.public:
        why = "public rows are carried over as they are" if table.public else "it refers to no table"
        return trivial(GATE, table, n=rows, limit=limit, reason=why)
    real = max(databases.real.rows(table.name), databases.holdout.rows(table.name))
    if not (real or rows):
        return trivial(GATE, table, n=0, limit=limit, reason="the real table has no rows, and neither has the twin")
    if not (real and rows):
        return Verdict.could_not_run(GATE, table.name, why="the twin has no rows" if real else "there are no real rows")
    return None


@dataclass(frozen=True, slots=True)
class Counted:
    """Children of each parent: of those held back, of the twin's, of those learnt; shape (parents,) each.

    Attributes:
        apart: whether real parents are either learnt or held back; else all of them are both.
        units: of the parents held back, numbered from 0.
    """

    holdout: Integers
    synthetic: Integers
    real: Integers
    apart: bool
    units: Codes

    @property
    def parents(self) -> int:
        """How many real parents there are."""
        return len(self.holdout) + (len(self.real) if self.apart else 0)

    @property
    def families(self) -> int:
        """Of how many units the parents held back are."""
        return int(self.units.max(initial=-1)) + 1

    @property
    def every(self) -> Integers:
        """Children of every real parent."""
        return np.concatenate([self.holdout, self.real]) if self.apart else self.holdout


def count(databases: Databases, table: Table, reference: Reference, rng: np.random.Generator) -> Counted:
    """How many rows of a table each row has that a reference leads to.

    Public parents are as many in a twin of any size, so their children are counted as if it were the source's; `rng`
    thins real children for a smaller twin.
    """
    at, apart = databases.joined(table.name, reference), databases.split(reference.table)
    learnt = databases.real.rows(reference.table)
    every = _per_parent(at, learnt + (databases.holdout.rows(reference.table) if apart else 0))
    twin = databases.synthetic
    drawn = twin.columns(reference.table, reference.to)
    own = _per_parent(places(twin.columns(table.name, reference.columns), drawn, reference), drawn.num_rows)
    if databases.carried(reference.table):  # so many parents whatever the scale: their children grow with it
        every, own = _on_one_scale(every, own, times=twin.rows(table.name) / max(len(at), 1), rng=rng)
    if (units := databases.units[reference.table]) is None:
        return Counted(every, own, every, apart, np.arange(len(every), dtype=np.intp))
    return Counted(every[learnt:], own, every[:learnt], apart, numbered(units))


def _per_parent(at: Codes, parents: int) -> Integers:
    return np.bincount(at[at >= 0], minlength=parents).astype(np.int64)


def _on_one_scale(
    every: Integers, own: Integers, *, times: float, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Real and synthetic children of the same parents, where the twin has `times` as many children in all."""
    if times >= 1:
        return every, np.rint(own / times).astype(np.int64)
    return rng.binomial(every, times).astype(np.int64), own


def _likeness(counted: Counted, rng: np.random.Generator) -> Likeness:
    edges = _edges(counted.every)
    held, twin, learnt = (_shares(c, edges) for c in (counted.holdout, counted.synthetic, counted.real))
    m = len(counted.synthetic)
    chance = [_alike(held, _drawn(m, learnt, rng)) for _ in range(REPLICATES)]
    baseline = _alike(held, learnt) if counted.apart and len(counted.real) <= m else float(np.mean(chance))
    again = np.array([_again(counted, edges, twin, learnt, rng) for _ in range(REPLICATES)])
    error, apart = again[:, 0].std(ddof=1), (again[:, 0] - again[:, 1]).std(ddof=1)
    return Likeness(_alike(held, twin), baseline, float(error), float(apart))


def _again(
    counted: Counted, edges: Integers, twin: Floats, learnt: Floats, rng: np.random.Generator
) -> tuple[float, float]:
    """Value and baseline with units and parents drawn again."""
    times = np.bincount(rng.integers(0, counted.families, counted.families), minlength=counted.families)
    held = _shares(counted.holdout, edges, times[counted.units])
    m = len(counted.synthetic)
    real = min(len(counted.real), m) if counted.apart else m
    return _alike(held, _drawn(m, twin, rng)), _alike(held, _drawn(real, learnt, rng))


def _edges(counts: Integers) -> Integers:
    """Where bins begin, rising, from 0; shape (bins,). The last is open.

    A count that is alone in its bin is told from those that no real parent has; pooled counts take these in.
    """
    bins = _pooled(counts)
    edges = {0}
    for i, (first, last) in enumerate(bins):
        pooled = first < last
        edges |= {first} if not pooled or (i and bins[i - 1][0] < bins[i - 1][1]) else set()
        edges |= set() if pooled else {last + 1}
    return np.array(sorted(edges), dtype=np.int64)


def _pooled(counts: Integers) -> list[tuple[int, int]]:
    """The first and last count of each bin: as many real parents as `SHARE` asks for, or one that has as many alone."""
    values, parents = np.unique(counts, return_counts=True)
    enough = max(FEW, round(SHARE * len(counts)))
    bins, waiting = [(int(values[0]), int(values[0]))], 0
    for value, held in zip(values.tolist(), parents.tolist(), strict=True):
        if waiting >= (FEW if held >= enough else enough):
            bins.append((value, value))
            waiting = 0
        bins[-1] = (bins[-1][0], value)
        waiting += held
    if waiting < FEW and len(bins) > 1:
        last = bins.pop()[1]
        bins[-1] = (bins[-1][0], last)
    return bins


def _shares(counts: Integers, edges: Integers, weights: Codes | None = None) -> Floats:
    at = np.searchsorted(edges, counts, side="right") - 1
    held = np.bincount(at, weights, minlength=len(edges)).astype(np.float64)
    return np.asarray(held / max(float(held.sum()), 1.0))


def _drawn(parents: int, shares: Floats, rng: np.random.Generator) -> Floats:
    return rng.multinomial(parents, shares) / parents


def _alike(p: Floats, q: Floats) -> float:
    return float(1 - np.abs(p - q).sum() / 2)
