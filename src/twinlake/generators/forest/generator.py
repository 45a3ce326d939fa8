"""`forest`: each column is drawn from a bag of trees that look at the columns before it, over k-safe states.

Sequential conditional trees (Reiter 2005; synthpop: Nowok, Raab, Dibben 2016) whose leaves keep smoothed segments of
states rather than donors. With the preset `quality`, a discriminator decides which of the rows drawn are kept.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
import pyarrow as pa

from twinlake.errors import GeneratorError
from twinlake.generators.forest.bag import Bag, Growth, Looks, Target
from twinlake.generators.forest.coding import MANY, Coding
from twinlake.generators.forest.discriminator import MOST_REAL, Boosting, discriminate
from twinlake.generators.forest.likeness import likeness
from twinlake.generators.forest.model import ForestModel, blank
from twinlake.generators.forest.order import (
    bins,
    determined,
    function_of,
    information,
    label_ranks,
    learning_order,
    telling,
    with_determined,
)
from twinlake.generators.forest.past import HEAD
from twinlake.generators.forest.portrait import Portrait
from twinlake.generators.forest.sequence import Sequence
from twinlake.generators.forest.series import Series, Times
from twinlake.generators.forest.step import Step
from twinlake.generators.relations.relations import Relations
from twinlake.generators.siblings import Siblings
from twinlake.generators.states.alphabet import Codes, encode, learn_alphabet
from twinlake.generators.states.census import Ints, K, unit_ids
from twinlake.hashing import Hashes
from twinlake.random import integer_seed, stream
from twinlake.schema import Column, Table

_TREES_IN_ALL = 1_200  # wide tables get fewer trees per column
_ROWS_PER_TREE = 60_000
_SEVERAL = 3  # rows of a unit, from which on its leaves are counted so
_MORE = 1.25  # times the share of units that a tree grows from then
_JUDGED = 200_000  # rows of sequences that are judged while learning
_POOL = 2  # drawn sequences for each real one
_JUDGES = 20  # rows, real and drawn, that a leaf of the discriminator has for each of k


class Preset(StrEnum):
    """How much is done for likeness."""

    FAST = "fast"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class Forest:
    """The generator's settings.

    Attributes:
        preset: `fast` draws from the trees as they are; `quality` keeps of what they draw what a discriminator does
            not tell from real rows: about half, so drawing takes longer.
        rounds: of the discriminator, 1 to 4, each on what those before let through.
        trees: per column, 1 to 256.
        share: of units that each tree grows from, above 0 up to 1; a quarter more where units have three rows or more.
        min_leaf: units on either side of every cut where the table has enough rows, at least 10; half as many where
            units have three rows or more, never below k.
        depth: of trees, 1 to 30.
        penalty: how much a cut must tell to be made, 0 to 10: 1 is what chance alone tells, 2 is Akaike's criterion.
        groups: parts of equal frequency in which trees tell a quantity, 2 to 64.
        smoothing: rows of a leaf that one stretch of values stands for, 1 to 1,000.
        features: columns that one column may look at, 1 to 100.
        rows: that are learnt from at most, at least 1,000; above, whole units are left out.
        k: values held by fewer privacy units are never drawn.
    """

    preset: str = Preset.FAST
    rounds: int = 2
    trees: int = 16
    share: float = 0.4
    min_leaf: int = 20
    depth: int = 16
    penalty: float = 1.5
    groups: int = 8
    smoothing: int = 3
    features: int = 32
    rows: int = 200_000
    k: int = K

    name = "forest"
    takes_context = True
    licence = "Apache-2.0"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.preset not in [*Preset]:
            raise GeneratorError(
                "setting preset of generator forest is unknown", allowed=f"there are {', '.join(Preset)}"
            )
        _within("rounds", self.rounds, 1, 4)
        _within("trees", self.trees, 1, 256)
        _within("share", self.share, 0.01, 1)
        _within("min_leaf", self.min_leaf, K, 10_000)
        _within("depth", self.depth, 1, 30)
        _within("penalty", self.penalty, 0, 10)
        _within("groups", self.groups, 2, 64)
        _within("smoothing", self.smoothing, 1, 1_000)
        _within("features", self.features, 1, 100)
        _within("rows", self.rows, 1_000, 10_000_000)

    def fit(
        self, data: pa.Table, table: Table, *, units: Hashes | None, context: pa.Table | None,
        siblings: Siblings | None = None, rng: np.random.Generator,
    ) -> ForestModel:  # fmt: skip
        """Learn the columns of `table`, each given those before it, the context, and what siblings before it hold."""
        relations = Relations.learn(data, table, units, k=self.k)
        data = relations.reduce(data)
        ids = unit_ids(units, data.num_rows)
        rows = _some(ids, self.rows, rng)
        if siblings is not None:
            return self._fit_sequences(relations, data, siblings, context, units, ids, rows, rng)
        learnt = _Coded.learn(data, relations.reduced, context, units, self.k)
        codes, codings = learnt.codes(rows, rng)
        steps = self._steps(codes, ids[rows], codings, learnt.given, None, rng)
        model = ForestModel(relations, tuple(codings), learnt.names, steps)
        return self._refined(model, codes, ids[rows], rng) if self.preset == Preset.QUALITY and len(codes) else model

    def _fit_sequences(
        self, relations: Relations, data: pa.Table, siblings: Siblings, context: pa.Table | None,
        units: Hashes | None, ids: Ints, rows: Ints, rng: np.random.Generator,
    ) -> ForestModel:  # fmt: skip
        """Learn rows of the reduced table as sequences; trees grow from some of them, whose past is worked out."""
        sequence = Sequence.learn(data, relations.reduced, siblings, context)
        times = Times.of(sequence, data, siblings, context)
        unrolled = sequence.unroll(data, siblings, context)
        learnt = _Coded.learn(unrolled, sequence.unrolled, context, units, self.k)
        every, codings = learnt.codes(np.arange(data.num_rows), rng)
        series = Series.learn(sequence, codings, every, times, units, k=self.k)
        codes = series.seen(every, times, siblings, rows)
        steps = self._steps(codes, ids[rows], codings, learnt.given, series, rng)
        model = ForestModel(relations, tuple(codings), learnt.names, steps, series=series)
        return self._judged(model, every, times, context, siblings, ids, rng) if len(codes) else model

    def _steps(
        self, codes: Codes, units: Ints, codings: list[Coding], given: int, series: Series | None,
        rng: np.random.Generator,
    ) -> tuple[Step, ...]:  # fmt: skip
        """How each column is drawn, in the order they are learnt."""
        units = unit_ids(units.astype(np.uint64), len(codes))
        drawn = range(given, len(codings))
        if not len(codes):
            return tuple(Step(i) for i in drawn)
        shared = information(codes, rng, list(drawn))
        growth = self._growth(int(units.max()) + 1, len(codes), len(drawn))
        order = [given + i for i in learning_order(shared[:, drawn], [codings[i].size for i in drawn])]
        apart = set() if series is None else {*series.order, *series.flags.values()}
        free = [c for c in order if c not in apart]
        sources = determined(codes, free, list(range(given)), [a.safe for a in codings])
        order = with_determined(free, sources)
        if series is not None:
            order = [*series.order, *(c for f in order for c in (series.flags.get(f), f) if c is not None)]
        learning = _Learning(codes, codings, units, growth, shared, self.features, series)
        seed = integer_seed(rng)

        def step(place: int) -> Step:
            target = order[place]
            if codings[target].size == 1:
                return Step(target)
            if (source := sources.get(target)) is not None:
                table = function_of(codes[:, source], codes[:, target], codings[source].size)
                return Step(target, source=source, table=table)
            return Step(target, bag=learning.bag(target, order[:place], stream(seed, target)))

        with ThreadPoolExecutor(_threads()) as pool:
            return tuple(pool.map(step, range(len(order))))

    def _growth(self, units: int, rows: int, columns: int) -> Growth:
        """Fewer trees for wide tables, smaller leaves for small ones, never below k units; bounded in rows.

        Where units have several rows each, leaves are half as large, in units, and samples larger: a leaf of so many
        units holds many more rows.
        """
        trees = min(self.trees, max(4, _TREES_IN_ALL // max(columns, 1)))
        if rows >= _SEVERAL * units:
            leaf, share = max(self.k, self.min_leaf // 2), min(_MORE * self.share, 1.0)
            return Growth(trees, share, leaf, self.depth, self.penalty, self.groups, self.smoothing)
        leaf = max(self.k, min(self.min_leaf, round(units * self.share) // 60))
        share = min(self.share, max(_ROWS_PER_TREE / max(units, 1), 0.01))
        return Growth(trees, share, leaf, self.depth, self.penalty, self.groups, self.smoothing)

    def _judged(
        self, model: ForestModel, codes: Codes, times: Times | None, context: pa.Table | None, siblings: Siblings,
        units: Ints, rng: np.random.Generator,
    ) -> ForestModel:  # fmt: skip
        """The model with a judge of whole sequences, however they came about."""
        assert model.series is not None  # only sequences are judged so
        runs = rng.permutation(len(siblings.sizes))
        runs = runs[: max(1, int(np.searchsorted(np.cumsum(siblings.sizes[runs]), _JUDGED)))]
        at, some = siblings.take(np.sort(runs))
        series, beside = model.series, None if context is None else context.take(pa.array(at))
        portrait = Portrait.of(series.past, codes, {*series.order, *series.flags.values()})
        now = np.zeros(len(at), np.int32) if times is None else series.told(times.now[at], times.valid[at])
        real = portrait.draw(codes[at], now, some)
        drawn = []
        for _ in range(2 * _POOL):
            made = np.asfortranarray(codes[at])
            drawn.append(portrait.draw(made, series.told(*model.follow(series, made, beside, some, rng)), some))
        kept, most = _thinned(unit_ids(units[at[some.starts[:-1]]].astype(np.uint64), len(real)), rng)
        boosting = replace(self._boosting(most), pool=_POOL)
        judge = discriminate(real[kept], np.concatenate(drawn), boosting, rng=rng)
        return replace(model, judge=judge, series=replace(series, portrait=portrait))

    def _boosting(self, most: int) -> Boosting:
        """How the discriminator learns where a unit has up to `most` rows, so that few units tell no leaf."""
        return Boosting(rounds=self.rounds, min_leaf=most * _JUDGES * self.k)

    def _refined(self, model: ForestModel, codes: Codes, units: Ints, rng: np.random.Generator) -> ForestModel:
        some, most = _thinned(units, rng)
        boosting = self._boosting(most)
        given = len(model.context)
        rows = np.arange(2 * boosting.pool * min(len(codes), MOST_REAL)) % len(codes)
        drawn = model.fill(np.asfortranarray(codes[rows]) if given else blank(len(rows), codes.shape[1]), rng)
        return replace(model, judge=discriminate(codes[some], drawn, boosting, rng=rng))


@dataclass(frozen=True, slots=True)
class _Coded:
    """Real rows with their context, and the alphabets of all columns."""

    rows: pa.Table
    codings: list[Coding]
    names: tuple[str, ...]

    @classmethod
    def learn(cls, data: pa.Table, table: Table, context: pa.Table | None, units: Hashes | None, k: int) -> Self:
        names = () if context is None else tuple(context.column_names)
        given = [] if context is None else [Column(f.name, f.type) for f in context.schema]
        whole = data if context is None else pa.table([*context.columns, *data.columns], names=_names(names, data))
        columns = [*given, *table.columns]
        with ThreadPoolExecutor(_threads()) as pool:
            learnt = list(pool.map(lambda i: learn_alphabet(whole[i], columns[i], units, k=k), range(len(columns))))
        return cls(whole, [Coding(alphabet) for alphabet in learnt], names)

    @property
    def given(self) -> int:
        """How many columns the context has."""
        return len(self.names)

    def codes(self, rows: Ints, rng: np.random.Generator) -> tuple[Codes, list[Coding]]:
        """Codes of some rows, and what they mean: labels of many states are ordered by likeness."""
        whole = self.rows.take(pa.array(rows)) if len(rows) < self.rows.num_rows else self.rows
        codes = encode(whole, self.codings)
        return codes, _ordered(codes, self.codings, self.given, rng)


@dataclass(frozen=True, slots=True)
class _Learning:
    """What bags are grown from."""

    codes: Codes
    codings: list[Coding]
    units: Ints
    growth: Growth
    shared: Any
    features: int
    series: Series | None

    def bag(self, target: int, order: list[int], rng: np.random.Generator) -> Bag:
        """The bag of one column over what is known before it: those drawn earlier, the context, the past."""
        codes, units = self._free(target)
        columns, ranks = list[int](), []
        tells, known = self.shared[target - self._given], self._known(order)
        own = [i for i in known if i < len(self.codings)]
        where, past = known[len(own) : len(own) + HEAD], known[len(own) + HEAD :]
        for i in [  # columns of the past say nearly the same again and again: they don't crowd the others out
            *telling(tells, own, most=self.features, rows=len(codes)),
            *where,  # tells little of all rows, and much of those that begin
            *telling(tells, past, most=self.features, rows=len(codes)),
        ]:
            size, ordinal = self._kind(i)
            if ordinal:
                found = [bins(np.bincount(codes[:, i], minlength=size))]
            else:
                found = label_ranks(codes, i, target, size, self.codings[target].size)
            columns += [i] * len(found)
            ranks += found
        of = self.codings[target]
        told = Target(np.ascontiguousarray(codes[:, target]), of.apart, of.points, of.ordinal)
        return Bag.grow(told, Looks.over(codes, columns, ranks), units, growth=self.growth, rng=rng)

    @property
    def _given(self) -> int:
        return len(self.codings) - len(self.shared)

    def _free(self, target: int) -> tuple[Codes, Ints]:
        """The rows in which a column is drawn, and their units; all rows, where it is drawn in none."""
        forced = () if self.series is None else self.series.forced.get(target, ())
        free = np.flatnonzero(~np.logical_or.reduce([f.rows(self.codes) for f in forced])) if forced else self.units[:0]
        if not len(free):
            return self.codes, self.units
        return np.asfortranarray(self.codes[free]), np.unique(self.units[free], return_inverse=True)[1].astype(np.int64)

    def _known(self, order: list[int]) -> list[int]:
        known = [*range(self._given), *order]
        if self.series is None:
            return known
        past, timed = self.series.past, {*self.series.order} <= {*order}
        for i, seen in enumerate(past.seen):
            if seen.needs is None or seen.needs in order or (seen.needs == past.moment and timed):
                known.append(past.at + i)
        return known

    def _kind(self, column: int) -> tuple[int, bool]:
        """How many codes a column has, and whether they have an order."""
        if column < len(self.codings):
            return self.codings[column].size, self.codings[column].ordinal
        assert self.series is not None  # only a series has more columns than codings
        seen = self.series.past.seen[column - len(self.codings)]
        return seen.size, seen.ordinal


def _names(context: tuple[str, ...], data: pa.Table) -> list[str]:
    """Names that can't meet: columns are told by their place."""
    return [f"{i}" for i in range(len(context) + data.num_columns)]


def _threads() -> int:
    return min(8, os.cpu_count() or 1)


def _ordered(codes: Codes, codings: list[Coding], given: int, rng: np.random.Generator) -> list[Coding]:
    """Codings whose drawn labels of many states are ordered by likeness; `codes` are replaced accordingly, in place.

    Those of the context are only looked at: each column that does orders them for itself.
    """
    sizes, found = [c.size for c in codings], list(codings)
    for i, coding in enumerate(codings):
        if i >= given and not coding.ordinal and coding.size > MANY and len(codes):
            others = [j for j in range(len(codings)) if j != i]
            found[i] = coding.ordered(likeness(codes, i, sizes, others, rng))
    for i, coding in enumerate(found):
        if coding.ranks is not None:
            codes[:, i] = coding.ranks[codes[:, i]]
    return found


def _some(units: Ints, most: int, rng: np.random.Generator) -> Ints:
    """Rows to learn from, ascending: all, or those of as many random units as fit in `most` rows."""
    if len(units) <= most:
        return np.arange(len(units))
    place = rng.permutation(int(units.max()) + 1)[units]
    held = np.cumsum(np.bincount(place))
    return np.flatnonzero(place < max(1, int(np.searchsorted(held, most, side="right"))))


def _thinned(units: Ints, rng: np.random.Generator) -> tuple[Ints, int]:
    """Rows of which no unit has more than twice as many as most have, ascending; and how many that are at most."""
    held = np.bincount(units)
    most = int(2 * np.median(held[held > 0])) if int(held.max()) > 1 else 1
    order = rng.permutation(len(units))
    order = order[np.argsort(units[order], kind="stable")]
    place = np.arange(len(order)) - (np.cumsum(held) - held)[units[order]]
    return np.sort(order[place < most]), most


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise GeneratorError(
            f"setting {name} of generator forest is out of range", allowed=f"{low} to {high} is allowed"
        )
