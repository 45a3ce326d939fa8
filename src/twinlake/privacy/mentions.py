"""Real personal values and keys inside a twin's free text, however they are spelt there."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.hashing import Hashes
from twinlake.privacy.grams import Places, Rolling
from twinlake.privacy.holders import found
from twinlake.privacy.letters import Letters
from twinlake.privacy.text import text_columns
from twinlake.schema import Kind, Schema, Table
from twinlake.spelling import as_text, plain, words
from twinlake.tables import Tables
from twinlake.types import ENUM

TELLING = frozenset(
    {"full_name", "email", "username", "phone", "address", "url", "ip", "iban", "credit_card", "ssn", "uuid", "pattern"}
)
"""Providers of values that name a person; a first name, a city or a job alone stands in many texts."""

_HEAD = 8  # letters and digits by which a value is looked for first; a shorter one is found everywhere
_LONGEST = 64
_SMALL = 4096  # texts read at a time


@dataclass(frozen=True, slots=True, eq=False)
class Needles:
    """What is looked for: plain values by length, as sorted hashes, and the hashes of their first letters."""

    heads: Hashes
    wholes: dict[int, Hashes]


def mentioned(real: Tables, twin: Tables, name: str) -> dict[str, float]:
    """Rows of a twin's table whose learnt text holds a real personal value or key of text, by column.

    Values of every table count that have eight letters and digits or more, and two words or a digit. They are found
    between the ends of words, whatever case, spaces and punctuation.
    """
    columns = [c for c in text_columns(twin.schema[name]) if c in twin.schema[name].learnt]
    needles = _needles(real) if columns else None
    if needles is None or not needles.wholes:
        return {}
    rows: dict[str, float] = {}
    for batch in twin.batches(name):
        for column in columns:
            counted = as_text(batch[column]).value_counts()
            texts, counts = counted.field("values"), np.asarray(counted.field("counts"))
            for start in range(0, len(texts), _SMALL):
                hit = start + _texts_with(needles, Letters.of(texts.slice(start, _SMALL)))
                if len(hit):
                    rows[column] = rows.get(column, 0.0) + float(counts[hit].sum())
    return {f"personal value or key inside text: {c}": n for c, n in rows.items()}


def _needles(real: Tables) -> Needles | None:
    wholes: dict[int, list[Hashes]] = {}
    heads = list[Hashes]()
    for text in _values(real):
        letters = Letters.of(text)  # plain values: one word each
        rolling, starts = Rolling.of(letters.letters), np.flatnonzero(np.diff(letters.owners, prepend=-1))
        lengths = np.bincount(letters.owners, minlength=len(text))
        hashes = rolling.at(starts, lengths)
        heads.append(rolling.at(starts, _HEAD))
        for length in np.unique(lengths):
            wholes.setdefault(int(length), []).append(hashes[lengths == length])
    if not heads:
        return None
    return Needles(np.unique(np.concatenate(heads)), {n: np.unique(np.concatenate(w)) for n, w in wholes.items()})


def _values(real: Tables) -> Iterator[pa.Array]:
    """The plain values of each column that are fit to be looked for."""
    for table in real.schema:
        for column, provider in _columns(real.schema, table):
            values = as_text(real.columns(table.name, (column,))[column])
            spelt, text = words(values), plain(values, provider if provider in ("phone", "url") else None)
            lengths = pc.utf8_length(text)
            fit = pc.and_(pc.greater_equal(lengths, _HEAD), pc.less_equal(lengths, _LONGEST))
            fit = pc.and_(fit, pc.match_substring_regex(spelt, r" |\d"))
            if len(kept := text.filter(fit).unique()):
                yield kept


def _columns(schema: Schema, table: Table) -> Iterator[tuple[str, str | None]]:
    """Telling columns of a table and their providers: personal ones, and a key of text of its own."""
    if table.public:
        return
    referring = {c for r in table.references if schema[r.table].public for c in r.columns}
    for column in table.columns:
        if column.public or column.type not in (pa.string(), ENUM, *_NUMBERS):
            continue
        if column.kind is Kind.PERSONAL and column.provider in TELLING:
            yield column.name, column.provider
        elif table.key == (column.name,) and column.type == pa.string() and column.name not in referring:
            yield column.name, None


_NUMBERS = (pa.int32(), pa.int64(), pa.uint32(), pa.uint64())


def _texts_with(needles: Needles, letters: Letters) -> Places:
    """Which texts hold a needle from the beginning of a word to the end of one."""
    compact, owners, word = letters.compact()
    n = len(compact) - _HEAD + 1
    if n <= 0:
        return np.empty(0, np.intp)
    begins = np.diff(word, prepend=0) != 0
    starts = np.flatnonzero((owners[:n] == owners[_HEAD - 1 :]) & begins[:n])
    rolling = Rolling.of(compact)
    starts = starts[found(rolling.at(starts, _HEAD), needles.heads)[1]]
    hit: list[npt.NDArray[np.intp]] = [np.empty(0, np.intp)]
    for length, wholes in needles.wholes.items():
        at = starts[starts + length <= len(compact)]
        last = at + length - 1
        ends = np.append(begins, True)[last + 1] & (owners[at] == owners[last])
        at = at[ends]
        hit.append(owners[at[found(rolling.at(at, length), wholes)[1]]])
    return np.unique(np.concatenate(hit))
