"""What a full disk or a power cut may leave in the vault and in staging: the next run makes it anew."""

import shutil
from pathlib import Path

import pytest
from projects import job, make_project
from scenario import clinic

from twinlake.errors import DataError, LakeError
from twinlake.run.record import Record
from twinlake.run.run import run
from twinlake.storage.lake import query
from twinlake.storage.layout import Layout

DATE = "2026-11-22"
TORN = {
    "an extract's list": "vault/clinic/real/*/extract.json",
    "an extract's rows": "vault/clinic/real/*/holdout/visits/*.parquet",
    "a model's head": "vault/clinic/model/*/model.json",
    "a model of a table": "vault/clinic/model/*/tables/subjects/model/model.json",
    "a snapshot's schema": "staging/clinic/*/schema.json",
    "a snapshot's rows": "staging/clinic/*/visits/*.parquet",
    "a record": f"vault/clinic/runs/{DATE}.json",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Layout:
    layout = make_project(tmp_path_factory.mktemp("damage") / "project", real=clinic(1000))
    assert not run(job(layout), date=DATE).refused
    return layout


@pytest.fixture
def again(served, tmp_path) -> Layout:
    return Layout(Path(shutil.copytree(served.root, tmp_path / "project", symlinks=True)))


def tear(layout: Layout, pattern: str) -> None:
    for file in layout.data.glob(pattern):
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("torn", TORN)
def test_what_is_torn_is_made_anew(again, torn):
    assert list(again.data.glob(TORN[torn]))
    tear(again, TORN[torn])
    shutil.rmtree(again.lake)  # else nothing would have to be made
    assert run(job(again), date=DATE).fresh
    assert query(again, "SELECT count(*) AS n FROM clinic.subjects").to_pylist() == [{"n": 1000}]


@pytest.mark.parametrize("date", ["tomorrow", "2026-02-30", "../../../../out", ""])
def test_a_run_is_for_a_day_of_the_calendar(again, date):
    with pytest.raises(DataError, match="is no date"):
        Record.load(again, "clinic", date)


def test_a_torn_release_is_told_in_a_sentence(again):
    tear(again, f"lake/clinic/{DATE}/visits/*.parquet")
    again.catalog.unlink()
    with pytest.raises(LakeError, match="a file of a release can't be read"):
        query(again, "SELECT 1")
