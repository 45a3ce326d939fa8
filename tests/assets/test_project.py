"""The project as a resource: what a stage is given, and how what goes wrong leaves it."""

import dagster as dg
from projects import make_project

from assets.project import Project
from twinlake.errors import DataError


def fails(root, error: Exception) -> dg.ExecuteInProcessResult:
    """A run whose only stage raises."""

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2026-11-22"]))
    def stage(context: dg.AssetExecutionContext, project: Project) -> None:
        with project.stage(context, "clinic") as given:
            assert (given.job.name, given.record.date) == ("clinic", "2026-11-22")
            raise error

    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [stage], partition_key="2026-11-22", resources={"project": Project(root=str(root))}, instance=instance,
            raise_on_error=False,
        )  # fmt: skip


def failure(result: dg.ExecuteInProcessResult):
    return next(e for e in result.all_events if e.event_type_value == "STEP_FAILURE").step_failure_data


def test_what_was_not_foreseen_leaves_as_its_kind_only(tmp_path):
    layout = make_project(tmp_path / "project")
    told = failure(fails(layout.root, ValueError("could not convert 'Kanarienvogelberg'")))
    assert told.user_failure_data.description.startswith("ValueError while reporting to Dagster. Its text may quote")
    assert "Kanarienvogelberg" not in repr(told)
    assert [file for file in layout.logs("clinic").iterdir() if "Kanarienvogelberg" in file.read_text()]


def test_a_mistake_leaves_as_its_sentence_without_its_history(tmp_path):
    told = failure(fails(make_project(tmp_path / "project").root, DataError("table t has no rows", fix="Add some")))
    assert told.user_failure_data.description == "table t has no rows. Add some."
    assert told.error.cause is None
    assert told.error.context is None


def test_progress_is_told_at_quarters():
    said: list[str] = []

    class Log:
        info = said.append

    class Context:
        log = Log()

    from assets.project import _told

    told = _told(Context())  # type: ignore[arg-type]  # only the log is asked for
    for done in range(1001):
        told("sample people", done, 1000)
    assert said == [f"sample people: {n:,} of 1,000" for n in (0, 250, 500, 750, 1000)]
