"""What PostgreSQL's catalog says of a schema's tables: types through domains, labels of enums, keys, references."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from twinlake.errors import SourceError
from twinlake.schema import Reference, quoted
from twinlake.sources.catalog import Listed, Listing
from twinlake.sources.checks import Check
from twinlake.sources.pg_session import Session
from twinlake.types import ENUM

TYPES: dict[str, pa.DataType] = {
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "citext": pa.string(),
    "uuid": pa.uuid(),
    "json": pa.json_(),
    "jsonb": pa.json_(),
    "bytea": pa.binary(),
}
DIGITS = 38
SCALES = (0, 2, 4, 8, 12, 18, 24, 30)  # of NUMERIC without a scale; steps, so that one new row seldom changes the type

_TABLES = """
SELECT c.relname::text AS name, has_any_column_privilege(c.oid, 'SELECT') AS readable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
ORDER BY c.relname COLLATE "C"
"""
_COLUMNS = """
SELECT c.relname::text AS "table", a.attname::text AS name, a.attnotnull AS required, a.atttypid::int8 AS type,
  a.atttypmod AS typmod, format_type(a.atttypid, a.atttypmod) AS native,
  has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname COLLATE "C", a.attnum
"""
_TYPES = """
SELECT t.oid::int8 AS oid, t.typname::text AS name, t.typtype::text AS kind, t.typbasetype::int8 AS base,
  t.typtypmod AS typmod, t.typnotnull AS required, n.nspname = 'pg_catalog' OR t.typname = 'citext' AS known
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('b', 'd', 'e')
"""
_LABELS = "SELECT enumtypid::int8 AS type, enumlabel::text AS label FROM pg_enum ORDER BY enumtypid, enumsortorder"
_CONSTRAINTS = """
SELECT c.relname::text AS "table", k.contype::text AS kind, p.relname::text AS parent,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(number, place)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place) AS columns,
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(number, place)
    JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place) AS pointed
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class p ON p.oid = k.confrelid
WHERE n.nspname = $1 AND k.contype IN ('p', 'f') AND NOT c.relispartition AND k.conparentid = 0
  AND (k.contype = 'p' OR p.relnamespace = n.oid)
ORDER BY c.relname COLLATE "C", k.contype DESC, k.conkey, p.relname COLLATE "C"
"""
_UNIQUE = """
SELECT c.relname::text AS "table",
  ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY u(number, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number
    WHERE u.place <= i.indnkeyatts ORDER BY u.place) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class x ON x.oid = i.indexrelid
WHERE n.nspname = $1 AND i.indisunique AND NOT i.indisprimary AND i.indpred IS NULL AND i.indexprs IS NULL
  AND i.indisvalid AND NOT c.relispartition
ORDER BY c.relname COLLATE "C", x.relname COLLATE "C"
"""
_CHECKS = """
SELECT c.relname::text AS "table", k.conname::text AS name, NULL::int8 AS type, k.convalidated AS valid,
  pg_get_expr(k.conbin, k.conrelid) AS sql
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND k.contype = 'c' AND NOT c.relispartition
UNION ALL
SELECT NULL, k.conname::text, k.contypid::int8, k.convalidated, pg_get_expr(k.conbin, 0)
FROM pg_constraint k WHERE k.contype = 'c' AND k.contypid <> 0
ORDER BY 1, 2
"""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Base:
    """What a type is below its domains: the name of a built-in type, its modifier, and whether a domain bars null."""

    name: str | None
    typmod: int
    required: bool
    labels: tuple[str, ...] | None

    @property
    def is_loose(self) -> bool:
        """Whether it is NUMERIC without precision and scale: its values tell."""
        return self.name == "numeric" and self.typmod < 0

    @property
    def arrow(self) -> pa.DataType | None:
        """The Arrow type, where the catalog tells it and one carries it."""
        if self.labels is not None:
            return ENUM
        return _decimal(self.typmod) if self.name == "numeric" else TYPES.get(self.name or "")


def names(opened: Session, place: str) -> dict[str, bool]:
    """Base and partitioned tables of a schema, in alphabetical order, and whether the user may read any of it."""
    return {row["name"]: row["readable"] for row in opened.rows(_TABLES, place)}


def unreadable(opened: Session, place: str, chosen: Collection[str]) -> tuple[tuple[str, str], ...]:
    """(table, column) pairs of the chosen tables that the user may not read."""
    columns = opened.rows(_COLUMNS, place)
    return tuple((c["table"], c["name"]) for c in columns if c["table"] in chosen and not c["readable"])


def listings(
    opened: Session, place: str, chosen: Sequence[str], *, without: Collection[tuple[str, str]]
) -> list[Listing]:
    """The chosen tables as the catalog lists them; raises SourceError where the user may not read all of them."""
    types, labels = {t["oid"]: t for t in opened.rows(_TYPES)}, opened.rows(_LABELS)
    words = {t: tuple(row["label"] for row in labels if row["type"] == t) for t in {row["type"] for row in labels}}
    columns = [c for c in opened.rows(_COLUMNS, place) if c["table"] in chosen]
    _refuse_unreadable([c for c in columns if (c["table"], c["name"]) not in without], label=opened.label)
    constraints = opened.rows(_CONSTRAINTS, place)
    unique, checks = opened.rows(_UNIQUE, place), opened.rows(_CHECKS, place)
    made = []
    for name in chosen:
        bases = {c["name"]: _base(c["type"], c["typmod"], types, words) for c in columns if c["table"] == name}
        loose = [n for n, base in bases.items() if base.is_loose and (name, n) not in without]
        settled = measure(opened, f"{quoted(place)}.{quoted(name)}", loose)
        rows = [c for c in columns if c["table"] == name]
        listed = tuple(_listed(row, bases[row["name"]], settled.get(row["name"])) for row in rows)
        listing = _listing(name, listed, [k for k in constraints if k["table"] == name])
        own = tuple(dict.fromkeys(tuple(u["columns"]) for u in unique if u["table"] == name))
        made.append(replace(listing, unique=own, checks=tuple(_checks(name, rows, checks, types))))
    return made


def _checks(table: str, columns: list[Row], checks: list[Row], types: dict[int, Row]) -> Iterator[Check]:
    """The table's own checks, and those of its columns' domains."""
    for row in (c for c in checks if c["table"] == table):
        yield Check(row["name"], row["sql"], foreign=True, valid=row["valid"])
    for column in columns:
        domains, oid = set(), column["type"]
        while (type_ := types.get(oid)) and type_["kind"] == "d":
            domains.add(oid)
            oid = type_["base"]
        for row in (c for c in checks if c["type"] in domains):
            yield Check(row["name"], row["sql"], column["name"], foreign=True, valid=row["valid"])


def measure(opened: Session, table: str, columns: Sequence[str]) -> dict[str, pa.DataType]:
    """Types for NUMERIC columns without a scale, from one aggregate over all rows.

    Each is decimal(38, s) with the smallest s of `SCALES` that holds every value exactly, or float64 where none does
    or where one is NaN or infinity.
    """
    if not columns:
        return {}
    parts = [part for i, name in enumerate(columns) for part in _measures(i, quoted(name))]
    row = opened.rows(f"SELECT {', '.join(parts)} FROM {table}")[0]
    return {n: loose_type(row[f"digits{i}"], row[f"scale{i}"], row[f"odd{i}"]) for i, n in enumerate(columns)}


def loose_type(digits: int | None, scale: int | None, odd: int) -> pa.DataType:
    """The type for values of at most so many digits before and after the point, `odd` of which are no numbers."""
    steps = [s for s in SCALES if s >= (scale or 0) and (digits or 0) + s <= DIGITS]
    return pa.decimal128(DIGITS, steps[0]) if steps and not odd else pa.float64()


def _measures(i: int, name: str) -> tuple[str, str, str]:
    number = f"{name}::text !~ '[a-zA-Z]'"  # neither NaN nor infinity
    return (
        f"max(length(trunc(abs({name}))::text)) FILTER (WHERE {number}) AS digits{i}",
        f"max(min_scale({name})) FILTER (WHERE {number}) AS scale{i}",
        f"count(*) FILTER (WHERE NOT {number}) AS odd{i}",
    )


def _base(oid: int, typmod: int, types: dict[int, Row], words: dict[int, tuple[str, ...]]) -> Base:
    required = False
    while (type_ := types.get(oid)) and type_["kind"] == "d":
        required = required or type_["required"]
        oid, typmod = type_["base"], type_["typmod"]
    if type_ is None:
        return Base(None, typmod, required, None)
    known = type_["name"] if type_["known"] and type_["kind"] == "b" else None
    return Base(known, typmod, required, words.get(oid, ()) if type_["kind"] == "e" else None)


def _decimal(typmod: int) -> pa.DataType | None:
    packed = typmod - 4
    precision, scale = (packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024
    if scale < 0:  # numeric(3, -2) holds whole hundreds
        precision, scale = precision - scale, 0
    precision = max(precision, scale)  # numeric(2, 4) holds 0.0099
    return pa.decimal128(precision, scale) if precision <= DIGITS else None


def _listed(row: Row, base: Base, settled: pa.DataType | None) -> Listed:
    nullable = not (row["required"] or base.required)
    return Listed(row["name"], row["native"], settled or base.arrow, nullable, base.labels)


def _listing(name: str, columns: tuple[Listed, ...], constraints: list[Row]) -> Listing:
    key = next((tuple(k["columns"]) for k in constraints if k["kind"] == "p"), ())
    references = tuple(
        Reference(tuple(k["columns"]), k["parent"], tuple(k["pointed"])) for k in constraints if k["kind"] == "f"
    )
    return Listing(name, columns, key, references)


def _refuse_unreadable(columns: list[Row], *, label: str) -> None:
    tables = dict.fromkeys(c["table"] for c in columns)
    wrong = []
    for table in tables:
        closed = [c["name"] for c in columns if c["table"] == table and not c["readable"]]
        whole = len(closed) == sum(c["table"] == table for c in columns)
        wrong += [table] if whole else [f"{table}.{name}" for name in closed]
    if wrong:
        raise SourceError(
            f"this user may not read {', '.join(wrong)}",
            where=label,
            fix="GRANT SELECT to the user, or leave these out of the pipeline file",
        )
