import errno

import pytest

from twinlake.errors import LakeError, WalledError
from twinlake.run.wall import walled
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
