"""`forest`: each column is drawn from a bag of trees that look at the columns before it, over k-safe states.

Sequential conditional trees (Reiter 2005; synthpop: Nowok, Raab, Dibben 2016) whose leaves keep smoothed segments of
states rather than donors. With the preset `quality`, a discriminator decides which of the rows drawn are kept.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from twinlake.errors import GeneratorError
from twinlake.generators.forest.bag import Bag, Growth, Looks, Target
from twinlake.generators.forest.coding import MANY, Coding
from twinlake.generators.forest.discriminator import MOST_DRAWS, MOST_REAL, Boosting, Discriminator, discriminate
from twinlake.generators.forest.likeness import likeness
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
from twinlake.generators.relations.relations import Relations
from twinlake.generators.saved import Arrays, read_arrays, write_model
from twinlake.generators.states.alphabet import Codes, alphabet_from_json, encode, learn_alphabet
from twinlake.generators.states.census import Ints, K, unit_ids
from twinlake.hashing import Hashes
from twinlake.random import integer_seed, stream
from twinlake.schema import Column, Table
from twinlake.tables import ROWS_PER_GROUP

_TREES_IN_ALL = 1_200  # wide tables get fewer trees per column
_ROWS_PER_TREE = 60_000


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
        trees: per column, 1 to 256.
        share: of units that each tree grows from, above 0 up to 1.
        min_leaf: units on either side of every cut where the table has enough rows, at least 10; never below k.
        depth: of trees, 1 to 30.
        penalty: how much a cut must tell to be made, 0 to 10: 1 is what chance alone tells, 2 is Akaike's criterion.
        groups: parts of equal frequency in which trees tell a quantity, 2 to 64.
        smoothing: rows of a leaf that one stretch of values stands for, 1 to 1,000.
        features: columns that one column may look at, 1 to 100.
        rows: that are learnt from at most, at least 1,000; above, whole units are left out.
        k: values held by fewer privacy units are never drawn.
    """

    preset: str = Preset.FAST
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
    licence = "Apache-2.0"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.preset not in [*Preset]:
            raise GeneratorError(
                "setting preset of generator forest is unknown", allowed=f"there are {', '.join(Preset)}"
            )
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
        self, data: pa.Table, table: Table, *, units: Hashes | None, context: pa.Table | None, rng: np.random.Generator
    ) -> "ForestModel":
        """Learn the columns of `table`, each given those before it and the context."""
        relations = Relations.learn(data, table, units, k=self.k)
        data = relations.reduce(data)
        ids = unit_ids(units, data.num_rows)
        names = () if context is None else tuple(context.column_names)
        given = [] if context is None else [Column(f.name, f.type) for f in context.schema]
        whole = data if context is None else pa.table([*context.columns, *data.columns], names=_names(names, data))
        columns = [*given, *relations.reduced.columns]
        with ThreadPoolExecutor(_threads()) as pool:
            learnt = list(
                pool.map(lambda i: learn_alphabet(whole[i], columns[i], units, k=self.k), range(len(columns)))
            )
        rows = _some(ids, self.rows, rng)
        codings = [Coding(alphabet) for alphabet in learnt]
        codes = encode(whole.take(pa.array(rows)) if len(rows) < len(ids) else whole, codings)
        codings = _ordered(codes, codings, rng)
        steps = self._steps(codes, unit_ids(ids[rows].astype(np.uint64), len(rows)), codings, len(names), rng)
        model = ForestModel(relations, tuple(codings), names, steps)
        return self._refined(model, codes, ids[rows], rng) if self.preset == Preset.QUALITY and len(codes) else model

    def _steps(
        self, codes: Codes, units: Ints, codings: list[Coding], given: int, rng: np.random.Generator
    ) -> tuple["Step", ...]:
        """How each column is drawn, in the order they are learnt."""
        if not len(codes):
            return tuple(Step(i) for i in range(given, len(codings)))
        shared = information(codes, rng)
        growth = self._growth(int(units.max()) + 1, len(codings) - given)
        order = [given + i for i in learning_order(shared[given:, given:], [a.size for a in codings[given:]])]
        sources = determined(codes, order, list(range(given)), [a.safe for a in codings])
        order = with_determined(order, sources)
        learning = _Learning(codes, codings, units, growth, shared, self.features)
        seed = integer_seed(rng)

        def step(place: int) -> Step:
            target = order[place]
            if codings[target].size == 1:
                return Step(target)
            if (source := sources.get(target)) is not None:
                table = function_of(codes[:, source], codes[:, target], codings[source].size)
                return Step(target, source=source, table=table)
            return Step(target, bag=learning.bag(target, [*range(given), *order[:place]], stream(seed, target)))

        with ThreadPoolExecutor(_threads()) as pool:
            return tuple(pool.map(step, range(len(order))))

    def _growth(self, units: int, columns: int) -> Growth:
        """Fewer trees for wide tables, smaller leaves for small ones, never below k units; bounded in rows."""
        trees = min(self.trees, max(4, _TREES_IN_ALL // max(columns, 1)))
        leaf = max(self.k, min(self.min_leaf, round(units * self.share) // 20))
        share = min(self.share, max(_ROWS_PER_TREE / max(units, 1), 0.01))
        return Growth(trees, share, leaf, self.depth, self.penalty, self.groups, self.smoothing)

    def _refined(self, model: "ForestModel", codes: Codes, units: Ints, rng: np.random.Generator) -> "ForestModel":
        some, most = _thinned(units, rng)
        boosting = Boosting(min_leaf=most * Boosting().min_leaf)  # so that no leaf is told by one unit's rows
        given = len(model.context)
        rows = np.arange(2 * boosting.pool * min(len(codes), MOST_REAL)) % len(codes)
        drawn = model.fill(np.asfortranarray(codes[rows]) if given else _blank(len(rows), codes.shape[1]), rng)
        return replace(model, judge=discriminate(codes[some], drawn, boosting, rng=rng))


@dataclass(frozen=True, slots=True)
class _Learning:
    """What bags are grown from."""

    codes: Codes
    codings: list[Coding]
    units: Ints
    growth: Growth
    shared: Any
    features: int

    def bag(self, target: int, earlier: list[int], rng: np.random.Generator) -> Bag:
        """The bag of one column over the earlier ones that tell of it."""
        columns, ranks = list[int](), []
        for i in telling(self.shared, target, earlier, most=self.features, rows=len(self.codes)):
            of = self.codings[i]
            if of.ordinal:
                found = [bins(np.bincount(self.codes[:, i], minlength=of.size))]
            else:
                found = label_ranks(self.codes, i, target, of, self.codings[target])
            columns += [i] * len(found)
            ranks += found
        own = self.codings[target]
        told = Target(np.ascontiguousarray(self.codes[:, target]), own.apart, own.points, own.ordinal)
        return Bag.grow(told, Looks.over(self.codes, columns, ranks), self.units, growth=self.growth, rng=rng)


@dataclass(frozen=True, slots=True)
class Step:
    """How one column is drawn: by a bag, by looking up the state of another column, or as its only state."""

    target: int
    bag: Bag | None = None
    source: int | None = None
    table: Codes | None = None

    def draw(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """A state for each row of `codes`, shape (rows,)."""
        if self.bag is not None:
            return self.bag.draw(codes, rng)
        if self.source is not None and self.table is not None:
            return self.table[codes[:, self.source]]
        return np.zeros(len(codes), np.int32)


@dataclass(frozen=True, slots=True)
class ForestModel:
    """What `Forest` has learnt.

    Attributes:
        relations: what columns of the table follow from others; the rest is drawn.
        codings: of all columns: those of the context first, then those that are drawn.
        context: names of the context's columns.
        steps: how columns are drawn, in order.
        judge: what decides which drawn rows are kept, or None to keep them all.
    """

    relations: Relations
    codings: tuple[Coding, ...]
    context: tuple[str, ...]
    steps: tuple[Step, ...]
    judge: Discriminator | None = None

    @property
    def table(self) -> Table:
        """The schema of the rows."""
        return self.relations.table

    def sample(self, rows: int, *, context: pa.Table | None, rng: np.random.Generator) -> pa.Table:
        """Draw rows; raises GeneratorError where `context` is not what was learnt with."""
        if self.context and (
            context is None or context.num_rows != rows or not {*self.context} <= {*context.column_names}
        ):
            raise GeneratorError(
                f"table {self.table.name} was learnt with context and needs a row of it for each row to draw",
                allowed=f"its columns are {', '.join(self.context)}",
            )
        drawn = []
        for start in range(0, rows, ROWS_PER_GROUP):
            count = min(ROWS_PER_GROUP, rows - start)
            codes = _blank(count, len(self.codings))
            for i, name in enumerate(self.context if context is not None else ()):
                codes[:, i] = self.codings[i].encode(context[name].slice(start, count))  # type: ignore[index]
            drawn.append(self.decode(self.draw(codes, rng), rng))
        return pa.concat_tables(drawn) if drawn else self.table.arrow.empty_table()

    def draw(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """Fill the columns after the context's; rows that the judge does not keep are drawn again."""
        if self.judge is None:
            return self.fill(codes, rng)
        if self.context:
            return self._kept_beside(codes, self.judge, rng)
        kept, missing = list[Codes](), len(codes)
        while missing:
            wanted = min(round(missing / max(self.judge.kept, 0.02) * 1.05) + 64, 4 * ROWS_PER_GROUP)
            drawn = self.fill(_blank(wanted, codes.shape[1]), rng)
            kept.append(drawn[self.judge.keeps(drawn, rng)][:missing])
            missing -= len(kept[-1])
        return np.asfortranarray(np.concatenate(kept)) if kept else codes

    def _kept_beside(self, codes: Codes, judge: Discriminator, rng: np.random.Generator) -> Codes:
        """Each row is drawn beside its own context until it is kept, some times at most."""
        codes = self.fill(codes, rng)
        waiting = np.arange(len(codes))
        for _ in range(MOST_DRAWS):
            waiting = waiting[~judge.keeps(codes[waiting], rng)]
            if not len(waiting):
                break
            codes[waiting] = self.fill(np.asfortranarray(codes[waiting]), rng)
        return codes

    def fill(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """Draw every column after the context's, in place, and give the codes back."""
        for step in self.steps:
            codes[:, step.target] = step.draw(codes, rng)
        return codes

    def decode(self, codes: Codes, rng: np.random.Generator) -> pa.Table:
        """Rows of the table from codes of shape (rows, context and columns)."""
        own = self.codings[len(self.context) :]
        cells = [coding.decode(codes[:, len(self.context) + i], rng) for i, coding in enumerate(own)]
        drawn = pa.Table.from_arrays(cells, names=list(self.relations.reduced.names))
        return self.relations.restore(drawn)

    def save(self, folder: Path) -> None:
        """Write the model to a new folder."""
        arrays: Arrays = {}
        for i, step in enumerate(self.steps):
            if step.bag is not None:
                arrays |= {f"{i:05d}-{name}": a for name, a in step.bag.to_arrays().items()}
            if step.table is not None:
                arrays[f"{i:05d}-table"] = step.table
        for i, coding in enumerate(self.codings):
            if coding.ranks is not None:
                arrays[f"ranks-{i:05d}"] = coding.ranks
        if self.judge is not None:
            arrays |= {f"judge-{name}": a for name, a in self.judge.to_arrays().items()}
        content = {
            "relations": self.relations.to_json(),
            "alphabets": [c.alphabet.to_json() for c in self.codings],
            "context": list(self.context),
            "steps": [{"target": s.target, "source": s.source} for s in self.steps],
        }
        write_model(folder, "forest", content, arrays)

    @classmethod
    def read(cls, folder: Path, head: Mapping[str, Any]) -> Self:
        """The model that `save` wrote."""
        arrays = read_arrays(folder)
        steps = []
        for i, step in enumerate(head["steps"]):
            mine = _under(arrays, f"{i:05d}-")
            table = mine.pop("table", None)
            steps.append(Step(step["target"], Bag(**mine) if mine else None, step["source"], table))
        codings = tuple(
            Coding(alphabet_from_json(a), arrays.get(f"ranks-{i:05d}")) for i, a in enumerate(head["alphabets"])
        )
        judge = _under(arrays, "judge-")
        return cls(
            Relations.from_json(head["relations"]), codings, tuple(head["context"]), tuple(steps),
            Discriminator.from_arrays(judge) if judge else None,
        )  # fmt: skip


def _under(arrays: Arrays, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _blank(rows: int, columns: int) -> Codes:
    return np.zeros((rows, columns), np.int32, order="F")


def _names(context: tuple[str, ...], data: pa.Table) -> list[str]:
    """Names that can't meet: columns are told by their place."""
    return [f"{i}" for i in range(len(context) + data.num_columns)]


def _threads() -> int:
    return min(8, os.cpu_count() or 1)


def _ordered(codes: Codes, codings: list[Coding], rng: np.random.Generator) -> list[Coding]:
    """Codings whose labels of many states are ordered by likeness; `codes` are replaced accordingly, in place."""
    sizes, found = [c.size for c in codings], list(codings)
    for i, coding in enumerate(codings):
        if not coding.ordinal and coding.size > MANY and len(codes):
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
