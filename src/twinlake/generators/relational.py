"""Any table generator over any schema: keys, references and personal columns are made here, the rest by table models.

Every reference of a snapshot holds and every key is unique, by construction. Tables are made in the order of their
references; how many children a parent has, and what they hold, is drawn given what is known of the parents, and rows of
one parent given those before them. Which row of a public table is referred to, and the parts of a key that are no
identifiers, are drawn by table models too.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.errors import DataError, GeneratorError, ModelError, listed, nearest
from twinlake.generators.arrays import one
from twinlake.generators.blueprints import Blueprint, Terms, learn, read_blueprint
from twinlake.generators.context import Contexts
from twinlake.generators.deals import Pairing
from twinlake.generators.drafts import Parents
from twinlake.generators.links import complete
from twinlake.generators.mending import fill_late, part_keys
from twinlake.generators.protocols import TableGenerator
from twinlake.generators.providers import check_locale
from twinlake.generators.saved import read_head, write_model
from twinlake.generators.shards import ROWS, Shard, run_shards, table_folder
from twinlake.generators.strays import Strays, find_strays, loosened
from twinlake.generators.weaving import Weave, Woven, plan
from twinlake.generators.wholes import blank_repeats, hold_late, part_unique
from twinlake.progress import Progress
from twinlake.random import stream
from twinlake.rules import needed, prefixes
from twinlake.schema import Orphans, Reference, Schema
from twinlake.tables import Tables, TableWriter, read_table, write_schema
from twinlake.units import Units, unit_tables

_FOLLOWED = 3  # times as many rows are in a shard of sequences: all of them grow by a row at a time
_NAME = "relational"


@dataclass(frozen=True)
class RelationalGenerator:
    """Learns each table with a table generator, and how tables hang together.

    Attributes:
        default: learns every table that has no generator of its own.
        per_table: generators by table name.
        locale: of fakes, such as `en` or `de`.
        k: units that must share what is kept of identifiers and text.
    """

    default: TableGenerator
    per_table: Mapping[str, TableGenerator] = field(default_factory=dict)
    locale: str = "en"
    k: int = 10

    def fit(
        self,
        tables: Tables,
        *,
        units: Units,
        seed: int,
        unit: str | None = None,
        rows: Mapping[str, int] | None = None,
        orphans: Mapping[tuple[str, str], int] | None = None,
        progress: Progress | None = None,
    ) -> "RelationalModel":
        """Learn a whole schema.

        Args:
            tables: the real tables; child rows may point to parents that were held back.
            units: the privacy unit of each row of each table; None for tables that hold nobody's rows.
            seed: of all chance, and of the keys under which real values are hashed.
            unit: the root table of the privacy unit, which a number of rows to draw counts; None where each row is one.
            rows: how many rows each table of the source has, with those held back; as many as learnt by default.
            orphans: how many rows of the source point to no row of it, by table and reference as text; looked at for
                references that keep them. Where it is left out they are counted, if no row of the parent was held back.
            progress: told after every table.

        Raises:
            GeneratorError: for a provider, locale, table or key that can't be used.
            DataError: for a circle of references of which none may be null.
        """
        check_locale(self.locale)
        _check_tables(tables.schema, self.per_table)
        ordered, paths = tables.schema.ordered(), unit_tables(tables.schema, unit)
        contexts = Contexts(lambda name, columns: tables.columns(name, columns), {}, _shared(tables.schema, unit))
        learnt = {n: min(tables.rows(n) / max(source, 1), 1.0) for n, source in (rows or {}).items() if tables.rows(n)}
        lost = _orphans(tables, contexts, rows or {}, orphans)
        terms = Terms(seed, self.k, self.locale, paths, lost, learnt)
        blueprints: dict[str, Blueprint] = {}
        for done, table in enumerate(ordered):
            blueprints[table.name] = learn(
                tables, table, contexts=contexts, units=units,
                generator=self.per_table.get(table.name, self.default), terms=terms,
            )  # fmt: skip
            contexts.tellings[table.name] = blueprints[table.name].telling
            if rows is not None and blueprints[table.name].rows:  # of an empty table nothing was learnt
                blueprints[table.name] = replace(blueprints[table.name], rows=rows[table.name])
            if progress is not None:
                progress(f"learn {table.name}", done + 1, len(ordered))
        _check_targets(blueprints)
        return RelationalModel(tables.schema, blueprints, unit=unit)


@dataclass(frozen=True)
class RelationalModel:
    """What is learnt of a whole schema; draws snapshots.

    Attributes:
        schema: of the source and of every snapshot.
        blueprints: what was learnt of each table, in the order in which tables are made.
        unit: the root table of the privacy unit, None where each row is one.
        folder: where the model is saved; None for one that was not read from a folder.
    """

    schema: Schema
    blueprints: Mapping[str, Blueprint]
    unit: str | None = None
    folder: Path | None = None

    @property
    def counted(self) -> str:
        """The table that a number of rows counts: the unit's, else the first that is drawn."""
        return self.unit or next((t.name for t in self.schema.ordered() if not t.public), self.schema.names[0])

    @property
    def rows(self) -> Mapping[str, int]:
        """How many rows each table of the source has."""
        return {name: b.rows for name, b in self.blueprints.items()}

    def sample(
        self,
        folder: Path,
        *,
        scale: float,
        seed: int,
        executor: Executor | None = None,
        progress: Progress | None = None,
    ) -> Tables:
        """Write a snapshot to an empty folder and open it; the same bytes for the same seed, whoever runs the shards.

        Args:
            folder: where `schema.json` and the Parquet parts go; `schema.json` is written last.
            scale: rows per source row; public tables stay as they are.
            seed: of all draws.
            executor: where shards run; None runs them here.
            progress: told after every shard, `sample people`.

        Raises:
            GeneratorError: for a scale that is not positive, or for workers without a saved model.
        """
        if not scale > 0:
            raise GeneratorError(
                "the scale of a snapshot must be above 0", allowed="1.0x gives as many rows as the source"
            )
        if executor is not None and self.folder is None:
            raise GeneratorError("workers need a saved model", fix="Save the model and read it again before sampling")
        written = {name: b.first_pass for name, b in self.blueprints.items()}

        def read(name: str, columns: tuple[str, ...]) -> pa.Table:
            return read_table(folder, written[name].select(columns)).select(list(columns))

        contexts = Contexts(read, {}, _shared(self.schema, self.unit))
        for name, blueprint in self.blueprints.items():
            self._write(blueprint, folder, contexts, scale=scale, seed=seed, executor=executor, progress=progress)
            part_keys(folder, blueprint)
            _part_unique(blueprint, folder, seed=seed)
            contexts.tellings[name] = blueprint.telling
        for name, blueprint in self.blueprints.items():
            if blueprint.deferred:
                fill_late(folder, blueprint, written, seed=seed)
                written[name] = blueprint.table
        for blueprint in self.blueprints.values():
            _hold_late(blueprint, folder, self.schema, seed=seed)
        write_schema(folder, self.schema)
        return Tables.open(folder)

    def _write(
        self, blueprint: Blueprint, folder: Path, contexts: Contexts, *, scale: float, seed: int,
        executor: Executor | None, progress: Progress | None,
    ) -> None:  # fmt: skip
        name = blueprint.table.name
        if blueprint.public is not None or not blueprint.rows:
            _carry_over(blueprint, folder)
            return
        rows = max(1, round(scale * blueprint.rows))
        rows = rows if blueprint.capacity is None else min(rows, blueprint.capacity)
        strays = _strays(blueprint, contexts, rows, seed=seed)
        weave = _weave(blueprint, contexts, strays, rows, seed=seed)
        count = len(weave.cuts) - 1

        def done(number: int) -> None:
            if progress is not None:
                progress(f"sample {name}", number + 1, count)

        shards = self._shards(blueprint, weave, strays, contexts, folder, seed=seed)
        run_shards(shards, blueprint=blueprint, executor=executor, done=done)

    def _shards(
        self, blueprint: Blueprint, weave: Weave, strays: Mapping[int, Strays], contexts: Contexts, folder: Path, *,
        seed: int,
    ) -> Iterator[Shard]:  # fmt: skip
        ruling, turns = self._ruling(blueprint, contexts), blueprint.turns(rows=weave.rows, seed=seed)
        for number, (start, stop) in enumerate(zip(weave.cuts[:-1], weave.cuts[1:], strict=True)):
            woven = weave.row_links(start, stop) if weave.strands else _loose(start, stop)
            woven = _strayed(woven, strays) if strays else woven
            woven = _told(blueprint, woven, contexts) if blueprint.knows else woven
            yield Shard(
                model=self.folder, folder=folder, table=blueprint.table.name, number=number, woven=woven,
                total=weave.rows, seed=seed, parents=_parents(ruling, woven), turns=turns,
            )  # fmt: skip

    def _ruling(self, blueprint: Blueprint, contexts: Contexts) -> "dict[str, tuple[int, pa.Table]]":
        """By prefix, the place of the link and what rules look at in all rows it may lead to, but for what is late."""
        references = [link.reference for link in blueprint.links]
        found = {}
        for prefix, columns in needed(blueprint.first_pass.rules).items():
            reference = prefixes(blueprint.table)[prefix]
            known = tuple(c for c in columns if c not in self.blueprints[reference.table].late)
            if reference in references and known:
                found[prefix] = (references.index(reference), contexts.read(reference.table, known))
        return found

    def save(self, folder: Path) -> None:
        """Write the model to a new folder: JSON, npz and Parquet, and what the table models write."""
        for name, blueprint in self.blueprints.items():
            blueprint.save(table_folder(folder, name))
        content = {"schema": self.schema.to_json(), "tables": list(self.blueprints), "unit": self.unit}
        write_model(folder, _NAME, content, {})


def read_model(folder: Path) -> RelationalModel:
    """The model that `RelationalModel.save` wrote.

    Args:
        folder: where it lies.

    Raises:
        ModelError: for a folder that is damaged, of another kind, or of another format.
    """
    head = read_head(folder)
    if head.get("generator") != _NAME:
        raise ModelError("this is no model of a database", where=str(folder), fix="Fit the model again")
    try:
        schema, names, unit = Schema.from_json(head["schema"]), [str(n) for n in head["tables"]], head["unit"]
    except (KeyError, ValueError, TypeError, IndexError, DataError):
        raise ModelError("model.json is damaged", where=str(folder), fix="Fit the model again") from None
    blueprints = {n: read_blueprint(table_folder(folder, n)) for n in names}
    return RelationalModel(schema, blueprints, unit=unit, folder=folder)


def _weave(blueprint: Blueprint, contexts: Contexts, strays: Mapping[int, Strays], rows: int, *, seed: int) -> Weave:
    references = [link.reference for link in blueprint.links]
    table, links = loosened(blueprint.table, blueprint.links, strays)
    parents = [contexts.read(r.table, tuple(dict.fromkeys(r.to))) for r in references]
    size = ROWS * (_FOLLOWED if blueprint.followed else 1)
    return plan(
        replace(table, key=blueprint.paired or table.key), links, parents,
        rows=rows, seed=seed, size=size, together=blueprint.together, junction=bool(blueprint.paired),
        scores=[_score(blueprint, contexts, place, seed=seed) for place in range(len(references))],
        pairings=[_pairing(blueprint, contexts, place, seed=seed) for place in range(len(references))],
    )  # fmt: skip


def _score(blueprint: Blueprint, contexts: Contexts, place: int, *, seed: int) -> npt.NDArray[np.int64] | None:
    """How many children each row of a parent table is likely to have; None where that was not learnt."""
    counter, name = blueprint.counters.get(place), blueprint.table.name
    if counter is None:
        return None
    reference = blueprint.links[place].reference
    told = contexts.leading(name, reference) if place == 0 else contexts.of(reference.table)
    drawn = counter.sample(told.num_rows, context=told, rng=stream(seed, "count", name, place))
    return np.asarray(one(drawn["rows"]).to_numpy(zero_copy_only=False)).astype(np.int64)


def _pairing(blueprint: Blueprint, contexts: Contexts, place: int, *, seed: int) -> Pairing | None:
    """Which parents of a reference go with which leading ones; None where that was not learnt."""
    affinity, name = blueprint.affinities.get(place), blueprint.table.name
    if affinity is None:
        return None
    lead, second = blueprint.links[0].reference, blueprint.links[place].reference
    sizes = [contexts.read(r.table, tuple(dict.fromkeys(r.to))).num_rows for r in (lead, second)]
    rng = stream(seed, "classes", name, place)
    return Pairing(
        affinity.lead.draw(contexts.leading(name, lead), sizes[0], rng),
        affinity.second.draw(contexts.of(second.table), sizes[1], rng),
        affinity.links,
    )


def _strays(blueprint: Blueprint, contexts: Contexts, rows: int, *, seed: int) -> dict[int, Strays]:
    """By the place of a link, the made-up keys of rows that point to a row which is not there."""
    found = {}
    for place, link in enumerate(blueprint.links if blueprint.strays else ()):
        parents = contexts.read(link.reference.table, tuple(dict.fromkeys(link.reference.to)))
        found[place] = find_strays(blueprint.table, link, blueprint.strays, parents, rows=rows, seed=seed)
    return {place: strays for place, strays in found.items() if strays is not None}


def _strayed(woven: Woven, strays: Mapping[int, Strays]) -> Woven:
    """The rows, some of those that point nowhere with a made-up key."""
    cells = {n: one(woven.columns[n]) for n in woven.columns.column_names}
    for place, found in strays.items():
        nowhere = np.flatnonzero(woven.parents[place] < 0)
        cells |= found.fill(cells, nowhere, woven.numbers[nowhere])
    return replace(woven, columns=pa.table(cells))


def _told(blueprint: Blueprint, woven: Woven, contexts: Contexts) -> Woven:
    """The rows with what is known of their parents."""
    references = [link.reference for link in blueprint.links]
    at = dict(zip(references, woven.parents, strict=True))
    return replace(woven, context=contexts.beside(blueprint.table.name, references, at))


def _parents(ruling: Mapping[str, tuple[int, pa.Table]], woven: Woven) -> Parents:
    """What rules look at in the rows that each row refers to, by prefix; null where it refers to none."""
    found = {}
    for prefix, (place, cells) in ruling.items():
        at = woven.parents[place]
        found[prefix] = cells.take(pa.array(at, mask=at < 0))
    return found


def _part_unique(blueprint: Blueprint, folder: Path, *, seed: int) -> None:
    """Make what is unique differ between shards; the column that orders rows stays as it is."""
    if blueprint.table.unique and blueprint.public is None:
        movable = [n for n in blueprint.modelled if n != blueprint.table.order_by or not blueprint.links]
        rng = stream(seed, "unique", blueprint.table.name)
        part_unique(folder, blueprint.first_pass, rng, movable=movable)


def _hold_late(blueprint: Blueprint, folder: Path, schema: Schema, *, seed: int) -> None:
    """Make the rules hold that looked at what is filled only now."""
    table = blueprint.table
    for link in blueprint.deferred if table.rules else ():
        rng = stream(seed, "rules", table.name, *link.reference.columns)
        hold_late(folder, schema, table, link.reference, rng)
    if blueprint.deferred and table.unique:
        blank_repeats(folder, table, blueprint.late)


def _orphans(
    tables: Tables, contexts: Contexts, rows: Mapping[str, int], told: Mapping[tuple[str, str], int] | None
) -> dict[tuple[str, str], float]:
    """The share of rows that point to a row which is not there, for each reference that keeps them."""
    found = {}
    for table in tables.schema:
        of = rows.get(table.name, tables.rows(table.name))
        for reference in (r for r in table.references if r.orphans is Orphans.KEEP):
            name = table.name, str(reference)
            if told is not None:
                found[name] = told.get(name, 0) / max(of, 1)
            elif rows.get(reference.table, tables.rows(reference.table)) == tables.rows(reference.table):
                pointing = complete(tables.columns(table.name, tuple(dict.fromkeys(reference.columns))))
                lost = pointing & (contexts.found(table.name, reference) < 0)
                found[name] = float(lost.mean()) if len(lost) else 0.0
    return found


def _shared(schema: Schema, unit: str | None) -> Callable[[str, Reference], bool]:
    """Whether the rows that a reference leads to the unit were split with their parents."""
    paths = unit_tables(schema, unit) if unit is not None else {}
    return lambda child, lead: paths.get(child) == lead


def _loose(start: int, stop: int) -> Woven:
    """Rows that refer to nothing."""
    return Woven(pa.table({}), np.arange(start, stop, dtype=np.uint64), np.full(stop - start, -1, dtype=np.int64))


def _carry_over(blueprint: Blueprint, folder: Path) -> None:
    rows = blueprint.table.arrow.empty_table() if blueprint.public is None else blueprint.public
    with TableWriter(folder, blueprint.first_pass) as writer:
        writer.write(rows.cast(blueprint.first_pass.arrow))


def _check_tables(schema: Schema, per_table: Mapping[str, TableGenerator]) -> None:
    for name in per_table:
        if name not in schema.names:
            fix = nearest(name, schema.names)
            raise GeneratorError(f"there is no table {name}", allowed=f"tables are {listed(schema.names)}", fix=fix)
    for table in schema:
        for reference in table.references:
            if table.public and not schema[reference.table].public:
                raise GeneratorError(
                    f"a public table refers to {reference.table}, whose keys are made afresh",
                    where=f"table {table.name}",
                    fix=f"Make {reference.table} public too, or leave the reference out of the pipeline file",
                )


def _check_targets(blueprints: Mapping[str, Blueprint]) -> None:
    """Refuse references to columns that are only known after the second pass."""
    for blueprint in blueprints.values():
        for reference in blueprint.table.references:
            late = set(blueprints[reference.table].late)
            if not blueprint.table.public and late.intersection(reference.to):
                raise GeneratorError(
                    f"it refers to a column of {reference.table} that itself refers in a circle",
                    where=f"reference {blueprint.table.name}: {reference}",
                    fix="Leave it out of the pipeline file",
                )
