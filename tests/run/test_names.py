"""A pipeline's name that a catalog can't serve is refused at once, not when all is done."""

import pytest
from projects import make_project

from twinlake.errors import LakeError
from twinlake.run.extract import extract
from twinlake.run.init import init
from twinlake.run.job import Job
from twinlake.run.preflight import preflight
from twinlake.run.record import Record


@pytest.fixture
def layout(tmp_path):
    return make_project(tmp_path / "project")


def test_init_check_and_the_first_stage_refuse_a_reserved_name(layout):
    layout.pipeline_file("clinic").rename(layout.pipeline_file("main"))
    layout.suites("clinic").rename(layout.suites("main"))
    assert [str(m) for m in preflight("main", start=layout.root) if "can't be named" in str(m)]
    with pytest.raises(LakeError, match='can\'t be named "main"'):
        extract(Job.open("main", start=layout.root), Record("main", "2026-11-22"))
    with pytest.raises(LakeError, match='can\'t be named "temp"'):
        init("duckdb:///clinic.duckdb", "temp", layout=layout)


def test_init_leaves_no_pipeline_file_where_dvc_yaml_can_not_take_it(layout):
    (layout.root / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(LakeError, match="no stage"):
        init("duckdb:///clinic.duckdb", "other", layout=layout)
    assert not layout.pipeline_file("other").exists()
