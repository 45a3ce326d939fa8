"""Spaces of different texts: every number has its own text, so that fresh values never collide.

Numbers beyond the size of a space stand for its texts once more, each with a counter.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.generators.masks import Masks
from twinlake.generators.permutations import permute
from twinlake.hashing import Hashes, hash_values, mix


class Space(Protocol):
    """Texts by number."""

    @property
    def size(self) -> int:
        """How many texts there are without a counter."""
        ...

    def at(self, numbers: Hashes) -> pa.Array:
        """The text of each number: different numbers, different texts."""
        ...

    def pick(self, chances: Hashes) -> pa.Array:
        """A text for each well mixed hash; they may repeat."""
        ...


@dataclass(frozen=True, slots=True)
class MaskSpace:
    """The texts of learnt shapes."""

    masks: Masks

    @property
    def size(self) -> int:
        """How many texts the shapes allow."""
        return self.masks.space

    def at(self, numbers: Hashes) -> pa.Array:
        """The text of each number."""
        size = np.uint64(self.size)
        texts = pa.array(self.masks.at(numbers % size), pa.string())
        return counted(texts, numbers // size, before=self._unused)

    def pick(self, chances: Hashes) -> pa.Array:
        """A text for each hash, shapes by their shares."""
        return pa.array(self.masks.pick(chances), pa.string())

    @property
    def _unused(self) -> str:
        literals = {p[1] for m in self.masks.masks for p in m.places if p.startswith("=")}
        return next((c for c in "-~._:/#" if c not in literals), "-~-")


@dataclass(frozen=True, slots=True)
class WordSpace:
    """One word of each list, joined: first names and last names make full names.

    Attributes:
        parts: lists of different words.
        between: what joins them.
        before: what stands before the counter; the words do not hold it.
        counted_part: the part that takes the counter (an e-mail's local part).
        second: words attached to those of the counted part with a hyphen, if any.
    """

    parts: tuple[pa.Array, ...]
    between: str = " "
    before: str = " "
    counted_part: int = -1
    second: pa.Array | None = None

    @property
    def size(self) -> int:
        """How many combinations there are."""
        size = 1 if self.second is None else len(self.second)
        for part in self.parts:
            size *= len(part)
        return size

    def at(self, numbers: Hashes) -> pa.Array:
        """The text of each number."""
        left, words = numbers % np.uint64(self.size), []
        for part in self.parts:
            words.append(part.take(pa.array(left % np.uint64(len(part)))))
            left = left // np.uint64(len(part))
        counter, part = numbers // np.uint64(self.size), self.counted_part
        if self.second is not None:
            after = self.second.take(pa.array(left % np.uint64(len(self.second))))
            words[part] = pc.binary_join_element_wise(words[part], after, "-")
        words[part] = counted(words[part], counter, before=self.before)
        return words[0] if len(words) == 1 else pc.binary_join_element_wise(*words, self.between)

    def pick(self, chances: Hashes) -> pa.Array:
        """A text for each hash, all combinations alike."""
        return self.at(chances % np.uint64(self.size))


def wider(space: Space, words: pa.Array, by: int) -> Space:
    """A space of longer texts of the same kind, itself where check digits or the like leave no room.

    Args:
        space: of words, each of which gets one of `words` too, or of shapes.
        words: to be attached.
        by: places that shapes get more.
    """
    if isinstance(space, MaskSpace):
        return MaskSpace(space.masks.wider(by))
    return replace(space, second=words) if isinstance(space, WordSpace) else space


def counted(texts: pa.Array, counter: Hashes, *, before: str) -> pa.Array:
    """Texts with their counter where it is not zero."""
    if not counter.any():
        return texts
    numbered = pc.binary_join_element_wise(texts, pa.array(counter).cast(pa.string()), before)
    return pc.if_else(pa.array(counter > 0), numbered, texts)


def distinct(space: Space, rows: Hashes, *, total: int, key: int) -> pa.Array:
    """A text for each row number below `total`, all different.

    Args:
        space: where texts come from.
        rows: row numbers, shape (n,); the text of a row depends on no other row.
        total: how many rows there are in all.
        key: chooses the order, so that texts tell nothing of row numbers.
    """
    domain = max(space.size, total)
    inside = rows < domain
    numbers = rows.copy()
    numbers[inside] = permute(rows[inside], domain, key=key)
    return space.at(numbers)


def keyed(values: pa.Array | pa.ChunkedArray, salt: int) -> Hashes:
    """The salt, then the sorted hashes of values that are not null, keyed by it; shape (distinct values + 1,)."""
    present = values.drop_null()
    one = np.uint64(salt & 0xFFFFFFFFFFFFFFFF)
    return np.concatenate([np.array([one]), np.unique(mix(hash_values(present) ^ one))])


def holds(avoid: Hashes, values: pa.Array) -> npt.NDArray[np.bool_]:
    """Whether each value is among those that `keyed` hashed."""
    if len(avoid) < 2 or not len(values):
        return np.zeros(len(values), dtype=np.bool_)
    hashes, known = mix(hash_values(values) ^ avoid[0]), avoid[1:]
    at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return np.asarray(known[at] == hashes)
