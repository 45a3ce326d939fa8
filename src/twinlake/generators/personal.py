"""Personal columns: never learnt, filled with fakes. Which ones are personal is for people to say; `detect` helps.

Of the real column only this is kept: the share of nulls, whether all values differ, and keyed hashes that keep a fake
from being somebody's real value.
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
from twinlake.generators.spaces import MaskSpace, Space, WordSpace, distinct, drawn, holds, keyed
from twinlake.hashing import Hashes
from twinlake.random import derive, stream
from twinlake.schema import Column
from twinlake.types import ENUM, parse_type, type_name

__all__ = ["PROVIDERS", "Filler", "detect"]

_DIGITS = ("phone", "ssn", "credit_card", "postcode", "pattern")
"""Providers whose fakes can be a whole number, written with the digits of the column's own shapes."""

_NUMBER = Masks((Mask(("1", *"99999999"), 1.0),))
"""The shape of a whole number where no shape of the real ones is held by enough units."""

_SMALL = 100_000  # a space of so many texts is freed of real ones at once, a larger one text by text


@dataclass(frozen=True)
class Filler:
    """What is needed to fill one personal column.

    Attributes:
        nulls: share of nulls.
        unique: whether every value must differ from all others.
        masks: shapes of the real values, where the provider is `pattern` or the column holds numbers.
        avoid: keyed hashes of real values (of their text), see `spaces.keyed`; stays in the vault.
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
            avoid=keyed(texts, salt),
        )

    def fill(self, rows: Hashes, *, total: int, seed: int, rng: np.random.Generator) -> pa.Array:
        """A fake or null for each row number below `total`, typed as the column.

        Args:
            rows: row numbers; a unique fake depends on its row number and `seed` alone.
            total: how many rows the whole table has.
            seed: of this column: chooses the words.
            rng: the shard's own.
        """
        empty = rng.random(len(rows)) < self.nulls
        fakes = self.at(rows, total=total, seed=seed) if self.unique else self._draw(len(rows), seed, rng)
        return emptied(fakes, empty)

    def at(self, rows: Hashes, *, total: int, seed: int) -> pa.Array:
        """A fake for each row number, all different; typed as the column."""
        if self.type == pa.uuid():
            return _uuid_array(uuids(derive(seed, "uuid"), rows))
        key = derive(seed, "order")
        texts = distinct(self._space(seed), rows, total=total, key=key, avoid=self.avoid)
        return self._typed(texts)

    def _draw(self, n: int, seed: int, rng: np.random.Generator) -> pa.Array:
        if self.type == pa.uuid():
            return _uuid_array(uuids(derive(seed, "uuid"), rng.integers(0, 1 << 62, n).astype(np.uint64)))
        space = self._space(seed)
        if space.size > _SMALL:
            return self._typed(drawn(space, n, rng, avoid=self.avoid))
        pool = _free(space, self.avoid, seed)
        return self._typed(pool.take(pa.array(rng.integers(0, len(pool), n))))

    def _space(self, seed: int) -> Space:
        if self.masks is not None:
            return MaskSpace(self.masks)
        space = space_of(self.provider, self.locale, derive(seed, "words") % (1 << 32))
        if isinstance(space, WordSpace) and len(space.parts) == 1:
            return WordSpace((_free(space, self.avoid, seed),), space.between, space.before, space.counted_part)
        return space

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


def _free(space: Space, avoid: Hashes, seed: int) -> pa.Array:
    """All texts of a small space that no real row holds; made-up words where none is left."""
    texts = space.at(np.arange(space.size, dtype=np.uint64))
    free = texts.filter(pa.array(~holds(avoid, texts)))
    if len(free):
        return free
    words = pa.array(made_up(50, stream(seed, "made up")), pa.string())
    return words.filter(pa.array(~holds(avoid, words)))


def _as_integers(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    bits = type_.bit_width - (0 if pa.types.is_unsigned_integer(type_) else 1)
    fitting = 10 ** (len(str((1 << bits) - 1)) - 1)
    return pa.array([int("".join(c for c in t if c.isdigit()) or 0) % fitting for t in texts.to_pylist()], type_)


def _uuid_array(raw: list[bytes]) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(raw, pa.binary(16)))
