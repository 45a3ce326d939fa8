"""The attacks on one table of a snapshot: what they share is computed once, when the first gate asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np
import pyarrow as pa

from twinlake.columns import Floats, labels
from twinlake.hashing import Hashes, hash_rows
from twinlake.privacy import copying, inference, linking, membership, singling
from twinlake.privacy.closeness import Closeness, closeness
from twinlake.privacy.entity import children, embed, frequent_labels
from twinlake.privacy.order import follows
from twinlake.privacy.pool import Sides, learnt_columns, sides
from twinlake.project.pipeline import GateLimit, PrivacyGates
from twinlake.random import stream
from twinlake.schema import Table
from twinlake.tables import Tables
from twinlake.verdict import Verdict

GATES = (copying.GATE, *membership.MEASURES, singling.GATE, linking.GATE, inference.GATE)
WHOLE = {singling.GATE: singling.singling_out, linking.GATE: linking.linkability}


@dataclass(frozen=True, eq=False)
class Attacks:
    """The attacks on table `name`.

    Attributes:
        real: rows that were learnt.
        holdout: rows of other units.
        synthetic: the twin.
        name: the table.
        units: the unit of each learnt row.
        held_units: the unit of each held-back row.
        unit: the root table of the privacy unit, None where each row is one.
        privacy: limits.
        confidence: of upper ends.
        tables: how many tables are attacked.
        seed: of draws.
        trees: whether boosted trees guess attributes too.
    """

    real: Tables
    holdout: Tables
    synthetic: Tables
    name: str
    units: Hashes
    held_units: Hashes
    unit: str | None
    privacy: PrivacyGates
    confidence: float
    tables: int
    seed: int
    trees: bool = True

    def verdict(self, gate: str) -> Verdict:
        """The verdict of one of the gates."""
        chosen: GateLimit = getattr(self.privacy, gate)
        early = self._early
        found = early(gate, chosen.limit) if early else self._judged(gate, chosen.limit)
        return replace(found, severity=chosen.severity)

    def _judged(self, gate: str, limit: float) -> Verdict:
        held, n = self.privacy.holdout_units, self.synthetic.rows(self.name)
        if gate == copying.GATE:
            return copying.copying(
                self._views, self.name, order=self._order, limit=limit, tables=self.tables, held_units=held, n=n,
                seed=self.seed,
            )  # fmt: skip
        if gate == inference.GATE:
            quantities, others = learnt_columns(self._table)
            return inference.attribute_inference(
                self._sides, self.synthetic[self.name], self.name, quantities, others, secrets=self._own("secrets"),
                limit=limit, confidence=self.confidence, held_units=held, trees=self.trees,
                rng=self._stream(gate),
            )  # fmt: skip
        if gate in WHOLE:
            twins, quantities, others = self._widest
            return WHOLE[gate](
                self._sides, twins, self.name, quantities, others, limit=limit, confidence=self.confidence,
                held_units=held, rng=self._stream(gate),
            )  # fmt: skip
        return membership.membership(
            gate, self.name, self._believed, self._sides.members, self._groups, limit=limit,
            confidence=self.confidence, held_units=held, n=n,
        )  # fmt: skip

    @property
    def _table(self) -> Table:
        return self.real.schema[self.name]

    @cached_property
    def _early(self) -> Callable[[str, float], Verdict] | None:
        """What every gate says where there is nothing to attack, or too little to attack it with."""
        n, table = self.synthetic.rows(self.name), self._table
        if not table.learnt:
            return partial(_passed, table.name, n, "no column of this table is learnt")
        if not (n or self.real.rows(self.name)):
            return partial(_passed, table.name, 0, "the real table has no rows, nor has the twin")
        for rows, what in ((n, "the twin has no rows"), (self.holdout.rows(self.name), "no rows were held back")):
            if not rows:
                return partial(_impossible, table.name, what)
        if _same(self.real[self.name], self.holdout[self.name], table):
            return partial(_impossible, table.name, "the learnt rows are the rows held back")
        held, mine = self._sides.held, len(self._sides.members) - self._sides.held
        if min(held, mine) < membership.LEAST:
            return partial(_too_few, table.name, n, held, self.privacy.holdout_units)
        return None

    @cached_property
    def _embedded(self) -> tuple[pa.Table, pa.Table, pa.Table, list[str]] | None:
        """The three sides with what each unit's children look like; None where the table is no root with children."""
        if self.unit != self.name or not children(self.real.schema, self.name):
            return None
        frequent = frequent_labels([self.real, self.holdout], self.name)
        learnt, added = embed(self.real, self.name, frequent)
        return learnt, embed(self.holdout, self.name, frequent)[0], embed(self.synthetic, self.name, frequent)[0], added

    @cached_property
    def _sides(self) -> Sides:
        learnt, holdout = (self._embedded or (self.real[self.name], self.holdout[self.name]))[:2]
        return sides(learnt, holdout, units=self.units, held_units=self.held_units, rng=self._stream("sides"))

    @cached_property
    def _views(self) -> list[Closeness]:
        quantities, others = learnt_columns(self._table)
        rng = self._stream("closeness")
        views = [closeness(self._sides, self.synthetic[self.name], quantities, others, rng=rng)]
        if self._embedded:
            views.append(closeness(self._sides, *self._widest, rng=rng))
        return views

    @property
    def _widest(self) -> tuple[pa.Table, list[str], list[str]]:
        """The twin's rows, quantities and labels, what is told of each unit's children among them."""
        quantities, others = learnt_columns(self._table)
        if not self._embedded:
            return self.synthetic[self.name], quantities, others
        _, _, twins, added = self._embedded
        return twins, [*quantities, *added], others

    @property
    def _order(self) -> float:
        """Rows of a unit's children stand together, so their order is not tested."""
        if self.unit not in (None, self.name):
            return 1.0
        return follows(self.real[self.name], self.synthetic[self.name], self._table, rng=self._stream("order"))

    @cached_property
    def _believed(self) -> Floats:
        guesses = [membership.guesses(view, rng=self._stream("guesses")) for view in self._views]
        return np.asarray(np.mean(guesses, axis=0))

    @cached_property
    def _groups(self) -> Mapping[str, membership.Mask]:
        first = np.sort(np.unique(self._sides.unit, return_index=True)[1])
        rows = self._sides.rows.take(pa.array(first))
        order = np.argsort(self._sides.unit[first], kind="stable")
        columns = {c: labels(rows[c])[0][order] for c in self._own("subgroups")}
        return membership.groups_of(self._views[0], membership.subgroups(columns, fewest=self.privacy.holdout_units))

    def _own(self, setting: str) -> list[str]:
        """Columns of this table that a setting names."""
        named = (text.rpartition(".") for text in getattr(self.privacy, setting))
        return [column for table, _, column in named if table == self.name and column in self._table.learnt]

    def _stream(self, what: str) -> np.random.Generator:
        return stream(self.seed, "attacks", self.name, what)


def _same(real: pa.Table, holdout: pa.Table, table: Table) -> bool:
    """Whether these are the same rows in the same order, constant rows apart."""
    if real.num_rows != holdout.num_rows:
        return False
    learnt, held = (hash_rows(side.select(list(table.learnt))) for side in (real, holdout))
    return np.array_equal(learnt, held) and len(np.unique(learnt)) > 1


def _impossible(table: str, why: str, gate: str, _: float) -> Verdict:
    return Verdict.could_not_run(gate, table, why=why)


def _passed(table: str, n: int, why: str, gate: str, limit: float) -> Verdict:
    nothing = 1.0 if gate == copying.GATE else membership.CHANCE.get(gate, 0.0)
    return Verdict(
        gate=gate, table=table, value=nothing, n=n, limit=limit, bound=_bound(gate), passed=True, reason=why,
    )  # fmt: skip


def _too_few(table: str, n: int, held: int, needed: int, gate: str, limit: float) -> Verdict:
    return Verdict(
        gate=gate, table=table, value=None, n=n, limit=limit, bound=_bound(gate), passed=False, inconclusive=True,
        reason=f"{held:,} held-back units are too few to attack with, {needed:,} are needed: hold back more",
    )  # fmt: skip


def _bound(gate: str) -> Literal["at_least", "at_most"]:
    return "at_least" if gate == copying.GATE else "at_most"
