"""What can be launched: a pipeline's whole way, and learning a new model on its own."""

from typing import TypeAlias

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets import keys
from twinlake.project import Pipeline

Job: TypeAlias = UnresolvedAssetJobDefinition | dg.JobDefinition


def whole(pipeline: Pipeline) -> Job:
    """Every stage, extract to release."""
    return dg.define_asset_job(
        keys.job(pipeline.name),
        selection=dg.AssetSelection.groups(keys.group(pipeline.name)),
        description=f"Extract, learn, sample, check, release. {pipeline.description}",
    )


def retrain(pipeline: Pipeline) -> Job:
    """Extract and learn anew, for pipelines whose snapshots use the newest model in between."""
    model = keys.model(pipeline.name)
    return dg.define_asset_job(
        keys.retrain_job(pipeline.name),
        selection=dg.AssetSelection.assets(model, *(keys.real(pipeline.name, t) for t in pipeline.tables)),
        config={"ops": {keys.step(pipeline.name, "model"): {"config": {"retrain": True}}}},
        description=f"Extract and learn a new model, which the next snapshot uses. {pipeline.description}",
    )
