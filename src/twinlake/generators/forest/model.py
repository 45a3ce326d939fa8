"""What a forest has learnt: codings, how each column is drawn, in which order, and which rows are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from twinlake.errors import GeneratorError
from twinlake.generators.forest.bag import Bag
from twinlake.generators.forest.coding import Coding
from twinlake.generators.forest.discriminator import MOST_DRAWS, Discriminator
from twinlake.generators.forest.series import Flags, Series
from twinlake.generators.forest.step import Step
from twinlake.generators.relations.relations import Relations
from twinlake.generators.saved import Arrays, read_arrays, write_model
from twinlake.generators.siblings import Siblings
from twinlake.generators.states.alphabet import Codes, alphabet_from_json
from twinlake.generators.states.census import Ints
from twinlake.schema import Table
from twinlake.tables import ROWS_PER_GROUP

_COPIES = (2, 4)  # how often a sequence that the judge does not keep is drawn again, in turns


@dataclass(frozen=True, slots=True)
class Drawn:
    """Sequences: codes of shape (rows, columns), ticks of the order column and where they are there."""

    codes: Codes
    ticks: Ints
    valid: Flags

    def put(self, rows: Ints, other: "Drawn", its: Ints) -> None:
        """Take some rows of others in place of some of these."""
        self.codes[rows], self.ticks[rows], self.valid[rows] = other.codes[its], other.ticks[its], other.valid[its]


@dataclass(frozen=True, slots=True)
class ForestModel:
    """What `Forest` has learnt.

    Attributes:
        relations: what columns of the table follow from others; the rest is drawn.
        codings: of all columns: those of the context first, then those that are drawn.
        context: names of the context's columns.
        steps: how columns are drawn, in order.
        judge: what decides which drawn rows are kept, or None to keep them all.
        series: how the rows of one parent follow one another; None where each row is drawn by itself.
    """

    relations: Relations
    codings: tuple[Coding, ...]
    context: tuple[str, ...]
    steps: tuple[Step, ...]
    judge: Discriminator | None = None
    series: Series | None = None

    @property
    def table(self) -> Table:
        """The schema of the rows."""
        return self.relations.table

    def sample(
        self, rows: int, *, context: pa.Table | None, siblings: Siblings | None = None, rng: np.random.Generator
    ) -> pa.Table:
        """Draw rows; raises GeneratorError where `context` is not what was learnt with.

        Rows that were learnt as sequences are drawn as such: each alone, where `siblings` doesn't tell.
        """
        if self.context and (
            context is None or context.num_rows != rows or not {*self.context} <= {*context.column_names}
        ):
            raise GeneratorError(
                f"table {self.table.name} was learnt with context and needs a row of it for each row to draw",
                allowed=f"its columns are {', '.join(self.context)}",
            )
        if self.series is not None:
            return self._followed(self.series, rows, context, siblings or Siblings.alone(rows), rng)
        drawn = []
        for start in range(0, rows, ROWS_PER_GROUP):
            codes = self._given(context, start, min(ROWS_PER_GROUP, rows - start))
            drawn.append(self.decode(self.draw(codes, rng), rng))
        return pa.concat_tables(drawn) if drawn else self.table.arrow.empty_table()

    def _given(self, context: pa.Table | None, start: int, count: int) -> Codes:
        """Codes of which only the context's are filled."""
        codes = blank(count, len(self.codings))
        for i, name in enumerate(self.context):
            codes[:, i] = self.codings[i].encode(context[name].slice(start, count))  # type: ignore[index]
        return codes

    def _followed(
        self, series: Series, rows: int, context: pa.Table | None, siblings: Siblings, rng: np.random.Generator
    ) -> pa.Table:
        """Sequences of rows; those that the judge does not keep are drawn again, a few times at most."""
        if not rows:
            return self.table.arrow.empty_table()
        codes = self._given(context, 0, rows)
        drawn = Drawn(codes, *self.follow(series, codes, context, siblings, rng))
        waiting = self._odd(series, drawn, siblings, rng)
        for several in _COPIES:
            if not len(waiting):
                break
            at, copies = siblings.take(np.repeat(waiting, several))
            new, beside = np.asfortranarray(drawn.codes[at]), None if context is None else context.take(pa.array(at))
            again = Drawn(new, *self.follow(series, new, beside, copies, rng))
            odd = np.zeros(len(waiting) * several, np.bool_)
            odd[self._odd(series, again, copies, rng)] = True
            best = np.argmin(odd.reshape(-1, several), axis=1) + np.arange(len(waiting)) * several
            drawn.put(siblings.take(waiting)[0], again, copies.take(best)[0])
            waiting = waiting[odd[best]]
        return self.relations.restore(series.rolled(self._cells(codes, rng), codes, (drawn.ticks, drawn.valid)))

    def _odd(self, series: Series, drawn: Drawn, siblings: Siblings, rng: np.random.Generator) -> Ints:
        """The runs that the judge does not keep."""
        if self.judge is None or series.portrait is None:
            return np.zeros(0, np.int64)
        portraits = series.portrait.draw(drawn.codes, series.told(drawn.ticks, drawn.valid), siblings)
        return np.flatnonzero(~self.judge.keeps(portraits, rng))

    def follow(
        self, series: Series, codes: Codes, context: pa.Table | None, siblings: Siblings, rng: np.random.Generator
    ) -> tuple[Ints, Flags]:
        """Draw sequences beside the context's codes, in place; see `Series.fill`."""
        return series.fill(codes, siblings, self.steps, context=context, codings=self.codings, rng=rng)

    def draw(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """Fill the columns after the context's; rows that the judge does not keep are drawn again."""
        if self.judge is None:
            return self.fill(codes, rng)
        if self.context:
            return self._kept_beside(codes, self.judge, rng)
        kept, missing = list[Codes](), len(codes)
        while missing:
            wanted = min(round(missing / max(self.judge.kept, 0.02) * 1.05) + 64, 4 * ROWS_PER_GROUP)
            drawn = self.fill(blank(wanted, codes.shape[1]), rng)
            kept.append(drawn[self.judge.keeps(drawn, rng)][:missing])
            missing -= len(kept[-1])
        return np.asfortranarray(np.concatenate(kept)) if kept else codes

    def _kept_beside(self, codes: Codes, judge: Discriminator, rng: np.random.Generator) -> Codes:
        """Each row is drawn beside its own context until it is kept, some times at most."""
        codes = self.fill(codes, rng)
        waiting = np.arange(len(codes))
        for _ in range(MOST_DRAWS):
            waiting = waiting[~judge.keeps(codes[waiting], rng)]
            if not len(waiting):
                break
            codes[waiting] = self.fill(np.asfortranarray(codes[waiting]), rng)
        return codes

    def fill(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """Draw every column after the context's, in place, and give the codes back."""
        for step in self.steps:
            codes[:, step.target] = step.draw(codes, rng)
        return codes

    def decode(self, codes: Codes, rng: np.random.Generator) -> pa.Table:
        """Rows of the table from codes of shape (rows, context and columns)."""
        return self.relations.restore(self._cells(codes, rng))

    def _cells(self, codes: Codes, rng: np.random.Generator) -> pa.Table:
        """Rows of what is drawn."""
        own = self.codings[len(self.context) :]
        names = self.relations.reduced.names if self.series is None else self.series.sequence.unrolled.names
        cells = [coding.decode(codes[:, len(self.context) + i], rng) for i, coding in enumerate(own)]
        return pa.Table.from_arrays(cells, names=list(names))

    def save(self, folder: Path) -> None:
        """Write the model to a new folder."""
        arrays: Arrays = {}
        for i, step in enumerate(self.steps):
            if step.bag is not None:
                arrays |= {f"{i:05d}-{name}": a for name, a in step.bag.to_arrays().items()}
            if step.table is not None:
                arrays[f"{i:05d}-table"] = step.table
        for i, coding in enumerate(self.codings):
            if coding.ranks is not None:
                arrays[f"ranks-{i:05d}"] = coding.ranks
        if self.judge is not None:
            arrays |= {f"judge-{name}": a for name, a in self.judge.to_arrays().items()}
        content = {
            "relations": self.relations.to_json(),
            "alphabets": [c.alphabet.to_json() for c in self.codings],
            "context": list(self.context),
            "steps": [{"target": s.target, "source": s.source} for s in self.steps],
            "series": None if self.series is None else self.series.to_json(),
        }
        write_model(folder, "forest", content, arrays)

    @classmethod
    def read(cls, folder: Path, head: Mapping[str, Any]) -> Self:
        """The model that `save` wrote."""
        arrays = read_arrays(folder)
        codings = tuple(
            Coding(alphabet_from_json(a), arrays.get(f"ranks-{i:05d}")) for i, a in enumerate(head["alphabets"])
        )
        steps = []
        for i, step in enumerate(head["steps"]):
            mine = _under(arrays, f"{i:05d}-")
            table = mine.pop("table", None)
            steps.append(Step(step["target"], Bag(**mine) if mine else None, step["source"], table))
        judge = _under(arrays, "judge-")
        return cls(
            Relations.from_json(head["relations"]), codings, tuple(head["context"]), tuple(steps),
            Discriminator.from_arrays(judge) if judge else None,
            None if head["series"] is None else Series.from_json(head["series"], codings),
        )  # fmt: skip


def _under(arrays: Arrays, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def blank(rows: int, columns: int) -> Codes:
    """Codes that are all 0."""
    return np.zeros((rows, columns), np.int32, order="F")
