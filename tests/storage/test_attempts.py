import json
from dataclasses import replace

import pytest
from lakes import project

from twinlake.errors import LakeError
from twinlake.storage.attempts import Attempt, add_attempt, read_attempts
from twinlake.storage.secret import vault_secret
from twinlake.verdict import Outcome

FIRST = Attempt(
    date="2026-11-22", real="ab" * 32, policy="cd" * 10, snapshot="ef" * 32, number=1, passed=False,
    privacy=Outcome.FAILED,
)  # fmt: skip
SECOND = replace(FIRST, snapshot="01" * 32, number=2, privacy=Outcome.INCONCLUSIVE)
THIRD = replace(FIRST, date="2026-11-23", passed=True, privacy=Outcome.PASSED)


@pytest.fixture
def layout(tmp_path):
    made = project(tmp_path)
    for attempt in (FIRST, SECOND, THIRD):
        add_attempt(made, "clinic", attempt, secret=vault_secret(made))
    return made


def read(layout, pipeline="clinic"):
    return read_attempts(layout, pipeline, secret=vault_secret(layout))


def test_attempts_are_read_in_the_order_they_were_made(layout):
    assert read(layout) == (FIRST, SECOND, THIRD)
    assert read(layout, "adult") == ()


def test_judging_the_same_snapshot_again_is_the_same_attempt(layout):
    add_attempt(layout, "clinic", SECOND, secret=vault_secret(layout))
    assert read(layout) == (FIRST, SECOND, THIRD)


def test_only_the_owner_can_read_attempts(layout):
    assert layout.attempts("clinic").stat().st_mode & 0o077 == 0


def edited(line: str) -> str:
    told = json.loads(line)
    told["attempt"]["privacy"] = "passed"
    return json.dumps(told)


@pytest.mark.parametrize("fault", [
    lambda lines: [edited(lines[0]), *lines[1:]],
    lambda lines: [lines[0], edited(lines[1]), lines[2]],
    lambda lines: lines[1:],
    lambda lines: [lines[0], lines[2]],
    lambda lines: [lines[1], lines[0], lines[2]],
    lambda lines: [*lines[:2], lines[2][:-9]],
    lambda lines: [*lines, "{}"],
])  # fmt: skip
def test_a_line_that_was_edited_moved_or_taken_out_is_noticed(layout, fault):
    file = layout.attempts("clinic")
    file.write_text("\n".join(fault(file.read_text().splitlines())) + "\n")
    with pytest.raises(LakeError, match="count of attempts was edited, or is damaged"):
        read(layout)
    with pytest.raises(LakeError):
        add_attempt(layout, "clinic", replace(THIRD, number=2), secret=vault_secret(layout))


def test_the_count_of_another_pipeline_does_not_count(layout):
    target = layout.attempts("adult")
    target.parent.mkdir(parents=True)
    target.write_bytes(layout.attempts("clinic").read_bytes())
    with pytest.raises(LakeError, match="edited"):
        read(layout, "adult")
