"""When: the cron lines of a pipeline file as schedules.

They are on from the start: whoever writes `every:` has asked for it, and a nightly run that waits for somebody to
press a switch is one that silently never happens. The switch in the UI still turns one off.
"""

from zoneinfo import ZoneInfo

import dagster as dg

from pipelines.jobs import Job
from twinlake.project import Pipeline


def schedule(pipeline: Pipeline, job: Job, cron: str) -> dg.ScheduleDefinition:
    """Launch a job for the date on which the schedule ticks, where the pipeline's clock is."""
    zone = ZoneInfo(pipeline.snapshot.timezone)

    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(partition_key=context.scheduled_execution_time.astimezone(zone).date().isoformat())

    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=str(zone),
        execution_fn=tick,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=job.description,
    )
