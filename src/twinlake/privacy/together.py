"""Attacks on all releases of a table at once, and on what differs between the last two.

A pipeline that is fitted anew every night speaks of the same people again and again. What one release says too softly
to be heard, the mean over many may say clearly, and two releases that differ by few people speak of those people.
All scores are made without the labels, so `relabel` tests each of them exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.census import Census
from twinlake.columns import Floats, sampled
from twinlake.hashing import Hashes, mix
from twinlake.privacy.closeness import NEVER, Closeness, closeness, normal_scores
from twinlake.privacy.history import Earlier, Gone, History
from twinlake.privacy.pool import Sides, learnt_columns, sides
from twinlake.schema import Table
from twinlake.tables import Tables

UNITS = 4_000  # real rows that are looked for in all releases, and in the last two
PAIRS = 160_000_000  # of a real and a synthetic row, over all releases
FEWEST = 2_000  # rows of one release that are looked at, however many releases there are
_GONE = np.uint64(0x6A09E667F3BCC909)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Real:
    """Rows of both sides behind the candidate, with the unit of each."""

    learnt: pa.Table
    holdout: pa.Table
    units: Hashes
    held_units: Hashes

    def of(self, mine: Mask, theirs: Mask) -> "Real":
        """Some of the rows."""
        return Real(
            self.learnt.filter(pa.array(mine)), self.holdout.filter(pa.array(theirs)),
            self.units[mine], self.held_units[theirs],
        )  # fmt: skip

    def sides(self, rng: np.random.Generator) -> Sides:
        """Units to attack."""
        return sides(
            self.learnt, self.holdout, units=self.units, held_units=self.held_units, rng=rng, most=UNITS
        )  # fmt: skip


def steady(real: Real, history: History) -> Real:
    """The rows of units that were on the same side, or not there, in every release that is still there.

    The coin is a keyed hash of the unit, so all are; unless the split's seed, share or unit was changed since.
    """
    mine, theirs = np.ones(len(real.units), np.bool_), np.ones(len(real.held_units), np.bool_)
    for census in (e.census for e in history.retained):
        if census is not None:
            mine &= ~census.held_among(real.units)
            theirs &= ~census.learnt_among(real.held_units)
    return real.of(mine, theirs)


def together(real: Real, synthetic: Tables, table: Table, history: History, *, rng: np.random.Generator) -> Closeness:
    """Attack the candidate and all releases that are still there as one.

    Scores of a unit are taken from each release on its own. *together* is the highest of them: a copy in any release
    counts. *averaged* is the mean of its places among all units, over the releases behind which it stood with the
    rows it has now; so is the crowd around it.

    Args:
        real: rows behind the candidate.
        synthetic: the candidate.
        table: which table; columns that a release does not have are left out for all.
        history: earlier releases.
        rng: draws units and rows.
    """
    table = common(table, history.retained)
    pool = real.sides(rng)
    rows = max(FEWEST, PAIRS // max(1, pool.rows.num_rows) // (1 + len(history.retained)))
    found, there = list[Closeness](), []
    for release, census in [(synthetic, history.now), *((e.tables, e.census) for e in history.retained)]:
        if not release.rows(table.name):
            continue
        found.append(_attacked(pool, release, table, rows, rng))
        there.append(_stood(pool.names, history.now, census))
    present = np.array(there)
    flat = [_flat(f) for f in found]
    highest = {name: np.max([f[name] for f in flat], axis=0) for name in flat[0]}
    averaged = {name: _mean([normal_scores(f[name]) for f in flat], present) for name in flat[0]}
    crowd = {name: _mean([normal_scores(f.crowd[name]) for f in found], present) for name in found[0].crowd}
    return replace(found[0], families={"together": highest, "averaged": averaged}, crowd=crowd)


def apart(
    real: Real, synthetic: Tables, table: Table, history: History, *, rng: np.random.Generator
) -> Iterator[Closeness]:
    """Attack what differs between the last release, where that is still there, and the candidate.

    *came*: is the candidate closer to learnt units that are new, or have new rows, than to held-back ones that are
    new; and did it come closer to them since the last release? *went*: the same of those that left, the other way
    round. Other units stand among them as scale, and are not judged.
    """
    last = history.last
    came = history.now.came(last.census) if last and last.census else np.empty(0, np.uint64)
    gone = history.gone
    nobody = not (len(came) or (gone and len(gone.units)))
    if last is None or nobody or not last.tables.rows(table.name):
        return
    table = common(table, (last,))
    other, gone_names = _beside(real, came, gone, rng)
    pool = other.sides(rng)
    rows = max(FEWEST, PAIRS // max(1, pool.rows.num_rows) // 4)
    found = [_attacked(pool, r, table, rows, rng) for r in (synthetic, last.tables)]
    now, then = (_flat(f) for f in found)
    for what, names, near, far in (("came", came, now, then), ("went", gone_names, then, now)):
        which = np.isin(pool.names, names)
        moved = {f"moved, {name}": near[name][which] - far[name][which] for name in near}
        scores = moved | {name: near[name][which] for name in near}
        lonely = found[0].lonely[which]
        yield replace(found[0], members=pool.members[which], families={what: scores}, crowd={}, lonely=lonely)


def common(table: Table, retained: tuple[Earlier, ...]) -> Table:
    """The table with the columns that every release has, of the same type."""
    schemas = [e.tables.schema[table.name] for e in retained]
    kept = (c.name for c in table.columns if all(c.name in s.names and s[c.name].type == c.type for s in schemas))
    return table.select(tuple(kept))


def _beside(real: Real, came: Hashes, gone: Gone | None, rng: np.random.Generator) -> tuple[Real, Hashes]:
    """Rows of units that came, of those that are gone under names of their own, and of a few others.

    Who changed is there twice, much alike, and has to be: were one of the two drawn and the other not, and more often
    so on one side than on the other, how lonely a unit is would tell its side.
    """
    if gone is not None and gone.learnt.schema != real.learnt.schema:
        gone = None
    mine, theirs = np.unique(real.units), np.unique(real.held_units)
    moved, held_moved = mine[np.isin(mine, came)], theirs[np.isin(theirs, came)]
    if gone is not None:
        moved, held_moved = np.union1d(moved, gone.units), np.union1d(held_moved, gone.held_units)
    others = _thinned(np.setdiff1d(mine, moved), np.setdiff1d(theirs, held_moved), UNITS // 4, rng)
    chosen = np.union1d(others, _thinned(moved, held_moved, 3 * UNITS // 8, rng))
    found = real.of(np.isin(real.units, chosen), np.isin(real.held_units, chosen))
    if gone is None:
        return found, np.empty(0, np.uint64)
    own, back = np.isin(gone.units, chosen), np.isin(gone.held_units, chosen)
    names, held_names = mix(gone.units[own] ^ _GONE), mix(gone.held_units[back] ^ _GONE)
    whole = Real(
        pa.concat_tables([found.learnt, gone.learnt.filter(pa.array(own))]),
        pa.concat_tables([found.holdout, gone.holdout.filter(pa.array(back))]),
        np.concatenate([found.units, names]),
        np.concatenate([found.held_units, held_names]),
    )
    return whole, np.union1d(names, held_names)


def _thinned(mine: Hashes, theirs: Hashes, most: int, rng: np.random.Generator) -> Hashes:
    """So many units of both sides at most, at most half of them held back."""
    back = theirs if len(theirs) <= most // 2 else rng.choice(theirs, most // 2, replace=False)
    room = most - len(back)
    return np.concatenate([mine if len(mine) <= room else rng.choice(mine, room, replace=False), back])


def _attacked(pool: Sides, release: Tables, table: Table, rows: int, rng: np.random.Generator) -> Closeness:
    quantities, others = learnt_columns(table)
    drawn = sampled(release.columns(table.name, [*quantities, *others]), rows, rng)
    return closeness(pool, drawn, quantities, others, rng=rng)


def _flat(found: Closeness) -> dict[str, Floats]:
    return {
        f"{family}: {name}": np.nan_to_num(scores, neginf=NEVER)
        for family, own in found.families.items()
        for name, scores in own.items()
    }


def _stood(units: Hashes, now: Census, census: Census | None) -> Mask:
    """Whether each unit stood behind a release with the rows that it has now."""
    if census is None:
        return np.zeros(len(units), np.bool_)
    return now.among(units) & ~np.isin(units, now.came(census))


def _mean(places: list[Floats], present: Mask) -> Floats:
    """The mean over the releases behind which each unit stood; 0, the middle, where it stood behind none."""
    return np.asarray(np.where(present, places, 0.0).sum(axis=0) / np.maximum(1, present.sum(axis=0)))
