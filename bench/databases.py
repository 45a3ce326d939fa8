"""The databases of the relational measures: which tables, keys and references; and their split into two halves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bench.joins import found_at
from twinlake.random import derive, stream
from twinlake.schema import Column, Kind, Reference, Schema, Table
from twinlake.tables import Tables
from twinlake.types import carried
from twinlake.units import assign_units, held

Names = Mapping[str, tuple[str, ...]]  # columns by table


@dataclass(frozen=True, slots=True)
class Database:
    """Tables to learn as a whole; keys and references are those of its `keys.json` but for what is said here.

    Attributes:
        name: as the command line and the page call it.
        folder: below the data folder.
        unit: the table whose rows, with their descendants, are learnt or held out.
        only: the tables; all by default.
        columns: all that is kept of some tables.
        left_out: columns that are not kept.
        text: columns of names and free text: made up by a twin, hence not judged.
        public_tables: are carried over as they are, and learnt and held out alike.
        public: columns whose values may be shown however rare.
        keys: where not those of the file; none for a table whose rows have no name.
        not_followed: references that are ordinary columns here, as `table: columns`.
        order_by: the column that orders the rows of one parent, by table.
        rows: of a table at most, drawn at random.
        units: about so many at most, drawn at random.
        told_apart: whether the AUCs are measured, or only keys, references and children per parent.
        peer: whether SDV's HMA learns it too.
    """

    name: str
    folder: str
    unit: str
    only: tuple[str, ...] = ()
    columns: Names = field(default_factory=dict)
    left_out: Names = field(default_factory=dict)
    text: Names = field(default_factory=dict)
    public_tables: tuple[str, ...] = ()
    public: Names = field(default_factory=dict)
    keys: Names = field(default_factory=dict)
    not_followed: tuple[str, ...] = ()
    order_by: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    units: int | None = None
    told_apart: bool = True
    peer: bool = False

    def read(self, folder: Path, *, rows: int | None = None) -> Tables:
        """The tables without a single orphan: what points nowhere is set to null, or left out where it can't be.

        Of the largest table are kept about `rows` rows, whole units. Raises FileNotFoundError where a file is missing.
        """
        file = folder / self.folder / "keys.json"
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: say with --folder where the data lies")
        told = json.loads(file.read_text(encoding="utf-8"))
        names = self.only or tuple(told["tables"])
        data = {name: self._rows(folder, name) for name in names}
        tables = [self._table(name, told, data[name], set(names)) for name in names]
        whole = Tables(Schema(tuple(tables)), _linked(tables, data))
        share = 1.0 if self.units is None else self.units / whole.rows(self.unit)
        if rows is not None:
            share = min(share, rows / max(whole.rows(t.name) for t in tables if not t.public))
        return whole if share >= 1 else part(whole, self.unit, share=1 - share, seed=derive(0, "rows", self.name))

    def _rows(self, folder: Path, name: str) -> pa.Table:
        read = pq.read_table(folder / self.folder / f"{name}.parquet").replace_schema_metadata(None)
        kept = [
            n for n in self.columns.get(name, tuple(read.column_names)) if n not in self.left_out.get(name, ())
        ]  # fmt: skip
        data = pa.table({n: read[n].cast(carried(read.schema.field(n).type)) for n in kept})
        most = self.rows.get(name, data.num_rows)
        if most >= data.num_rows:
            return data
        chosen = stream(0, "rows", self.name, name).permutation(data.num_rows)[:most]
        return data.take(pa.array(np.sort(chosen)))

    def _table(self, name: str, told: Mapping[str, Any], data: pa.Table, names: set[str]) -> Table:
        keys = {n: tuple(self.keys.get(n, tuple(t["primary_key"] or ()))) for n, t in told["tables"].items()}
        references = tuple(
            Reference(tuple(r["columns"]), r["ref_table"], tuple(r["ref_columns"]))
            for r in told["foreign_keys"]
            if r["table"] == name and r["ref_table"] in names and set(r["columns"]) <= set(data.column_names)
            and f"{name}: {', '.join(r['columns'])}" not in self.not_followed
        )  # fmt: skip
        columns = [
            Column(
                f.name, f.type, nullable=f.name not in keys[name],
                kind=Kind.TEXT if f.name in self.text.get(name, ()) else Kind.AUTO,
                public=f.name in self.public.get(name, ()),
            )
            for f in data.schema
        ]  # fmt: skip
        return Table(
            name, tuple(columns), key=keys[name], references=references, order_by=self.order_by.get(name),
            public=name in self.public_tables,
        )  # fmt: skip


def halves(tables: Tables, unit: str, seed: int) -> tuple[Tables, Tables]:
    """The learnt and the held-out half of the units with their descendants; nobody's rows are in both."""
    split = derive(seed, "halves")
    return part(tables, unit, share=0.5, seed=split), part(tables, unit, share=0.5, seed=split, held_back=True)


def part(tables: Tables, unit: str, *, share: float, seed: int, held_back: bool = False) -> Tables:
    """The rows of units that a coin of `share` holds back, or of the others; nobody's rows are in either."""
    units = assign_units(tables, unit)
    chosen: dict[str, pa.Table] = {}
    for name, rows in tables.items():
        back = held(units[name], share=share, seed=seed)
        chosen[name] = rows if back is None else rows.filter(pa.array(back == held_back))
    return Tables(tables.schema, chosen)


def _linked(tables: list[Table], data: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The rows less what points nowhere, until nothing does: a row that is left out may have been pointed to."""
    data, changed = dict(data), True
    while changed:
        changed = False
        for table, reference in ((t, r) for t in tables for r in t.references):
            lost = found_at(data[table.name], data[reference.table], reference) == -2
            if lost.any():
                data[table.name], changed = _without(data[table.name], table, reference, lost), True
    return data


def _without(rows: pa.Table, table: Table, reference: Reference, lost: npt.NDArray[np.bool_]) -> pa.Table:
    fixed = {*table.key, *(c for r in table.references if r != reference for c in r.columns)}
    loose = [c for c in reference.columns if c not in fixed and table[c].nullable]
    if not loose:
        return rows.filter(pa.array(~lost))
    at = rows.column_names.index(loose[0])
    values = [None if gone else v for v, gone in zip(rows[loose[0]].to_pylist(), lost, strict=True)]
    return rows.set_column(at, loose[0], pa.array(values, rows.schema.field(at).type))


_PLAYER = (
    "playerID", "birthYear", "birthMonth", "birthCountry", "deathYear", "weight", "height", "bats", "throws", "debut",
    "finalGame",
)  # fmt: skip
DATABASES = {
    d.name: d
    for d in (
        Database(
            "nafld", "nafld", "subjects", left_out={"subjects": ("case_id",)}, keys={"events": ()},
            order_by={"labs": "days", "events": "days"},
        ),
        Database(
            "nycflights13", "nycflights13", "planes", public_tables=("airlines", "airports", "weather"),
            public={"flights": ("dest",)}, not_followed=("flights: dest", "flights: origin, time_hour"),
            rows={"flights": 112_000},
        ),
        Database(
            "fielding", "lahman", "People", only=("People", "Fielding"), columns={"People": _PLAYER},
            order_by={"Fielding": "yearID"},
        ),
        Database(
            "subjects+events", "nafld", "subjects", only=("subjects", "events"), left_out={"subjects": ("case_id",)},
            keys={"events": ()}, order_by={"events": "days"}, units=4_000, peer=True,
        ),
        Database("lahman", "lahman", "People", told_apart=False),
        Database(
            "chinook", "chinook", "artist", public_tables=("genre", "mediatype"),
            text={
                "artist": ("name",), "album": ("title",), "track": ("name", "composer"), "playlist": ("name",),
                "customer": (
                    "city", "fax", "firstname", "lastname", "company", "phone", "address", "postalcode", "email",
                ),
                "employee": (
                    "city", "fax", "firstname", "title", "lastname", "phone", "address", "postalcode", "email",
                ),
                "invoice": ("billingpostalcode", "billingaddress", "billingcity"),
            },
        ),
        Database(
            "bakeoff", "bakeoff", "bakers",
            text={
                "bakers": ("baker_full", "occupation", "hometown", "baker_last", "baker_first"),
                "challenges": ("signature", "showstopper"),
                "series": ("winner", "runner_up_1", "runner_up_2"),
                "episodes": ("sb_name", "winner_name", "eliminated"),
            },
        ),
    )
}  # fmt: skip
