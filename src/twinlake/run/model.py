"""Learning and drawing outside a project: tables in, a model in hand, tables out."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from twinlake.errors import TwinlakeError
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.progress import Progress
from twinlake.project import Rows
from twinlake.run.extract import extract
from twinlake.run.fill import filled_in
from twinlake.run.job import Job
from twinlake.run.record import Record
from twinlake.run.sample import executor
from twinlake.run.satisfy import satisfying
from twinlake.run.train import train
from twinlake.schema import Schema
from twinlake.sources.registry import open_source
from twinlake.storage.lock import pipeline_lock
from twinlake.tables import Tables
from twinlake.units import assign_units


def read(path: str | Path) -> Tables:
    """The tables of a Parquet or CSV file, a folder of them, a folder of `Tables.save`, or a source's URL."""
    place = Path(path)
    if (place / "schema.json").exists():
        return Tables.open(place)
    url = str(path) if ":" in str(path) and not place.exists() else f"files:{place.resolve()}"
    source = open_source(url, root=Path.cwd())
    schema = source.schema()
    with source.reading() as reading:
        return Tables(schema, {t.name: pa.Table.from_batches(list(reading.batches(t)), t.arrow) for t in schema})


@dataclass(frozen=True, slots=True)
class Model:
    """What a generator has learnt of some tables; draws more of them."""

    learnt: RelationalModel
    seed: int

    @property
    def schema(self) -> Schema:
        """The schema of the tables it draws."""
        return self.learnt.schema

    def sample(
        self,
        rows: str | int = "1.0x",
        *,
        seed: int | None = None,
        where: str | None = None,
        rebalance: Mapping[str, Mapping[Any, float]] | None = None,
        workers: int = 1,
        folder: Path | None = None,
        progress: Progress | None = None,
        note: Callable[[str], None] | None = None,
    ) -> Tables:
        """Draw tables.

        Args:
            rows: a multiple of the source's rows (`1.0x`), or a number of rows of the first table that is drawn.
            seed: of the draws; the model's own where it is left out.
            where: an SQL predicate that every row satisfies, for a model of one table; the number of rows is exact. A
                forest draws them as its own rows that satisfy it are distributed; others draw and throw away.
            rebalance: shares of values, `{"income": {">50K": 0.5}}`, for a forest of one table; what is not named keeps
                its relative share.
            workers: processes to draw with; the rows are the same.
            folder: an empty folder to write Parquet parts to; memory where it is left out.
            progress: told after each shard.
            note: told a sentence with the effective sample size, where rows were drawn by weight.

        Raises:
            TwinlakeError: where `rows`, `where` or `rebalance` can't be read, or no or too few rows satisfy them.
        """
        own, wanted = self.seed if seed is None else seed, _rows(rows)
        if where is not None or rebalance is not None:
            drawn = satisfying(
                self.learnt, wanted, where=where, rebalance=rebalance, seed=own, workers=workers, progress=progress,
                note=note,
            )  # fmt: skip
        elif folder is not None:
            return self._draw(folder, self._scale(wanted), own, workers, progress)
        else:
            with tempfile.TemporaryDirectory(prefix="twinlake-") as scratch:
                opened = self._draw(Path(scratch), self._scale(wanted), own, workers, progress)
                drawn = Tables(opened.schema, dict(opened))
        if folder is not None:
            drawn.save(folder)
        return drawn

    def impute(self, rows: pa.Table, *, columns: Iterable[str] | None = None, seed: int | None = None) -> pa.Table:
        """Fill in what rows of the model's only table lack, as a forest has it given what they have.

        Args:
            rows: some of the table's columns. Those that are not there are drawn; given cells stay exactly as they are.
            columns: those whose null cells are filled, never with null; all that the forest draws where it is left out.
            seed: of the draws; the model's own where it is left out.

        Returns:
            As many rows, in their order: the columns given and those drawn, in the table's order. Keys and personal
            columns are not made up.

        Raises:
            TwinlakeError: for a model of several tables or of another generator, and for columns it does not know.
        """
        return filled_in(self.learnt, rows, columns=columns, seed=self.seed if seed is None else seed)

    def save(self, folder: Path | str) -> None:
        """Write the model to a new folder. It holds what was learnt of real rows: keep it as private as they are."""
        self.learnt.save(Path(folder))

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The model that `save` wrote; its draws start from seed 0 unless told otherwise."""
        return cls(read_model(Path(folder)), seed=0)

    def _scale(self, rows: Rows) -> float:
        return rows.scale(self.learnt.rows[self.learnt.counted])

    def _draw(self, folder: Path, scale: float, seed: int, workers: int, progress: Progress | None) -> Tables:
        with executor(workers) as pool:
            return self.learnt.sample(folder, scale=scale, seed=seed, executor=pool, progress=progress)


def fit(
    tables: Tables,
    *,
    generator: str = "forest",
    seed: int = 0,
    unit: str | None = None,
    locale: str = "en",
    k: int = 10,
    progress: Progress | None = None,
    **settings: Any,  # noqa: ANN401 - each generator's own
) -> Model:
    """Learn tables; `settings` are the generator's own."""
    own = RelationalGenerator(table_generator(generator, k=k, **settings), locale=locale, k=k)
    learnt = own.fit(tables, units=assign_units(tables, unit), seed=seed, unit=unit, progress=progress)
    return Model(learnt, seed=seed)


def load(folder: Path | str) -> Model:
    """The model that `Model.save` wrote. It is data: nothing of it is executed."""
    return Model.load(folder)


def fit_data(
    data: str, out: Path, *, generator: str, seed: int, unit: str | None, progress: Progress | None = None
) -> None:
    """Learn a file, a folder, a source or a pipeline, and save the model to a new folder."""
    if out.exists() and any(out.iterdir()):
        raise TwinlakeError(f"{out} holds files already", fix="Name a new folder")
    if _is_pipeline(data):
        _fit_pipeline(data, out, progress)
        return
    fit(read(data), generator=generator, seed=seed, unit=unit, progress=progress).save(out)


def _rows(text: str | int) -> Rows:
    try:
        return Rows.parse(text)
    except ValueError as error:
        raise TwinlakeError(str(error)) from None


def _is_pipeline(data: str) -> bool:
    return Path(data).suffix in (".yaml", ".yml") or (":" not in data and not Path(data).exists())


def _fit_pipeline(name: str, out: Path, progress: Progress | None) -> None:
    """Learn what a pipeline learns: the rows it does not hold back, by its own settings."""
    job = Job.open(name)
    with pipeline_lock(job.layout, job.name):
        record = train(job, extract(job, Record(job.name, "fit"), progress=progress), progress=progress)
    shutil.copytree(job.layout.model(job.name, record.need("model")), out, dirs_exist_ok=True)
