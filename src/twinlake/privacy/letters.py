"""Texts as long arrays of letters and of words, ready to be cut into grams."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.hashing import Hashes, hash_values, mix
from twinlake.privacy.grams import Places, grams
from twinlake.spelling import words

_SPACE = mix(np.array([ord(" ")], np.uint64))[0]


@dataclass(frozen=True, slots=True, eq=False)
class Letters:
    """Texts of plain spelling, see `spelling.words`.

    Attributes:
        texts: how many.
        letters: the hash of each character of all texts, shape (characters,).
        owners: the text of each, shape (characters,).
    """

    texts: pa.Array
    letters: Hashes
    owners: Places

    @classmethod
    def of(cls, texts: pa.Array | pa.ChunkedArray) -> Self:
        """The letters of texts; null has none."""
        plain = pc.fill_null(words(texts), "")
        lengths = np.asarray(pc.utf8_length(plain))
        codes = np.frombuffer("".join(plain.to_pylist()).encode("utf-32-le"), np.uint32)
        return cls(plain, mix(codes.astype(np.uint64)), np.repeat(np.arange(len(plain)), lengths))

    def grams(self, length: int, *, by_word: bool) -> tuple[Hashes, Places]:
        """The grams of so many letters or words, and the text of each; shape (grams,) both."""
        if not by_word:
            return grams(self.letters, self.owners, length)
        parts = pc.split_pattern(self.texts, " ")
        spoken = mix(hash_values(parts.flatten()))
        return grams(spoken, np.asarray(parts.value_parent_indices()).astype(np.intp), length)

    def compact(self) -> tuple[Hashes, Places, Places]:
        """Letters without spaces, the text of each, and how many words began up to each; shape (letters,) all."""
        inside = self.letters != _SPACE
        begins = np.diff(self.owners, prepend=-1) != 0
        begins[1:] |= ~inside[:-1]
        return self.letters[inside], self.owners[inside], np.cumsum(begins)[inside].astype(np.intp)
