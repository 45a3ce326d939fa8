"""The release: a snapshot that passed every gate, moved into the lake. What consumers see."""

import dagster as dg

from assets import keys, metadata
from assets.project import Project
from twinlake.project import Pipeline
from twinlake.run.release import release as let_out


def release(pipeline: Pipeline, dates: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """One asset. It reads the stored verdicts itself: a blocking check blocks only inside its own run."""

    @dg.asset(
        key=keys.release(pipeline.name),
        deps=[keys.synthetic(pipeline.name, table) for table in pipeline.tables],
        group_name=keys.group(pipeline.name),
        description=f"A snapshot that passed every gate: immutable, versioned, served as SQL. {pipeline.description}",
        owners=pipeline.owners,
        kinds={"duckdb", "dvc"},
        partitions_def=dates,
        pool=keys.pool(pipeline.name),
    )
    def released_snapshot(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult[None]:
        with project.stage(context, pipeline.name) as stage:
            made, version = let_out(stage.job, stage.record)
            return dg.MaterializeResult(
                metadata=metadata.release(made, version), data_version=dg.DataVersion(made.manifest.snapshot)
            )

    return released_snapshot
