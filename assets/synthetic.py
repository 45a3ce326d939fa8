"""The synthetic tables of a snapshot: a candidate, drawn from the model by one op and shown beside held-back rows."""

from collections.abc import Iterator

import dagster as dg

from assets import keys, metadata
from assets.project import Project
from twinlake.project import Pipeline
from twinlake.run.families import families
from twinlake.run.pages import comparisons
from twinlake.run.sample import open_snapshot, sample
from twinlake.storage.publish import snapshot_hash


def synthetic(pipeline: Pipeline, dates: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """An asset for each synthetic table."""

    @dg.multi_asset(
        name=keys.step(pipeline.name, "synthetic"),
        specs=[_spec(pipeline, table) for table in pipeline.tables],
        partitions_def=dates,
        pool=keys.pool(pipeline.name),
    )
    def synthetic_tables(context: dg.AssetExecutionContext, project: Project) -> Iterator[dg.MaterializeResult[None]]:
        with project.stage(context, pipeline.name) as stage:
            record = sample(stage.job, stage.record, workers=project.workers, progress=stage.progress)
            name = record.need("snapshot")
            tables, shares = open_snapshot(stage.job, name), comparisons(stage.job, record)
            counts = families(stage.job, record)
            version = dg.DataVersion(snapshot_hash(stage.job.layout.staging(pipeline.name, name)))
            results: list[dg.MaterializeResult[None]] = [
                dg.MaterializeResult(
                    asset_key=keys.synthetic(pipeline.name, table.name),
                    metadata=metadata.synthetic_table(
                        table,
                        tables.rows(table.name),
                        shares.get(table.name, ()),
                        counts.get(table.name, ()),
                        pipeline.name,
                    ),
                    data_version=version,
                )
                for table in tables.schema
            ]
        yield from results

    return synthetic_tables


def _spec(pipeline: Pipeline, table: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        keys.synthetic(pipeline.name, table),
        deps=[keys.model(pipeline.name)],
        group_name=keys.group(pipeline.name),
        description=f'Synthetic rows of "{table}": a candidate until every gate has passed it.',
        owners=pipeline.owners,
        kinds={"parquet"},
        metadata={"table": table},
    )
