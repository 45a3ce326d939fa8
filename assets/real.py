"""The real tables: read into the vault in one consistent read by one op, then held against their own suites."""

from collections.abc import Iterator

import dagster as dg

from assets import keys, metadata
from assets.project import Project
from twinlake.project import Pipeline
from twinlake.run.extract import extract, open_extract


def real(pipeline: Pipeline, dates: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """An asset for each real table."""

    @dg.multi_asset(
        name=keys.step(pipeline.name, "real"),
        specs=[_spec(pipeline, table) for table in pipeline.tables],
        partitions_def=dates,
        pool=keys.pool(pipeline.name),
    )
    def real_tables(context: dg.AssetExecutionContext, project: Project) -> Iterator[dg.MaterializeResult[None]]:
        with project.stage(context, pipeline.name) as stage:
            record = extract(stage.job, stage.record, progress=stage.progress)
            made = open_extract(stage.job, record.need("extract"))
            results: list[dg.MaterializeResult[None]] = [
                dg.MaterializeResult(
                    asset_key=keys.real(pipeline.name, table.name),
                    metadata=metadata.real_table(made, table, pipeline),
                    data_version=dg.DataVersion(made.id),
                )
                for table in made.schema
            ]
        yield from results

    return real_tables


def _spec(pipeline: Pipeline, table: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        keys.real(pipeline.name, table),
        group_name=keys.group(pipeline.name),
        description=f'The rows of "{table}" as the source has them. They stay in the vault. {pipeline.description}',
        owners=pipeline.owners,
        kinds=metadata.source_kind(pipeline),
        metadata={"table": table},
    )
