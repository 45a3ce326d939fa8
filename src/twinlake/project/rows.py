"""How many rows to draw: a multiple of the source (`1.5x`) or a number of rows."""

import re
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Rows:
    """Either a multiple of the source's rows or a count of rows of the first table that is drawn."""

    times: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str | int | float) -> Self:
        """Read `1.0x`, `0.1x` or `5000`; raises ValueError for anything else, and for nothing at all."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*[x×]", str(text).strip())
        if found and float(found[1]) > 0:
            return cls(times=float(found[1]))
        if re.fullmatch(r"\d+", str(text).strip()) and int(text) > 0:
            return cls(count=int(text))
        raise ValueError(f'rows is "{text}"; allowed is a multiple such as 1.0x or a number such as 5000')

    def scale(self, source_rows: int) -> float:
        """Rows to draw per source row, for a source table of `source_rows` rows."""
        return self.times if self.times is not None else (self.count or 0) / max(source_rows, 1)

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return f"{self.times}x" if self.times is not None else str(self.count)
