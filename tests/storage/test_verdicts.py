import json

import pytest
from lakes import GATES, GOOD, judge, project, stage, verdict

from twinlake.card import coarse
from twinlake.errors import LakeError
from twinlake.storage.publish import snapshot_hash
from twinlake.storage.secret import vault_secret
from twinlake.storage.verdicts import read_verdicts, store_verdicts

HASH = "ab" * 32


@pytest.fixture
def layout(tmp_path):
    return project(tmp_path)


def read(layout, pipeline="clinic", snapshot=HASH):
    return read_verdicts(layout, pipeline, snapshot, secret=vault_secret(layout))


def store(layout, verdicts, expected=GATES):
    store_verdicts(layout, "clinic", HASH, verdicts, expected=expected, policy="first", secret=vault_secret(layout))


def test_verdicts_read_back_as_they_were_stored(layout):
    store(layout, GOOD)
    assert read(layout).verdicts == tuple(GOOD)
    assert read(layout).expected == GATES
    assert read(layout).failing(GATES) == []


def test_steps_may_store_one_after_the_other(layout):
    for one in GOOD:
        store(layout, [one], expected={(one.table, one.gate)})
    assert read(layout).failing(GATES) == []


def test_a_later_verdict_of_a_gate_counts(layout):
    store(layout, GOOD)
    store(layout, [verdict(passed=False)])
    assert read(layout).failing([]) == [("subjects", "replay", f"failed: {coarse(verdict(passed=False)).reason}")]


def test_a_gate_without_verdict_fails(layout):
    store(layout, GOOD[:1])
    (table, gate, reason), *_ = read(layout).failing([("visits", "shape")])
    assert (table, gate) == ("visits", "replay")
    assert "no verdict" in reason
    assert len(read(layout).failing([("visits", "shape")])) == 2


def test_a_warning_does_not_hold_back(layout):
    store(layout, [*GOOD, verdict("shape", passed=False, warns=True)])
    assert read(layout).failing(GATES) == []


@pytest.mark.parametrize("edit", [
    lambda told: told["judgement"]["verdicts"][0].update(passed=True),
    lambda told: told["judgement"].update(expected=[]),
    lambda told: told.pop("mac"),
    lambda told: told.update(mac="00" * 32),
])  # fmt: skip
def test_edited_verdicts_are_refused(layout, edit):
    store(layout, [verdict(passed=False)])
    file = layout.verdicts("clinic", HASH)
    told = json.loads(file.read_text())
    edit(told)
    file.write_text(json.dumps(told))
    with pytest.raises(LakeError, match=r"edited after they were given\. Run the checks again"):
        read(layout)


def test_verdicts_on_another_snapshot_or_pipeline_do_not_count(layout):
    store(layout, GOOD)
    for pipeline, snapshot in (("adult", HASH), ("clinic", "cd" * 32)):
        target = layout.verdicts(pipeline, snapshot)
        with pytest.raises(LakeError, match="nobody has judged this snapshot"):
            read(layout, pipeline, snapshot)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(layout.verdicts("clinic", HASH).read_bytes())
        with pytest.raises(LakeError, match="edited"):
            read(layout, pipeline, snapshot)


def test_only_the_owner_can_read_verdicts(layout):
    staging = stage(layout)
    judge(layout, staging)
    assert layout.verdicts("clinic", snapshot_hash(staging)).stat().st_mode & 0o077 == 0
