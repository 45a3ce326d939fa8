import json

import pytest
from lakes import ORIGIN, project, released

from twinlake.errors import LakeError
from twinlake.storage.manifest import Manifest, Origin, git_commit, read_manifest, verify_files


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return released(project(tmp_path_factory.mktemp("p")), "2026-11-22")


def test_a_manifest_reads_back_as_it_was_written(release):
    assert read_manifest(release.folder) == release.manifest
    assert Manifest.from_json(json.loads(json.dumps(release.manifest.to_json()))) == release.manifest


def test_a_manifest_says_that_its_rows_are_synthetic(release):
    assert json.loads((release.folder / "manifest.json").read_text())["synthetic"] is True


@pytest.mark.parametrize("settings", [{"seed": 7}, {"generator": {"seed": "7"}}, {"a": [{"seed": 7}]}])
def test_a_manifest_never_holds_a_seed(settings):
    with pytest.raises(ValueError, match="never holds a seed"):
        Origin(generator="forest", licence="", settings=settings, source="")


def test_a_table_may_be_called_seed():
    Origin(generator="forest", licence="", settings={"tables": {"seed": {"key": ["id"]}}}, source="")


def test_versions_of_what_the_bytes_depend_on_are_named():
    assert {"python", "twinlake", "pyarrow", "numpy"} <= ORIGIN.versions.keys()


def test_a_release_that_was_not_touched_has_no_problems(release):
    assert verify_files(release.folder, release.manifest) == []


def test_every_touched_file_is_named(tmp_path):
    release = released(project(tmp_path), "2026-11-22")
    part = release.folder / "subjects/part-00000.parquet"
    part.chmod(0o644)
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    (release.folder / "report.html").unlink()
    (release.folder / "extra.csv").touch()
    assert verify_files(release.folder, release.manifest) == [
        "report.html is missing",
        "extra.csv does not belong to the release",
        "subjects/part-00000.parquet has been changed",
    ]


@pytest.mark.parametrize("damage", ["", "{", "{}", '{"format": 99, "synthetic": true}', "[]"])
def test_a_damaged_manifest_is_a_sentence(tmp_path, damage):
    release = released(project(tmp_path), "2026-11-22")
    file = release.folder / "manifest.json"
    file.unlink()
    file.write_text(damage)
    with pytest.raises(LakeError, match=r"release clinic@2026-11-22: the manifest can't be read"):
        read_manifest(release.folder)


def test_outside_git_there_is_no_commit(tmp_path):
    assert git_commit(tmp_path) is None
