"""Filling in what rows lack, given what they have.

Each row gets some candidates. They are completed in the forest's order; where a cell is given, its candidates are
weighted by how likely they were to have it (likelihood weighting: Fung and Chang 1989), and drawn anew by their weights
when few of them carry most (particle filter: Gordon, Salmond, Smith 1993). One of them is taken by its weight.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.errors import GeneratorError
from twinlake.generators.arrays import one, replaced
from twinlake.generators.forest.likelihood import Likelihood
from twinlake.generators.forest.limit import plain
from twinlake.generators.forest.model import ForestModel
from twinlake.generators.forest.narrow import Narrow
from twinlake.generators.forest.step import Step
from twinlake.generators.relations.kinds import Gap, Linear, Part, Relation, Whole
from twinlake.generators.relations.relations import Relations
from twinlake.generators.states.alphabet import Codes
from twinlake.schema import Table

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
CANDIDATES = 64
_ROWS = 65_536  # candidates at a time
_HARDLY = 1e-12  # what the forest never draws is given all the same


def impute(
    model: ForestModel, rows: pa.Table, *, fill: frozenset[str], rng: np.random.Generator, candidates: int = CANDIDATES
) -> pa.Table:
    """Rows of the model's table: cells that are given stay as they are, columns that are not there are drawn.

    Args:
        model: the forest.
        rows: some of its columns, of their types.
        fill: columns whose null cells are filled too, with values; elsewhere null is what is given.
        rng: the only source of chance.
        candidates: of each row; more are closer to the forest's own conditional distribution.
    """
    if model.context:
        raise GeneratorError(f"table {model.table.name} was learnt with context and can't be filled in")
    given = _Given.of(model, rows, fill)
    filling = _Filling(given, {s.target: Likelihood.of(s.bag) for s in model.steps if s.bag is not None})
    codes, size = given.codes.copy(order="F"), max(_ROWS // candidates, 1)
    for start in range(0, rows.num_rows, size):
        part = slice(start, start + size)
        codes[part] = filling.filled(part, candidates, rng)
    return given.completed(codes, rng)


@dataclass(frozen=True, slots=True)
class _Given:
    """What is given.

    Attributes:
        model: the forest.
        cells: of every column of the table; null where they are lacking.
        lacking: where each column is to be filled in.
        codes: of given cells, shape (rows, columns of the forest).
        missing: which of these are to be drawn, shape (rows, columns of the forest).
        filled: columns of the forest that are given in part: what is drawn there is never null.
    """

    model: ForestModel
    cells: dict[str, pa.Array]
    lacking: dict[str, Flags]
    codes: Codes
    missing: Flags
    filled: frozenset[int]

    @classmethod
    def of(cls, model: ForestModel, rows: pa.Table, fill: frozenset[str]) -> Self:
        relations, there = model.relations, set(rows.column_names)
        cells = {
            c.name: one(rows[c.name]) if c.name in there else pa.nulls(len(rows), c.type) for c in model.table.columns
        }
        nulls = {n: np.asarray(c.is_null(), np.bool_) for n, c in cells.items()}
        lacking = {n: nulls[n] if n in fill or n not in there else np.zeros(len(rows), np.bool_) for n in cells}
        _work_out(relations, cells, lacking)
        reduced = relations.reduce(pa.Table.from_arrays(list(cells.values()), schema=_loose(model.table)))
        codes = np.zeros((len(rows), len(model.codings)), np.int32, order="F")
        missing = np.zeros(codes.shape, np.bool_)
        rests = {r.rest: (r.target, *r.inputs) for r in relations.taken}
        names = relations.reduced.names
        for place, (name, coding) in enumerate(zip(names, model.codings, strict=True)):
            codes[:, place] = coding.encode(reduced[name])
            missing[:, place] = np.logical_or.reduce([lacking[n] for n in rests.get(name, (name,))])
        filled = frozenset(names.index(n) for n in fill & there if n in names)
        return cls(model, cells, lacking, codes, missing, filled)

    def completed(self, codes: Codes, rng: np.random.Generator) -> pa.Table:
        """The whole rows; given cells are those that came."""
        relations = self.model.relations
        drawn = [plain(coding, codes[:, place], rng) for place, coding in enumerate(self.model.codings)]
        names = relations.reduced.names
        known = {n: self._filled(n, d) if n in self.cells else d for n, d in zip(names, drawn, strict=True)}
        for gap in (r for r in reversed(relations.taken) if isinstance(r, Gap)):
            if gap.earlier in known:
                self._count_back(gap, known)
        whole = relations.restore(pa.table(known))
        made = [self._filled(name, one(whole[name])) for name in self.model.table.names]
        return pa.Table.from_arrays(made, schema=_loose(self.model.table))

    def _count_back(self, gap: Gap, known: dict[str, pa.Array]) -> None:
        """What is lacking before a given end lies as far before it as the drawn gap says."""
        at = np.flatnonzero(self.lacking[gap.earlier] & ~self.lacking[gap.target])
        if len(at):
            ends = {gap.target: self.cells[gap.target]}
            made = gap.before(known | ends, self.model.relations.rulers)[gap.earlier]
            at = at[np.asarray(made.is_valid(), np.bool_)[at]]
            known[gap.earlier] = replaced(known[gap.earlier], at, made.take(pa.array(at)))

    def _filled(self, name: str, made: pa.Array) -> pa.Array:
        """A column as it came, filled in where it is lacking."""
        at = np.flatnonzero(self.lacking[name])
        return replaced(self.cells[name], at, made.take(pa.array(at)))


def _work_out(relations: Relations, cells: dict[str, pa.Array], lacking: dict[str, Flags]) -> None:
    """Fill in what follows from computed columns that are given: the parts of a date, one term of a sum."""
    for relation in reversed(relations.taken):
        backwards: list[Relation] = []
        if isinstance(relation, Whole):
            parts = [(column, part) for part, column in relation.parts if isinstance(column, str)]
            backwards = [Part(column, relation.target, part, relation.zone) for column, part in parts]
        if isinstance(relation, Linear) and relation.divisor == 1:
            backwards = [_turned(relation, i) for i, w in enumerate(relation.weights) if abs(w) == 1]
        for turned in backwards:
            at = lacking[turned.target] & ~np.logical_or.reduce([lacking[n] for n in turned.inputs])
            if not at.any():
                continue
            made = turned.restore(cells, relations.rulers)[turned.target]
            places = np.flatnonzero(at & np.asarray(made.is_valid(), np.bool_))
            cells[turned.target] = replaced(cells[turned.target], places, made.take(pa.array(places)))
            lacking[turned.target] = lacking[turned.target] & np.asarray(cells[turned.target].is_null(), np.bool_)


def _turned(relation: Linear, at: int) -> Linear:
    """A sum solved for one of its terms, whose weight is 1 or -1."""
    sign = relation.weights[at]
    others = [(n, -w * sign) for i, (n, w) in enumerate(zip(relation.inputs, relation.weights, strict=True)) if i != at]
    return Linear(
        target=relation.inputs[at], inputs=(relation.target, *(n for n, _ in others)),
        weights=(sign, *(w for _, w in others)), constant=-relation.constant * sign,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Filling:
    """What completes candidates: bags, and how likely they are to draw what is given."""

    given: _Given
    likely: dict[int, Likelihood]

    @property
    def model(self) -> ForestModel:
        return self.given.model

    def filled(self, part: slice, candidates: int, rng: np.random.Generator) -> Codes:
        """Codes of some rows, the missing ones drawn; shape (rows, columns of the forest)."""
        missing = self.given.missing[part]
        rows = len(missing)
        codes = np.asfortranarray(np.repeat(self.given.codes[part], candidates, axis=0))
        weights = np.zeros((rows, candidates))  # logarithms
        for step in self.model.steps:
            lacking = missing[:, step.target]
            if lacking.any():
                at = _candidates(np.flatnonzero(lacking), candidates)
                codes[at, step.target], likely = self._drawn(step, codes[at], missing[at // candidates], rng)
                weights[lacking] += _log(likely).reshape(-1, candidates)
            told = np.flatnonzero(~lacking & self._is_telling(step, missing))
            if len(told):
                at = _candidates(told, candidates)
                weights[told] += _log(self._likely(step, codes[at])).reshape(-1, candidates)
            if step.bag is not None:
                codes, weights = _anew(codes, weights, rng)
        if self.model.judge is not None:
            odds = np.minimum(self.model.judge.scores(codes) - self.model.judge.cap, 0)
            weights += odds.reshape(rows, candidates)
        return np.asarray(codes[np.arange(rows) * candidates + _picked(weights, 1, rng)[:, 0]], np.int32)

    def _drawn(self, step: Step, codes: Codes, missing: Flags, rng: np.random.Generator) -> tuple[Codes, Floats]:
        """States of a column that rows lack, and how likely each row was to have one that fits what it has."""
        codes = np.asfortranarray(codes)
        fits = np.ones(self.model.codings[step.target].size, np.bool_)
        if step.target in self.given.filled:
            fits &= ~_nulls(self.model, step.target)
        if step.bag is None or (fits.all() and not self._tied(step)):
            return step.draw(codes, rng), np.ones(len(codes))
        return self._fitting(step, codes, missing, fits, rng)

    def _fitting(
        self, step: Step, codes: Codes, missing: Flags, fits: Flags, rng: np.random.Generator
    ) -> tuple[Codes, Floats]:
        """States that go with what is given of the columns that this one determines."""
        tied = self._tied(step)
        told = [np.where(missing[:, s.target], -1, codes[:, s.target]) for s in tied]
        known = np.column_stack(told) if told else codes[:, :0]
        kinds, kind = np.unique(known, axis=0, return_inverse=True)
        states, likely = np.zeros(len(codes), np.int32), np.ones(len(codes))
        for i, values in enumerate(kinds):
            mine, allowed = np.flatnonzero(kind.ravel() == i), fits.copy()
            for other, value in zip(tied, values, strict=True):
                allowed &= (other.table == value) | (value < 0)
            if step.bag is None or not allowed.any():  # nothing fits: what the forest draws is as good as any
                states[mine] = step.draw(np.asfortranarray(codes[mine]), rng)
                continue
            narrow = Narrow.of(step.bag, allowed.astype(np.float64))
            states[mine], likely[mine] = narrow.draw(np.asfortranarray(codes[mine]), rng)
            none = mine[likely[mine] == 0]
            states[none] = rng.choice(np.flatnonzero(allowed), len(none))
        return states, likely

    def _tied(self, step: Step) -> list[Step]:
        """The columns that this one determines."""
        return [s for s in self.model.steps if s.source == step.target and s.table is not None]

    def _is_telling(self, step: Step, missing: Flags) -> Flags:
        """Of which rows a given state of this column tells something: those that lack what it is drawn by."""
        if step.bag is None:
            return np.zeros(len(missing), np.bool_)
        return np.asarray(missing[:, step.bag.inputs].any(axis=1))

    def _likely(self, step: Step, codes: Codes) -> Floats:
        return self.likely[step.target].told(codes, codes[:, step.target])


def _candidates(rows: npt.NDArray[np.int64], each: int) -> npt.NDArray[np.int64]:
    return (rows[:, None] * each + np.arange(each)).ravel()


def _log(likely: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(likely, _HARDLY)))


def _anew(codes: Codes, weights: Floats, rng: np.random.Generator) -> tuple[Codes, Floats]:
    """Candidates drawn by weight in rows where these tell as much as fewer than half of them."""
    rows, each = weights.shape
    shares = np.exp(weights - weights.max(axis=1, keepdims=True, initial=-np.inf))
    poor = np.flatnonzero(shares.sum(axis=1) ** 2 < each / 2 * (shares**2).sum(axis=1))
    if not len(poor):
        return codes, weights
    at = np.arange(rows * each).reshape(rows, each)
    at[poor] = poor[:, None] * each + _picked(weights[poor], each, rng)
    weights = weights.copy()
    weights[poor] = 0
    return np.asfortranarray(codes[at.ravel()]), weights


def _picked(weights: Floats, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """So many candidates of each row by weight, systematically; shape (rows, count)."""
    shares = np.exp(weights - weights.max(axis=1, keepdims=True, initial=-np.inf))
    ends = np.cumsum(shares, axis=1)
    ends /= ends[:, -1:]
    points = (np.arange(count) + rng.random((len(weights), 1))) / count
    base = np.arange(len(weights))[:, None] * 2
    found = np.searchsorted((ends + base).ravel(), (points + base).ravel(), side="right").reshape(len(weights), count)
    return np.asarray(
        np.minimum(found - np.arange(len(weights))[:, None] * weights.shape[1], weights.shape[1] - 1), np.int64
    )


def _nulls(model: ForestModel, place: int) -> Flags:
    """Which states of a column are null."""
    coding = model.codings[place]
    found = np.zeros(coding.size, np.bool_)
    states = np.arange(coding.size, dtype=np.int32)
    cells = plain(coding, states, np.random.Generator(np.random.Philox(key=0)))
    found[np.asarray(cells.is_null(), np.bool_)] = True
    return found


def _loose(table: Table) -> pa.Schema:
    """The schema of rows that may lack cells."""
    return pa.schema([pa.field(c.name, c.type) for c in table.columns])
