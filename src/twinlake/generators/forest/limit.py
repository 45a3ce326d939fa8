"""What a predicate leaves of one column: a share of what each state draws, and cells that satisfy it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.errors import GeneratorError, listed, nearest
from twinlake.generators.arrays import one, replaced
from twinlake.generators.forest.coding import Coding
from twinlake.generators.forest.predicate import Predicate
from twinlake.generators.states.alphabet import Codes
from twinlake.generators.states.label import Label
from twinlake.generators.states.quantity import Quantity
from twinlake.types import ENUM

Floats = npt.NDArray[np.float64]
_FIRST, _THEN = 2**19, 2**20  # cells looked at for all states, and for those that satisfy it in part
_LEAST, _MOST = 64, 2**18  # for one state
_REDRAWS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """A predicate about one column, and what it leaves of each state.

    Attributes:
        column: its name.
        coding: of the column.
        predicate: about the column alone.
        factors: the share of each state's cells that satisfy it, shape (states,).
        stock: cells that satisfy it, of states that do so in part.
        starts: where the stock of each state begins, shape (states + 1,).
    """

    column: str
    coding: Coding
    predicate: Predicate
    factors: Floats
    stock: pa.Array
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, column: str, coding: Coding, predicate: Predicate, rng: np.random.Generator) -> Self:
        """Look at cells of every state.

        States are told by drawing from them, most where a constant of the predicate lies: a state of which fewer than
        about one cell in a thousand satisfies a function of the column may be missed, one that a constant falls in not.
        """
        several = ~coding.safe
        each = np.where(several, np.clip(_FIRST // max(int(several.sum()), 1), _LEAST, _MOST // 4), 1)
        factors, _, _ = _looked_at(column, coding, predicate, each, rng)
        named = np.zeros(coding.size, np.bool_)
        constants = predicate.constants(column)
        if len(constants):
            named[coding.encode(constants)] = True
        again = several & (((factors > 0) & (factors < 1)) | named)
        each = np.where(again, min(_THEN // max(int(again.sum()), 1), _MOST), 0)
        closer, stock, starts = _looked_at(column, coding, predicate, each, rng)
        return cls(column, coding, predicate, np.where(again, closer, factors), stock, starts)

    @property
    def is_possible(self) -> bool:
        """Whether any cell satisfies it."""
        return bool(self.factors.any())

    def cells(self, codes: Codes, rng: np.random.Generator) -> pa.Array:
        """A cell that satisfies the predicate for each code, whose factor must be above 0; shape (rows,)."""
        cells = plain(self.coding, codes, rng)
        waiting = np.flatnonzero(self.factors[codes] < 1)
        for _ in range(_REDRAWS):
            waiting = waiting[~self._holds(cells.take(pa.array(waiting)))]
            if not len(waiting):
                return cells
            cells = replaced(cells, waiting, plain(self.coding, codes[waiting], rng))
        waiting = waiting[~self._holds(cells.take(pa.array(waiting)))]
        at, count = self.starts[codes[waiting]], np.diff(self.starts)[codes[waiting]]
        waiting, at, count = waiting[count > 0], at[count > 0], count[count > 0]
        chosen = at + (rng.random(len(at)) * count).astype(np.int64)
        return replaced(cells, waiting, self.stock.take(pa.array(chosen)))

    def _holds(self, cells: pa.Array) -> npt.NDArray[np.bool_]:
        return self.predicate.holds(pa.table({self.column: cells}))


def plain(coding: Coding, codes: Codes, rng: np.random.Generator) -> pa.Array:
    """A cell for each code, text and bytes spelt out; shape (rows,)."""
    cells = one(coding.decode(codes.copy(), rng))
    compact = isinstance(coding.alphabet, Label) and coding.alphabet.type != ENUM
    return cells.dictionary_decode() if compact and pa.types.is_dictionary(cells.type) else cells


def impossible(column: str, coding: Coding, predicate: Predicate, rng: np.random.Generator) -> GeneratorError:
    """The sentence that names which part of a predicate about one column no value satisfies."""
    parts = list(predicate.parts)
    for part in parts:
        if not Limit.of(column, coding, part, rng).is_possible:
            told, words = _values(coding)
            missed = [str(c) for c in part.constants(column).cast(pa.string()).to_pylist()] if words else []
            fix = next((near for word in missed if word not in words and (near := nearest(word, words))), "")
            return GeneratorError(f"no row satisfies {part}", where=f"column {column}", allowed=told, fix=fix)
    at = 0
    while at < len(parts):  # leave out what the contradiction does not need
        others = parts[:at] + parts[at + 1 :]
        if others and not Limit.of(column, coding, others[0].joined(others[1:]), rng).is_possible:
            parts = others
        else:
            at += 1
    return GeneratorError(f"no row satisfies both {' and '.join(map(str, parts))}", where=f"column {column}")


def _looked_at(
    column: str, coding: Coding, predicate: Predicate, each: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[Floats, pa.Array, npt.NDArray[np.int64]]:
    """The share of so many cells of each state that satisfy the predicate, they, and where each state's begin."""
    codes = np.repeat(np.arange(coding.size, dtype=np.int32), each)
    cells = plain(coding, codes, rng)
    held = predicate.holds(pa.table({column: cells}))
    counts = np.bincount(codes[held], minlength=coding.size)
    return counts / np.maximum(each, 1), cells.filter(pa.array(held)), np.concatenate([[0], np.cumsum(counts)])


def _values(coding: Coding) -> tuple[str, list[str]]:
    """What a column's values are, all of which enough units hold; and the words of a label."""
    alphabet = coding.alphabet
    if isinstance(alphabet, Label):
        words = [str(w) for w in _texts(alphabet.values)]
        return f"its values are {listed(words, most=6)}" if words else "", words
    if isinstance(alphabet, Quantity):
        ends = alphabet.at(np.array(alphabet.ends), np.zeros(2, np.int8))
        low, high = _texts(ends)
        return f"its values go from {low} to {high}", []
    return "", []


def _texts(cells: pa.Array) -> list[str]:
    try:
        return [str(c) for c in pc.cast(cells, pa.string()).to_pylist()]
    except pa.ArrowException:  # bytes that are no text
        return []
