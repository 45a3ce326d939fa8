"""The code location: every pipeline file of the project as a graph. Nothing runs, and no source is asked, at load."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.checks import gates, real_checks
from assets.model import model
from assets.real import real
from assets.release import release
from assets.shadow import shadow
from assets.synthetic import synthetic
from pipelines.jobs import retrain, whole
from pipelines.partitions import dates
from pipelines.resources import resources
from pipelines.schedules import schedule
from twinlake.errors import TwinlakeError
from twinlake.project import Pipeline, read_pipeline
from twinlake.storage.layout import Layout

ROOT = Path(__file__).resolve().parents[1]  # found from this file, so that Dagster may be started in any folder


@dg.definitions
def defs() -> dg.Definitions:
    """All that this checkout declares."""
    return build(ROOT)


def build(root: Path) -> dg.Definitions:
    """All that a project declares; a pipeline that can't be read is left out, and the log says why."""
    project = dg.Definitions(resources=resources(root), executor=dg.in_process_executor)
    return dg.Definitions.merge(project, *_graphs(Layout(root)))


def _graphs(layout: Layout) -> Iterator[dg.Definitions]:
    for file in sorted(layout.pipelines.glob("*.yaml")):
        try:
            yield graph(read_pipeline(file, environment=False), layout)
        except (TwinlakeError, dg.DagsterError) as error:
            dg.get_dagster_logger("twinlake").error(f"pipelines/{file.name} is left out: {error}")


def graph(pipeline: Pipeline, layout: Layout) -> dg.Definitions:
    """One pipeline: its assets, checks, jobs and schedules."""
    days = dates(pipeline, layout)
    every = {whole: pipeline.snapshot.every, retrain: pipeline.retrain.every}
    jobs = {make: make(pipeline) for make, cron in every.items() if cron or make is whole}
    games = {shadow(pipeline, days): cron for cron in [pipeline.shadow.every] if cron}
    return dg.Definitions(
        assets=[make(pipeline, days) for make in (real, model, synthetic, release)],
        asset_checks=[make(pipeline, days) for make in (real_checks, gates)],
        jobs=[*jobs.values(), *games],
        schedules=[
            *(schedule(pipeline, jobs[make], cron) for make, cron in every.items() if cron),
            *(schedule(pipeline, game, cron) for game, cron in games.items()),
        ],
    )
