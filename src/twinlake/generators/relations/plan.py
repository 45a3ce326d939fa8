"""Which relations are taken: each column is computed once, from columns that are known before it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from twinlake.generators.relations.kinds import Relation, Whole
from twinlake.generators.relations.sheet import Sheet
from twinlake.generators.states.census import Ints


@dataclass(frozen=True)
class Plan:
    """The relations taken so far; whoever offers first is served first."""

    sheet: Sheet
    taken: list[Relation] = field(default_factory=list)

    def is_free(self, name: str) -> bool:
        """Whether a column may still be computed: not fixed, and neither computed nor put right already."""
        return name not in self.sheet.fixed and name not in _makers(self.taken)

    def offer(self, relation: Relation, holds: Callable[[], bool]) -> bool:
        """Take a relation if its target is free, it closes no circle, and it holds in every row."""
        free = self.is_free(relation.target) and all(self.is_free(name) for name in _mended(relation))
        if not free or in_order([*self.taken, relation]) is None or not holds():
            return False
        self.taken.append(relation)
        return True

    def fresh(self, wanted: str) -> str:
        """A column name like the wanted one that the table and the rests don't have."""
        used = {*self.sheet.table.names, *(r.rest for r in self.taken)}
        while wanted in used:
            wanted += "'"
        return wanted

    def computes(self, target: str, inputs: tuple[str, ...], formula: Callable[[list[Ints]], Ints]) -> bool:
        """Whether in every real row the target is what the formula gives, and null exactly where an input is."""
        truth, there = self.sheet.ticks(target)
        pairs = [self.sheet.ticks(name) for name in inputs]
        known = np.logical_and.reduce([valid for _, valid in pairs])
        if not there.any() or not np.array_equal(there, known) or not np.array_equal(there, self.sheet.valid(target)):
            return False
        return bool(np.all((formula([ticks for ticks, _ in pairs]) == truth) | ~there))


def in_order(relations: Iterable[Relation]) -> tuple[Relation, ...] | None:
    """The same relations, each after those that make its inputs; None where they go in a circle."""
    waiting, ordered, done = list(relations), list[Relation](), set[str]()
    makers = _makers(waiting)
    needs = {r.target: {makers[i] for i in r.inputs if i in makers} - {r.target} for r in waiting}
    while waiting:
        ready = [r for r in waiting if needs[r.target] <= done]
        if not ready:
            return None
        ordered += ready
        done |= {r.target for r in ready}
        waiting = [r for r in waiting if r.target not in done]
    return tuple(ordered)


def _makers(relations: Iterable[Relation]) -> dict[str, str]:
    """The target of the relation after which each column is as it stays."""
    return {name: r.target for r in relations for name in (r.target, *_mended(r))}


def _mended(relation: Relation) -> tuple[str, ...]:
    return relation.mended if isinstance(relation, Whole) else ()
