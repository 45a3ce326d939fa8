"""What would go wrong with a source's tables, asked in SQL before anything is extracted; all of it in one go."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from twinlake.errors import DataError, TwinlakeError
from twinlake.schema import Reference, Schema, Table, quoted
from twinlake.sources.extract import no_rows
from twinlake.sources.protocols import Reading, Source


def problems(source: Source, schema: Schema) -> list[TwinlakeError]:
    """Every mistake found: empty tables, keys that are none, references that point nowhere, dates without an end.

    Raises:
        SourceError: where the source can't be read.
    """
    with source.reading() as reading:
        return [mistake for table in schema for mistake in _of_table(reading, schema, table, source.label)]


def _of_table(reading: Reading, schema: Schema, table: Table, label: str) -> Iterator[TwinlakeError]:
    rows = reading.count(f"SELECT count(*) FROM {quoted(table.name)}")
    if rows == 0:
        yield no_rows(table.name, label)
        return
    if rows == 1:
        yield DataError(
            f"table {table.name} of {label} has one row",
            allowed="a twin can't be learnt from one row",
            fix="Leave it out of the pipeline file",
        )
    yield from _of_key(reading, table, label)
    yield from _of_dates(reading, table, label)
    for reference in table.references:
        yield from _of_reference(reading, schema, table, reference)


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


def _of_reference(reading: Reading, schema: Schema, table: Table, reference: Reference) -> Iterator[TwinlakeError]:
    parent, where = schema[reference.table], f"reference {table.name}: {reference}"
    if differing := _differing(table, parent, reference):
        yield DataError(f"types differ: {differing}", where=where, fix="Both sides need the same type")
        return
    if set(reference.to) != set(parent.key) and (repeated := reading.count(_repeated(parent.name, reference.to))):
        yield DataError(
            f"{repeated:,} of {parent.name}({', '.join(reference.to)}) stand in more than one row",
            where=where,
            allowed="a reference points to one row",
            fix="Refer to columns that are unique, or mend the rows",
        )
    if orphans := reading.count(_orphans(table.name, reference)):
        yield DataError(
            f"{_rows(orphans).replace('hold', 'point')} to no row of {parent.name}",
            where=where,
            allowed="a row points to one that is there, or holds null",
            fix="Mend the rows, or leave the reference out",
        )


def _differing(table: Table, parent: Table, reference: Reference) -> str:
    for name, to in zip(reference.columns, reference.to, strict=True):
        a, b = table[name].type, parent[to].type
        if a != b and not (pa.types.is_integer(a) and pa.types.is_integer(b)):
            return f"{table.name}.{name} is {table[name].native or a}, {parent.name}.{to} is {parent[to].native or b}"
    return ""


def _repeated(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(map(quoted, columns))
    present = " AND ".join(f"{quoted(n)} IS NOT NULL" for n in columns)
    return (
        f"SELECT count(*) FROM (SELECT {names} FROM {quoted(table)} WHERE {present} GROUP BY {names} "
        "HAVING count(*) > 1) AS repeated"
    )


def _orphans(table: str, reference: Reference) -> str:
    present = " AND ".join(f"c.{quoted(n)} IS NOT NULL" for n in reference.columns)
    pairs = zip(reference.columns, reference.to, strict=True)
    equal = " AND ".join(f"p.{quoted(to)} = c.{quoted(name)}" for name, to in pairs)
    return (
        f"SELECT count(*) FROM {quoted(table)} AS c WHERE {present} AND NOT EXISTS "
        f"(SELECT 1 FROM {quoted(reference.table)} AS p WHERE {equal})"
    )


def _rows(n: int) -> str:
    return "1 row holds" if n == 1 else f"{n:,} rows hold"
