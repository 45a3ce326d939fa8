"""Gate `shadow`: can an attacker tell from what a generator draws whether it learnt one given unit?

Not one release is judged here but the generator and its settings, in small worlds of real units where the five most
isolated ones are learnt or not by the toss of a coin, many times over. The game of Stadler et al. 2022 ("Synthetic Data
– Anonymisation Groundhog Day") on the targets of Meeus et al. 2023 ("Achilles' Heels").
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.joining import places
from twinlake.privacy.attacker import Answer, decided, plain, quantile, taught
from twinlake.privacy.signals import (
    GENERAL,
    Cells,
    Floats,
    Ints,
    Rows,
    Ruler,
    Sight,
    cells_of,
    isolation,
    owners,
    portraits,
)
from twinlake.random import derive, stream
from twinlake.schema import Schema
from twinlake.tables import Tables
from twinlake.units import unit_tables
from twinlake.verdict import Verdict

GATE = "shadow"
UNITS = 2_000  # of a world at most
WORLD_ROWS = 6_000  # of all its units together, about: models of sequences take seconds
TARGETS = 5
FEWEST = 20  # units that a world needs
OWN = 8  # rows of a target that are looked for in one table
OTHERS = 2_000  # rows of other units that set a target's radii
DRAWN = 10_000  # synthetic rows of a table that are looked at
COPYING = 0.816  # the AUC against rows drawn with replacement from those learnt: a half, and half of 1 - 1/e

Mask = npt.NDArray[np.bool_]
Draw = Callable[[Tables, int], Tables]
"""Learns the tables and draws as many units, all chance from the seed."""


@dataclass(frozen=True, eq=False)
class Game:
    """A small world of real units, and who of them is learnt in each of many fits.

    Attributes:
        world: the rows of all its units, and those of nobody's that they refer to.
        root: the table whose rows are its units, in its order.
        unit: the root table of the privacy unit; None where the world is that table alone.
        targets: rows of the most isolated units, shape (targets,).
        learnt: whether each unit is learnt in each fit, by a fair coin of its own, shape (fits, units).
        seed: of the fits.
    """

    world: Tables
    root: str
    unit: str | None
    targets: Ints
    learnt: Mask
    seed: int

    @classmethod
    def lay_out(cls, real: Tables, root: str, *, unit: str | None, fits: int, seed: int, units: int = UNITS) -> Self:
        """A game on at most so many units of `real`, which holds learnt and held-back rows alike.

        Args:
            real: all real tables.
            root: the unit's root table; without a unit, the table that is played for.
            unit: the root table of the privacy unit, None where each row is one.
            fits: how many models are learnt.
            seed: of the choice of units, the coins and the fits.
            units: of the world at most; fewer where they have many rows.
        """
        world = _some(real if unit else _alone(real, root), root, unit, units, stream(seed, "world"))
        found = portraits(world, root, unit)
        lonely = isolation(Rows.of(found, [Ruler.of(c) for c in found])) if found else np.zeros(world.rows(root))
        targets = np.argsort(-lonely, kind="stable")[: min(TARGETS, len(lonely) // 4)]
        coins = stream(seed, "coins").random((fits, len(lonely))) < 0.5
        return cls(world, root, unit, np.sort(targets), coins, seed)

    @cached_property
    def owners(self) -> Mapping[str, Ints]:
        """The unit of each row of the units' tables."""
        return owners(self.world, self.root, self.unit)

    @cached_property
    def watch(self) -> "Watch":
        """What is looked for."""
        return Watch.of(self)

    def lesson(self, fit: int) -> Tables:
        """What is learnt in one fit."""
        return _kept(self.world, {n: self.learnt[fit][o] for n, o in self.owners.items()})

    def signals(self, fit: int, draw: Draw) -> Floats:
        """What one fit shows of each target, shape (targets, signals): a pure function of the game and the fit."""
        return self.watch.signals(draw(self.lesson(fit), derive(self.seed, "fit", fit)))


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """The targets, ready to be looked for in synthetic tables.

    Attributes:
        rulers: of the portraits of units (under the root table's name) and of the columns of other tables.
        sights: by table, one for each target.
        general: how many signals come before those of single columns.
    """

    root: str
    unit: str | None
    rulers: Mapping[str, list[Ruler]]
    sights: Mapping[str, list[Sight]]

    @classmethod
    def of(cls, game: Game) -> Self:
        """What the targets of a game look like, measured on all its units."""
        rulers, sights = dict[str, list[Ruler]](), dict[str, list[Sight]]()
        for name, columns in _columns(game.world, game.root, game.unit).items():
            rulers[name] = [Ruler.of(c) for c in columns]
            rows, owner = Rows.of(columns, rulers[name]), game.owners[name]
            sights[name] = [_sight(rows, owner, target) for target in game.targets]
        return cls(game.root, game.unit, rulers, sights)

    @property
    def general(self) -> int:
        """How many signals there are before those of single columns."""
        return GENERAL * len(self.sights)

    def signals(self, drawn: Tables) -> Floats:
        """Of each target, shape (targets, signals): the general ones of each table, then those of columns."""
        whole: list[list[Floats]] = [[] for _ in next(iter(self.sights.values()))]
        single: list[list[Floats]] = [[] for _ in whole]
        for name, columns in _columns(drawn, self.root, self.unit).items():
            rows = _thinned(Rows.of(columns, self.rulers[name]))
            for at, sight in enumerate(self.sights[name]):
                general, by_column = sight.signals(rows)
                whole[at].append(general)
                single[at].append(by_column)
        return np.array([np.concatenate([*a, *b]) for a, b in zip(whole, single, strict=True)])


def shadow(game: Game, signals: Floats, *, limit: float) -> Verdict:
    """How well attackers tell who was learnt, from the signals of all fits, shape (fits, targets, signals).

    Two attackers answer for each target, and for all targets together: one adds up what was seen, one has been taught
    with the other fits. The gate fails where the lower bound of an AUC is above the limit, with 95 % confidence over
    all answers at once. It passes otherwise, if there are enough fits that a generator which copies would be found.
    """
    ends, general = game.learnt[:, game.targets], game.watch.general
    known = [t for t in range(ends.shape[1]) if decided(ends[:, t])]
    if not known:
        return _undecided(game, limit)
    adding = [plain(f"target {t + 1}, added up", signals[:, t, :general], ends[:, t]) for t in known]
    learning = [taught(f"target {t + 1}, taught", signals[:, t], ends[:, t], general=general) for t in known]
    together = [Answer.pooled("all targets, added up", adding), Answer.pooled("all targets, taught", learning)]
    z = quantile(2 * (len(known) + 1))
    verdict = _verdict(game, together, [*adding, *learning], z, limit)
    blind = bool(together[0].error(limit) * z > COPYING - limit)
    return _undecided(game, limit) if verdict.passed and blind else verdict


def nothing_learnt(real: Tables, root: str, unit: str | None, *, limit: float) -> Verdict | None:
    """The verdict where no column is learnt, so that there is nothing to tell; None where there is a game to play."""
    if any(real.schema[n].learnt for n in (unit_tables(real.schema, unit) if unit else (root,))):
        return None
    return Verdict(
        gate=GATE, table=root, value=0.5, low=0.5, high=0.5, baseline=0.5, n=0, limit=limit, bound="at_most",
        passed=True, reason="no column of this table is learnt",
    )  # fmt: skip


def unable(table: str, *, limit: float, why: str) -> Verdict:
    """The verdict where no game can tell."""
    return Verdict(
        gate=GATE, table=table, value=None, n=0, limit=limit, bound="at_most", passed=False, inconclusive=True,
        reason=why,
    )  # fmt: skip


def _undecided(game: Game, limit: float) -> Verdict:
    why = f"{len(game.learnt)} fits are too few to find a generator that copies; set gates.privacy.shadow_fits higher"
    return unable(game.root, limit=limit, why=why)


def _verdict(game: Game, together: list[Answer], single: list[Answer], z: float, limit: float) -> Verdict:
    """What is told best for all targets, or, if only that is above the limit, for one of them."""
    shown = max(together, key=lambda a: a.auc)
    surest = max([*together, *single], key=lambda a: a.bounds(z)[0])
    if surest.bounds(z)[0] > limit >= max(a.bounds(z)[0] for a in together):
        shown = surest
    elif surest.bounds(z)[0] > limit:
        shown = max(together, key=lambda a: a.bounds(z)[0])
    low, high = shown.bounds(z)
    whom = f"each of the {len(shown.sides)} most isolated units" if shown in together else "one isolated unit"
    reason = f"from {len(game.learnt)} fits an attacker tells whether {whom} was learnt: AUC {shown.auc:.2f}, at least "
    reason += f"{low:.2f} with 95 % confidence; 0.5 is chance"
    if low > limit:
        reason += ". The generator follows single units: use larger leaves, or one that keeps less of them"
    return Verdict(
        gate=GATE, table=game.root, value=round(shown.auc, 6), low=round(low, 6), high=round(high, 6), baseline=0.5,
        n=int(game.learnt.sum()), limit=limit, bound="at_most", passed=low <= limit, reason=reason,
        parts={a.who: round(a.auc, 4) for a in (*together, *single)},
    )  # fmt: skip


def _sight(rows: Rows, owner: Ints, target: int) -> Sight:
    own, others = np.flatnonzero(owner == target), np.flatnonzero((owner != target) & (owner >= 0))
    return Sight.of(rows.take(_spaced(own, OWN)), rows.take(_spaced(others, OTHERS)))


def _thinned(rows: Rows) -> Rows:
    return rows if len(rows) <= DRAWN else rows.take(_spaced(np.arange(len(rows)), DRAWN))


def _spaced(at: Ints, most: int) -> Ints:
    return at if len(at) <= most else at[np.linspace(0, len(at) - 1, most).astype(np.intp)]


def _columns(tables: Tables, root: str, unit: str | None) -> dict[str, list[Cells]]:
    """What is looked at: portraits of the units, and the rows of each further table that has learnt columns."""
    further = [n for n in (unit_tables(tables.schema, unit) if unit else ()) if n != root]
    found = {root: portraits(tables, root, unit)}
    found |= {n: cells_of(tables[n], tables.schema[n]) for n in further}
    return {n: columns for n, columns in found.items() if columns}


def _alone(real: Tables, name: str) -> Tables:
    """The learnt columns of a table as a world of its own: each of its rows is a unit."""
    table = real.schema[name].select(real.schema[name].learnt)
    return Tables(Schema((table,)), {name: real[name].select(list(table.names))})


def _some(real: Tables, root: str, unit: str | None, most: int, rng: np.random.Generator) -> Tables:
    """A world of at most so many units; fewer where they have many rows."""
    owned, many = owners(real, root, unit), real.rows(root)
    rows = sum(int((o >= 0).sum()) for o in owned.values()) / max(many, 1)
    size = min(most, many, max(FEWEST, round(WORLD_ROWS / max(rows, 1))))
    chosen = np.zeros(many, np.bool_)
    chosen[rng.choice(many, size, replace=False)] = True
    return _kept(real, {n: chosen[o] & (o >= 0) for n, o in owned.items()})


def _kept(tables: Tables, kept: Mapping[str, Mask]) -> Tables:
    """Some rows of the units' tables, and of nobody's the rows that they refer to."""
    masks = dict(kept)
    waiting = list(masks)
    while waiting:
        name = waiting.pop()
        for reference in tables.schema[name].references:
            if reference.table in kept:
                continue
            child = tables.columns(name, reference.columns).filter(pa.array(masks[name]))
            at = places(child, tables.columns(reference.table, reference.to), reference)
            before = masks.get(reference.table, np.zeros(tables.rows(reference.table), np.bool_))
            after = before.copy()
            after[at[at >= 0]] = True
            if reference.table not in masks or (after != before).any():
                masks[reference.table] = after
                waiting.append(reference.table)
    schema = Schema(tuple(t for t in tables.schema if t.name in masks))
    return Tables(schema, {t.name: tables[t.name].filter(pa.array(masks[t.name])) for t in schema})
