"""What a pipeline file says of tables and columns, laid over the source's own schema."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa

from twinlake.errors import DataError, ProjectError, TwinlakeError, listed, nearest
from twinlake.project.notation import parse_pointer, parse_reference, split_column
from twinlake.project.pipeline import ColumnChoice, Pipeline, TableChoice
from twinlake.rules import check_types, make_rule, parent_columns
from twinlake.schema import Column, Kind, Origin, Orphans, Reference, Schema, Table
from twinlake.types import is_discrete, type_name

_SUITED: dict[str, Callable[[pa.DataType], bool]] = {
    "text": lambda t: t == pa.string(),
    "number": lambda t: not is_discrete(t),
}


def dropped(pipeline: Pipeline) -> frozenset[tuple[str, str]]:
    """(table, column) of each column that the file leaves out."""
    return frozenset(split_column(c, pipeline.tables) for c, choice in pipeline.columns.items() if choice.drop)


def missing_tables(pipeline: Pipeline, there: tuple[str, ...]) -> list[TwinlakeError]:
    """A mistake for each table of the file that the source does not have."""
    allowed = f"the source has {listed(there)}" if there else "the source has no tables"
    return [
        TwinlakeError(
            f'the source has no table "{t}"', where=f"{pipeline.name}.yaml", allowed=allowed, fix=nearest(t, there)
        )
        for t in pipeline.tables
        if t not in there
    ]


def declare(pipeline: Pipeline, catalog: Schema) -> Schema:
    """The schema to work with: the catalog's tables that the file names, with its keys, references and columns.

    `catalog` holds these tables, without dropped columns. Raises ProjectError with every mistake found.
    """
    mistakes = [*_unknown_columns(pipeline, catalog), *_unknown_in_tables(pipeline, catalog)]
    if mistakes:
        raise ProjectError(mistakes)
    keyed = [_keyed(catalog[n], choice) for n, choice in pipeline.tables.items()]
    columns = {split_column(text, pipeline.tables): c for text, c in pipeline.columns.items()}
    return _ruled(Schema(tuple(_table(t, pipeline, keyed, columns) for t in keyed)), pipeline)


def _unknown_columns(pipeline: Pipeline, catalog: Schema) -> Iterator[TwinlakeError]:
    for text, choice in pipeline.columns.items():
        where = f"{pipeline.name}.yaml, columns"
        try:
            table, column = split_column(text, pipeline.tables)
        except ValueError as error:
            yield TwinlakeError(str(error), where=where)
            continue
        if table not in pipeline.tables:
            names = list(pipeline.tables)
            yield TwinlakeError(f'"{text}": no table "{table}" under tables:', where=where, fix=nearest(table, names))
        elif column not in catalog[table].names and not choice.drop:
            yield _no_column(table, column, where, catalog)
        elif choice.kind in _SUITED and not choice.drop and not _SUITED[choice.kind](catalog[table][column].type):
            what = f'"{text}" is {type_name(catalog[table][column].type)}, which kind {choice.kind} does not suit'
            yield TwinlakeError(what, where=where, fix="Leave the kind out, or write category")
        elif (choice.kind == "personal") != (choice.provider is not None):
            yield TwinlakeError(
                f'"{text}": kind personal and as: go together', where=where, fix="Write {kind: personal, as: email}"
            )


def _unknown_in_tables(pipeline: Pipeline, catalog: Schema) -> Iterator[TwinlakeError]:
    for name, choice in pipeline.tables.items():
        where = f"{pipeline.name}.yaml, tables.{name}"
        references = [parse_reference(r) for r in choice.references or ()]
        own = [*(choice.key or ()), *(c for r in references for c in r[0]), *filter(None, [choice.order_by])]
        own += [c for u in choice.unique for c in u]
        yield from (_no_column(name, c, where, catalog) for c in own if c not in catalog[name].names)
        for _, target, to in references:
            if target not in pipeline.tables:
                names = list(pipeline.tables)
                yield TwinlakeError(
                    f'reference to "{target}", which is not under tables:', where=where, fix=nearest(target, names)
                )
            else:
                yield from (_no_column(target, c, where, catalog) for c in to or () if c not in catalog[target].names)


def _no_column(table: str, column: str, where: str, catalog: Schema) -> TwinlakeError:
    names = catalog[table].names
    fix = nearest(column, names)
    return TwinlakeError(
        f'table "{table}" has no column "{column}"', where=where, allowed=f"it has {listed(names)}", fix=fix
    )


def _keyed(table: Table, choice: TableChoice) -> Table:
    return table if choice.key is None else replace(table, key=choice.key)


def _table(table: Table, pipeline: Pipeline, keyed: list[Table], columns: dict[tuple[str, str], ColumnChoice]) -> Table:
    choice = pipeline.tables[table.name]
    if choice.references is None:
        references = tuple(r for r in table.references if r.table in pipeline.tables)
    else:
        references = tuple(_reference(text, table, keyed, pipeline) for text in choice.references)
    return replace(
        table,
        columns=tuple(
            _column(c, columns.get((table.name, c.name), ColumnChoice()), c.name in table.key) for c in table.columns
        ),
        references=tuple(replace(r, orphans=_handling(choice, r)) for r in references),
        order_by=choice.order_by or table.order_by,
        public=choice.public,
        unique=table.unique if choice.checks else (),
        rules=table.rules if choice.checks else (),
    )


def _ruled(schema: Schema, pipeline: Pipeline) -> Schema:
    """The schema with what the file asks of rows; raises ProjectError with every rule that can't be used."""
    mistakes: list[TwinlakeError] = []
    tables = []
    for table in schema:
        choice, rules = pipeline.tables[table.name], list(table.rules)
        for sql in choice.rules:
            try:
                rule = make_rule(sql, table, parent_columns(schema, table), origin=Origin.FILE)
                check_types(rule, schema, table)
                rules.append(rule)
            except DataError as error:
                where = f"{pipeline.name}.yaml, tables.{table.name}.rules"
                mistakes.append(TwinlakeError(error.what, where=where, allowed=error.allowed, fix=error.fix))
        unique = [u for u in dict.fromkeys((*table.unique, *choice.unique)) if u and set(u) != set(table.key)]
        tables.append(replace(table, unique=tuple(unique), rules=tuple({r.sql: r for r in rules}.values())))
    if mistakes:
        raise ProjectError(mistakes)
    return Schema(tuple(tables))


def _handling(choice: TableChoice, reference: Reference) -> Orphans:
    if isinstance(choice.orphans, Orphans):
        return choice.orphans
    return next((how for text, how in choice.orphans.items() if points(text, reference)), Orphans.REFUSE)


def points(text: str, reference: Reference) -> bool:
    """Whether a text such as `ward, site` or `ward, site -> wards` names the reference."""
    columns, table, to = parse_pointer(text)
    return columns == reference.columns and table in (None, reference.table) and to in (None, reference.to)


def _reference(text: str, table: Table, keyed: list[Table], pipeline: Pipeline) -> Reference:
    columns, target, to = parse_reference(text)
    to = to or next(t.key for t in keyed if t.name == target)
    if len(columns) != len(to):
        where = f"{pipeline.name}.yaml, tables.{table.name}"
        what = f'reference "{text}" has {len(columns)} columns here and {len(to)} there'
        fix = f"Name the columns: {', '.join(columns)} -> {target}(...)"
        raise ProjectError([TwinlakeError(what, where=where, fix=fix)])
    return Reference(columns, target, to)


def _column(column: Column, choice: ColumnChoice, in_key: bool) -> Column:
    return replace(
        column,
        kind=Kind(choice.kind),
        provider=choice.provider,
        public=choice.public,
        nullable=column.nullable and not in_key,
    )
