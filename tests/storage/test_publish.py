import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from lakes import EVIDENCE, GATES, GOOD, ORIGIN, judge, project, put_out, released, stage, verdict
from scenario import clinic

from twinlake.card import coarse
from twinlake.errors import LakeError, Refused
from twinlake.storage.lake import query
from twinlake.storage.manifest import read_manifest, verify_files
from twinlake.storage.publish import publish, snapshot_hash
from twinlake.storage.release import releases
from twinlake.storage.secret import vault_secret


@pytest.fixture
def layout(tmp_path):
    return project(tmp_path)


def served(layout) -> str:
    """The release that SQL reads, after comparing what it reads with what the manifest promises."""
    with duckdb.connect(str(layout.catalog), read_only=True) as plain:  # as somebody without Twinlake would
        assert plain.sql("SELECT count(*) FROM clinic.subjects").fetchall() == [(20,)]
    told = query(layout, "SELECT DISTINCT comment FROM duckdb_views() WHERE schema_name = 'clinic'").to_pylist()
    (comment,) = (row["comment"] for row in told)
    name = comment.split("clinic@")[1].split(";")[0]
    (release,) = (r for r in releases(layout) if r.name == name)
    assert verify_files(release.folder, release.manifest) == []
    count = query(layout, "SELECT count(*) AS n FROM clinic.subjects").to_pylist()[0]["n"]
    assert count == release.manifest.rows["subjects"]
    return name


def names(layout) -> list[str]:
    return [r.name for r in releases(layout, "clinic")]


def test_a_release_holds_the_snapshots_bytes_and_its_evidence(layout):
    staging = stage(layout)
    judge(layout, staging)
    release = put_out(layout, staging, "2026-11-22")
    assert release.manifest.snapshot == snapshot_hash(staging)
    assert release.manifest.rows == {"wards": 12, "subjects": 20, "visits": clinic(20)["visits"].num_rows}
    assert release.manifest.verdicts == tuple(coarse(v) for v in GOOD)
    assert read_manifest(release.folder).evidence == EVIDENCE
    assert (release.folder / "report.html").read_text() == "<h1>2026-11-22</h1>"
    for path in ("schema.json", "subjects/part-00000.parquet"):
        assert (release.folder / path).read_bytes() == (staging / path).read_bytes()
    assert verify_files(release.folder, release.manifest) == []
    assert served(layout) == "2026-11-22"


def test_writing_over_the_snapshot_afterwards_leaves_the_release_as_it_is(layout):
    release = released(layout, "2026-11-22")
    part = layout.staging("clinic", "snapshot-0") / "subjects/part-00000.parquet"
    with part.open("r+b") as file:
        file.write(b"torn")
    assert verify_files(release.folder, release.manifest) == []


def test_nobody_can_write_to_a_release_by_accident(layout):
    release = released(layout, "2026-11-22")
    assert {p.stat().st_mode & 0o777 for p in release.folder.rglob("*") if p.is_file()} == {0o444}
    assert {p.stat().st_mode & 0o777 for p in (release.folder, release.folder / "wards")} == {0o755}


def test_a_snapshot_that_fails_a_gate_goes_nowhere_and_the_last_release_is_served(layout):
    released(layout, "2026-11-21")
    staging = stage(layout, seed=1)
    judge(layout, staging, [verdict(passed=False), verdict("shape", passed=False)])
    with pytest.raises(Refused) as refusal:
        put_out(layout, staging, "2026-11-22")
    assert [f[:2] for f in refusal.value.failing] == [
        ("subjects", "replay"),
        ("subjects", "shape"),
        ("visits", "replay"),
    ]
    assert str(refusal.value).startswith(
        "clinic: the snapshot is not released, for it failed 3 gates\n  subjects: replay:"
    )
    assert names(layout) == [served(layout)] == ["2026-11-21"]
    assert not (layout.building / "clinic").exists()


def test_a_snapshot_nobody_judged_is_refused(layout):
    with pytest.raises(LakeError, match="nobody has judged this snapshot"):
        put_out(layout, stage(layout), "2026-11-22")
    assert names(layout) == []


def test_one_byte_changed_after_the_gates_is_refused(layout):
    staging = stage(layout)
    judge(layout, staging)
    part = staging / "subjects/part-00000.parquet"
    content = bytearray(part.read_bytes())
    content[20] ^= 1
    part.write_bytes(content)
    with pytest.raises(LakeError, match="nobody has judged this snapshot"):
        put_out(layout, staging, "2026-11-22")


@pytest.mark.parametrize("stray", ["real.csv", "subjects/notes.txt", "people/part-00000.parquet"])
def test_a_file_that_does_not_belong_is_refused(layout, stray):
    staging = stage(layout)
    judge(layout, staging)
    (staging / stray).parent.mkdir(exist_ok=True)
    (staging / stray).touch()
    with pytest.raises(LakeError, match=f"{stray} does not belong to it"):
        put_out(layout, staging, "2026-11-22")


def test_a_link_out_of_the_snapshot_is_refused(layout):
    staging = stage(layout)
    part = staging / "subjects/part-00000.parquet"
    part.rename(layout.vault.parent / "elsewhere.parquet")
    part.symlink_to(layout.vault.parent / "elsewhere.parquet")
    with pytest.raises(LakeError, match="does not belong to it"):
        snapshot_hash(staging)


def test_a_table_without_rows_file_or_a_torn_one_is_refused(layout):
    staging = stage(layout)
    part = staging / "visits/part-00000.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(LakeError, match=r"visits/part-00000\.parquet is damaged"):
        snapshot_hash(staging)
    part.unlink()
    with pytest.raises(LakeError, match="table visits has no rows file"):
        snapshot_hash(staging)


def test_the_snapshots_hash_depends_on_its_bytes_only(layout):
    one, two = stage(layout), stage(layout, pipeline="other")
    assert snapshot_hash(one) == snapshot_hash(two) != snapshot_hash(stage(layout, seed=1))


def test_the_second_of_a_day_gets_a_number(layout):
    for seed in range(3):
        released(layout, "2026-11-22", seed=seed)
    assert names(layout) == ["2026-11-22", "2026-11-22.2", "2026-11-22.3"]
    assert served(layout) == "2026-11-22.3"


def test_publishing_the_same_snapshot_again_is_the_same_release(layout):
    assert released(layout, "2026-11-22").folder == released(layout, "2026-11-22").folder
    assert released(layout, "2026-11-23").name == "2026-11-23"


def test_releases_beyond_keep_go_but_never_the_one_that_is_served(layout):
    for day in range(1, 5):
        released(layout, f"2026-11-0{day}", seed=day, keep=2)
    assert names(layout) == ["2026-11-03", "2026-11-04"]
    released(layout, "2026-10-01", seed=9, keep=1)  # made up for a date that was missed
    assert "2026-11-04" in names(layout)
    assert served(layout) == "2026-11-04"


def test_snapshots_of_earlier_runs_are_cleared(layout):
    old = stage(layout, seed=1)
    released(layout, "2026-11-22")
    assert not old.exists()
    assert layout.staging("clinic", "snapshot-0").exists()


@pytest.mark.parametrize("name", ["twinlake", "Main", "a@b", "information_schema"])
def test_a_name_the_catalog_can_not_serve_is_refused(layout, name):
    with pytest.raises(LakeError, match="can't be named"):
        released(layout, "2026-11-22", pipeline=name)


def test_a_date_that_is_none_is_refused(layout):
    staging = stage(layout)
    with pytest.raises(LakeError, match="a date like 2026-11-22"):
        put_out(layout, staging, "2026-11-22.2")


def test_two_pipelines_may_publish_at_once(layout):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda p: released(layout, "2026-11-22", pipeline=p), ["clinic", "other"]))
    assert query(layout, "SELECT DISTINCT pipeline FROM twinlake.releases ORDER BY 1")["pipeline"].to_pylist() == [
        "clinic",
        "other",
    ]


def test_a_lake_on_another_file_system_is_published_to(tmp_path):
    other = Path("/dev/shm")
    if other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    layout = project(tmp_path)
    home = other / f"twinlake-test-{os.getpid()}"
    layout.data.mkdir()
    try:
        home.mkdir()
        layout.lake.symlink_to(home)
        released(layout, "2026-11-21")
        assert served(layout) == "2026-11-21"
    finally:
        shutil.rmtree(home)


# what a disk does on a bad day

DYING = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from lakes import put_out
from twinlake.storage.layout import Layout
left = int(sys.argv[3])
def dying(call):
    def counted(*args, **kwargs):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*args, **kwargs)
    return counted
for name in ("rename", "replace", "fsync", "link", "unlink", "mkdir", "rmdir", "chmod"):
    setattr(os, name, dying(getattr(os, name)))
layout = Layout(Path(sys.argv[1]))
put_out(layout, layout.staging("clinic", "snapshot-1"), "2026-11-22", keep=1)
"""


def publish_dying(layout, step: int) -> int:
    tests = str(Path(__file__).parents[1])
    return subprocess.run([sys.executable, "-c", DYING, str(layout.root), tests, str(step)]).returncode


@pytest.mark.slow
def test_kill_9_at_any_step_leaves_a_whole_release_served_and_the_next_run_succeeds(tmp_path):
    before = project(tmp_path / "before")
    released(before, "2026-11-21")
    judge(before, stage(before, seed=1))
    for step in range(0, 200, 5):
        layout = project(tmp_path / str(step))
        shutil.copytree(before.root, layout.root, dirs_exist_ok=True)
        ended = publish_dying(layout, step)
        assert served(layout) in ("2026-11-21", "2026-11-22")
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        assert put_out(layout, layout.staging("clinic", "snapshot-1"), "2026-11-22", keep=1).name == "2026-11-22"
        assert names(layout) == [served(layout)] == ["2026-11-22"]
        left = {p.name for p in layout.lake.iterdir()}
        assert left == {"clinic", "catalog.duckdb", ".building"}
        assert list(layout.building.iterdir()) == []
        shutil.rmtree(layout.root)
    else:
        pytest.fail("publishing never came to its end")
    assert step >= 40  # there were that many steps to die at


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from lakes import put_out
from twinlake.errors import LakeError
from twinlake.storage.layout import Layout
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
layout = Layout(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    put_out(layout, layout.staging("clinic", "snapshot-1"), "2026-11-22")
except LakeError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 4096, 100_000])  # not even the report; not the manifest; not the catalog
def test_a_full_disk_is_a_sentence_and_the_next_run_succeeds(layout, room):
    released(layout, "2026-11-21")
    judge(layout, stage(layout, seed=1))
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", FULL, str(layout.root), tests, str(room)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("publishing clinic: the lake can't be written: ")
    assert "what was served before is still served" in said
    assert served(layout) == ("2026-11-22" if room == 100_000 else "2026-11-21")
    assert not (layout.building / "clinic").exists()
    put_out(layout, layout.staging("clinic", "snapshot-1"), "2026-11-22")
    assert served(layout) == "2026-11-22"


def test_a_report_that_can_not_be_made_leaves_nothing_behind(layout):
    staging = stage(layout)
    judge(layout, staging)

    def broken(manifest):
        raise RuntimeError("no report")

    with pytest.raises(RuntimeError):
        publish(
            layout, "clinic", staging, origin=ORIGIN, expected=GATES, evidence=EVIDENCE, date="2026-11-22", keep=1,
            report=broken, secret=vault_secret(layout),
        )  # fmt: skip
    assert names(layout) == []
    assert not (layout.building / "clinic").exists()
