"""Stage 3: learn a model from the real tables that were not held back."""

import hashlib
import shutil
from collections.abc import Mapping
from typing import Any

from twinlake.errors import GeneratorError, ModelError
from twinlake.generators.protocols import TableGenerator
from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel, read_model
from twinlake.progress import Progress
from twinlake.project.pipeline import OwnGenerator
from twinlake.run.extract import Extract, open_extract
from twinlake.run.job import Job
from twinlake.run.record import Record
from twinlake.run.wall import walled
from twinlake.storage.layout import keep
from twinlake.tables import canonical
from twinlake.units import assign_units
from twinlake.version import VERSION

FOR_ANYONE: Mapping[str, Mapping[str, Any]] = {"forest": {"min_leaf": 80, "smoothing": 15}}
ALONE: Mapping[str, Mapping[str, Any]] = {"forest": {"preset": "quality", "rounds": 1}}
UNITS_FOR_ANYONE = 25
"""Settings of a generator where anyone may read the release and the pipeline file does not say otherwise.

At its own defaults `forest` follows people a little too closely for strangers, above all by values that just so many
units hold and by quantiles of just so many. What larger leaves lose, a discriminator brings back where a table stands
alone; of sequences it follows single units: see docs/decisions/privacy-gates.md.
"""


def train(job: Job, record: Record, *, retrain: bool = True, progress: Progress | None = None) -> Record:
    """Learn a model, or keep the one learnt from the same rows with the same settings.

    With `retrain=False` the newest model with the same settings serves, whatever rows it was learnt from.
    """
    with walled(job.layout, job.name, "learning"), job.layout.scratch(job.name) as scratch:
        extract = open_extract(job, record.need("extract"))
        home = job.layout.model(job.name, model_id(job, extract, retrain=retrain))
        if not _is_whole(job, home.name):
            shutil.rmtree(home, ignore_errors=True)
            units = assign_units(extract.learnt, job.pipeline.unit)
            model = generator(job).fit(
                extract.learnt,
                units=units,
                seed=job.seed("train"),
                unit=job.pipeline.unit,
                rows=extract.rows,
                orphans={(s.table, s.reference): s.rows for s in extract.orphans},
                progress=progress,
            )
            shutil.rmtree(scratch)
            model.save(scratch)
            keep(scratch, home)
        return record.save(job.layout, model=home.name)


def model_id(job: Job, extract: Extract, *, retrain: bool) -> str:
    """The id of the model that `train` learns or keeps."""
    settings = model_settings(job, extract)
    newest = None if retrain else newest_model(job, settings)
    return newest or f"{settings}-{extract.id}"


def open_model(job: Job, name: str) -> RelationalModel:
    """The model of that id."""
    return read_model(job.layout.model(job.name, name))


def _is_whole(job: Job, name: str) -> bool:
    """Whether the model is there and can be read; a disk that filled up may have torn a file."""
    try:
        return bool(open_model(job, name).schema.names)
    except ModelError:
        return False


def generator(job: Job) -> RelationalGenerator:
    """The generator that the pipeline file asks for."""
    pipeline = job.pipeline
    own = {n: _table_generator(job, t.generator) for n, t in sorted(pipeline.tables.items()) if t.generator}
    default = _table_generator(job, pipeline.generator)
    return RelationalGenerator(
        default, per_table=own, locale=pipeline.snapshot.locale, k=pipeline.gates.privacy.min_units
    )


def model_settings(job: Job, extract: Extract) -> str:
    """Hash of all that a model depends on beside the rows."""
    told = canonical({
        "generator": repr(generator(job)),
        "schema": extract.schema.to_json(),
        "seed": job.seed("train"),
        "split": [job.pipeline.unit, job.pipeline.holdout, job.seed("split")],
        "version": VERSION,
    })  # fmt: skip
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def newest_model(job: Job, settings: str) -> str | None:
    """The id of the model learnt last with these settings, or None."""
    there = sorted(job.layout.model(job.name, "").glob(f"{settings}-*"), key=lambda p: p.stat().st_mtime)
    return there[-1].name if there else None


def _table_generator(job: Job, choice: OwnGenerator) -> TableGenerator:
    try:
        return table_generator(choice.name, k=_units(job), **{**_careful(job, choice.name), **choice.settings})
    except GeneratorError as error:
        raise GeneratorError(error.what, where=f"{job.name}.yaml", allowed=error.allowed, fix=error.fix) from None


def _careful(job: Job, name: str) -> dict[str, Any]:
    """The settings of a generator where its own defaults don't do."""
    if job.pipeline.gates.privacy.recipient != "public":
        return {}
    alone = ALONE.get(name, {}) if len(job.pipeline.tables) == 1 else {}
    return {**FOR_ANYONE.get(name, {}), **alone}


def _units(job: Job) -> int:
    """How many units stand behind whatever a table's model keeps."""
    privacy = job.pipeline.gates.privacy
    told = privacy.recipient != "public" or "min_units" in privacy.model_fields_set
    return privacy.min_units if told else max(privacy.min_units, UNITS_FOR_ANYONE)
