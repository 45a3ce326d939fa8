"""The shadow game as an op: it judges the generator, so it belongs to no asset. Playing is `twinlake.run.shadow`."""

import dagster as dg

from assets import keys, metadata
from assets.project import Project
from twinlake.project import Pipeline
from twinlake.run.shadow import play
from twinlake.verdict import blocking


def shadow(pipeline: Pipeline, dates: dg.PartitionsDefinition[str]) -> dg.JobDefinition:
    """A job that plays the game; it fails where the generator does, so that whoever watches runs hears of it."""

    @dg.op(name=keys.step(pipeline.name, "shadow"), pool=keys.pool(pipeline.name))
    def shadow_game(context: dg.OpExecutionContext, project: Project) -> None:
        with project.stage(context, pipeline.name) as stage:
            verdicts = play(stage.job, date=stage.record.date, workers=project.workers, progress=stage.progress)
        told = {"verdicts": dg.MetadataValue.md(metadata.scorecard(verdicts))}
        if blocking(verdicts):
            raise dg.Failure("the generator did not pass the shadow game", metadata=told, allow_retries=False)
        context.add_output_metadata(told)

    @dg.job(
        name=keys.shadow_job(pipeline.name),
        partitions_def=dates,
        description=f"Play the shadow game: does the generator keep single units? {pipeline.description}",
    )
    def shadow_of_generator() -> None:
        shadow_game()

    return shadow_of_generator
