"""The shadow game as a job: it fails where the generator does not pass, and says why."""

import dagster as dg
import pytest
from dagsters import DATE, ended, launch
from projects import PIPELINE, make_project
from scenario import clinic

WEEKLY = PIPELINE + 'shadow: {every: "0 1 * * 0"}\n'


@pytest.mark.parametrize(("fits", "how"), [(2, "FAILURE"), (16, "SUCCESS")])
def test_the_job_plays_the_game_and_fails_where_it_is_not_passed(tmp_path, fits, how):
    text = WEEKLY.replace("shadow_fits: 0", f"shadow_fits: {fits}")
    layout = make_project(tmp_path, pipeline=text, real=clinic(120))
    with dg.DagsterInstance.ephemeral() as instance:
        result = launch(layout, instance, job="clinic_shadow", date=DATE)
        assert ended(result, how) == ["shadow"]
    assert len(list((tmp_path / "data/vault/clinic/shadow").glob("*.json"))) == 1
