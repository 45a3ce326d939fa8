import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

from twinlake.errors import LakeError, WalledError
from twinlake.run.wall import walled
from twinlake.sql import connection
from twinlake.storage.layout import Layout


def test_a_full_disk_is_a_sentence_and_needs_no_log(tmp_path):
    with pytest.raises(LakeError) as told, walled(Layout(tmp_path), "clinic", "extracting"):
        raise OSError(errno.ENOSPC, "No space left on device", "/vault/Mrs Real")
    assert str(told.value).startswith("clinic, extracting: the disk is full. Free some space and run again")
    assert not Layout(tmp_path).logs("clinic").exists()


def test_other_errors_of_the_system_stay_behind_the_wall(tmp_path):
    with pytest.raises(WalledError) as told, walled(Layout(tmp_path), "clinic", "extracting"):
        raise OSError(errno.EIO, "Input/output error", "/vault/Mrs Real")
    assert "Mrs Real" not in str(told.value)
    assert "Mrs Real" in next(Layout(tmp_path).logs("clinic").iterdir()).read_text()


def test_what_libraries_lay_down_for_a_moment_lies_in_the_vault(tmp_path):
    layout, before = Layout(tmp_path), (tempfile.gettempdir(), os.environ.get("TMPDIR"))
    with walled(layout, "clinic", "extracting"):
        with tempfile.NamedTemporaryFile() as ours:
            assert Path(ours.name).is_relative_to(layout.vault)
        told = subprocess.run(
            [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"], capture_output=True
        )
        assert Path(told.stdout.decode().strip()).is_relative_to(layout.vault)
        assert layout.temporary("clinic").stat().st_mode & 0o077 == 0
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == before


DIES = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
before = resource.getrlimit(resource.RLIMIT_CORE)[0]
{}
after = resource.getrlimit(resource.RLIMIT_CORE)[0]
child = os.popen("ulimit -c").read().strip()
print(before != 0, after, child)
"""
STAGE = """
from pathlib import Path
from twinlake.run.wall import walled
from twinlake.sql import connection
from twinlake.storage.layout import Layout
with walled(Layout(Path(sys.argv[1])), "clinic", "extracting"):
    pass
"""
COMMAND = """
from click.testing import CliRunner
from twinlake.cli import main
CliRunner().invoke(main, ["releases"])
"""


@pytest.mark.parametrize("code", [STAGE, COMMAND], ids=["a stage", "a command"])
def test_a_process_near_real_rows_leaves_no_picture_of_its_memory(tmp_path, code):
    done = subprocess.run([sys.executable, "-c", DIES.format(code), str(tmp_path)], capture_output=True, text=True)
    told = done.stdout.split()
    assert told[1:] == ["0", "0"], done.stderr
    if told[0] == "False":
        pytest.skip("this machine allows no core dumps to begin with")


def test_conditions_on_real_rows_never_spill_to_the_folder_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with connection().cursor() as asked:
        assert asked.execute("SELECT current_setting('temp_directory')").fetchone() == ("",)
        with pytest.raises(duckdb.OutOfMemoryException):
            asked.execute("SET memory_limit = '50MB'; SELECT max(x) FROM (SELECT range AS x FROM range(50_000_000) "
                          "ORDER BY hash(range))").fetchall()  # fmt: skip
        asked.execute("RESET memory_limit")
    assert list(tmp_path.iterdir()) == []
