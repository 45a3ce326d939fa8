"""How often a snapshot may be tried, and what of a refusal goes where."""

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from projects import PIPELINE, job, make_project, part, write_duckdb
from scenario import SCHEMA, clinic

from twinlake.card import coarse, is_private
from twinlake.errors import DataError, LakeError, Refused
from twinlake.run.attempts import evidence, next_attempt, note_attempt
from twinlake.run.extract import extract, open_extract
from twinlake.run.judge import judge
from twinlake.run.pages import full_page, refused_page
from twinlake.run.policy import overrides, policy_hash
from twinlake.run.record import Record
from twinlake.run.release import release
from twinlake.run.run import run
from twinlake.run.sample import sample
from twinlake.run.train import train
from twinlake.storage.layout import Layout
from twinlake.storage.release import releases
from twinlake.storage.verdicts import read_verdicts
from twinlake.tables import conform
from twinlake.verdict import Verdict

DATE = "2026-11-22"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Layout:
    """A project with a model, and no snapshot yet."""
    layout = make_project(tmp_path_factory.mktemp("trained") / "project")
    one = job(layout)
    train(one, extract(one, Record("clinic", DATE)))
    return layout


@pytest.fixture
def again(trained, tmp_path) -> Layout:
    """A copy of that project to change."""
    return Layout(Path(shutil.copytree(trained.root, tmp_path / "project", symlinks=True)))


def loaded(layout: Layout, date: str = DATE) -> Record:
    record = Record.load(layout, "clinic", DATE)
    return record if date == DATE else Record.load(layout, "clinic", date).save(
        layout, extract=record.extract, model=record.model
    )  # fmt: skip


def told(gate: str, **changes) -> Verdict:
    given = {"value": 0.7, "n": 9, "limit": 0.55, "bound": "at_most", "passed": False, "reason": "planted"}
    return Verdict(gate=gate, table="subjects", **(given | changes))


def judged(layout: Layout, *verdicts: Verdict, snapshot: str = "ab", date: str = DATE, number: int = 1) -> None:
    one = job(layout)
    there = open_extract(one, loaded(layout).need("extract"))
    note_attempt(one, date, there, snapshot, number=number, verdicts=list(verdicts))


def following(layout: Layout, date: str = DATE) -> int:
    one = job(layout)
    return next_attempt(one, date, open_extract(one, loaded(layout).need("extract")))


def change(layout: Layout, old: str, new: str) -> None:
    assert old in PIPELINE
    layout.pipeline_file("clinic").write_text(PIPELINE.replace(old, new))


def plant(layout: Layout, record: Record) -> None:
    """Real people under made-up names, in the snapshot."""
    file = part(layout.staging("clinic", record.need("snapshot")), "subjects")
    learnt, twin = open_extract(job(layout), record.need("extract")).learnt["subjects"], pq.read_table(file)
    for name in SCHEMA["subjects"].learnt:
        real = learnt[name].take(pa.array([i % learnt.num_rows for i in range(twin.num_rows)]))
        twin = twin.set_column(twin.column_names.index(name), twin.schema.field(name), real.cast(twin[name].type))
    file.unlink()
    pq.write_table(conform(twin, SCHEMA["subjects"]), file)


def test_a_refusal_by_a_privacy_gate_is_followed_by_one_attempt_and_no_third(again):
    assert following(again) == 1
    judged(again, told("replay"))
    assert following(again) == 2
    judged(again, told("replay"), snapshot="cd", number=2)
    with pytest.raises(
        DataError, match=r"refused 2 snapshots of 2026-11-22, and a third is not drawn.*A new seed alone"
    ):
        following(again)
    with pytest.raises(DataError, match="the file fixes the seed"):
        sample(job(again), loaded(again))
    assert following(again, "2026-11-23") == 1


def test_too_little_data_to_tell_is_a_refusal_too(again):
    judged(again, told("membership", inconclusive=True))
    assert following(again) == 2


@pytest.mark.parametrize("verdicts", [[told("column_shape")], [told("rules")], [told("replay", passed=True)]])
def test_what_no_privacy_gate_refused_is_drawn_again_as_it_was(again, verdicts):
    judged(again, *verdicts)
    assert following(again) == 1


@pytest.mark.parametrize(("old", "new", "counts"), [
    ("seed: 7", "seed: 8", True),
    (", seed: 7", "", True),
    ("description: A small clinic", "description: A clinic", True),
    ("release: {keep: 2}", "release: {keep: 3}", True),
    ('every: "0 3 * * *"', 'every: "0 4 * * *"', True),
    ("name: marginals", "name: forest", False),
    ("pair_trend: 0.7", "pair_trend: 0.6", False),
    ("unit: subjects", "unit: subjects\nholdout: 0.3", False),
])  # fmt: skip
def test_a_new_seed_asks_the_same_question_and_new_settings_another(again, old, new, counts):
    judged(again, told("replay"))
    change(again, old, new)
    assert following(again) == (2 if counts else 1)


def test_a_new_source_begins_anew(again):
    judged(again, told("replay"))
    write_duckdb(again.root / "clinic.duckdb", clinic(2900))
    one = job(again)
    record = extract(one, loaded(again))
    assert next_attempt(one, DATE, open_extract(one, record.need("extract"))) == 1


def test_the_first_attempt_is_drawn_as_ever_and_the_second_otherwise(again):
    one, record = job(again), loaded(again)
    first = sample(one, record).need("snapshot")
    assert sample(one, record).need("snapshot") == first
    judged(again, told("replay"))
    second = sample(one, record).need("snapshot")
    assert sample(one, record).need("snapshot") == second != first


def test_a_planted_leak_is_refused_the_second_attempt_is_released_and_all_of_it_is_told(again):
    one = job(again)
    record = sample(one, loaded(again))
    plant(again, record)
    refused = judge(one, record)
    assert any(v.blocks and v.gate == "replay" for v in refused)
    with pytest.raises(Refused, match="replay: failed: over the limit; the vault has the reason in full") as raised:
        release(one, record)
    assert not any(v.reason in str(raised.value) for v in refused if v.blocks)
    page = refused_page(one, DATE, 1)
    assert page.is_relative_to(again.vault)
    assert page.stat().st_mode & 0o077 == 0
    assert "the twin holds what only few real units hold" in page.read_text(encoding="utf-8")

    judge(one, record)  # the very same again: Dagster may run a check on its own
    assert evidence(one, record).attempt == 1

    outcome = run(one, date=DATE)
    assert outcome.release is not None
    shown = outcome.release.manifest.evidence
    assert shown is not None
    assert (shown.attempt, shown.history, shown.recipient) == (2, "judged 2 times under 1 setting", "internal")
    assert "Snapshots of the same real rows were judged 2 times under 1 setting." in outcome.lines()
    text = (outcome.release.folder / "report.html").read_text(encoding="utf-8")
    assert "second attempt of its date" in text
    assert "97.5 % confidence" in text
    stored = read_verdicts(again, "clinic", outcome.release.manifest.snapshot, secret=one.secret)
    assert stored.attempt == 2

    night = run(one, date="2026-11-23")  # nothing has changed: no attempt
    assert not night.fresh
    assert evidence(one, Record.load(again, "clinic", DATE)).judged == 2

    full = full_page(one, outcome.release)
    assert full.is_relative_to(again.vault)
    assert "stays in the vault" in full.read_text(encoding="utf-8")


def test_nothing_that_was_measured_exactly_on_real_rows_leaves_the_vault(again):
    one = job(again)
    outcome = run(one, date=DATE)
    assert outcome.release is not None
    written = json.loads((outcome.release.folder / "manifest.json").read_text())["verdicts"]
    private = [v for v in written if is_private(v["gate"])]
    assert {v["gate"] for v in private}
    for v in private:
        assert (v["low"], v["high"], v["baseline"], v["parts"]) == (None, None, None, {})
    full = read_verdicts(again, "clinic", outcome.release.manifest.snapshot, secret=one.secret).verdicts
    assert outcome.release.manifest.verdicts == tuple(coarse(v) for v in full)
    page = (outcome.release.folder / "report.html").read_text(encoding="utf-8")
    assert not [v.reason for v in full if is_private(v.gate) and v.reason in page]


def test_limits_that_changed_after_the_verdict_are_refused(again):
    record = sample(job(again), loaded(again))
    judge(job(again), record)
    change(again, "pair_trend: 0.7", "pair_trend: 0.1")
    with pytest.raises(LakeError, match=r"limits or settings changed after it was judged.*Run the checks again"):
        release(job(again), record)
    assert releases(again, "clinic") == []


@pytest.mark.parametrize(("privacy", "told"), [
    ("{}", ()),
    ("{recipient: internal}", ()),
    ("{membership: 0.53}", ()),
    ("{recipient: partner, membership: 0.6}",
     ("membership is held against 0.6, where partner recipients are given 0.575",)),
    ("{membership: {limit: 0.55, severity: warning}, holdout_units: 40}",
     ("membership warns, where it would block", "40 held-back units suffice, where 500 are asked for")),
])  # fmt: skip
def test_what_the_file_asks_less_of_than_its_recipients_class_is_an_override(again, privacy, told):
    text = re.sub(r"privacy: \{[^}]*\}", f"privacy: {privacy}", PIPELINE)
    assert text != PIPELINE
    again.pipeline_file("clinic").write_text(text)
    assert overrides(job(again)) == told


def test_the_policy_is_the_same_in_every_process_and_another_with_other_limits(again):
    before = policy_hash(job(again))
    assert before == policy_hash(job(again))
    change(again, "pair_trend: 0.7", "pair_trend: 0.71")
    assert policy_hash(job(again)) != before
