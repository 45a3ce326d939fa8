"""The model: what a generator has learnt from the real tables that were not held back. It stays in the vault."""

from collections.abc import Iterator

import dagster as dg

from assets import keys, metadata
from assets.project import Project
from twinlake.project import Pipeline
from twinlake.run.extract import open_extract
from twinlake.run.release import current_release
from twinlake.run.train import train


class Learning(dg.Config):
    """How the model is come by."""

    retrain: bool = False  # learn anew even where the pipeline file lets an older model serve


def model(pipeline: Pipeline, dates: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """One asset; it and all after it are skipped where the latest release was made from the same rows and settings."""
    spec = dg.AssetSpec(
        keys.model(pipeline.name),
        deps=[keys.real(pipeline.name, table) for table in pipeline.tables],
        group_name=keys.group(pipeline.name),
        description=f"What {pipeline.generator.name} has learnt of the real tables. It stays in the vault.",
        owners=pipeline.owners,
        kinds={pipeline.generator.name},
        skippable=True,
    )

    @dg.multi_asset(
        name=keys.step(pipeline.name, "model"), specs=[spec], partitions_def=dates, pool=keys.pool(pipeline.name)
    )
    def learnt_model(
        context: dg.AssetExecutionContext, config: Learning, project: Project
    ) -> Iterator[dg.MaterializeResult[None]]:
        with project.stage(context, pipeline.name) as stage:
            extract = open_extract(stage.job, stage.record.need("extract"))
            if not config.retrain and (served := current_release(stage.job, extract)):
                context.log.info(f"nothing has changed since {served.id}: it stays, and the rest is skipped")
                return
            retrain = config.retrain or pipeline.retrain.every is None
            record = train(stage.job, stage.record, retrain=retrain, progress=stage.progress)
            name = record.need("model")
            made = metadata.model(extract, name, pipeline)
        yield dg.MaterializeResult(asset_key=spec.key, metadata=made, data_version=dg.DataVersion(name))

    return learnt_model
