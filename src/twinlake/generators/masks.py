"""The shapes of text: which kind of character stands where, and nothing about single values.

A mask is a shape held by at least k privacy units, such as two capital letters, a hyphen, four digits. What is not a
letter or digit is kept; so is a letter or digit that is the same in every value of the mask.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.generators.permutations import permute
from twinlake.hashing import Hashes, mix, uniform

ALPHABETS: Mapping[str, str] = {
    "9": string.digits,
    "1": string.digits[1:],
    "a": string.ascii_lowercase,
    "A": string.ascii_uppercase,
    "h": string.digits + "abcdef",
    "H": string.digits + "ABCDEF",
    "n": string.digits + string.ascii_lowercase,
    "N": string.digits + string.ascii_uppercase,
    "c": string.ascii_letters,
    "x": string.digits + string.ascii_letters,
}
_LONGEST = 64  # longer text is prose: it has no shape worth keeping
_MOST = 64  # masks kept, the most frequent first
_SEEN_WITHOUT_ZERO = 100  # so many units without a zero at a place: none belongs there (chance: 0.9**100)
_ENOUGH = 0.9  # share of values that the finest class of shapes must cover to be taken
_LIMIT = 1 << 62  # numbers of texts are kept below this
_CYCLE = 256  # texts are dealt to masks in rounds of so many


@dataclass(frozen=True, slots=True)
class Mask:
    """A shape: at each place the name of an alphabet, or `=` and the character that stands there; and its share."""

    places: tuple[str, ...]
    share: float

    @property
    def letters(self) -> list[str]:
        """The characters each place can hold."""
        return [p[1] if p.startswith("=") else ALPHABETS[p] for p in self.places]

    @property
    def space(self) -> int:
        """How many texts have this shape, at most 2**62."""
        size = 1
        for letters in self.letters:
            size = min(size * len(letters), _LIMIT)
        return size

    def draw(self, n: int, rng: np.random.Generator) -> list[str]:
        """Texts of this shape, each place drawn on its own."""
        return _spell(self.letters, [rng.integers(0, len(a), n) for a in self.letters], n)

    def at(self, numbers: Hashes) -> list[str]:
        """The text of each number below `space`: different numbers, different texts."""
        left = permute(numbers, self.space, key=0x6D61736B)
        digits: list[npt.NDArray[np.int64]] = []
        told = 1  # how much of the number the places so far have told
        for place, letters in reversed(list(enumerate(self.letters))):
            base = len(letters)
            if told >= _LIMIT:  # the last places already tell the number: the first ones are free
                digits.append((mix(numbers + np.uint64(place)) % np.uint64(base)).astype(np.int64))
                continue
            digits.append((left % np.uint64(base)).astype(np.int64))
            left = left // np.uint64(base)
            told *= base
        return _spell(self.letters, digits[::-1], len(numbers))


@dataclass(frozen=True)
class Masks:
    """All shapes of a column that at least k units hold."""

    masks: tuple[Mask, ...]

    @classmethod
    def learn(cls, values: pa.Array | pa.ChunkedArray, units: Hashes | None, k: int) -> Self | None:
        """The shapes held by at least `k` units, or None where there are none.

        Args:
            values: text; nulls are left out.
            units: the privacy unit of each value, shape (values,); None where each value is a unit of its own.
            k: how many units must hold a shape.
        """
        held = np.arange(len(values), dtype=np.uint64) if units is None else units
        short = pc.fill_null(pc.less_equal(pc.utf8_length(values), _LONGEST), False)
        kept = np.asarray(short.to_numpy(zero_copy_only=False) if isinstance(short, pa.Array) else short.to_numpy())
        texts = np.asarray(values.filter(pa.array(kept)).to_pylist(), dtype=object)
        present = max(len(values) - values.null_count, 1)
        best: Self | None = None
        for shape in (_fine, _hexadecimal, _loose):
            found = cls._of(texts, held[kept], k, shape=[shape(t) for t in texts], of=present)
            if best is None or (found is not None and found.coverage > best.coverage):
                best = found or best
            if best is not None and best.coverage >= _ENOUGH:
                break
        return best

    @classmethod
    def _of(cls, texts: npt.NDArray[np.object_], units: Hashes, k: int, *, shape: list[str], of: int) -> Self | None:
        shapes = np.asarray(shape, dtype=np.str_)
        names, groups, counts = np.unique(shapes, return_inverse=True, return_counts=True)
        order = [g for g in np.argsort(-counts, kind="stable") if counts[g] >= k][:_MOST]
        masks = []
        for group in order:
            members = groups == group
            holders = len(np.unique(units[members]))
            if holders >= k and names[group]:
                masks.append(Mask(_places(names[group], texts[members], holders), float(counts[group]) / of))
        return cls(tuple(masks)) if masks else None

    @property
    def coverage(self) -> float:
        """The share of learnt values that have one of these shapes."""
        return sum(m.share for m in self.masks)

    @property
    def space(self) -> int:
        """How many different texts there are, at most 2**62. Shapes do not overlap where they were learnt together."""
        return min(sum(m.space for m in self._distinct), _LIMIT)

    def roomy(self, space: float) -> Self | None:
        """The shapes that allow `space` texts times their share, or None: a shorter one would spell real values."""
        kept = tuple(m for m in self.masks if m.space >= space * m.share)
        return type(self)(kept) if kept else None

    def pick(self, chances: Hashes) -> list[str]:
        """A text for each well mixed hash: a shape by its share, then one of its texts. They may repeat."""
        ends = np.cumsum([m.share for m in self.masks])
        chosen = np.searchsorted(ends / ends[-1], uniform(chances), side="right")
        texts = np.empty(len(chances), dtype=object)
        for i, mask in enumerate(self.masks):
            here = np.flatnonzero(chosen == i)
            texts[here] = mask.at(mix(chances[here]) % np.uint64(mask.space))
        return list(texts)

    def wider(self, by: int) -> Self:
        """The shapes with `by` more places after the last letter or digit: longer texts of the same kind."""
        return type(self)(tuple(Mask(_lengthened(m.places, by), m.share) for m in self.masks))

    def draw(self, n: int, rng: np.random.Generator) -> list[str]:
        """`n` texts: a shape by its share, then each place on its own. Texts may repeat."""
        shares = np.array([m.share for m in self.masks])
        chosen = rng.choice(len(self.masks), n, p=shares / shares.sum())
        texts = np.empty(n, dtype=object)
        for i, mask in enumerate(self.masks):
            here = np.flatnonzero(chosen == i)
            texts[here] = mask.draw(len(here), rng)
        return list(texts)

    def at(self, indices: Hashes) -> list[str]:
        """The text of each number below `space`: different numbers, different texts.

        Shapes take turns by their shares until one has no text left; then the others go on.
        """
        numbers = np.asarray(indices, dtype=np.uint64)
        texts = np.empty(len(numbers), dtype=object)
        for stage in self._stages:
            here = (numbers >= stage.start) & (numbers < stage.stop)
            inside = numbers[here] - np.uint64(stage.start)
            turn, slot = inside // np.uint64(len(stage.owner)), (inside % np.uint64(len(stage.owner))).astype(np.int64)
            owner, within = stage.owner[slot], stage.rank[slot]
            part = np.empty(len(inside), dtype=object)
            for i in np.unique(owner):
                mine = owner == i
                number = np.uint64(stage.used[i]) + turn[mine] * np.uint64(stage.per_turn[i]) + within[mine]
                part[mine] = self._distinct[i].at(number)
            texts[here] = part
        return list(texts)

    def to_json(self) -> list[Any]:
        """Plain values, ready for `json.dumps`."""
        return [{"places": list(m.places), "share": m.share} for m in self.masks]

    @classmethod
    def from_json(cls, data: list[Any]) -> Self:
        """The masks that `to_json` wrote."""
        return cls(tuple(Mask(tuple(m["places"]), float(m["share"])) for m in data))

    @cached_property
    def _distinct(self) -> tuple[Mask, ...]:
        """Masks that share no text with an earlier one, so that numbers give different texts."""
        kept: list[Mask] = []
        for mask in self.masks:
            if not any(_overlap(mask, other) for other in kept):
                kept.append(mask)
        return tuple(kept)

    @cached_property
    def _stages(self) -> tuple["_Stage", ...]:
        masks, used, start = self._distinct, [0] * len(self._distinct), 0
        stages: list[_Stage] = []
        while start < _LIMIT and (open_ := [i for i, m in enumerate(masks) if used[i] < m.space]):
            per_turn = _turns([masks[i].share if i in open_ else 0.0 for i in range(len(masks))])
            turns = max(min((masks[i].space - used[i]) // per_turn[i] for i in open_), 0)
            if turns == 0:  # fewer texts left than one round asks for: the shortest one is used up singly
                short = min(open_, key=lambda i: masks[i].space - used[i])
                per_turn = [masks[i].space - used[i] if i == short else 0 for i in range(len(masks))]
                turns = 1
            stage = _Stage(start, start + turns * sum(per_turn), per_turn, list(used))
            stages.append(stage)
            used = [u + turns * p for u, p in zip(used, per_turn, strict=True)]
            start = stage.stop
        return tuple(stages)


class _Stage:
    """A range of numbers dealt to the masks in equal rounds."""

    def __init__(self, start: int, stop: int, per_turn: list[int], used: list[int]) -> None:
        self.start, self.stop, self.per_turn, self.used = start, stop, per_turn, used
        self.owner = np.repeat(np.arange(len(per_turn)), per_turn)
        self.rank = np.concatenate([np.arange(p, dtype=np.uint64) for p in per_turn])


def _turns(shares: list[float]) -> list[int]:
    total = sum(shares)
    return [max(1, round(_CYCLE * s / total)) if s > 0 else 0 for s in shares]


def _fine(text: str) -> str:
    return "".join(_kind(c) for c in text)


def _hexadecimal(text: str) -> str:
    alnum = {c for c in text if c.isalnum()}
    if alnum <= set(ALPHABETS["h"]):
        return "".join("h" if c.isalnum() else f"={c}" for c in text)
    if alnum <= set(ALPHABETS["H"]):
        return "".join("H" if c.isalnum() else f"={c}" for c in text)
    return _fine(text)


def _loose(text: str) -> str:
    return "".join("x" if c.isalnum() else f"={c}" for c in text)


def _kind(c: str) -> str:
    if not c.isalnum():
        return f"={c}"
    if c.isdigit() or c.isnumeric():
        return "9"
    return "A" if c.isupper() else "a"


def _places(shape: str, texts: npt.NDArray[np.object_], holders: int) -> tuple[str, ...]:
    places: list[str] = []
    at = 0
    columns = list(zip(*texts, strict=True))
    while at < len(shape):
        width = 2 if shape[at] == "=" else 1
        places.append(_narrowed(shape[at : at + width], set(columns[len(places)]), holders))
        at += width
    return tuple(places)


def _narrowed(place: str, seen: set[str], holders: int) -> str:
    if place.startswith("=") or len(seen) == 1:
        return f"={next(iter(seen))}"
    if place == "9" and "0" not in seen and holders >= _SEEN_WITHOUT_ZERO:
        return "1"
    if place != "x":
        return place
    kinds = "".join(sorted({_kind(c) for c in seen}))
    return {"9": "9", "A": "A", "a": "a", "9A": "N", "9a": "n", "Aa": "c"}.get(kinds, "x")


def _lengthened(places: tuple[str, ...], by: int) -> tuple[str, ...]:
    last = max((i for i, p in enumerate(places) if not p.startswith("=") or p[1].isalnum()), default=len(places) - 1)
    kind = places[last] if places and not places[last].startswith("=") else _kind(places[last][1] if places else "a")
    more = {"1": "9"}.get(kind, kind if kind in ALPHABETS else "9")
    return (*places[: last + 1], *[more] * by, *places[last + 1 :])


def _overlap(one: Mask, other: Mask) -> bool:
    return len(one.places) == len(other.places) and all(
        not set(a).isdisjoint(b) for a, b in zip(one.letters, other.letters, strict=True)
    )


def _spell(letters: list[str], digits: list[npt.NDArray[np.int64]], n: int) -> list[str]:
    grid = np.empty((n, len(letters)), dtype="U1")
    for place, (alphabet, digit) in enumerate(zip(letters, digits, strict=True)):
        grid[:, place] = np.array(list(alphabet))[digit]
    return ["".join(row) for row in grid.tolist()] if n else []
