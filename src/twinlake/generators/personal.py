"""Personal columns: never learnt, filled with fakes. Which ones are personal is for people to say; `detect` helps.

Of the real column only this is kept: the share of nulls, whether all values differ, and keyed hashes that tell whether
a column of fakes meets somebody's real value. One that does is made anew as a whole, in another way: leaving out the
values it met would tell, by their absence, which ones are real.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.errors import GeneratorError, listed
from twinlake.generators.arrays import emptied, one
from twinlake.generators.detection import detect
from twinlake.generators.masks import Mask, Masks
from twinlake.generators.providers import PROVIDERS, check_provider, made_up, space_of, uuids
from twinlake.generators.spaces import MaskSpace, Space, WordSpace, distinct, holds, keyed, wider
from twinlake.hashing import Hashes, mix
from twinlake.random import derive, stream
from twinlake.schema import Column
from twinlake.spelling import plain
from twinlake.types import ENUM, parse_type, type_name

__all__ = ["PROVIDERS", "Filler", "detect"]

_DIGITS = ("phone", "ssn", "credit_card", "postcode", "pattern")
"""Providers whose fakes can be a whole number, written with the digits of the column's own shapes."""

_NUMBER = Masks((Mask(("1", *"99999999"), 1.0),))
"""The shape of a whole number where no shape of the real ones is held by enough units."""

TURNS = 6
"""Ways to make a column: three times as it is asked for, then with double names and ever longer shapes, at last with
names that mean nothing."""

LONGER = {3: 1, 4: 2, 5: 4}
"""Places that shapes get more, by turn."""

_AT_ONCE = 65_536  # fakes looked at together
_WORDS = 2000


@dataclass(frozen=True)
class Filler:
    """What is needed to fill one personal column.

    Attributes:
        nulls: share of nulls.
        unique: whether every value must differ from all others.
        masks: shapes of the real values, where the provider is `pattern` or the column holds numbers.
        avoid: keyed hashes of real values (of their plain text), see `spaces.keyed`; stays in the vault.
    """

    type: pa.DataType
    provider: str
    locale: str
    nulls: float
    unique: bool
    masks: Masks | None
    avoid: Hashes

    @classmethod
    def learn(
        cls,
        values: pa.ChunkedArray,
        column: Column,
        units: Hashes | None,
        *,
        k: int,
        salt: int,
        locale: str,
        where: str,
    ) -> Self:
        """What to keep of a real personal column; raises GeneratorError where fakes can't have its type."""
        provider = column.provider or "pattern"
        check_provider(provider, where=where)
        _check_type(column.type, provider, where=where)
        texts = as_text(values)
        number = pa.types.is_integer(column.type)
        masks = Masks.learn(texts, units, k) if number or provider == "pattern" else None
        present = len(values) - values.null_count
        return cls(
            type=column.type,
            provider=provider,
            locale=locale,
            nulls=values.null_count / max(len(values), 1) if column.nullable else 0.0,
            unique=present > 1 and pc.count_distinct(texts).as_py() == present,
            masks=masks or (_NUMBER if number else None),
            avoid=keyed(plain(texts, provider), salt),
        )

    def fill(self, rows: Hashes, *, total: int, seed: int, rng: np.random.Generator, turn: int = 0) -> pa.Array:
        """A fake or null for each row number below `total`, typed as the column.

        Args:
            rows: row numbers; a fake depends on its row number, `seed` and `turn` alone.
            total: how many rows the whole table has.
            seed: of this column: chooses the words.
            rng: the shard's own; tells which are null.
            turn: see `turn`.
        """
        empty = rng.random(len(rows)) < self.nulls
        return emptied(self.at(rows, total=total, seed=seed, turn=turn), empty)

    def at(self, rows: Hashes, *, total: int, seed: int, turn: int = 0) -> pa.Array:
        """A fake for each row number, typed as the column; all different where the real ones are."""
        seed = derive(seed, "turn", turn) if turn else seed
        if self.type == pa.uuid():
            return _uuid_array(uuids(derive(seed, "uuid"), rows if self.unique else mix(rows)))
        return self._typed(self._texts(rows, total, seed, turn))

    def turn(self, *, total: int, seed: int, where: str) -> int:
        """The first way to make the column by which no fake, however spelt, is a real value.

        It looks at all rows, so it is the same whoever makes which of them; it is told and can't be worked out, for
        it tells a little of the real values: less than three bits, and of all of them together.

        Raises:
            GeneratorError: where every way meets one.
        """
        for turn in range(TURNS):
            if not self._meets(total, derive(seed, "turn", turn) if turn else seed, turn):
                return turn
        raise GeneratorError(
            f'each of {TURNS} columns of fakes by the provider "{self.provider}" holds a real value',
            where=where,
            allowed="a whole column is made anew, for fakes left out one by one would tell which ones are real",
            fix="Choose a provider with more different fakes (uuid, full_name, email), or drop the column",
        )

    def _meets(self, total: int, seed: int, turn: int) -> bool:
        if self.type == pa.uuid() or len(self.avoid) < 2:
            return False
        for start in range(0, total, _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, total), dtype=np.uint64)
            if holds(self.avoid, self._plain(self._typed(self._texts(rows, total, seed, turn)))).any():
                return True
        return False

    def _texts(self, rows: Hashes, total: int, seed: int, turn: int) -> pa.Array:
        space = self._space(seed, turn)
        if self.unique:
            return distinct(space, rows, total=total, key=derive(seed, "order"))
        return space.pick(mix(rows ^ np.uint64(derive(seed, "pick") & 0xFFFFFFFFFFFFFFFF)))

    def _space(self, seed: int, turn: int) -> Space:
        words = derive(seed, "words") % (1 << 32)
        space = MaskSpace(self.masks) if self.masks is not None else space_of(self.provider, self.locale, words)
        if turn not in LONGER or (self.masks is not None and not self._has_room(self.masks)):
            return space
        return wider(space, _second(space, words, turn), LONGER[turn])

    def _has_room(self, masks: Masks) -> bool:
        """Whether longer shapes fit the column."""
        if not pa.types.is_integer(self.type):
            return True
        longest = max(sum(not p.startswith("=") or p[1].isdigit() for p in m.places) for m in masks.masks)
        return longest + max(LONGER.values()) <= _digits(self.type)

    def _plain(self, values: pa.Array) -> pa.Array:
        return plain(as_text(values), self.provider)

    def _typed(self, texts: pa.Array) -> pa.Array:
        if pa.types.is_integer(self.type):
            return _as_integers(texts, self.type)
        return texts.dictionary_encode().cast(ENUM) if self.type == ENUM else texts

    def to_json(self) -> dict[str, Any]:
        """Plain values without `avoid`, which is saved as an array."""
        return {
            "type": type_name(self.type), "provider": self.provider, "locale": self.locale, "nulls": self.nulls,
            "unique": self.unique, "masks": None if self.masks is None else self.masks.to_json(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any], *, avoid: Hashes) -> Self:
        """The filler that `to_json` wrote, with its hashes."""
        masks = None if data["masks"] is None else Masks.from_json(data["masks"])
        return cls(**{**data, "type": parse_type(data["type"]), "masks": masks}, avoid=avoid)


def as_text(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Values as one array of text."""
    array = one(values)
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    if pa.types.is_fixed_size_binary(array.type):
        return pa.array([None if v is None else v.hex() for v in array.to_pylist()], pa.string())
    return array.cast(pa.string())


def _check_type(type_: pa.DataType, provider: str, *, where: str) -> None:
    if type_ in (pa.string(), ENUM) or (type_ == pa.uuid() and provider == "uuid"):
        return
    if pa.types.is_integer(type_) and provider in _DIGITS:
        return
    raise GeneratorError(
        f'a column of type {type_name(type_)} can\'t be filled by the provider "{provider}"',
        where=where,
        allowed=f"fakes are text, or whole numbers by {listed(_DIGITS)}",
        fix="Choose another provider, or drop the column",
    )


def _second(space: Space, seed: int, turn: int) -> pa.Array:
    """What is attached to words: the words themselves, or ones that mean nothing."""
    if turn == TURNS - 1 or not isinstance(space, WordSpace):
        return pa.array(made_up(_WORDS, stream(seed, "made up")), pa.string())
    return pc.replace_substring_regex(space.parts[space.counted_part], r"^https?://www\.", "")


def _as_integers(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    fitting = 10 ** _digits(type_)
    return pa.array([int("".join(c for c in t if c.isdigit()) or 0) % fitting for t in texts.to_pylist()], type_)


def _digits(type_: pa.DataType) -> int:
    """How many digits always fit a whole number of a type."""
    bits = type_.bit_width - (0 if pa.types.is_unsigned_integer(type_) else 1)
    return len(str((1 << bits) - 1)) - 1


def _uuid_array(raw: list[bytes]) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(raw, pa.binary(16)))
