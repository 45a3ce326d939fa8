"""All that is learnt of one table: how its keys, references, personal columns and other columns are made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.errors import ModelError
from twinlake.generators.affinity import Affinity, Side
from twinlake.generators.context import Contexts, Telling
from twinlake.generators.degrees import Degrees
from twinlake.generators.guard import Guard
from twinlake.generators.keys import Key, as_numbers, common_step, is_numeric
from twinlake.generators.lesson import Lesson, whole_rows
from twinlake.generators.links import Link, leading_first
from twinlake.generators.personal import Filler
from twinlake.generators.protocols import TableGenerator, TableModel
from twinlake.generators.saved import Arrays, read_arrays, read_head, write_model
from twinlake.generators.siblings import Places
from twinlake.generators.strays import learn_stray, stray_columns
from twinlake.generators.thinning import Split
from twinlake.hashing import Hashes, hash_rows, hash_values
from twinlake.random import derive, stream
from twinlake.schema import Column, Kind, Reference, Schema, Table
from twinlake.tables import Tables, TableWriter, read_table
from twinlake.units import Units

_NUMBERED = 0.9  # share of parents whose rows are numbered without gaps, for numbering to be taken over
_UNIQUE = 0.9  # share of different values from which on a part of a key is an identifier, not a property
_COUNTED = 100  # parents from which on it is learnt which of them have many children
_NAME = "relational-table"
COUNTED = Table("rows", (Column("rows", pa.int64(), nullable=False, kind=Kind.NUMBER),))


@dataclass(frozen=True)
class Blueprint:
    """What is needed to make the rows of one table.

    Attributes:
        table: its schema.
        rows: how many rows the source has.
        keys: columns that are made fresh: keys and what other tables refer to.
        numbered: key columns that number the rows which agree on the rest of the key, with the first number.
        steps: key columns of numbers that the table model draws, with the step to the next free value.
        runs: how many rows agree on the rest of the key, where a column numbers them and no reference tells.
        modelled: columns that the table model draws, in order.
        links: references that can be followed when the table is made, the leading one first.
        deferred: references to the table itself or to tables made later; filled in a second pass.
        fillers: personal columns.
        strays: by column of a reference, what makes keys of rows that are not there, where the twin shall have such.
        model: what draws the modelled columns; None where there are none.
        counters: by the place of a link, what draws how many children its parents have; where parents tell anything.
        affinities: by the place of a link, which of its parents go with which leading ones; where that tells anything.
        knows: whether the model is given what is known of the parents.
        followed: whether it draws rows of the leading parent as siblings, one after the other.
        guard: tells drawn rows that equal a rare real one; None where that can't give anybody away.
        public: the rows themselves, for a table that is common knowledge.
    """

    table: Table
    rows: int
    keys: Mapping[str, Key] = field(default_factory=dict)
    numbered: Mapping[str, int] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)
    runs: Degrees | None = None
    modelled: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    deferred: tuple[Link, ...] = ()
    fillers: Mapping[str, Filler] = field(default_factory=dict)
    strays: Mapping[str, Key] = field(default_factory=dict)
    model: TableModel | None = None
    counters: Mapping[int, TableModel] = field(default_factory=dict)
    affinities: Mapping[int, Affinity] = field(default_factory=dict)
    knows: bool = False
    followed: bool = False
    guard: Guard | None = None
    public: pa.Table | None = None

    @property
    def late(self) -> tuple[str, ...]:
        """Columns that only the second pass fills."""
        early = {c for link in self.links for c in link.reference.columns} | set(self.table.key)
        return tuple(
            n for n in self.table.names if n in {c for d in self.deferred for c in d.reference.columns} - early
        )

    @property
    def first_pass(self) -> Table:
        """The table as the first pass writes it: late columns are null, and rules that look at them wait."""
        late = self.late
        return replace(
            self.table,
            columns=tuple(replace(c, nullable=c.nullable or c.name in late) for c in self.table.columns),
            rules=tuple(r for r in self.table.rules if not set(late).intersection(r.columns)),
        )

    @property
    def paired(self) -> tuple[str, ...]:
        """Columns of references alone that no two rows share: the key, else what is unique beside it; else none."""
        linked, key = {c for link in self.links for c in link.reference.columns}, self.table.key
        if key and linked.issuperset(key):
            return key
        free = () if (key and not self.is_settled) or linked.intersection(key) else self.table.unique
        whole = (u for u in free if linked.issuperset(u) and not any(self.table[c].nullable for c in u))
        return next(whole, ())

    @property
    def is_settled(self) -> bool:
        """Whether some part of the key is different in every row."""
        return bool(set(self.table.key).intersection(self.keys))

    @property
    def together(self) -> bool:
        """Whether all children of a parent belong in one shard: for a key that needs its parent, and for order."""
        in_key = {c for link in self.links for c in link.reference.columns}.intersection(self.table.key)
        ordered = self.table.order_by is not None or self.followed
        leads = bool(self.links) and not set(self.paired).isdisjoint(self.links[0].reference.columns)
        return (bool(in_key) and not self.is_settled) or leads or (ordered and bool(self.links))

    @property
    def telling(self) -> Telling:
        """What the table tells those that refer to it."""
        own = self.table.learnt if self.public is not None else self.modelled
        return Telling(own, tuple(link.reference for link in self.links))

    @property
    def capacity(self) -> int | None:
        """How many rows the key allows, where it is one column with few values."""
        only = self.keys.get(self.table.key[0]) if len(self.table.key) == 1 else None
        return None if only is None else only.capacity

    def turns(self, *, rows: int, seed: int) -> dict[str, int]:
        """By column, which way to make the keys and fakes of so many rows so that none is a real one."""
        made: dict[str, Key | Filler] = {**self.keys, **self.fillers}
        name = self.table.name
        return {c: m.turn(total=rows, seed=derive(seed, name, c), where=f"{name}.{c}") for c, m in made.items()}

    def save(self, folder: Path) -> None:
        """Write the blueprint to a new folder."""
        arrays = {f"key:{i}": k.hashes for i, k in enumerate(self.keys.values())}
        arrays |= {f"filler:{i}": f.avoid for i, f in enumerate(self.fillers.values())}
        arrays |= {f"stray:{i}": k.hashes for i, k in enumerate(self.strays.values())}
        arrays |= {"guard": self.guard.rare} if self.guard else {}
        arrays |= {f"affinity:{i}:{n}": a for i, f in self.affinities.items() for n, a in f.arrays().items()}
        content = {
            "schema": Schema((replace(self.table, references=()),)).to_json(),
            "references": [r.to_json() for r in self.table.references],
            "rows": self.rows,
            "keys": [[n, k.to_json()] for n, k in self.keys.items()],
            "numbered": dict(self.numbered),
            "steps": dict(self.steps),
            "runs": None if self.runs is None else self.runs.to_json(),
            "modelled": list(self.modelled),
            "links": [link.to_json() for link in self.links],
            "deferred": [link.to_json() for link in self.deferred],
            "fillers": [[n, f.to_json()] for n, f in self.fillers.items()],
            "strays": [[n, k.to_json()] for n, k in self.strays.items()],
            "has_model": self.model is not None,
            "counters": list(self.counters),
            "affinities": [[i, a.to_json()] for i, a in self.affinities.items()],
            "knows": self.knows,
            "followed": self.followed,
            "guarded": list(self.guard.columns) if self.guard else [],
        }
        write_model(folder, _NAME, content, arrays)
        if self.model is not None:
            self.model.save(folder / "model")
        for place, counter in self.counters.items():
            counter.save(folder / f"count-{place}")
        if self.public is not None:
            with TableWriter(folder / "public", self.table, statistics=False) as writer:
                writer.write(self.public)


def read_blueprint(folder: Path) -> Blueprint:
    """The blueprint that `save` wrote; raises ModelError for a folder that is damaged or of another kind."""
    from twinlake.generators.registry import read_table_model

    head, arrays = read_head(folder), read_arrays(folder)
    if head.get("generator") != _NAME:
        raise ModelError("this is no model of a table of a database", where=str(folder), fix="Fit the model again")
    try:
        table = Schema.from_json(head["schema"]).tables[0]
        table = replace(table, references=tuple(Reference.from_json(r) for r in head["references"]))
        keys = {n: Key.from_json(d, avoid=arrays[f"key:{i}"]) for i, (n, d) in enumerate(head["keys"])}
        fillers = {n: Filler.from_json(d, avoid=arrays[f"filler:{i}"]) for i, (n, d) in enumerate(head["fillers"])}
        strays = {n: Key.from_json(d, avoid=arrays[f"stray:{i}"]) for i, (n, d) in enumerate(head["strays"])}
        links, deferred = (tuple(Link.from_json(d) for d in head[part]) for part in ("links", "deferred"))
        rows, numbered, steps = int(head["rows"]), dict(head["numbered"]), dict(head["steps"])
        runs = None if head["runs"] is None else Degrees.from_json(head["runs"])
        modelled, has_model = tuple(head["modelled"]), bool(head["has_model"])
        affinities = {int(i): Affinity.read(d, _within(arrays, f"affinity:{i}:")) for i, d in head["affinities"]}
        guard = Guard(tuple(head["guarded"]), arrays["guard"]) if head["guarded"] else None
        knows, followed, counted = bool(head["knows"]), bool(head["followed"]), [int(i) for i in head["counters"]]
    except (KeyError, ValueError, TypeError, IndexError):
        raise ModelError("model.json is damaged", where=str(folder), fix="Fit the model again") from None
    return Blueprint(
        table=table, rows=rows, keys=keys, numbered=numbered, steps=steps, runs=runs, modelled=modelled, links=links,
        deferred=deferred, fillers=fillers, strays=strays, guard=guard,
        model=read_table_model(folder / "model") if has_model else None,
        counters={i: read_table_model(folder / f"count-{i}") for i in counted},
        affinities=affinities, knows=knows, followed=followed,
        public=read_table(folder / "public", table) if table.public else None,
    )  # fmt: skip


def _within(arrays: Arrays, prefix: str) -> Arrays:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every table of one fit.

    Attributes:
        seed: of all chance.
        k: units that must share what is kept of identifiers and text.
        locale: of fakes.
        paths: the reference that leads from each table to its unit.
        orphans: by table and reference, the share of rows that point to a row which is not there, where these are kept.
        learnt: by table, the share of the source's rows that were not held back; all by default.
    """

    seed: int
    k: int
    locale: str
    paths: Mapping[str, Reference | None]
    orphans: Mapping[tuple[str, str], float] = field(default_factory=dict)
    learnt: Mapping[str, float] = field(default_factory=dict)

    def path(self, table: Table) -> Reference | None:
        """The reference that leads from a table to its unit; None where there is none."""
        return self.paths.get(table.name)

    @property
    def salt(self) -> int:
        """Keys the hashes of real values."""
        return derive(self.seed, "salt")


def learn(
    tables: Tables, table: Table, *, contexts: Contexts, units: Units, generator: TableGenerator, terms: Terms,
) -> Blueprint:  # fmt: skip
    """All that is to be learnt of a table.

    Args:
        tables: the real tables.
        table: the one to learn.
        contexts: what the tables tell that will be made before this one.
        units: the privacy unit of each row of each table.
        generator: learns the columns that are neither identifiers nor personal.
        terms: the same for all tables.
    """
    if table.public:
        return Blueprint(table, tables.rows(table.name), public=tables[table.name])
    if not tables.rows(table.name):
        return Blueprint(table, 0)
    own, earlier = units.get(table.name), contexts.tellings
    picks = _picks(tables, table)
    followed = [r for r in dict.fromkeys(table.references) if not picks.issuperset(r.columns)]
    links = [_learn_link(tables, table, r, units, terms) for r in followed]
    now = leading_first(table, [link for link in links if link.reference.table in earlier], path=terms.path(table))
    later = tuple(link for link in links if link.reference.table not in earlier)
    linked = {c for link in now for c in link.reference.columns}
    numbered, fresh, modelled_key = _key_parts(tables, table, linked, k=terms.k)
    fresh |= _unique_targets(tables, table, linked)
    values = {n for n in table.learnt if n not in fresh} | picks
    modelled = tuple(n for n in table.names if n in modelled_key or n in values)
    data = tables.columns(table.name, modelled)
    plain = replace(_plain(table.select(modelled), picks), order_by=_order_by(table, modelled, modelled_key))
    parts = [n for n in (plain.order_by, *table.key) if n is not None and n in {*numbered, *modelled_key}]
    at = {link.reference: contexts.found(table.name, link.reference) for link in now} if generator.takes_context else {}
    lesson = Lesson.of(tables, table, contexts, at, order=parts)
    blueprint = Blueprint(
        table=table,
        rows=tables.rows(table.name),
        keys={n: _learn_key(tables, table, n, own, terms) for n in table.names if n in fresh},
        numbered=numbered,
        steps=_steps(data, modelled_key, table, k=terms.k),
        runs=_runs(tables, table, numbered, linked, k=terms.k),
        modelled=modelled,
        links=now,
        deferred=later,
        fillers={n: _learn_filler(tables, table, n, own, terms) for n in table.personal if n not in fresh},
        strays=_learn_strays(tables, table, links, own, terms),
        counters=_learn_counters(table, now, contexts, at, units, generator, terms) if lesson else {},
        affinities=_learn_affinities(tables, table, contexts, at, units, terms) if lesson else {},
        guard=Guard.learn(data.select([n for n in modelled if n in table.learnt]), own, k=terms.k),
    )
    return _with_model(blueprint, data, plain, own, generator, lesson, rng=stream(terms.seed, "fit", table.name))


def _with_model(
    blueprint: Blueprint, data: pa.Table, plain: Table, units: Hashes | None, generator: TableGenerator,
    lesson: Lesson | None, *, rng: np.random.Generator,
) -> Blueprint:  # fmt: skip
    if not blueprint.modelled:
        return blueprint
    context, siblings = None, None
    if lesson is not None:
        context, siblings = lesson.context, lesson.siblings
        data = data.take(pa.array(lesson.rows))
        units = None if units is None else units[lesson.rows]
    model = generator.fit(data, plain, units=units, context=context, siblings=siblings, rng=rng)
    return replace(blueprint, model=model, knows=context is not None, followed=siblings is not None)


def _order_by(table: Table, modelled: tuple[str, ...], in_key: set[str]) -> str | None:
    """The column that orders siblings: the declared one, else a number or date in the key."""
    if table.order_by is not None:
        return table.order_by if table.order_by in modelled else None
    return next((n for n in table.key if n in in_key and not table[n].is_discrete), None)


def _learn_counters(
    table: Table, links: tuple[Link, ...], contexts: Contexts, at: Mapping[Reference, Places], units: Units,
    generator: TableGenerator, terms: Terms,
) -> dict[int, TableModel]:  # fmt: skip
    """What draws how many children parents have, by what is known of them."""
    counters = {}
    for place, link in enumerate(links):
        parent = link.reference.table
        told = contexts.leading(table.name, link.reference) if place == 0 else contexts.of(parent)
        if link.single or not told.num_columns or told.num_rows < _COUNTED:
            continue
        places = at[link.reference]
        counts = np.bincount(places[places >= 0], minlength=told.num_rows).astype(np.int64)
        rng = stream(terms.seed, "count", table.name, place)
        counters[place] = generator.fit(
            pa.table({"rows": counts}), COUNTED, units=units.get(parent), context=told, siblings=None, rng=rng
        )
    return counters


def _learn_affinities(
    tables: Tables, table: Table, contexts: Contexts, at: Mapping[Reference, Places], units: Units, terms: Terms
) -> dict[int, Affinity]:
    """Which parents of later references go with which leading ones, where these share no columns."""
    if len(at) < 2:
        return {}
    references = list(at)
    kept = whole_rows(tables, table, references, at)
    own = units.get(table.name)
    sides = [
        Side(
            contexts.of(r.table) if place else contexts.leading(table.name, r), units.get(r.table), at[r][kept],
            tables.rows(r.table),
        )
        for place, r in enumerate(references)
    ]  # fmt: skip
    found, filled = {}, set(references[0].columns)
    for place, reference in enumerate(references[1:], start=1):
        if filled.isdisjoint(reference.columns):
            rng = stream(terms.seed, "affinity", table.name, place)
            found[place] = Affinity.learn(
                sides[0], sides[place], None if own is None else own[kept], k=terms.k, rng=rng
            )
        filled |= set(reference.columns)
    return {place: affinity for place, affinity in found.items() if affinity is not None}


def _picks(tables: Tables, table: Table) -> set[str]:
    """Columns that alone refer to a public table: its keys are common knowledge, so which are picked is learnt."""
    used = Counter(c for r in table.references for c in r.columns)
    found = set()
    for reference in table.references:
        name = reference.columns[0]
        if (
            len(reference.columns) > 1
            or used[name] > 1
            or name in table.key
            or not tables.schema[reference.table].public
        ):
            continue
        child, parent = (hash_values(tables.columns(t, (c,))[c].drop_null()) for t, c in (
            (table.name, name), (reference.table, reference.to[0])
        ))  # fmt: skip
        if np.isin(child, parent).all():
            found.add(name)
    return found


def _plain(table: Table, picks: set[str]) -> Table:
    """The table as a table generator sees it: keys of public tables are labels, all of which may be shown."""
    columns = (replace(c, kind=Kind.CATEGORY, public=True) if c.name in picks else c for c in table.columns)
    return replace(table, key=(), references=(), columns=tuple(columns))


def _learn_link(tables: Tables, table: Table, reference: Reference, units: Units, terms: Terms) -> Link:
    child = tables.columns(table.name, reference.columns).select(list(reference.columns))
    parent = tables.columns(reference.table, reference.to).select(list(reference.to))
    needed = 1 if units.get(reference.table) is None else terms.k  # nobody's rows may be told apart
    orphans = terms.orphans.get((table.name, str(reference)), 0.0)
    split = Split(terms.learnt.get(table.name, 1.0), units.get(table.name), units.get(reference.table))
    rng = stream(terms.seed, "children", table.name, str(reference))
    own = reference.table == table.name
    return Link.learn(child, parent, reference, own=own, k=needed, rng=rng, orphans=orphans, split=split)


def _learn_strays(
    tables: Tables, table: Table, links: Sequence[Link], units: Hashes | None, terms: Terms
) -> dict[str, Key]:
    """What makes keys of rows that are not there, by column, where the twin shall have rows that point to such."""
    found = {}
    for reference in [link.reference for link in links if link.orphans]:
        for name in stray_columns(tables.schema, table, reference):
            to = reference.to[reference.columns.index(name)]
            child, parent = tables.columns(table.name, (name,))[name], tables.columns(reference.table, (to,))[to]
            found[name] = learn_stray(
                child, parent, table[name], units, k=terms.k, salt=terms.salt, locale=terms.locale,
                limit=_largest(table[name].type), where=f"{table.name}.{name}",
            )  # fmt: skip
    return {name: key for name, key in found.items() if key is not None}


def _key_parts(tables: Tables, table: Table, linked: set[str], *, k: int) -> tuple[dict[str, int], set[str], set[str]]:
    """Key columns that are no references: the one that numbers rows, those made fresh, those the table model draws."""
    local = [c for c in table.key if c not in linked]
    if len(table.key) == 1:
        return {}, set(local), set()
    key = tables.columns(table.name, table.key)
    numbered: dict[str, int] = {}
    fresh = {c for c in local if _identifies(key[c], table, c, k=k)}
    for name in [c for c in local if c not in fresh]:
        base = None if numbered or fresh else _numbering(key, name)
        if base is not None:
            numbered[name] = base
    return numbered, fresh, set(local) - fresh - set(numbered)


def _identifies(values: pa.ChunkedArray, table: Table, name: str, *, k: int) -> bool:
    type_ = table[name].type
    if type_ in (pa.uuid(), pa.binary()) or table[name].kind is Kind.PERSONAL:
        return True
    if not (pa.types.is_integer(type_) or type_ == pa.string()) or len(values) < k:
        return False
    return bool(pc.count_distinct(values).as_py() >= _UNIQUE * len(values))


def _numbering(key: pa.Table, name: str) -> int | None:
    """The first number, 0 or 1, where the column counts the rows that agree on the rest of the key; else None."""
    if not pa.types.is_integer(key[name].type):
        return None
    rest = hash_rows(key.drop_columns([name]))
    groups = pd.Series(as_numbers(key[name])).groupby(rest)
    low, high, size = groups.min(), groups.max(), groups.size()
    base = int(low.mode().iloc[0])
    dense = (low == base) & (high - low + 1 == size)
    return base if base in (0, 1) and dense.mean() >= _NUMBERED else None


def _runs(tables: Tables, table: Table, numbered: dict[str, int], linked: set[str], *, k: int) -> Degrees | None:
    rest = [c for c in table.key if c not in numbered]
    if not numbered or linked.intersection(rest):
        return None
    hashes = hash_rows(tables.columns(table.name, rest).select(rest))
    return Degrees.learn(np.unique(hashes, return_counts=True)[1].astype(np.int64), k)


def _unique_targets(tables: Tables, table: Table, linked: set[str]) -> set[str]:
    """Single columns outside the key that others refer to and whose values all differ: they are made fresh."""
    references = [r for t in tables.schema for r in t.references if r.table == table.name and len(r.to) == 1]
    names = {r.to[0] for r in references} - set(table.key) - linked
    found = set()
    for name in names:
        present = tables.columns(table.name, (name,))[name].drop_null()
        plain = present.cast(pa.binary(16)) if present.type == pa.uuid() else present
        if len(present) and pc.count_distinct(plain).as_py() == len(present):
            found.add(name)
    return found


def _learn_key(tables: Tables, table: Table, name: str, units: Hashes | None, terms: Terms) -> Key:
    limit = min(
        (_largest(tables.schema[t][c].type) for t, c in _holders(tables.schema, table.name, name)), default=2**63 - 1
    )
    values = tables.columns(table.name, (name,))[name]
    where = f"{table.name}.{name}"
    return Key.learn(
        values, table[name], units, k=terms.k, salt=terms.salt, locale=terms.locale, limit=limit, where=where
    )


def _learn_filler(tables: Tables, table: Table, name: str, units: Hashes | None, terms: Terms) -> Filler:
    values = tables.columns(table.name, (name,))[name]
    where = f"{table.name}.{name}"
    return Filler.learn(values, table[name], units, k=terms.k, salt=terms.salt, locale=terms.locale, where=where)


def _holders(schema: Schema, table: str, column: str) -> set[tuple[str, str]]:
    """The column and all that refer to it, through other columns too."""
    found = {(table, column)}
    while grown := {
        (t.name, c) for t in schema for r in t.references for c, to in zip(r.columns, r.to, strict=True)
        if (r.table, to) in found
    } - found:  # fmt: skip
        found |= grown
    return found


def _largest(type_: pa.DataType) -> int:
    if pa.types.is_integer(type_):
        return int(np.iinfo(type_.to_pandas_dtype()).max)
    return int(10 ** (type_.precision - type_.scale) - 1) if pa.types.is_decimal(type_) else 2**63 - 1


def _steps(data: pa.Table, names: set[str], table: Table, *, k: int) -> dict[str, int]:
    movable = [n for n in data.column_names if n in names and is_numeric(table[n].type)]
    movable = [n for n in movable if not pa.types.is_floating(table[n].type)]
    return {n: common_step(np.unique(as_numbers(data[n].drop_null())), table[n].type, k=k) for n in movable}
