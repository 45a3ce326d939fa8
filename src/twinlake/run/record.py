"""What one run has made so far: which extract, model, snapshot and release. Kept in the vault, one file per date."""

import datetime as dt
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self
from zoneinfo import ZoneInfo

from twinlake.errors import DataError
from twinlake.storage.layout import Layout, private
from twinlake.storage.release import is_date
from twinlake.storage.writing import write_whole

STAGES = ("extract", "model", "snapshot", "release", "settings")


@dataclass(frozen=True, slots=True)
class Record:
    """Ids of what the run of one date made; None for stages that have not run. `settings` are those of the release."""

    pipeline: str
    date: str
    extract: str | None = None
    model: str | None = None
    snapshot: str | None = None
    release: str | None = None
    settings: str | None = None

    @classmethod
    def load(cls, layout: Layout, pipeline: str, date: str) -> Self:
        """The record of a date; an empty one where nothing has run, or where what was written is damaged.

        Raises DataError for a text that is no date.
        """
        if not is_date(date):
            raise DataError(f'"{date}" is no date', allowed="a day of the calendar, like 2026-11-22")
        try:
            return cls(**json.loads(layout.record(pipeline, date).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return cls(pipeline, date)

    def save(self, layout: Layout, **made: str | None) -> Self:
        """The record with what a stage made; where that is new, stages after it are forgotten."""
        file = layout.record(self.pipeline, self.date)
        if file.exists() and all(getattr(self, name) == value for name, value in made.items()):
            return self
        last = max(STAGES.index(name) for name in made)
        changes: dict[str, Any] = {**dict.fromkeys(STAGES[last + 1 :]), **made}
        new = replace(self, **changes)
        private(private(layout.vault) / file.parent.parent.name)
        private(file.parent)
        write_whole(file, json.dumps(asdict(new), indent=2))
        return new

    def need(self, stage: str) -> str:
        """The id a stage made; raises DataError where it has not run."""
        made: str | None = getattr(self, stage)
        if made is None:
            what, fix = f"{self.pipeline} has no {stage} for {self.date}", f"Run the stage that makes the {stage} first"
            raise DataError(what, fix=fix)
        return made


def recorded(layout: Layout, pipeline: str) -> list[str]:
    """The dates of a pipeline's records, oldest first."""
    return sorted(file.stem for file in layout.record(pipeline, "").parent.glob("????-??-??.json"))


def today(timezone: str = "UTC") -> str:
    """Today's date where the clock shows that time zone, `2026-11-22`."""
    return dt.datetime.now(ZoneInfo(timezone)).date().isoformat()
