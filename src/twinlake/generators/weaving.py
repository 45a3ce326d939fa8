"""Which parents the rows of a synthetic table point to: always rows that are there.

One reference leads: rows stand in the order of its parents, so that a shard holds all children of its parents. Every
other reference deals its links over the rows by a shuffle, within classes of parents where these were learnt; one that
shares columns with an earlier reference picks among the parents that agree on them. A row's parents depend on the seed
and on its number alone.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.errors import GeneratorError
from twinlake.generators.arrays import one, replaced
from twinlake.generators.deals import Deal, Pairing, settled
from twinlake.generators.degrees import Counts, exactly
from twinlake.generators.links import Link, complete
from twinlake.generators.permutations import permute
from twinlake.hashing import Hashes, hash_rows, mix, uniform
from twinlake.random import derive, stream
from twinlake.schema import Table

_REDRAWS = 40  # times a row whose key is taken gets another parent, before it is left out
_DENSE = 4  # where more than one in so many candidates is taken, partners are dealt without replacement

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Strand:
    """One reference while rows are woven.

    Attributes:
        link: what was learnt.
        parents: the referred columns under the referring columns' names and types; no nulls, all rows different.
        origin: the row of the parent table that each of them is, shape (parents,).
        shared: referring columns that something earlier has filled.
        own: referring columns that this one fills.
        optional: own columns that may be null; empty where every row must point somewhere.
        ends: how many links the parents up to each one have, shape (parents,); all zero where columns are shared.
        blank: how many rows point nowhere.
        key: of its shuffles.
        deal: its links by classes of parents; None where all are dealt alike.
    """

    link: Link
    parents: pa.Table
    origin: Places
    shared: tuple[str, ...]
    own: tuple[str, ...]
    optional: tuple[str, ...]
    ends: Counts
    blank: int
    key: int
    deal: Deal | None = None

    @property
    def size(self) -> int:
        """How many parents."""
        return int(self.parents.num_rows)

    def take(self, rows: Places) -> "Strand":
        """The strand with some of its parents, in that order."""
        return replace(self, parents=self.parents.take(pa.array(rows)).combine_chunks(), origin=self.origin[rows])

    @property
    def linked(self) -> int:
        """How many rows point to a parent, where nothing is shared."""
        return int(self.ends[-1]) if len(self.ends) else 0


@dataclass(frozen=True)
class Groups:
    """Parents by what they have in the shared columns: `order` lists them group by group."""

    names: Hashes
    starts: Places
    sizes: Places
    order: Places

    @classmethod
    def of(cls, parents: pa.Table, shared: tuple[str, ...]) -> "Groups":
        """The groups of parents; one group of all where nothing is shared."""
        hashes = hash_rows(parents.select(list(shared))) if shared else np.zeros(parents.num_rows, np.uint64)
        order = np.argsort(hashes, kind="stable")
        names, starts, sizes = np.unique(hashes[order], return_index=True, return_counts=True)
        return cls(names, starts.astype(np.int64), sizes.astype(np.int64), order.astype(np.int64))

    def find(self, hashes: Hashes) -> tuple[Places, Places]:
        """Start and size of the group of each hash; size 0 where there is none."""
        if not len(self.names):
            return np.zeros(len(hashes), np.int64), np.zeros(len(hashes), np.int64)
        at = np.minimum(np.searchsorted(self.names, hashes), len(self.names) - 1)
        return self.starts[at], np.where(self.names[at] == hashes, self.sizes[at], 0)


@dataclass(frozen=True)
class Woven:
    """The referring columns of some rows, and which rows these are: a few are left out where no parent suits.

    Attributes:
        columns: the referring columns.
        numbers: the numbers of the rows, shape (rows,).
        lead: the place of each row's leading parent, shape (rows,); -1 where it has none or no reference leads.
        parents: for each reference the row of the parent table, shape (rows,); -1 where a row points nowhere.
        context: what is known of these parents; None where nothing is.
    """

    columns: pa.Table
    numbers: Hashes
    lead: Places
    parents: tuple[Places, ...] = ()
    context: pa.Table | None = None

    def filter(self, kept: Flags) -> "Woven":
        """Some of the rows."""
        if kept.all():
            return self
        return Woven(
            self.columns.filter(pa.array(kept)), self.numbers[kept], self.lead[kept],
            tuple(p[kept] for p in self.parents),
        )  # fmt: skip


@dataclass(frozen=True)
class Weave:
    """The links of a whole table.

    Attributes:
        table: the referring table.
        rows: how many rows there can be.
        cuts: where shards begin and end: `cuts[i]` to `cuts[i + 1]`.
        strands: references in the order in which they are followed.
        leads: whether the first strand orders the rows.
        junction: whether the key is made of references alone, so that their combinations must differ.
    """

    table: Table
    rows: int
    cuts: tuple[int, ...]
    strands: tuple[Strand, ...]
    groups: tuple[Groups, ...]
    leads: bool
    junction: bool

    def row_links(self, start: int, stop: int, *, given: pa.Table | None = None) -> Woven:
        """The referring columns of rows `start` to `stop`; `given` holds columns that were filled earlier."""
        numbers = np.arange(start, stop, dtype=np.uint64)
        filled = {} if given is None else {n: one(given[n]) for n in given.column_names}
        kept = np.ones(len(numbers), dtype=np.bool_)
        picks: list[Places] = []
        parents: list[Places] = []
        for strand, groups in zip(self.strands, self.groups, strict=True):
            leading = self.leads and not picks
            if strand.deal is not None:
                at, blank = strand.deal.pick(numbers, self._led(numbers, picks[0]))
                fits = np.ones(len(numbers), dtype=np.bool_)
            else:
                at, blank, fits = _pick(strand, groups, numbers, filled, rows=self.rows, leading=leading)
            if self.junction and not leading and self.leads and set(strand.own).intersection(self.table.key):
                at = _dealt(self.strands[0], picks[0], strand, groups, numbers, at, filled)
            kept &= fits
            picks.append(at)
            parents.append(_origins(strand, at, blank))
            filled |= _taken(strand, at, blank)
        if self.junction:
            kept &= self._differ(numbers, filled, parents, picks)
        rows = pa.table({c: filled[c] for s in self.strands for c in s.own})
        lead = np.where(parents[0] < 0, -1, picks[0]) if self.leads else np.full(len(numbers), -1, dtype=np.int64)
        return Woven(rows, numbers, lead, tuple(parents)).filter(kept)

    def _led(self, numbers: Hashes, lead: Places) -> Places:
        """The place of each row's leading parent, -1 for rows beyond the last link."""
        return np.where(numbers >= np.uint64(self.strands[0].linked), -1, lead)

    def _differ(
        self, numbers: Hashes, filled: dict[str, pa.Array], parents: list[Places], picks: list[Places]
    ) -> Flags:
        """Redraw the partner of rows whose key an earlier row has; False for rows that stay without."""
        partners = [i for i, s in enumerate(self.strands) if i and set(s.own).intersection(self.table.key)]
        repeats = _repeats(filled, self.table.key)
        for turn in range(_REDRAWS if partners else 0):
            places = np.flatnonzero(repeats)
            if not len(places):
                break
            strand, groups, partner = self.strands[partners[-1]], self.groups[partners[-1]], picks[partners[-1]]
            here = {n: a.take(pa.array(places)) for n, a in filled.items()}
            fresh = mix(numbers[places] ^ np.uint64(derive(strand.key, "redraw", turn) & 0xFFFFFFFFFFFFFFFF))
            if strand.deal is not None and turn < _REDRAWS // 4:
                at = strand.deal.any_link(fresh, partner[places])
            else:
                at = _any_parent(strand, groups, fresh, here, by_links=turn < _REDRAWS // 2)
            parents[partners[-1]][places] = strand.origin[at]
            for name, new in _taken(strand, at, np.zeros(len(at), np.bool_)).items():
                filled[name] = replaced(filled[name], places, new)
            repeats = _repeats(filled, self.table.key)
        return ~repeats


def plan(
    table: Table,
    links: Sequence[Link],
    parents: Sequence[pa.Table],
    *,
    rows: int,
    seed: int,
    size: int,
    filled: Iterable[str] = (),
    leads: bool = True,
    together: bool = False,
    junction: bool = False,
    scores: Sequence[Counts | None] = (),
    pairings: Sequence[Pairing | None] = (),
) -> Weave:
    """Decide how many children every parent has.

    Args:
        table: the referring table.
        links: its references that can be followed now, the leading one first.
        parents: for each link the referred columns of the synthetic parent table.
        rows: how many rows are wanted; the weave has fewer where the parents do not allow so many.
        seed: of the whole snapshot.
        size: rows in a shard.
        filled: columns that have values already.
        leads: whether one reference orders the rows.
        together: whether rows that agree on the leading reference's part of the key must share a shard.
        junction: whether the key is made of references alone.
        scores: for each link how many children its parents are likely to have, shape (parents,), or None.
        pairings: for each link which of its parents go with which leading ones, or None.
    """
    strands = _strands(table, links, parents, set(filled), seed=seed)
    strands = _joinable(strands)
    if leads and strands:
        strands[0] = _in_blocks(table, strands[0])
    groups = tuple(Groups.of(s.parents, s.shared) for s in strands)
    caps = [_caps(table, s, rows) for s in strands]
    if junction and leads and strands:
        caps[0] = np.minimum(caps[0], _partners(table, strands, groups))
    for strand, cap in zip(strands, caps, strict=True):
        if not strand.optional:
            rows = min(rows, int(cap.sum()))
    likely = [*scores, *[None] * (len(strands) - len(scores))]
    spun = [_spun(s, c, rows, likely=x, seed=seed) for s, c, x in zip(strands, caps, likely, strict=True)]
    if leads and spun:
        spun = [_paired(s, spun[0], p, rows) for s, p in itertools.zip_longest(spun, pairings[: len(spun)])]
    cuts = _cuts(table, spun[0] if spun and leads else None, rows, size, together=together)
    return Weave(table, rows, cuts, tuple(spun), groups, leads and bool(spun), junction)


def _strands(
    table: Table, links: Sequence[Link], parents: Sequence[pa.Table], filled: set[str], *, seed: int
) -> list[Strand]:
    strands = []
    for link, rows in zip(links, parents, strict=True):
        columns = link.reference.columns
        own = tuple(c for c in columns if c not in filled)
        optional = tuple(c for c in own if table[c].nullable and c not in table.key)
        filled = filled | set(own)
        key = derive(seed, table.name, str(link.reference))
        found, origin = _candidates(table, link, rows, key)
        shared = tuple(c for c in columns if c not in own)
        strands.append(Strand(link, found, origin, shared, own, optional, ends=np.zeros(0, np.int64), blank=0, key=key))
    return strands


def _candidates(table: Table, link: Link, parents: pa.Table, key: int) -> tuple[pa.Table, Places]:
    """Parents that can be pointed to, under the child's names and types, shuffled so that rows follow no key.

    And which rows of the parent table they are.
    """
    reference = link.reference
    try:
        typed = pa.table(
            {c: parents[t].cast(table[c].type) for c, t in zip(reference.columns, reference.to, strict=True)}
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise GeneratorError(
            "its columns can't hold the values they refer to",
            where=f"reference {table.name}: {reference}",
            fix="Give both sides the same type",
        ) from None
    there = complete(typed) & ~pd.Series(hash_rows(typed)).duplicated().to_numpy()
    rows = np.flatnonzero(there)
    order = permute(np.arange(len(rows), dtype=np.uint64), max(len(rows), 1), key=derive(key, "parents"))
    rows = rows[order.astype(np.int64)]
    return typed.take(pa.array(rows)).combine_chunks(), rows


def _joinable(strands: list[Strand]) -> list[Strand]:
    """Strands whose parents have a partner in every later reference that shares columns and must be followed."""
    for i in range(len(strands) - 1, -1, -1):
        kept = np.ones(strands[i].size, dtype=np.bool_)
        for later in strands[i + 1 :]:
            both = [c for c in later.shared if c in strands[i].own]
            if both and not later.optional:
                kept &= np.isin(hash_rows(strands[i].parents.select(both)), hash_rows(later.parents.select(both)))
        if not kept.all():
            strands[i] = strands[i].take(np.flatnonzero(kept))
    return strands


def _in_blocks(table: Table, leader: Strand) -> Strand:
    """The leading strand with its parents in an order that keeps those together which share their part of the key."""
    part = [c for c in leader.own if c in table.key]
    if not part or len(part) == len(leader.own):
        return leader
    order = np.argsort(hash_rows(leader.parents.select(part)), kind="stable")
    return leader.take(order)


def _caps(table: Table, strand: Strand, rows: int) -> Counts:
    """The most children each parent can have."""
    if strand.shared:
        return np.full(strand.size, rows, dtype=np.int64)
    alone = bool(table.key) and set(table.key) <= set(strand.link.reference.columns)
    return np.full(strand.size, 1 if alone or strand.link.single else rows, dtype=np.int64)


def _partners(table: Table, strands: list[Strand], groups: tuple[Groups, ...]) -> Counts:
    """How many combinations of the other references each leading parent can have in the key."""
    total = np.ones(strands[0].size, dtype=np.float64)
    for strand, group in list(zip(strands, groups, strict=True))[1:]:
        if not set(strand.own).intersection(table.key):
            continue
        if strand.shared and set(strand.shared) <= set(strands[0].own):
            total *= group.find(hash_rows(strands[0].parents.select(list(strand.shared))))[1]
        else:
            total *= strand.size
    return np.minimum(total, 1 << 40).astype(np.int64)


def _spun(strand: Strand, caps: Counts, rows: int, *, likely: Counts | None, seed: int) -> Strand:
    """The strand with its links dealt to its parents; those that are likely to have more get more."""
    blank = round(strand.link.nulls * rows) if strand.optional else 0
    if not strand.size:
        return replace(strand, ends=np.zeros(0, np.int64), blank=rows)
    if strand.shared:
        return replace(strand, ends=np.zeros(strand.size, np.int64), blank=blank)
    blank = max(blank, rows - int(caps.sum()))
    rng = stream(seed, "degrees", str(strand.key))
    drawn = strand.link.degrees.draw(strand.size, rng)
    if likely is not None:
        drawn[np.lexsort((rng.random(strand.size), likely[strand.origin]))] = np.sort(drawn)
    counts = exactly(drawn, rows - blank, caps=caps, rng=rng)
    return replace(strand, ends=np.cumsum(counts), blank=blank)


def _paired(strand: Strand, leader: Strand, pairing: Pairing | None, rows: int) -> Strand:
    """The strand with its links dealt by class."""
    if pairing is None or strand.shared or not strand.size or not leader.size:
        return strand
    lead, second = pairing.lead[leader.origin], pairing.second[strand.origin]
    strand = replace(strand, ends=settled(pairing.links, (lead, leader.ends), (second, strand.ends), rows=rows))
    key = derive(strand.key, "deal")
    deal = Deal.plan(pairing.links, (lead, leader.ends), (second, strand.ends), rows=rows, key=key)
    return replace(strand, deal=deal)


def _cuts(table: Table, leader: Strand | None, rows: int, size: int, *, together: bool) -> tuple[int, ...]:
    """Where shards begin and end: after every `size` rows, or where the next parent's children begin."""
    if leader is None or not together:
        return (*range(0, max(rows, 1), size), rows)
    ends, cuts = _block_ends(table, leader), [0]
    while cuts[-1] + size < rows:
        wanted = cuts[-1] + size
        place = int(np.searchsorted(ends, wanted))
        cut = int(ends[place]) if place < len(ends) else wanted  # beyond the last parent stand rows without
        if cut >= rows:
            break
        cuts.append(cut)
    return (*cuts, rows)


def _block_ends(table: Table, leader: Strand) -> Counts:
    part = [c for c in leader.own if c in table.key]
    if not part or len(part) == len(leader.own):
        return leader.ends
    hashes = hash_rows(leader.parents.select(part))
    return np.asarray(leader.ends[np.append(hashes[1:] != hashes[:-1], True)])


def _pick(
    strand: Strand, groups: Groups, numbers: Hashes, filled: dict[str, pa.Array], *, rows: int, leading: bool
) -> tuple[Places, Flags, Flags]:
    """For each row its parent, whether it points nowhere, and whether a parent could be found."""
    everywhere = np.ones(len(numbers), dtype=np.bool_)
    if not strand.size:
        return np.full(len(numbers), -1), everywhere, everywhere
    if strand.shared:
        return _pick_shared(strand, groups, numbers, filled, share=strand.blank / max(rows, 1))
    turn = numbers if leading else permute(numbers, max(rows, 1), key=strand.key)
    turn = turn.astype(np.int64)
    blank = turn >= strand.linked if leading else turn < strand.blank
    link = np.where(blank, turn % max(strand.linked, 1), turn if leading else turn - strand.blank)
    at = np.minimum(np.searchsorted(strand.ends, link, side="right"), strand.size - 1)
    return at, blank, everywhere


def _pick_shared(
    strand: Strand, groups: Groups, numbers: Hashes, filled: dict[str, pa.Array], *, share: float
) -> tuple[Places, Flags, Flags]:
    chance = mix(numbers ^ np.uint64(strand.key & 0xFFFFFFFFFFFFFFFF))
    present = np.ones(len(numbers), dtype=np.bool_)
    for name in strand.shared:
        present &= np.asarray(pc.is_valid(filled[name]).to_numpy(zero_copy_only=False))
    _, size = groups.find(_shared_hashes(strand, filled))
    found = present & (size > 0)
    at = _any_parent(strand, groups, chance, filled, by_links=False)
    blank = ~found | (uniform(mix(chance)) < share) if strand.optional else ~present
    return at, blank, found | blank


def _any_parent(
    strand: Strand, groups: Groups, chance: Hashes, filled: dict[str, pa.Array], *, by_links: bool
) -> Places:
    """A parent for each row by chance, among those that agree on shared columns (any one where none does)."""
    if not strand.shared and by_links and strand.linked:
        link = (chance % np.uint64(strand.linked)).astype(np.int64)
        return np.searchsorted(strand.ends, link, side="right").astype(np.int64)
    start, size = groups.find(_shared_hashes(strand, filled))
    start, size = np.where(size > 0, start, 0), np.where(size > 0, size, strand.size)
    return groups.order[start + (chance % size.astype(np.uint64)).astype(np.int64)]


def _dealt(
    leader: Strand,
    lead: Places,
    strand: Strand,
    groups: Groups,
    numbers: Hashes,
    at: Places,
    filled: dict[str, pa.Array],
) -> Places:
    """`at`, but without replacement among the children of parents that use many of the candidates.

    Where nothing is shared, those come first that have many links (Efraimidis and Spirakis 2006).
    """
    begin = np.concatenate([[0], leader.ends[:-1]])[lead]
    degree = leader.ends[lead] - begin
    start, size = groups.find(_shared_hashes(strand, filled))
    turn = (numbers.astype(np.int64) - begin) % np.maximum(size, 1)
    dense = (degree * _DENSE > size) & (size > 0)
    key = mix(lead.astype(np.uint64) + np.uint64(strand.key & 0xFFFFFFFFFFFF))
    if not strand.shared:
        at = at.copy()
        at[dense] = _by_weight(strand, lead[dense], turn[dense], key[dense])
        return at
    dealt = permute(turn[dense].astype(np.uint64), size[dense].astype(np.uint64), key=key[dense])
    at = at.copy()
    at[dense] = groups.order[start[dense] + dealt.astype(np.int64)]
    return at


def _by_weight(strand: Strand, lead: Places, turn: Places, key: Hashes) -> Places:
    """The parent whose turn it is in an order of all that is drawn, by weight, for each leading parent."""
    leads, first, which = np.unique(lead, return_index=True, return_inverse=True)
    cells = np.add.outer(key[first], np.arange(strand.size, dtype=np.uint64)).astype(np.uint64)
    chance = uniform(mix(cells))
    weights = np.diff(strand.ends, prepend=0).astype(np.float64)
    if strand.deal is not None:
        weights = weights * strand.deal.liking(leads)
    order = np.argsort(-np.log1p(-chance) / np.maximum(weights, 1e-9), axis=1, kind="stable")
    return np.asarray(order[which, turn], dtype=np.int64)


def _shared_hashes(strand: Strand, filled: dict[str, pa.Array]) -> Hashes:
    if not strand.shared:
        return np.zeros(len(next(iter(filled.values()))), dtype=np.uint64)
    return hash_rows(pa.table({n: filled[n] for n in strand.shared}))


def _taken(strand: Strand, at: Places, blank: Flags) -> dict[str, pa.Array]:
    """The own columns of each row's parent; null in the optional ones of rows that point nowhere."""
    always, where = pa.array(at, mask=at < 0), pa.array(at, mask=(at < 0) | blank)
    return {n: one(strand.parents[n]).take(where if n in strand.optional else always) for n in strand.own}


def _origins(strand: Strand, at: Places, blank: Flags) -> Places:
    """The row of the parent table that each row points to, -1 for nowhere."""
    return np.where((at < 0) | (blank & bool(strand.optional)), -1, strand.origin[at] if strand.size else -1)


def _repeats(filled: dict[str, pa.Array], key: tuple[str, ...]) -> Flags:
    hashes = hash_rows(pa.table({n: filled[n] for n in key}))
    return np.asarray(pd.Series(hashes).duplicated().to_numpy())
