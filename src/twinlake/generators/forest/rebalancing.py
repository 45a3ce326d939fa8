"""Drawing rows of which given shares have given values; within each value rows are as the forest has them.

With shares for several columns, the classes they make together keep what the columns have to do with each other:
their likelihoods under the model are fitted to the shares (iterative proportional fitting: Deming and Stephan 1940).
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.errors import GeneratorError, listed, nearest
from twinlake.generators.forest.conditions import Conditioned, Effort
from twinlake.generators.forest.model import ForestModel
from twinlake.generators.forest.predicate import Predicate
from twinlake.generators.siblings import Siblings
from twinlake.random import stream

Floats = npt.NDArray[np.float64]
Shares = Mapping[str, Mapping[Any, float]]
_MOST = 256  # classes
_PILOT = 256  # rows that tell how likely a class is
_ROUNDS, _NEAR = 500, 1e-6


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """Classes of rows, each drawn under a predicate of its own.

    Attributes:
        classes: what draws the rows of each.
        shares: of each among all rows.
    """

    classes: tuple[Conditioned, ...]
    shares: Floats

    @classmethod
    def of(cls, model: ForestModel, shares: Shares, *, where: Predicate | None) -> Self:
        """Prepare drawing; `where` is what all rows satisfy.

        Raises:
            GeneratorError: for shares that are none, columns that the model does not draw, or classes that can't be.
        """
        if not shares:
            raise GeneratorError("no column has shares", where="rebalance", fix='Say {"income": {">50K": 0.5}}')
        axes = [_classes(model, column, wanted) for column, wanted in shares.items()]
        if (count := int(np.prod([len(axis) for axis in axes]))) > _MOST:
            raise GeneratorError(f"rebalance asks for {count} classes of rows", allowed=f"at most {_MOST} are")
        for predicate, _ in itertools.chain(*axes):
            Conditioned.of(model, _beside([predicate], where))  # names the one that can't be
        cells = list(itertools.product(*axes))
        made = [_class(model, [predicate for predicate, _ in cell], where) for cell in cells]
        likely = np.array([0.0 if m is None else m.efforts[0].likelihood for m in made])
        fitted = _fitted(likely.reshape([len(axis) for axis in axes]), [np.array([s for _, s in a]) for a in axes])
        kept = [(m, share) for m, share in zip(made, fitted.ravel(), strict=True) if m is not None and share > 0]
        for m, _ in kept:
            m.efforts.clear()
        return cls(tuple(m for m, _ in kept), np.array([share for _, share in kept]))

    @property
    def efforts(self) -> list[Effort]:
        """What each draw of each class took."""
        return [effort for m in self.classes for effort in m.efforts]

    def sample(
        self, rows: int, *, context: pa.Table | None, siblings: Siblings | None = None, rng: np.random.Generator
    ) -> pa.Table:
        """Draw rows; as many of each class as its share says, up to one."""
        ends = np.floor(np.cumsum(self.shares) / self.shares.sum() * rows + rng.random() * (1 - 1e-9)).astype(np.int64)
        ends[-1] = rows
        counts = np.diff(ends, prepend=0)
        drawn = [
            m.sample(int(n), context=context, siblings=siblings, rng=rng)
            for m, n in zip(self.classes, counts, strict=True)
        ]
        return pa.concat_tables(drawn).take(pa.array(rng.permutation(rows))).combine_chunks()

    def save(self, folder: Path) -> None:
        """Refused: what is saved is the model."""
        raise GeneratorError("a rebalanced model is not saved", where=str(folder), fix="Save the model itself")


def _classes(model: ForestModel, column: str, wanted: Mapping[Any, float]) -> list[tuple[Predicate, float]]:
    """The named values of a column and the rest, with their shares."""
    where, names = f"rebalance {column}", model.table.names
    if column not in names:
        raise GeneratorError(
            f"table {model.table.name} has no column {column} that is learnt",
            where="rebalance", allowed=f"these are {listed(names)}", fix=nearest(column, names),
        )  # fmt: skip
    if not wanted:
        raise GeneratorError("no value has a share", where=where, fix='Give one: {">50K": 0.5}')
    if not all(isinstance(s, int | float) and 0 <= s <= 1 for s in wanted.values()):
        raise GeneratorError("a share is no number from 0 to 1", where=where)
    total = float(sum(wanted.values()))
    if total > 1 + _NEAR:
        raise GeneratorError(f"shares add up to {total:g}", where=where, allowed="1 at most")
    own = f'"{column.replace(chr(34), chr(34) * 2)}"'
    found = [(f"{own} {'IS' if v is None else '='} {_literal(v)}", s) for v, s in wanted.items() if s > 0]
    rest = " AND ".join(f"{own} IS DISTINCT FROM {_literal(v)}" for v in wanted)
    if total < 1 - _NEAR:
        found.append((rest, 1 - total))
    return [(Predicate.read(text, model.table), float(s)) for text, s in found]


def _class(model: ForestModel, predicates: list[Predicate], where: Predicate | None) -> Conditioned | None:
    """What draws a class, having drawn a few; None where it can't be."""
    try:
        made = Conditioned.of(model, _beside(predicates, where))
        made.sample(_PILOT, context=None, rng=stream(0, "rebalance"))
    except GeneratorError:
        return None
    return made


def _beside(predicates: list[Predicate], where: Predicate | None) -> Predicate:
    both = predicates if where is None else [*predicates, where]
    return both[0].joined(both[1:])


def _fitted(likely: Floats, shares: list[Floats]) -> Floats:
    """Shares of classes whose sums along each axis are as wanted, shape as `likely`."""
    fitted = likely.copy()
    for _ in range(_ROUNDS):
        before = fitted.copy()
        for axis, wanted in enumerate(shares):
            others = tuple(i for i in range(fitted.ndim) if i != axis)
            now = fitted.sum(axis=others, keepdims=True)
            fitted = fitted * (wanted.reshape(now.shape) / np.where(now > 0, now, 1))
        if np.abs(fitted - before).max() < _NEAR / 100:
            break
    for axis, wanted in enumerate(shares):
        others = tuple(i for i in range(fitted.ndim) if i != axis)
        if np.abs(fitted.sum(axis=others) - wanted).max() > 1e-3:
            raise GeneratorError("no rows have all these shares at once", where="rebalance")
    return fitted


def _literal(value: object) -> str:
    """A Python value as SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"
