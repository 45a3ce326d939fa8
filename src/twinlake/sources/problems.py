"""What would go wrong with a source's tables, asked in SQL before anything is extracted; all of it in one go."""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from twinlake.errors import DataError, TwinlakeError, listed
from twinlake.project.notation import write_columns
from twinlake.schema import Orphans, Reference, Schema, Table, quoted
from twinlake.sources.extract import no_rows
from twinlake.sources.protocols import Reading, Source
from twinlake.types import type_name

Note = Callable[[str], None]


def problems(source: Source, schema: Schema, *, note: Note | None = None) -> list[TwinlakeError]:
    """Every mistake found: empty tables, keys that are none, references that point nowhere, dates without an end.

    Args:
        source: is connected to.
        schema: its tables; each reference says what becomes of rows that point to no row.
        note: told a sentence with the count for each reference whose orphans the schema handles.

    Raises:
        SourceError: where the source can't be read.
    """
    with source.reading() as reading:
        rows = {t.name: reading.count(f"SELECT count(*) FROM {quoted(t.name)}") for t in schema}
        found: list[TwinlakeError] = []
        for table in schema:
            if not rows[table.name]:
                found.append(_empty(reading, schema, table, source.label))
                continue
            found += _of_table(reading, table, rows[table.name], source.label)
            for reference in (r for r in table.references if rows[r.table]):
                found += _of_reference(reading, schema, table, reference, rows[table.name], note)
        return found


def _empty(reading: Reading, schema: Schema, table: Table, label: str) -> TwinlakeError:
    """The mistake of a table without rows, with the rows that point to it all the same."""
    pointing = []
    for child, reference in ((t, r) for t in schema for r in t.references if r.table == table.name):
        rows = reading.count(f"SELECT count(*) FROM {quoted(child.name)} AS c WHERE {_present(reference)}")
        pointing += [f"{_rows(rows, 'points')} to it by {child.name}: {reference}"] if rows else []
    if not pointing:
        return no_rows(table.name, label)
    return DataError(
        f"table {table.name} of {label} has no rows, but {listed(pointing)}",
        allowed="a row points to one that is there, or holds null",
        fix="Fill it, or leave it and what refers to it out of the pipeline file",
    )


def _of_table(reading: Reading, table: Table, rows: int, label: str) -> Iterator[TwinlakeError]:
    if rows == 1:
        yield DataError(
            f"table {table.name} of {label} has one row",
            allowed="a twin can't be learnt from one row",
            fix="Leave it out of the pipeline file",
        )
    yield from _of_key(reading, table, label)
    yield from _of_dates(reading, table, label)


def _of_key(reading: Reading, table: Table, label: str) -> Iterator[TwinlakeError]:
    if not table.key:
        return
    where, key = f"key of {table.name} of {label}", ", ".join(table.key)
    if shapeless := [n for n in table.key if table[n].type == pa.json_()]:
        yield DataError(f"column {shapeless[0]} holds json, which can't be a key", where=where)
        return
    absent = " OR ".join(f"{quoted(n)} IS NULL" for n in table.key)
    if nulls := reading.count(f"SELECT count(*) FROM {quoted(table.name)} WHERE {absent}"):
        yield DataError(f"{_rows(nulls)} null in {key}", where=where, allowed="a key is never null", fix=_KEY)
    if repeated := reading.count(_repeated(table.name, table.key)):
        what = f"{repeated:,} {'value of' if repeated == 1 else 'values of'} {key} stand in more than one row"
        yield DataError(what, where=where, allowed="a key stands in one row only", fix=_KEY)


_KEY = "Name other columns under key:, or mend the rows"


def _of_dates(reading: Reading, table: Table, label: str) -> Iterator[TwinlakeError]:
    for column in table.columns:
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            sql = f"SELECT count(*) FROM {quoted(table.name)} WHERE NOT isfinite({quoted(column.name)})"
            if infinite := reading.count(sql):
                yield DataError(
                    f"{_rows(infinite)} infinity in {table.name}.{column.name}",
                    where=label,
                    allowed="only real dates can be carried",
                    fix=f"Put null there, or leave the column out: columns: {{{table.name}.{column.name}: "
                    "{drop: true}}",
                )


def _of_reference(
    reading: Reading, schema: Schema, table: Table, reference: Reference, rows: int, note: Note | None
) -> Iterator[TwinlakeError]:
    parent, where = schema[reference.table], f"reference {table.name}: {reference}"
    if unfit := _unfit(table, parent, reference):
        yield DataError(unfit, where=where, allowed=_FITTING, fix="Both sides need the same type")
        return
    if set(reference.to) != set(parent.key) and (repeated := reading.count(_repeated(parent.name, reference.to))):
        yield DataError(
            f"{repeated:,} of {parent.name}({', '.join(reference.to)}) stand in more than one row",
            where=where,
            allowed="a reference points to one row",
            fix="Refer to columns that are unique, or mend the rows",
        )
    if parent.name == table.name and not schema.is_nullable(table, reference):
        yield from _of_roots(reading, table, reference, where)
    if orphans := reading.count(_orphans(table.name, reference)):
        yield from _of_orphans(schema, table, reference, (orphans, rows), note)


def _of_roots(reading: Reading, table: Table, reference: Reference, where: str) -> Iterator[TwinlakeError]:
    """What is wrong with a tree whose rows all need a parent: unless one is its own, there is none to begin with."""
    pairs = zip(reference.columns, reference.to, strict=True)
    own = " AND ".join(f"{quoted(name)} = {quoted(to)}" for name, to in pairs)
    if not reading.count(f"SELECT count(*) FROM {quoted(table.name)} WHERE {own}"):
        yield DataError(
            f"every row of {table.name} points to another one and none may hold null, so none can be the first",
            where=where,
            allowed="the first row of a tree holds null or points to itself",
            fix="Allow null in the source, or leave the reference out of the pipeline file",
        )


def _of_orphans(
    schema: Schema, table: Table, reference: Reference, count: tuple[int, int], note: Note | None
) -> Iterator[TwinlakeError]:
    where, (orphans, rows) = f"reference {table.name}: {reference}", count
    what = f"{_rows(orphans, 'points')} to no row of {reference.table}"
    if reference.orphans is Orphans.DROP and orphans == rows:
        yield DataError(
            f"{what}, and without them none is left", where=where, fix="Mend the rows, or write null or keep"
        )
    elif reference.orphans is not Orphans.REFUSE:
        if note:
            note(f"{where}: {what}; {BECOMES[reference.orphans]}.")
    else:
        words = [o.value for o in BECOMES if o is not Orphans.NULL or schema.blanks(table, reference)]
        yield DataError(
            what,
            where=where,
            allowed="a row points to one that is there, or holds null",
            fix=f"Mend the rows, or say under {table.name} what becomes of them: "
            f'orphans: {{"{write_columns(reference.columns)}": drop}}, where drop may also be {" or ".join(words[1:])}',
        )


BECOMES = {
    Orphans.DROP: "such rows are left out, with all that refer to them",
    Orphans.NULL: "such rows lose their reference",
    Orphans.KEEP: "such rows are kept, and the twin has some too",
}
_FITTING = "whole numbers of any width fit each other, and so do decimals with as many digits after the point"


def _unfit(table: Table, parent: Table, reference: Reference) -> str:
    """Why two sides of a reference can't be compared; nothing where they can."""
    for name, to in zip(reference.columns, reference.to, strict=True):
        own, other = table[name], parent[to]
        if pa.json_() in (own.type, other.type):
            json = f"{table.name}.{name}" if own.type == pa.json_() else f"{parent.name}.{to}"
            return f"{json} holds json, which can't be compared"
        if not _fits(own.type, other.type):
            said = [c.native or type_name(c.type) for c in (own, other)]
            said = [type_name(c.type) for c in (own, other)] if said[0] == said[1] else said
            return f"types differ: {table.name}.{name} is {said[0]}, {parent.name}.{to} is {said[1]}"
    return ""


def _fits(a: pa.DataType, b: pa.DataType) -> bool:
    if pa.types.is_decimal(a) and pa.types.is_decimal(b):
        return bool(a.scale == b.scale)
    return bool(a == b or (pa.types.is_integer(a) and pa.types.is_integer(b)))


def _repeated(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(map(quoted, columns))
    present = " AND ".join(f"{quoted(n)} IS NOT NULL" for n in columns)
    return (
        f"SELECT count(*) FROM (SELECT {names} FROM {quoted(table)} WHERE {present} GROUP BY {names} "
        "HAVING count(*) > 1) AS repeated"
    )


def _orphans(table: str, reference: Reference) -> str:
    pairs = zip(reference.columns, reference.to, strict=True)
    equal = " AND ".join(f"p.{quoted(to)} = c.{quoted(name)}" for name, to in pairs)
    return (
        f"SELECT count(*) FROM {quoted(table)} AS c WHERE {_present(reference)} AND NOT EXISTS "
        f"(SELECT 1 FROM {quoted(reference.table)} AS p WHERE {equal})"
    )


def _present(reference: Reference) -> str:
    return " AND ".join(f"c.{quoted(n)} IS NOT NULL" for n in reference.columns)


def _rows(n: int, verb: str = "holds") -> str:
    return f"1 row {verb}" if n == 1 else f"{n:,} rows {verb.removesuffix('s')}"
