"""What a pipeline file asks of tables that their schema can't give: orders, orphans, circles, units. No row is read."""

from collections.abc import Iterator

import pyarrow as pa

from twinlake.errors import DataError, TwinlakeError, listed, nearest
from twinlake.project.declare import points
from twinlake.project.notation import write_columns
from twinlake.project.pipeline import Pipeline, TableChoice
from twinlake.schema import Column, Kind, Orphans, Schema, Table
from twinlake.types import type_name
from twinlake.units import unit_tables

_NO_ORDER = (pa.bool_(), pa.json_(), pa.uuid(), pa.binary())


def misfits(pipeline: Pipeline, schema: Schema) -> list[TwinlakeError]:
    """Every mistake found, in the file's order; `schema` is the one that `declare` made of the file."""
    found: list[TwinlakeError] = []
    for table in schema:
        where, choice = f"{pipeline.name}.yaml, tables.{table.name}", pipeline.tables[table.name]
        found += [*_of_order(table, where), *_of_orphans(schema, table, choice, where), *_of_public(schema, table)]
    return [*found, *_of_circles(schema), *_of_unit(pipeline, schema)]


def _of_order(table: Table, where: str) -> Iterator[TwinlakeError]:
    if table.order_by is None:
        return
    column, where = table[table.order_by], f"{where}.order_by"
    if not table.references:
        yield TwinlakeError(
            f"{table.name} refers to no table, so its rows have no parent to be ordered in",
            where=where,
            fix="Name its parent under references:, or leave order_by out",
        )
    elif reason := _unordered(column):
        yield TwinlakeError(
            f"{column.name} {reason}",
            where=where,
            allowed="rows are ordered by a number, a date, a time or a text",
            fix="Name another column, or leave order_by out",
        )


def _unordered(column: Column) -> str:
    if column.kind is Kind.PERSONAL:
        return "is personal, and made-up values have no order"
    return f"is {column.native or type_name(column.type)}, which has no order" if column.type in _NO_ORDER else ""


def _of_orphans(schema: Schema, table: Table, choice: TableChoice, where: str) -> Iterator[TwinlakeError]:
    where = f"{where}.orphans"
    names = [write_columns(r.columns) for r in table.references]
    if isinstance(choice.orphans, dict):
        for text in choice.orphans:
            if not any(points(text, r) for r in table.references):
                yield TwinlakeError(
                    f'"{text}" is no reference of {table.name}',
                    where=where,
                    allowed=f"its references are {listed(names)}" if names else "it has no references",
                    fix=nearest(text, names),
                )
    elif choice.orphans is not Orphans.REFUSE and not names:
        yield TwinlakeError(f"{table.name} refers to no table, so it has no orphans", where=where, fix="Leave it out")
    for reference in table.references:
        if reference.orphans is Orphans.NULL and not schema.blanks(table, reference):
            yield TwinlakeError(
                f"no column of {reference} can be emptied",
                where=where,
                allowed="null needs a column that may be null and that nothing else refers to",
                fix=f'Write drop or keep; for one reference of several: {{"{write_columns(reference.columns)}": drop}}',
            )


def _of_public(schema: Schema, table: Table) -> Iterator[TwinlakeError]:
    hidden = dict.fromkeys(r.table for r in table.references if not schema[r.table].public)
    for name in hidden if table.public else ():
        yield DataError(
            f"a public table refers to {name}, whose keys are made afresh",
            where=f"table {table.name}",
            fix=f"Make {name} public too, or leave the reference out of the pipeline file",
        )


def _of_circles(schema: Schema) -> Iterator[TwinlakeError]:
    try:
        schema.ordered()
    except DataError as error:
        yield error


def _of_unit(pipeline: Pipeline, schema: Schema) -> Iterator[TwinlakeError]:
    unit, where = pipeline.unit, f"{pipeline.name}.yaml, unit"
    if unit is None or unit not in schema.names:  # the latter is told where the file is read
        return
    if schema[unit].public:
        yield TwinlakeError(
            f"{unit} is public, so its rows are nobody's", where=where, fix=f"Leave public: out of {unit}, or the unit"
        )
        return
    reached = unit_tables(schema, unit)
    others = [t.name for t in schema if not t.public and t.name not in reached]
    if others:  # what is nobody's is neither held back nor attacked, so the file has to say that it is
        yield TwinlakeError(
            f"no reference leads to {unit} from {listed(others)}, whose rows would be nobody's and never attacked",
            where=where,
            allowed=f"tables that hold rows of the same people refer to {unit}, or to one that does; others are public",
            fix="Name these references under tables:, write public: true where rows tell of nobody, or leave unit out",
        )
