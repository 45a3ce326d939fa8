"""The scorecard in a terminal."""

import io

import pytest
from rich.console import Console

from twinlake.report.scorecard import render_text, scorecard
from twinlake.report.words import worst_parts
from twinlake.verdict import Severity, Verdict


def verdict(gate: str = "column_shape", table: str = "people", **changes) -> Verdict:
    told = {"value": 0.97, "n": 9768, "limit": 0.95, "bound": "at_least", "passed": True, "reason": "as it should be"}
    return Verdict(gate=gate, table=table, **(told | changes))


PASSED = verdict(low=0.96, high=0.98, baseline=0.991, parts={"sex": 0.999, "age": 0.96, "job": 0.97, "bmi": 0.98})
FAILED = verdict("pair_trend", value=0.9, passed=False, reason="0.900 is under the limit of 0.950")
WARNED = verdict("expectations_warning", passed=False, severity=Severity.WARNING, reason="2 of 14 rules are not met")
SILENT = Verdict.could_not_run("replay", "people", why="ValueError, details in the vault")


def line(text: str, word: str) -> str:
    return next(part for part in text.splitlines() if word in part)


def test_a_row_tells_value_interval_baseline_limit_and_rows() -> None:
    row = line(render_text([PASSED], title="adult"), "column_shape")
    assert row.split() == ["✓", "column_shape", "0.970", "[0.960,", "0.980]", "0.991", "≥", "0.950", "9,768"]


def test_of_an_attack_the_upper_end_is_told() -> None:
    attack = verdict("membership", value=0.512, high=0.5311, baseline=0.5, limit=0.55, bound="at_most")
    row = line(render_text([attack], title="adult"), "membership")
    assert row.split() == ["✓", "membership", "0.512", "up", "to", "0.531", "0.500", "≤", "0.550", "9,768"]


def test_marks_tell_apart_what_passes_warns_and_blocks() -> None:
    text = render_text([PASSED, FAILED, WARNED], title="adult")
    assert [line(text, g)[0] for g in ("column_shape", "pair_trend", "expectations_warning")] == ["✓", "✗", "!"]


def test_reasons_are_given_for_what_did_not_pass_only() -> None:
    text = render_text([PASSED, FAILED, WARNED, SILENT], title="adult")
    assert "0.900 is under the limit" in text
    assert "2 of 14 rules" in text
    assert "could not run: ValueError" in text
    assert "as it should be" not in text


def test_the_worst_columns_come_first() -> None:
    assert "age 0.960, job 0.970, bmi 0.980" in render_text([PASSED], title="adult")


def test_where_less_is_better_the_worst_parts_are_the_highest() -> None:
    gate = verdict("attribute_inference", bound="at_most", value=0.01, limit=0.05, parts={"a": 0.001, "b": 0.04})
    assert worst_parts(gate, most=1) == [("b", 0.04)]


def test_only_likenesses_are_said_to_be_far_from_real() -> None:
    counted = verdict("structure", bound="at_most", value=0.0, limit=0.0, parts={"key (id)": 0.0})
    held = verdict("expectations", value=1.0, low=1.0, high=1.0, limit=1.0, parts={"age is positive": 1.0})
    assert "Furthest" not in render_text([counted, held], title="adult")


@pytest.mark.parametrize(
    ("verdicts", "release", "last"),
    [
        ([PASSED], "2026-11-22", "released as 2026-11-22"),
        ([PASSED, WARNED], None, "passed 1 of 2 gates; none blocks a release"),
        ([PASSED, FAILED], None, "refused because pair_trend of people failed"),
        ([FAILED, SILENT], "2026-11-22", "refused because pair_trend of people failed, and 1 other gate did not pass"),
        ([], "2026-11-22", "refused because no gate was run"),
    ],
)
def test_the_last_line_says_what_became_of_it(verdicts: list[Verdict], release: str | None, last: str) -> None:
    assert render_text(verdicts, title="adult", release=release).splitlines()[-1] == last


def test_a_near_miss_of_a_perfect_score_does_not_read_as_one() -> None:
    assert ">0.999" in render_text([verdict(value=0.99999, limit=1.0, passed=False)], title="adult")


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/]", "[link=http://x]y", "x\\[b]"])
def test_markup_in_a_name_shows_as_it_is(name: str) -> None:
    text = render_text([verdict(table=name), verdict(table=name, passed=False, reason=name)], title=name)
    assert text.count(name) >= 4


def test_a_name_cannot_steer_the_terminal() -> None:
    text = render_text([verdict(table="x\x1b[2J\x07\r\u202eevil", passed=False)], title="a\x1b[31m")
    assert not set(text) & set("\x1b\x07\r\u202e")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_terminal_can_write_it(encoding: str) -> None:
    text = render_text([PASSED, FAILED, verdict(table="é 語 \ud800")], title="adult", encoding=encoding)
    text.encode(encoding)
    assert "column_shape" in text


def test_a_plain_terminal_reads_words_for_signs() -> None:
    text = render_text([PASSED, FAILED], title="adult", encoding="ascii")
    assert line(text, "column_shape").startswith("ok")
    assert line(text, "pair_trend").startswith("NO")
    assert ">= 0.950" in text


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_eighty_columns_are_enough(encoding: str) -> None:
    large = {"value": 123456789.0, "limit": 1e9, "n": 10**9, "low": 0.1, "high": 0.2, "parts": {"c" * 200: 0.1}}
    wide = verdict("a_gate_with_a_very_long_name_indeed", "t" * 300, **large)
    text = render_text([wide, FAILED], title="t" * 200, encoding=encoding)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("settings", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_stay_away_where_they_are_not_wanted(settings: dict[str, str]) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, _environ={"TERM": "xterm-256color", "COLUMNS": "80"} | settings)
    console.print(scorecard([PASSED, FAILED], title="adult"))
    assert "\x1b[31" not in out.getvalue()
    assert "\x1b[1;31" not in out.getvalue()


def test_colours_are_used_where_they_can_be() -> None:
    out = io.StringIO()
    Console(file=out, force_terminal=True, _environ={"TERM": "xterm-256color", "COLUMNS": "80"}).print(
        scorecard([PASSED, FAILED], title="adult")
    )
    assert "\x1b[32m✓" in out.getvalue()
