import os
import signal
import subprocess
import sys

import pytest
from lakes import project

from twinlake.errors import BusyError
from twinlake.storage.lock import pipeline_lock, short_lock

HOLD = """
import sys, time
from pathlib import Path
from twinlake.storage.layout import Layout
from twinlake.storage.lock import pipeline_lock
with pipeline_lock(Layout(Path(sys.argv[1])), "clinic"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_is_told_who_holds_the_pipeline(tmp_path, holder):
    with (
        pytest.raises(BusyError, match=rf"pipeline clinic: another run holds it \(process {holder.pid}, since 20"),
        pipeline_lock(project(tmp_path), "clinic"),
    ):
        pytest.fail("two runs at once")


def test_another_pipeline_is_free(tmp_path, holder):
    with pipeline_lock(project(tmp_path), "adult"):
        pass


def test_kill_9_frees_the_pipeline(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with pipeline_lock(project(tmp_path), "clinic"):
        pass


def test_two_runs_in_one_process_exclude_each_other(tmp_path):
    layout = project(tmp_path)
    with pipeline_lock(layout, "clinic"), pytest.raises(BusyError), pipeline_lock(layout, "clinic"):
        pytest.fail("two runs at once")


def test_waiting_ends_with_a_sentence(tmp_path):
    layout = project(tmp_path)
    with (
        short_lock(layout, "catalog"),
        pytest.raises(BusyError, match="catalog: waited 0 s"),
        short_lock(layout, "catalog", patience=0.1),
    ):
        pytest.fail("two holders")
