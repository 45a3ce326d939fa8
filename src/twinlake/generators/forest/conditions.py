"""Drawing rows that satisfy a predicate, distributed as the forest has them given that they do.

Columns are drawn in the forest's order. Where the predicate asks something of a column, only states that can satisfy it
are drawn, and the row's weight is multiplied by how likely it was to have one (sequential importance sampling: Kong,
Liu, Wong 1994); rows of small weight are dropped on the way by chance, which keeps weights right (rejection control:
Liu, Chen, Wong 1998). What looks at several columns is checked on whole rows. Rows are picked by weight when there are
enough of them that none needs to be picked twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.errors import GeneratorError
from twinlake.generators.forest.limit import Limit, impossible, plain
from twinlake.generators.forest.model import ForestModel
from twinlake.generators.forest.narrow import Narrow
from twinlake.generators.forest.predicate import Predicate
from twinlake.generators.forest.step import Step
from twinlake.generators.siblings import Siblings
from twinlake.generators.states.alphabet import Codes
from twinlake.random import stream

Floats = npt.NDArray[np.float64]
_FEW, _BATCH = 1_024, 65_536
_CELLS, _IDLE = 2**27, 2**25  # drawn at most before rows are picked more than once; before giving up without any
_SPREAD = 8  # rows whose weight is this many times smaller than the largest are dropped by chance


@dataclass(frozen=True, slots=True)
class Effort:
    """What it took to draw rows.

    Attributes:
        rows: that were asked for.
        tried: rows that were begun.
        effective: of how many rows drawn independently these tell as much (Kish 1965), at most `rows`.
        likelihood: the share of the model's rows that satisfy the predicate.
    """

    rows: int
    tried: int
    effective: float
    likelihood: float


@dataclass(frozen=True, slots=True)
class Conditioned:
    """A forest under a predicate; draws like any table model.

    Attributes:
        model: the forest.
        predicate: what every row satisfies, over columns of the model.
        limits: of the columns of which it asks something alone, by place.
        narrow: the bags that draw accordingly, by place.
        efforts: what each draw took, in order.
    """

    model: ForestModel
    predicate: Predicate
    limits: dict[int, Limit]
    narrow: dict[int, Narrow]
    efforts: list[Effort] = field(default_factory=list)

    @classmethod
    def of(cls, model: ForestModel, predicate: Predicate) -> Self:
        """Prepare drawing; raises GeneratorError where a part of the predicate can hold for no row."""
        if model.context:
            raise GeneratorError(f"table {model.table.name} was learnt with context and can't be drawn by a predicate")
        for part in predicate.parts:
            if not part.columns and not part.holds(pa.table({"row": [0]})).all():
                raise GeneratorError(f"no row satisfies {part}")
        limits = dict[int, Limit]()
        changed = {n for r in model.relations.taken for n in (r.target, *getattr(r, "mended", ()))}
        for place, name in enumerate(model.relations.reduced.names):
            about = predicate.about(name) if name in predicate.columns and name not in changed else None
            if about is not None and (limit := _limit(name, model, place, about)) is not None:
                limits[place] = limit
        return cls(model, predicate, limits, _narrow(model, limits))

    def sample(
        self, rows: int, *, context: pa.Table | None, siblings: Siblings | None = None, rng: np.random.Generator,  # noqa: ARG002 - a table model's
    ) -> pa.Table:  # fmt: skip
        """Draw rows, each of which satisfies the predicate; raises GeneratorError where none comes."""
        pool, tried, size = _Pool([], []), 0, min(max(2 * rows, _FEW), _BATCH)
        trail, wide = _Trail({}), len(self.model.codings)
        while pool.enough < rows and tried < max((_CELLS if pool.count else _IDLE) // wide, 2**20):
            pool.add(*self._batch(size, rng, trail))
            tried += size
            needed = 1.2 * (rows - pool.enough) * tried / pool.enough if pool.enough else _BATCH
            size = min(max(int(needed), _FEW), _BATCH)
        if rows and not pool.count:
            raise self._none(trail, tried)
        self.efforts.append(Effort(rows, tried, min(pool.effective, rows), pool.total / max(tried, 1)))
        return pool.pick(rows, rng) if rows else self.model.table.arrow.empty_table()

    def save(self, folder: Path) -> None:
        """Refused: what is saved is the model."""
        raise GeneratorError("a model under a predicate is not saved", where=str(folder), fix="Save the model itself")

    def _batch(self, size: int, rng: np.random.Generator, trail: "_Trail") -> tuple[pa.Table, Floats]:
        """Rows that satisfy the predicate, of `size` begun, and their weights."""
        codes, weights = np.zeros((size, len(self.model.codings)), np.int32, order="F"), np.ones(size)
        for step in self.model.steps:
            bag = self.narrow.get(step.target)
            if bag is None:
                codes[:, step.target] = step.draw(codes, rng)
                continue
            trail.note(f"{step.target}", len(codes))
            codes[:, step.target], likely = bag.draw(codes, rng)
            codes, weights = _thinned(codes, weights * likely, rng)
        if self.model.judge is not None and len(codes):
            odds = np.exp(np.minimum(self.model.judge.scores(codes) - self.model.judge.cap, 0))
            codes, weights = _thinned(codes, weights * odds, rng)
        drawn = self._decoded(codes, rng)
        held = self.predicate.holds(drawn)
        trail.note("whole", len(codes))
        trail.note("held", int(held.sum()))
        return drawn.filter(pa.array(held)), weights[held]

    def _decoded(self, codes: Codes, rng: np.random.Generator) -> pa.Table:
        cells = []
        for place, coding in enumerate(self.model.codings):
            limit = self.limits.get(place)
            own = codes[:, place]
            cells.append(plain(coding, own, rng) if limit is None else limit.cells(own, rng))
        names = list(self.model.relations.reduced.names)
        return self.model.relations.restore(pa.Table.from_arrays(cells, names=names))

    def _none(self, trail: "_Trail", tried: int) -> GeneratorError:
        """The sentence that names where rows ended."""
        ended = trail.ended
        if ended in (None, "whole", "held"):
            several = [p for p in self.predicate.parts if len(p.columns) > 1]
            told = " and ".join(map(str, several)) or str(self.predicate)
        else:
            limit = self.limits.get(int(ended or 0))
            told = str(limit.predicate) if limit else str(self.predicate)
        alone = len(self.predicate.parts) == 1
        beside = "" if alone else " beside the rest of the predicate"
        return GeneratorError(f"none of {tried:,} rows drawn satisfies {told}{beside}", fix="Ask for something wider")


@dataclass(frozen=True, slots=True)
class _Trail:
    """How many rows came to each place where rows end, in order."""

    came: dict[str, int]

    def note(self, place: str, rows: int) -> None:
        self.came[place] = self.came.get(place, 0) + rows

    @property
    def ended(self) -> str | None:
        """The last place that rows came to."""
        return next((place for place, rows in reversed(self.came.items()) if rows), None)


@dataclass(frozen=True, slots=True)
class _Pool:
    """Rows drawn so far and their weights."""

    drawn: list[pa.Table]
    weights: list[Floats]

    def add(self, rows: pa.Table, weights: Floats) -> None:
        if len(weights):
            self.drawn.append(rows)
            self.weights.append(weights)

    @property
    def count(self) -> int:
        return sum(map(len, self.weights))

    @property
    def total(self) -> float:
        return float(sum(w.sum() for w in self.weights))

    @property
    def enough(self) -> float:
        """How many rows can be picked by weight without picking one twice."""
        return self.total / max(w.max() for w in self.weights) if self.weights else 0.0

    @property
    def effective(self) -> float:
        squares = sum(float((w**2).sum()) for w in self.weights)
        return self.total**2 / squares if squares else 0.0

    def pick(self, rows: int, rng: np.random.Generator) -> pa.Table:
        """So many rows by weight (systematic sampling: Madow 1949), in random order."""
        order = rng.permutation(self.count)
        ends = np.cumsum(np.concatenate(self.weights)[order])
        at = np.searchsorted(ends, (np.arange(rows) + rng.random()) * (ends[-1] / rows), side="right")
        chosen = order[np.minimum(rng.permutation(at), len(order) - 1)]
        return pa.concat_tables(self.drawn).take(pa.array(chosen)).combine_chunks()


def _limit(name: str, model: ForestModel, place: int, about: Predicate) -> Limit | None:
    """What a predicate leaves of a column; None where it may hold, but no cell that was looked at satisfies it."""
    coding, rng = model.codings[place], stream(0, "limit", name)
    limit = Limit.of(name, coding, about, rng)
    if limit.is_possible:
        return limit
    if about.is_plain:
        raise impossible(name, coding, about, rng)
    return None


def _narrow(model: ForestModel, limits: dict[int, Limit]) -> dict[int, Narrow]:
    """Bags that draw only what the limits leave; a column that another determines limits that one."""
    factors = {place: limit.factors for place, limit in limits.items()}
    for step in model.steps:
        if step.source is not None and step.table is not None and step.target in limits:
            own = factors.get(step.source, np.ones(model.codings[step.source].size))
            factors[step.source] = own * limits[step.target].factors[step.table]
            if not factors[step.source].any():
                raise _never_together(model, step, limits)
    steps: Sequence[Step] = model.steps
    return {s.target: Narrow.of(s.bag, factors[s.target]) for s in steps if s.bag is not None and s.target in factors}


def _never_together(model: ForestModel, step: Step, limits: dict[int, Limit]) -> GeneratorError:
    columns = [i for i in (step.source, step.target) if i is not None and i in limits]
    told = " and ".join(str(limits[i].predicate) for i in columns)
    names = " and ".join(model.relations.reduced.names[i] for i in columns)
    return GeneratorError(f"no row satisfies both {told}", where=f"columns {names}")


def _thinned(codes: Codes, weights: Floats, rng: np.random.Generator) -> tuple[Codes, Floats]:
    """Rows of small weight are dropped by chance; those of them that stay stand for the dropped ones."""
    least = float(weights.max(initial=0.0)) / _SPREAD
    stay = (weights > 0) & (rng.random(len(weights)) * least < weights)
    if stay.all():
        return codes, weights
    return np.asfortranarray(codes[stay]), np.maximum(weights[stay], least)
