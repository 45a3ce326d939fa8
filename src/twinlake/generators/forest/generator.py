"""`forest`: each column is drawn from a bag of trees that look at the columns before it, over k-safe states."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from twinlake.errors import GeneratorError
from twinlake.generators.forest.bag import Bag, Growth
from twinlake.generators.forest.order import (
    determined,
    function_of,
    information,
    learning_order,
    ranked_by,
    telling,
    with_determined,
)
from twinlake.generators.saved import Arrays, read_arrays, table_from_json, table_to_json, write_model
from twinlake.generators.states.alphabet import Alphabet, Codes, alphabet_from_json, decode, encode, learn_alphabet
from twinlake.generators.states.census import Ints, K, unit_ids
from twinlake.hashing import Hashes
from twinlake.schema import Column, Table
from twinlake.tables import ROWS_PER_GROUP

_TREES_IN_ALL = 1_200  # wide tables get fewer trees per column


@dataclass(frozen=True, slots=True)
class Forest:
    """The generator's settings.

    Attributes:
        trees: per column, 1 to 256.
        share: of units that each tree sees, above 0 up to 1.
        min_leaf: units that every leaf stands for where the table has enough rows, at least 10; never below k.
        depth: of trees, 1 to 30.
        penalty: how much a cut must tell to be made, 0 to 10: 1 is what chance alone tells, 2 is Akaike's criterion.
        features: columns that one column may look at, at least 1.
        rows: that are learnt from at most, at least 1,000; above, whole units are left out.
        k: values held by fewer privacy units are never drawn.
    """

    trees: int = 32
    share: float = 0.4
    min_leaf: int = 20
    depth: int = 14
    penalty: float = 1.5
    features: int = 32
    rows: int = 200_000
    k: int = K

    name = "forest"
    licence = "Apache-2.0"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        _within("trees", self.trees, 1, 256)
        _within("share", self.share, 0.01, 1)
        _within("min_leaf", self.min_leaf, K, 10_000)
        _within("depth", self.depth, 1, 30)
        _within("penalty", self.penalty, 0, 10)
        _within("features", self.features, 1, 1_000)
        _within("rows", self.rows, 1_000, 10_000_000)

    def fit(
        self, data: pa.Table, table: Table, *, units: Hashes | None, context: pa.Table | None, rng: np.random.Generator
    ) -> "ForestModel":
        """Learn the columns of `table`, each given those before it and the context."""
        ids = unit_ids(units, data.num_rows)
        alphabets = [learn_alphabet(data[c.name], c, units, k=self.k) for c in table.columns]
        given = [] if context is None else [
            learn_alphabet(context[f.name], Column(f.name, f.type), units, k=self.k) for f in context.schema
        ]  # fmt: skip
        rows = _some(ids, self.rows, rng)
        codes = encode(data.take(pa.array(rows)), alphabets)
        if context is not None:
            codes = np.asfortranarray(np.c_[encode(context.take(pa.array(rows)), given), codes])
        steps = self._steps(
            codes, unit_ids(ids[rows].astype(np.uint64), len(rows)), [*given, *alphabets], len(given), rng
        )
        names = () if context is None else tuple(context.column_names)
        return ForestModel(table, tuple(alphabets), names, tuple(given), steps)

    def _steps(
        self, codes: Codes, units: Ints, alphabets: list[Alphabet], given: int, rng: np.random.Generator
    ) -> tuple["Step", ...]:
        """How each column is drawn, in the order they are learnt."""
        if not len(codes):
            return tuple(Step(given + i) for i in range(len(alphabets) - given))
        shared = information(codes, rng)
        growth = self._growth(int(units.max()) + 1, len(alphabets) - given)
        order = [given + i for i in learning_order(shared[given:, given:], [a.size for a in alphabets[given:]])]
        earlier, steps = list(range(given)), list[Step]()
        sources = determined(codes, order, earlier, [a.safe for a in alphabets])
        for target in with_determined(order, sources):
            source = sources.get(target)
            if alphabets[target].size == 1:
                steps.append(Step(target))
            elif source is not None:
                table = function_of(codes[:, source], codes[:, target], alphabets[source].size)
                steps.append(Step(target, source=source, table=table))
            else:
                inputs = telling(shared, target, earlier, most=self.features, rows=len(codes))
                ranks = {i: ranked_by(codes, i, target, alphabets[i], alphabets[target]) for i in inputs}
                steps.append(Step(target, bag=Bag.grow(codes, target, ranks, units, growth=growth, rng=rng)))
            earlier.append(target)
        return tuple(steps)

    def _growth(self, units: int, columns: int) -> Growth:
        """Fewer trees for wide tables, smaller leaves for small ones; never below k units."""
        trees = min(self.trees, max(4, _TREES_IN_ALL // max(columns, 1)))
        leaf = max(self.k, min(self.min_leaf, round(units * self.share) // 20))
        return Growth(trees, self.share, leaf, self.depth, self.penalty)


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
    """What `Forest` has learnt; columns are numbered context first, then the table's."""

    table: Table
    alphabets: tuple[Alphabet, ...]
    context: tuple[str, ...]
    given: tuple[Alphabet, ...]
    steps: tuple[Step, ...]

    def sample(self, rows: int, *, context: pa.Table | None, rng: np.random.Generator) -> pa.Table:
        """Draw rows; raises GeneratorError where `context` is not what was learnt with."""
        if self.context and (
            context is None or context.num_rows != rows or not {*self.context} <= {*context.column_names}
        ):
            raise GeneratorError(
                f"table {self.table.name} was learnt with context and needs a row of it for each row to draw",
                allowed=f"its columns are {', '.join(self.context)}",
            )
        drawn = [
            self._draw(min(ROWS_PER_GROUP, rows - start), start, context, rng)
            for start in range(0, rows, ROWS_PER_GROUP)
        ]
        return pa.concat_tables(drawn).combine_chunks() if drawn else self.table.arrow.empty_table()

    def _draw(self, rows: int, start: int, context: pa.Table | None, rng: np.random.Generator) -> pa.Table:
        given = len(self.given)
        codes = np.zeros((rows, given + len(self.alphabets)), np.int32, order="F")
        if context is not None and given:
            codes[:, :given] = encode(context.select(list(self.context)).slice(start, rows), self.given)
        for step in self.steps:
            codes[:, step.target] = step.draw(codes, rng)
        return decode(codes[:, given:], self.alphabets, self.table, rng)

    def save(self, folder: Path) -> None:
        """Write the model to a new folder."""
        arrays: Arrays = {}
        for i, step in enumerate(self.steps):
            if step.bag is not None:
                arrays |= {f"{i:05d}-{name}": a for name, a in step.bag.to_arrays().items()}
            if step.table is not None:
                arrays[f"{i:05d}-table"] = step.table
        content = {
            "table": table_to_json(self.table),
            "alphabets": [a.to_json() for a in self.alphabets],
            "context": list(self.context),
            "given": [a.to_json() for a in self.given],
            "steps": [{"target": s.target, "source": s.source} for s in self.steps],
        }
        write_model(folder, "forest", content, arrays)

    @classmethod
    def read(cls, folder: Path, head: Mapping[str, Any]) -> Self:
        """The model that `save` wrote."""
        arrays = read_arrays(folder)
        steps = []
        for i, step in enumerate(head["steps"]):
            mine = {k.split("-", 1)[1]: a for k, a in arrays.items() if k.startswith(f"{i:05d}-")}
            table = mine.pop("table", None)
            steps.append(Step(step["target"], Bag(**mine) if mine else None, step["source"], table))
        alphabets, given = ([alphabet_from_json(a) for a in head[k]] for k in ("alphabets", "given"))
        return cls(table_from_json(head["table"]), tuple(alphabets), tuple(head["context"]), tuple(given), tuple(steps))


def _some(units: Ints, most: int, rng: np.random.Generator) -> Ints:
    """Rows to learn from, ascending: all, or those of as many random units as fit in `most` rows."""
    if len(units) <= most:
        return np.arange(len(units))
    place = rng.permutation(int(units.max()) + 1)[units]
    held = np.cumsum(np.bincount(place))
    return np.flatnonzero(place < max(1, int(np.searchsorted(held, most, side="right"))))


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise GeneratorError(
            f"setting {name} of generator forest is out of range", allowed=f"{low} to {high} is allowed"
        )
