"""Runs of words and letters that few units wrote: none of them may stand in a twin's text.

A run is *rare* where fewer than k real units, learnt or held back, have it in any text column. Runs are looked for
regardless of case, accents and punctuation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.hashing import Hashes, hash_values, mix
from twinlake.privacy.excess import beyond, uncommon
from twinlake.privacy.grams import Places
from twinlake.privacy.holders import found
from twinlake.privacy.letters import Letters
from twinlake.schema import Table
from twinlake.spelling import as_text
from twinlake.tables import Tables
from twinlake.types import ENUM

RUNS = {"words": (8, 16, 32, 64), "letters": (20, 40, 80, 160)}
"""Lengths that are looked for: the first, and where chance alone brings about many, the next ones too."""

RICH = 0.01  # a length is telling where the twin meets runs of at most so many of the held-back units
ALPHA = 0.01
_SHORTEST = 15  # letters of eight words of one letter
_AT_ONCE = 1 << 20  # letters that are cut into grams at a time
_BITS = 26

Probe = Callable[[], Iterator[tuple[str, Letters, Places]]]
"""Texts to look at: column, letters, and how many rows hold each text."""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What real units wrote.

    Attributes:
        texts: one for each unit that holds it, of those that fewer than k units hold.
        units: the unit of each, numbered with the learnt ones first, shape (texts,).
        common: texts that at least k units hold; nothing in them is rare.
        learnt: how many of the units are learnt.
    """

    texts: pa.Array
    units: Places
    common: pa.Array
    learnt: int

    @classmethod
    def of(cls, learnt: pa.Table, holdout: pa.Table, table: Table, units: Hashes, held: Hashes, *, k: int) -> Self:
        """Of all text columns of both sides."""
        unit, learnt_units = _numbered(units, mix(held ^ np.uint64(0xA5A5A5A5)))  # of one side is none of the other
        rare, common = list[tuple[pa.Array, Places]](), list[pa.Array]()
        for name in text_columns(table):
            cells = pa.concat_arrays([as_text(learnt[name]), as_text(holdout[name])])
            at = _long(cells)
            hashes = hash_values(cells.take(pa.array(at)))
            once = np.unique(mix(hashes ^ mix(unit[at].astype(np.uint64))), return_index=True)[1]  # a unit's text, once
            at, hashes = at[once], hashes[once]
            values, counts = np.unique(hashes, return_counts=True)
            few = found(hashes, values[counts < k])[1]
            rare.append((cells.take(pa.array(at[few])), unit[at[few]]))
            common.append(cells.take(pa.array(at[~few])).unique())
        return cls(
            pa.concat_arrays([t for t, _ in rare]), np.concatenate([u for _, u in rare]), pa.concat_arrays(common),
            learnt_units,
        )  # fmt: skip

    def grams(self, length: int, *, by_word: bool) -> Iterator[tuple[Hashes, Places]]:
        """The grams of rare texts a part at a time, and the unit of each."""
        for start, stop in _parts(self.texts):
            hashes, owners = Letters.of(self.texts.slice(start, stop - start)).grams(length, by_word=by_word)
            yield hashes, self.units[start + owners]

    def common_grams(self, length: int, *, by_word: bool) -> Hashes:
        """The grams of common texts, sorted."""
        parts = [Letters.of(self.common.slice(a, b - a)).grams(length, by_word=by_word)[0]
                 for a, b in _parts(self.common)]  # fmt: skip
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)


def text_columns(table: Table) -> tuple[str, ...]:
    """Columns of words that are no declared labels: text, enums and JSON, personal ones too, but no identifiers."""
    kept = {pa.string(), ENUM, pa.json_()}
    looked = (table[n] for n in (*table.learnt, *table.personal))
    return tuple(c.name for c in looked if c.type in kept and not c.public and c.labels is None)


def copied_text(
    learnt: pa.Table, holdout: pa.Table, twin: Tables, name: str, *, units: Hashes | None, held: Hashes | None, k: int
) -> dict[str, float]:
    """Rows of the twin that hold a run which few real units wrote, by run and column; see `replay`.

    Args:
        learnt: the learnt rows.
        holdout: the rows held back.
        twin: read a batch at a time, several times where something is found.
        name: the table.
        units: of learnt rows; where they are nobody's, each row is one and the holdout is left out.
        held: of held-back rows, shape (rows,); None where each row is one.
        k: how many units make a run common.
    """
    table = twin.schema[name]
    if not text_columns(table):
        return {}
    if units is None:
        units, holdout, held = np.arange(learnt.num_rows, dtype=np.uint64), holdout.slice(0, 0), None
    held = np.arange(holdout.num_rows, dtype=np.uint64) if held is None else held
    written = Written.of(learnt, holdout, table, units, held, k=k)
    found_: dict[str, float] = {}
    for kind, lengths in RUNS.items():
        found_ |= _runs(written, lambda: _texts(twin, name), kind, lengths, k=k)
    return found_


def _runs(written: Written, probe: Probe, kind: str, lengths: tuple[int, ...], *, k: int) -> dict[str, float]:
    """Runs of the first telling length, and those of shorter ones where learnt units are hit beyond chance."""
    by_word, parts = kind == "words", dict[str, float]()
    for length in lengths:
        met = _met(written, probe, length, by_word=by_word, k=k)
        if not met.learnt:
            return parts
        telling = met.telling or length == lengths[-1]
        if telling or beyond(met.learnt, met.holdout, of_learnt=met.of_learnt, of_holdout=met.of_holdout) < ALPHA:
            parts |= {
                f"{length} {kind} in a row that fewer than k units wrote{'' if telling else ', beyond chance'}: {c}": n
                for c, n in _rows(probe, met.grams, length, by_word=by_word).items()
            }
        if telling:
            return parts
    return parts


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """Rare runs of one length that the twin holds too.

    Attributes:
        grams: those of learnt units, sorted.
        learnt: how many learnt units have one.
        holdout: how many held-back units have one.
        of_learnt: how many learnt units wrote as much as that.
        of_holdout: how many held-back ones did.
    """

    grams: Hashes
    learnt: int
    holdout: int
    of_learnt: int
    of_holdout: int

    @property
    def telling(self) -> bool:
        """Whether the twin hardly ever meets such a run of held-back units, so that chance explains none."""
        return self.holdout <= RICH * self.of_holdout


def _met(written: Written, probe: Probe, length: int, *, by_word: bool, k: int) -> Met:
    marks = np.zeros(1 << _BITS, np.bool_)  # a filter of hashes by their first bits (Bloom 1970, with one hash)
    for _, letters, _ in probe():
        marks[letters.grams(length, by_word=by_word)[0] >> np.uint64(64 - _BITS)] = True
    marked, owners = list[Hashes](), list[Places]()
    wrote = np.zeros(written.units.max(initial=-1) + 1, np.bool_)
    for hashes, units in written.grams(length, by_word=by_word):
        near = marks[hashes >> np.uint64(64 - _BITS)]
        marked.append(hashes[near])
        owners.append(units[near])
        wrote[units] = True
    hashes, units = np.concatenate([*marked, np.empty(0, np.uint64)]), np.concatenate([*owners, np.empty(0, np.intp)])
    rare = uncommon(hashes, units.astype(np.uint64), k=k)
    rare = np.setdiff1d(rare, written.common_grams(length, by_word=by_word)) if len(rare) else rare
    rare = _present(rare, probe, length, by_word=by_word)
    at = found(hashes, rare)[1]
    hashes, units = hashes[at], units[at]
    mine = units < written.learnt
    hit = np.unique(units)
    return Met(
        grams=np.unique(hashes[mine]),
        learnt=int((hit < written.learnt).sum()),
        holdout=int((hit >= written.learnt).sum()),
        of_learnt=int(wrote[: written.learnt].sum()),
        of_holdout=int(wrote[written.learnt :].sum()),
    )


def _present(rare: Hashes, probe: Probe, length: int, *, by_word: bool) -> Hashes:
    """Those of sorted hashes that the probe really holds."""
    there = np.zeros(len(rare), np.bool_)
    for _, letters, _ in probe() if len(rare) else ():
        at, hit = found(letters.grams(length, by_word=by_word)[0], rare)
        there[at[hit]] = True
    return rare[there]


def _rows(probe: Probe, bad: Hashes, length: int, *, by_word: bool) -> dict[str, float]:
    """Rows of each column that hold one of the sorted grams."""
    rows: dict[str, float] = {}
    for column, letters, counts in probe():
        hashes, owners = letters.grams(length, by_word=by_word)
        hit = np.unique(owners[found(hashes, bad)[1]])
        if len(hit):
            rows[column] = rows.get(column, 0.0) + float(counts[hit].sum())
    return rows


def _texts(twin: Tables, name: str) -> Iterator[tuple[str, Letters, Places]]:
    """The different texts of each batch of a twin's table that are long enough, and how many rows hold each."""
    for batch in twin.batches(name):
        for column in text_columns(twin.schema[name]):
            counted = as_text(batch[column]).value_counts()
            texts, rows = counted.field("values"), np.asarray(counted.field("counts")).astype(np.intp)
            texts, rows = texts.take(pa.array(_long(texts))), rows[_long(texts)]
            for start, stop in _parts(texts):
                yield column, Letters.of(texts.slice(start, stop - start)), rows[start:stop]


def _numbered(learnt: Hashes, held: Hashes) -> tuple[Places, int]:
    """Each row's unit as a number, the learnt ones first, and how many of them there are."""
    names, first, unit = np.unique(np.concatenate([learnt, held]), return_index=True, return_inverse=True)
    number = np.empty(len(names), np.intp)
    number[np.argsort(first, kind="stable")] = np.arange(len(names))
    return number[unit], int(np.count_nonzero(first < len(learnt)))


def _long(texts: pa.Array) -> Places:
    """Where texts are long enough to hold a run."""
    return np.flatnonzero(np.asarray(pc.fill_null(pc.greater_equal(pc.utf8_length(texts), _SHORTEST), False)))


def _parts(texts: pa.Array) -> Iterator[tuple[int, int]]:
    """Where to cut texts so that a part has about so many letters as are cut at once."""
    if not len(texts):
        return
    part = np.cumsum(np.asarray(pc.fill_null(pc.utf8_length(texts), 0))) // _AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(texts)]
    yield from pairwise(cuts)
