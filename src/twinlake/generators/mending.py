"""The second pass over written tables: references to the table itself or to later ones, keys that two shards share.

Parts are rewritten one by one, whole or not at all.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from twinlake.errors import GeneratorError
from twinlake.generators.arrays import one, replaced
from twinlake.generators.blueprints import Blueprint
from twinlake.generators.drafts import repeated
from twinlake.generators.keys import as_numbers, from_numbers
from twinlake.generators.links import Link, complete
from twinlake.generators.strays import Strays, find_strays, loosened
from twinlake.generators.trees import grow, grow_within
from twinlake.generators.weaving import plan
from twinlake.schema import Table
from twinlake.tables import TableWriter, parts, read_table

Columns = dict[str, pa.Array]


def part_keys(folder: Path, blueprint: Blueprint) -> None:
    """Make keys differ between shards: for keys of several plain columns that no reference holds together."""
    table = blueprint.table
    plain = len(table.key) > 1 and not blueprint.together and not blueprint.is_settled
    if not plain or len(parts(folder, table.name)) < 2:
        return
    keys = read_table(folder, blueprint.first_pass.select(table.key))
    repeats = np.flatnonzero(repeated(keys, table.key))
    if not len(repeats):
        return
    movable = [*blueprint.numbered, *blueprint.steps]
    if not movable:
        rewrite(folder, blueprint.first_pass, blueprint.first_pass, {}, kept=~repeated(keys, table.key))
        return
    name = movable[-1]
    step, values = blueprint.steps.get(name, 1), one(keys[name])
    beyond = int(as_numbers(values).max()) + step * np.arange(1, len(repeats) + 1)
    changed = replaced(values, repeats, from_numbers(beyond, values.type))
    rewrite(folder, blueprint.first_pass, blueprint.first_pass, {name: changed})


def fill_late(folder: Path, blueprint: Blueprint, tables: Mapping[str, Table], *, seed: int) -> None:
    """Fill the references that had to wait, now that every table is written.

    Args:
        folder: of the snapshot.
        blueprint: of the table.
        tables: every table's schema, as its parts are written now.
        seed: of the snapshot.
    """
    table, late = blueprint.table, set(blueprint.late)
    needed = {c for link in blueprint.deferred for c in link.reference.columns} - late
    given: Columns = {n: one(c) for n, c in _columns(folder, tables[table.name], sorted(needed)).items()}
    filled: Columns = {}
    rows = sum(int(pq.read_metadata(p).num_rows) for p in parts(folder, table.name))
    for link in blueprint.deferred:
        known = given | filled
        to = pa.table(_columns(folder, tables[link.reference.table], sorted(set(link.reference.to))))
        found = find_strays(table, link, blueprint.strays, to, rows=rows, seed=seed)
        strays = {0: found} if found is not None and late.issuperset(link.reference.columns) else {}
        loose, (more,) = loosened(table, (link,), strays)
        if link.reference.table == table.name:
            made = _own(folder, tables[table.name], loose, more, known, rows, seed=seed)
        else:
            made = _others(folder, tables, loose, more, known, rows, seed=seed)
        filled |= _strayed(made, strays[0]) if strays else made
    rewrite(folder, tables[table.name], table, filled)


def _strayed(made: Columns, strays: Strays) -> Columns:
    """Columns of a reference, with made-up keys in some of the rows that point nowhere."""
    nowhere = np.flatnonzero(~complete(pa.table({n: made[n] for n in strays.pools})))
    return made | strays.fill(made, nowhere, nowhere.astype(np.uint64))


def rewrite(
    folder: Path, before: Table, after: Table, columns: Columns, *, kept: npt.NDArray[np.bool_] | None = None
) -> None:
    """Write every part of a table again with some columns exchanged and, where `kept` says so, rows left out."""
    start = 0
    for number, part in enumerate(parts(folder, before.name)):
        rows = pq.read_table(part, schema=before.arrow)
        for name, values in columns.items():
            rows = rows.set_column(rows.column_names.index(name), name, values.slice(start, rows.num_rows))
        stop = start + rows.num_rows
        rows = rows if kept is None else rows.filter(pa.array(kept[start:stop]))
        scratch = folder / ".mending"
        with TableWriter(scratch, after, part=number) as writer:
            writer.write(rows.cast(after.arrow))
        writer.path.replace(part)
        writer.path.parent.rmdir()
        scratch.rmdir()
        start = stop


def _own(folder: Path, written: Table, table: Table, link: Link, known: Columns, rows: int, *, seed: int) -> Columns:
    reference = link.reference
    shared = [c for c in reference.columns if c in known]
    own = [c for c in reference.columns if c not in known]
    optional = any(table[c].nullable for c in own)
    to = _columns(folder, written, sorted(set(reference.to)))
    if shared:
        pairs = dict(zip(reference.columns, reference.to, strict=True))
        groups = pa.table({c: one(to[pairs[c]]) for c in shared})
        target = grow_within(groups, link, optional=optional, seed=seed)
    else:
        target = grow(link, rows, optional=optional, seed=seed)
    places = pa.array(target, mask=target < 0)
    return {
        c: one(to[t]).take(places).cast(table[c].type)
        for c, t in zip(reference.columns, reference.to, strict=True) if c in own
    }  # fmt: skip


def _others(
    folder: Path, tables: Mapping[str, Table], table: Table, link: Link, known: Columns, rows: int, *, seed: int
) -> Columns:
    reference = link.reference
    to = _columns(folder, tables[reference.table], sorted(set(reference.to)))
    weave = plan(
        table, [link], [pa.table({t: to[t] for t in reference.to})], rows=rows, seed=seed, size=max(rows, 1),
        filled=known, leads=False,
    )  # fmt: skip
    given = pa.table({c: known[c] for c in reference.columns if c in known}) if weave.strands[0].shared else None
    woven = weave.row_links(0, rows, given=given)
    if weave.rows < rows or len(woven.numbers) < rows:
        raise GeneratorError(
            "some rows find nothing to point to, and null is not allowed",
            where=f"reference {table.name}: {reference}",
            fix="Let one of its columns be null, or leave the reference out of the pipeline file",
        )
    return {c: one(woven.columns[c]) for c in woven.columns.column_names}


def _columns(folder: Path, table: Table, names: list[str]) -> dict[str, pa.ChunkedArray]:
    if not names:
        return {}
    read = read_table(folder, table.select(tuple(names)))
    return {n: read[n] for n in names}
