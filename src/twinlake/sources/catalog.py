"""What a catalog says, in one form for all sources, and the schema made of it.

Here unknown names and types that can't be carried are refused, each kind in one sentence that names them all.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from twinlake.errors import DataError, listed, nearest
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.sources.checks import Check, Lost, rules


@dataclass(frozen=True, slots=True)
class Listed:
    """A column as a catalog lists it; `type` is None where no type of Twinlake carries it."""

    name: str
    native: str
    type: pa.DataType | None
    nullable: bool = True
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A table as a catalog lists it."""

    name: str
    columns: tuple[Listed, ...]
    key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    checks: tuple[Check, ...] = ()


def choose(there: Sequence[str], tables: Collection[str] | None, *, label: str) -> tuple[str, ...]:
    """The tables asked for, in the source's order. Raises DataError that names all those that are not there."""
    if tables is None:
        return tuple(there)
    if missing := [t for t in tables if t not in there]:
        word = "table" if len(missing) == 1 else "tables"
        raise DataError(
            f"there is no {word} {', '.join(missing)}",
            where=label,
            allowed=f"tables are {listed(there)}" if there else "it has no tables at all",
            fix=nearest(missing[0], there),
        )
    return tuple(t for t in there if t in tables)


def assemble(listings: Iterable[Listing], *, without: Collection[tuple[str, str]], label: str) -> Schema:
    """The schema of these tables without some columns, and without references to tables that are not among them."""
    return Schema(tuple(table for table, _ in _ruled(listings, without=without, label=label)))


def lost_checks(listings: Iterable[Listing], *, without: Collection[tuple[str, str]], label: str) -> tuple[Lost, ...]:
    """The CHECK constraints that the schema of these tables does not hold, each with a reason."""
    return tuple(lost for _, found in _ruled(listings, without=without, label=label) for lost in found)


def _ruled(
    listings: Iterable[Listing], *, without: Collection[tuple[str, str]], label: str
) -> Iterator[tuple[Table, tuple[Lost, ...]]]:
    """Each table, and which of its checks could not be carried over."""
    found = tuple(listings)
    _refuse_unknown(found, without, label=label)
    kept = tuple(_leave_out(t, {c for n, c in without if n == t.name}) for t in found)
    _refuse_uncarried(kept, label=label)
    columns = {t.name: {c.name for c in t.columns} for t in kept}
    for listing in kept:
        table = _table(listing, columns)
        made, lost = rules(listing.checks, table, {c for n, c in without if n == table.name})
        yield replace(table, rules=made), lost


def uncarried(listings: Iterable[Listing]) -> tuple[tuple[str, str], ...]:
    """(table, column) pairs whose type no type of Twinlake carries."""
    return tuple((t.name, c.name) for t in listings for c in t.columns if c.type is None)


def _refuse_unknown(found: tuple[Listing, ...], without: Collection[tuple[str, str]], *, label: str) -> None:
    there = {t.name: [c.name for c in t.columns] for t in found}
    unknown = [(t, c) for t, c in without if t in there and c not in there[t]]
    if unknown:
        table, column = unknown[0]
        raise DataError(
            f"there is no column {', '.join(f'{t}.{c}' for t, c in unknown)}",
            where=label,
            allowed=f"table {table} has {listed(there[table])}",
            fix=nearest(column, there[table]),
        )


def _leave_out(listing: Listing, names: Collection[str]) -> Listing:
    return Listing(
        listing.name,
        tuple(c for c in listing.columns if c.name not in names),
        () if set(names) & set(listing.key) else listing.key,
        tuple(r for r in listing.references if not set(names) & set(r.columns)),
        tuple(u for u in listing.unique if not set(names) & set(u)),
        listing.checks,
    )


def _refuse_uncarried(found: tuple[Listing, ...], *, label: str) -> None:
    if empty := [t.name for t in found if not t.columns]:
        raise DataError(
            f"no column is left of {', '.join(empty)}", where=label, fix="Leave it out of the pipeline file"
        )
    natives = {(t.name, c.name): c.native for t in found for c in t.columns}
    wrong = [(f"{table}.{name}", natives[table, name]) for table, name in uncarried(found)]
    if wrong:
        raise DataError(
            f"no type of Twinlake carries {', '.join(f'{name} ({native})' for name, native in wrong)}",
            where=label,
            allowed="numbers (decimals of at most 38 digits), booleans, dates, times, timestamps, text, enums, uuid, "
            "json and bytes are carried",
            fix=f"Leave out what can't be: columns: {{{', '.join(f'{name}: {{drop: true}}' for name, _ in wrong)}}}",
        )


def _table(listing: Listing, columns: dict[str, set[str]]) -> Table:
    return Table(
        listing.name,
        tuple(Column(c.name, c.type, c.nullable, labels=c.labels, native=c.native) for c in listing.columns),
        key=listing.key,
        references=tuple(
            dict.fromkeys(r for r in listing.references if r.table in columns and columns[r.table].issuperset(r.to))
        ),
        unique=tuple(dict.fromkeys(u for u in listing.unique if set(u) != set(listing.key))),
    )
