"""Rows that point to a row which is not there, where the source has such rows and keeps them: made-up keys for them.

They are woven as rows that point nowhere; then some get a key that no parent of the twin has, nor any real row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.errors import GeneratorError
from twinlake.generators.arrays import one, replaced
from twinlake.generators.keys import Key, as_numbers
from twinlake.generators.links import Link
from twinlake.generators.personal import as_text
from twinlake.generators.spaces import keyed
from twinlake.hashing import Hashes, hash_values, mix, uniform
from twinlake.random import derive
from twinlake.schema import Column, Kind, Orphans, Reference, Schema, Table
from twinlake.spelling import plain as spelt
from twinlake.types import ENUM

_SPARE = 16

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Strays:
    """Made-up keys for some of the rows that point nowhere by one reference.

    Attributes:
        pools: by column, the keys to choose from; no parent has any of them.
        share: of the rows that point nowhere, those that get one.
        distinct: how many keys there are to be.
        key: of the choice.
    """

    pools: Mapping[str, pa.Array]
    share: float
    distinct: int
    key: int

    def fill(self, cells: Mapping[str, pa.Array], nowhere: Places, numbers: Hashes) -> dict[str, pa.Array]:
        """The columns with made-up keys.

        Args:
            cells: the columns of all rows.
            nowhere: the places of those that point nowhere.
            numbers: of these, among all rows of the table; what a row gets depends on its number alone.
        """
        chance = mix(numbers ^ np.uint64(self.key & 0xFFFFFFFFFFFFFFFF))
        chosen = uniform(chance) < self.share
        which = mix(chance[chosen]) % np.uint64(self.distinct)
        at = nowhere[chosen]
        return {
            name: replaced(cells[name], at, pool.take(pa.array(which % np.uint64(len(pool)))))
            for name, pool in self.pools.items()
        }


def stray_columns(schema: Schema, table: Table, reference: Reference) -> tuple[str, ...]:
    """The columns of a reference that can hold a made-up key: those that serve it alone; where some may be null, these.

    None of the row's key, of what is unique, of another reference, or of what other rows refer to.
    """
    if reference.orphans is not Orphans.KEEP:
        return ()
    needed = {*table.key, *(c for u in table.unique for c in u)}
    needed |= {c for r in table.references if r != reference for c in r.columns}
    needed |= {c for t in schema for r in t.references if r.table == table.name for c in r.to}
    free = [c for c in dict.fromkeys(reference.columns) if c not in needed and _has_others(table[c])]
    may_be_null = any(table[c].nullable and c not in table.key for c in reference.columns)
    return tuple(c for c in free if table[c].nullable or not may_be_null)


def _has_others(column: Column) -> bool:
    """Whether there can be values of a column that are no key of a parent."""
    return column.type != pa.bool_() and not (column.type == ENUM and column.labels)


def learn_stray(
    child: pa.ChunkedArray, parent: pa.ChunkedArray, column: Column, units: Hashes | None, *, k: int, salt: int,
    locale: str, limit: int, where: str,
) -> Key | None:  # fmt: skip
    """What makes keys that neither a real row nor one that it refers to has; None where the type has none.

    Args:
        child: the real column that refers.
        parent: the real column it refers to.
        column: name, type and kind of the former.
        units: the privacy unit of each row of `child`.
        k: units that must share a shape of text.
        salt: keys the hashes of real keys.
        locale: of fakes, for personal keys.
        limit: the largest number that the column can hold.
        where: the table and column, for messages.
    """
    column = replace(column, nullable=False)
    try:
        both = pa.chunked_array([one(child.drop_null()), one(parent.drop_null().cast(child.type))])
        plain = column.type in (pa.string(), ENUM) and (
            column.kind is not Kind.PERSONAL or column.provider == "pattern"
        )
        learnt = Key.learn(
            child if plain else both, column, units if plain else None, k=k, salt=salt, locale=locale, limit=limit,
            where=where,
        )  # fmt: skip
        return replace(learnt, avoid=keyed(spelt(as_text(both)), salt), nulls=0.0) if plain else learnt
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, GeneratorError):
        return None


def find_strays(
    table: Table, link: Link, keys: Mapping[str, Key], parents: pa.Table, *, rows: int, seed: int
) -> Strays | None:
    """The made-up keys of one reference; None where there are to be none, or none can be found.

    Args:
        table: that refers.
        link: what was learnt of the reference.
        keys: what makes keys, by column.
        parents: the columns it points to, of the twin.
        rows: of the table.
        seed: of the snapshot.
    """
    reference = link.reference
    columns = [c for c in dict.fromkeys(reference.columns) if c in keys]
    if not link.orphans or not columns:
        return None
    distinct = max(1, round(link.orphans * rows / max(link.degrees.usual, 1.0)))
    pools = {}
    for name in columns:
        taken = one(parents[reference.to[reference.columns.index(name)]].drop_null().cast(table[name].type))
        pools[name] = _pool(keys[name], taken, distinct, derive(seed, "strays", table.name, name))
    if not all(len(pool) for pool in pools.values()):
        return None
    nowhere = link.nulls if any(table[c].nullable for c in columns) else 0.0
    share = link.orphans / (link.orphans + nowhere)
    return Strays(pools, share, distinct, derive(seed, "strays", table.name, str(reference)))


def loosened(table: Table, links: Sequence[Link], strays: Mapping[int, Strays]) -> tuple[Table, tuple[Link, ...]]:
    """The table and its links as they are woven: rows to get made-up keys point nowhere, as do those that get none.

    Where nothing may be null and no key can be made up, they point to a parent.
    """
    loose = {c for found in strays.values() for c in found.pools}
    columns = tuple(replace(c, nullable=c.nullable or c.name in loose) for c in table.columns)
    more = tuple(replace(link, nulls=link.nulls + link.orphans) if link.orphans else link for link in links)
    return replace(table, columns=columns) if loose else table, more


def _pool(key: Key, taken: pa.Array, wanted: int, seed: int) -> pa.Array:
    """Different keys that are none of those taken and no real one; fewer than wanted where there are no more.

    Taken ones are the twin's own and may be left out one by one.
    """
    key = _beyond(key, taken)
    made = pa.array([], key.type)
    for many in (2 * wanted + _SPARE, len(taken) + 2 * wanted + _SPARE):
        total = many if key.capacity is None else min(many, key.capacity)
        if total <= 0:
            return pa.array([], key.type)
        turn = key.turn(total=total, seed=seed, where="keys of rows that are not there")
        made = key.at(np.arange(total, dtype=np.uint64), total=total, seed=seed, turn=turn)
        free = ~np.isin(hash_values(made), hash_values(taken))
        made = made.filter(pa.array(free)).slice(0, wanted)
        if len(made) == wanted:
            break
    return made


def _beyond(key: Key, taken: pa.Array) -> Key:
    """Numbers that begin after the largest that is taken."""
    if key.kind != "number" or len(key.avoid) or not len(taken):
        return key
    steps = max(-((key.start - 1 - int(as_numbers(taken).max())) // key.step), 0)
    return replace(key, start=key.start + steps * key.step, room=key.room - steps)
