"""The shadow game of a pipeline: its outcome holds for some days, and for the settings it was played with."""

import dataclasses
from pathlib import Path

import pytest
from projects import PIPELINE, job, make_project

from twinlake.run.extract import extract
from twinlake.run.job import Job
from twinlake.run.record import Record
from twinlake.run.shadow import play, played_tables, shadow_gates, shadows
from twinlake.storage.games import read_game, store_game
from twinlake.verdict import Outcome, Severity, Verdict

DATE = "2026-11-22"
SMALL = PIPELINE.replace("shadow_fits: 0", "shadow_fits: 14")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose generator draws columns one by one."""
    from scenario import clinic

    return make_project(tmp_path_factory.mktemp("shadow"), pipeline=SMALL, real=clinic(120)).root


def opened(home: Path, text: str = SMALL) -> tuple[Job, str]:
    (home / "pipelines/clinic.yaml").write_text(text)
    own = Job.open("clinic", start=home)
    return own, extract(own, Record("clinic", DATE)).need("extract")


def test_the_game_is_played_for_the_unit_and_without_one_for_each_private_table(home: Path) -> None:
    own, _ = opened(home)
    assert played_tables(own, own.schema()) == ("subjects",)
    alone = opened(home, SMALL.replace("unit: subjects\n", ""))[0]
    assert played_tables(alone, alone.schema()) == ("subjects", "visits")
    assert shadow_gates(alone, alone.schema()) == {("subjects", "shadow"), ("visits", "shadow")}


def test_no_fits_no_game(home: Path) -> None:
    own, made = opened(home, PIPELINE)
    assert list(shadows(own, made, date=DATE)) == []
    assert not shadow_gates(own, own.schema())


def test_an_outcome_holds_for_its_days_and_its_settings(home: Path) -> None:
    own, made = opened(home)
    told: list[str] = []

    def verdicts(of: Job, date: str) -> list[Verdict]:
        told.clear()
        return list(shadows(of, made, date=date, progress=lambda what, _done, _all: told.append(what)))

    (first,) = verdicts(own, DATE)
    assert (first.gate, first.table, len(told)) == ("shadow", "subjects", 14)
    assert DATE in first.reason
    assert verdicts(own, "2026-11-28") == [first]
    assert not told
    verdicts(own, "2026-11-29")
    assert told
    verdicts(opened(home, SMALL.replace("seed: 7", "seed: 8"))[0], "2026-11-30")
    assert not told  # another seed asks the same question again
    verdicts(opened(home, SMALL.replace("shadow_fits: 14", "shadow_fits: 14, min_units: 9"))[0], "2026-11-30")
    assert told


def test_an_outcome_that_was_edited_does_not_count(home: Path) -> None:
    own, made = opened(home)
    (before,) = shadows(own, made, date=DATE)
    for file in (home / "data/vault/clinic/shadow").glob("*.json"):
        file.write_text(file.read_text().replace('"limit": 0.6', '"limit": 0.7'))
    told: list[int] = []
    (after,) = shadows(own, made, date=DATE, progress=lambda _what, done, _all: told.append(done))
    assert len(told) == 14
    assert after == before


def test_an_outcome_is_signed_for_its_settings(home: Path) -> None:
    own, made = opened(home)
    (verdict,) = shadows(own, made, date=DATE)
    file = next((home / "data/vault/clinic/shadow").glob("*.json"))
    held = read_game(own.layout, "clinic", file.stem, secret=own.secret)
    assert held is not None
    other = own.layout.shadow("clinic", "f" * 20)
    other.write_text(file.read_text())
    assert read_game(own.layout, "clinic", "f" * 20, secret=own.secret) is None
    other.unlink()
    store_game(own.layout, "clinic", held, secret=own.secret)
    assert verdict.gate == "shadow"


def test_the_outcome_does_not_depend_on_the_number_of_workers(home: Path) -> None:
    own, _ = opened(home)
    one = play(own, date=DATE)
    assert one == play(own, date=DATE, workers=2)


def test_another_day_plays_another_game(home: Path) -> None:
    own, _ = opened(home)
    one, other = (play(own, date=d)[0] for d in (DATE, "2026-11-23"))
    assert one.parts != other.parts


def test_a_game_leaves_nothing_but_its_outcome(home: Path) -> None:
    own, _ = opened(home)
    play(own, date=DATE)
    assert not list((home / "data/vault/clinic/scratch").glob("*"))


def test_too_few_units_or_fits_decide_nothing_and_a_severity_is_the_files(tmp_path: Path) -> None:
    from scenario import clinic

    layout = make_project(tmp_path, pipeline=SMALL, real=clinic(15))
    (few,) = play(job(layout), date=DATE)
    assert (few.outcome, few.blocks) == (Outcome.INCONCLUSIVE, True)
    assert "15 units are too few" in few.reason
    warned = SMALL.replace("shadow_fits: 14", "shadow_fits: 14, shadow: {limit: 0.6, severity: warning}")
    layout.pipeline_file("clinic").write_text(warned)
    (shown,) = play(job(layout), date=DATE)
    assert shown == dataclasses.replace(few, severity=Severity.WARNING)


def test_a_game_that_breaks_has_failed(home: Path) -> None:
    own, _ = opened(home, SMALL.replace("name: marginals", "name: gaussian_copula, settings: {rows: 100}"))
    broken = dataclasses.replace(own, pipeline=own.pipeline.model_copy(update={"generator": _unknown(own)}))
    (verdict,) = play(broken, date=DATE)
    assert (verdict.value, verdict.blocks) == (None, True)
    assert verdict.reason.startswith("could not run")


def _unknown(own: Job) -> object:
    return own.pipeline.generator.model_copy(update={"name": "nothing"})
