"""Columns of a table that others determine: found in real rows, left out of what is learnt, computed after drawing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from twinlake.generators.arrays import one
from twinlake.generators.relations.clocks import take_clocks
from twinlake.generators.relations.dates import take_dates
from twinlake.generators.relations.gaps import take_gaps
from twinlake.generators.relations.kinds import KINDS, Clock, Relation, gap_type
from twinlake.generators.relations.plan import Plan, in_order
from twinlake.generators.relations.products import take_products
from twinlake.generators.relations.ruler import Ruler
from twinlake.generators.relations.sheet import LEAST_ROWS, Sheet
from twinlake.generators.relations.sums import take_sums
from twinlake.generators.saved import table_from_json, table_to_json
from twinlake.hashing import Hashes
from twinlake.schema import Column, Kind, Table


@dataclass(frozen=True, slots=True)
class Relations:
    """Which columns follow from others, and how.

    Attributes:
        table: the whole table.
        taken: the relations, each after those that make its inputs.
        decimals: of the columns that take part.
    """

    table: Table
    taken: tuple[Relation, ...]
    decimals: Mapping[str, int]

    @classmethod
    def learn(cls, data: pa.Table, table: Table, units: Hashes | None, *, k: int) -> Self:
        """The relations that hold in every row; none where fewer than 100 rows, or k units, would speak for them.

        Args:
            data: real rows, typed as `table.arrow`.
            table: their schema. Identifiers, personal columns, categories and text take no part.
            units: the privacy unit of each row, shape (rows,); None where each row is one.
            k: units that must stand behind a relation and behind each of its weights.
        """
        if data.num_rows < LEAST_ROWS:
            return cls(table, (), {})
        sheet = Sheet.of(data, table, units, k=k)
        if not sheet.enough(np.arange(data.num_rows)):
            return cls(table, (), {})
        plan = Plan(sheet)
        for take in (take_dates, take_sums, take_clocks, take_products, take_gaps):
            take(sheet, plan)
        used = {name for r in plan.taken for name in (r.target, *r.inputs)}
        decimals = {name: ruler.decimals for name, ruler in sheet.rulers.items() if name in used}
        return cls(table, in_order(plan.taken) or (), decimals)

    @property
    def reduced(self) -> Table:
        """What is left to learn: computed columns are gone, or what is left of them stands in their place."""
        rests = {r.target: _rest_column(r, self.table[r.target]) for r in self.taken}
        columns = tuple(c for column in self.table.columns if (c := rests.get(column.name, column)) is not None)
        kept = self.table.select(tuple(n for n in self.table.names if n not in rests))
        return replace(kept, columns=columns)

    def reduce(self, data: pa.Table) -> pa.Table:
        """Rows of the table as rows of `reduced`."""
        if not data.num_rows:
            return self.reduced.arrow.empty_table()
        cells, rulers = {name: one(data[name]) for name in self.table.names}, self.rulers
        rests = {r.rest: r.remainder(cells, rulers) for r in self.taken if r.rest is not None}
        return _rows(cells | rests, self.reduced)

    def restore(self, drawn: pa.Table) -> pa.Table:
        """Rows of `reduced` as rows of the table; the inverse of `reduce` on the rows that were learnt from."""
        if not drawn.num_rows:
            return self.table.arrow.empty_table()
        cells, rulers = {name: one(drawn[name]) for name in drawn.column_names}, self.rulers
        for relation in self.taken:
            cells |= relation.restore(cells, rulers)
        return _rows(cells, self.table)

    def to_json(self) -> dict[str, Any]:
        """Plain values: names, types and small whole numbers, no values of rows."""
        names = {kind: name for name, kind in KINDS.items()}
        return {
            "table": table_to_json(self.table),
            "taken": [{"kind": names[type(r)], **asdict(r)} for r in self.taken],
            "decimals": dict(self.decimals),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The relations that `to_json` wrote, also after a way through text."""
        taken = tuple(KINDS[r["kind"]](**_frozen({k: v for k, v in r.items() if k != "kind"})) for r in data["taken"])
        return cls(table_from_json(data["table"]), taken, dict(data["decimals"]))

    @property
    def rulers(self) -> dict[str, Ruler]:
        """How the columns that take part are read."""
        return {name: Ruler(self.table[name].type, decimals) for name, decimals in self.decimals.items()}


def _rest_column(relation: Relation, target: Column) -> Column | None:
    if relation.rest is None:
        return None
    plain = Column(relation.rest, target.type, kind=Kind.NUMBER)
    if isinstance(relation, Clock):
        return plain
    return replace(plain, type=gap_type(target.type), nullable=target.nullable)


def _rows(cells: Mapping[str, pa.Array], table: Table) -> pa.Table:
    """The columns of `table`; text and bytes may stay the dictionaries they came as."""
    fields = [pa.field(c.name, cells[c.name].type, c.nullable) for c in table.columns]
    return pa.Table.from_arrays([cells[name] for name in table.names], schema=pa.schema(fields))


def _frozen(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as tuples, as the relations hold them."""
    return {k: tuple(map(_tupled, v)) if isinstance(v, list) else v for k, v in fields.items()}


def _tupled(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return tuple(value) if isinstance(value, list) else value
