"""The three sides of whole databases, for measures that look at a table beside another one."""

from dataclasses import dataclass

import pyarrow as pa

from twinlake.tables import Tables


@dataclass(frozen=True, slots=True)
class Databases:
    """Learnt, held-back and synthetic tables.

    Attributes:
        split: tables whose real rows stand on one side each; those of all other tables stand whole on both.
    """

    real: Tables
    holdout: Tables
    synthetic: Tables
    split: frozenset[str]

    def whole(self, name: str, columns: tuple[str, ...]) -> pa.Table:
        """Some columns of all real rows of a table: the learnt ones, then those held back."""
        sides = (self.real, self.holdout) if name in self.split else (self.real,)
        return pa.concat_tables([side.columns(name, columns) for side in sides])

    def carried(self, name: str) -> bool:
        """Whether the twin has a table's real rows."""
        return self.real.schema[name].public
