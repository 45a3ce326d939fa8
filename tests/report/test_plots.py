"""Pictures: what they hold, how large they are, that they are the same each time."""

import base64
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from scenario import SUBJECTS, clinic

from twinlake.report.plots import as_markdown, bullet_plot, column_plot, columns_plot, pairs_plot, ranked_plot, worst
from twinlake.report.shares import ColumnShares, Form, Share, compare, pair_scores
from twinlake.verdict import Severity, Verdict

NONE = Share("other", 0.0, None)


def labels(name: str, *texts: str) -> ColumnShares:
    shares = tuple(Share(t, 1 / len(texts), 1 / len(texts)) for t in texts)
    return ColumnShares(column=name, form=Form.LABELS, shares=shares, other=NONE, null=Share("null", 0.2, 0.1), k=10)


def bins(name: str) -> ColumnShares:
    shares = tuple(Share(f"{i} – {i + 1}", 0.05, None if i == 3 else 0.05) for i in range(20))
    ticks = tuple(str(i) for i in range(21))
    return ColumnShares(column=name, form=Form.BINS, shares=shares, ticks=ticks, other=NONE, null=NONE, k=10)


def verdict(**changes) -> Verdict:
    told = {
        "gate": "column_shape", "table": "t", "value": 0.97, "low": 0.96, "high": 0.98, "baseline": 0.99, "n": 9,
        "limit": 0.95, "bound": "at_least", "passed": True, "reason": "",
    }  # fmt: skip
    return Verdict(**(told | changes))


def texts(svg: str) -> list[str]:
    return [t.text or "" for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_names_its_column_and_labels() -> None:
    shown = texts(column_plot(labels("city", "Bern", "Chur")))
    assert {"city", "Bern", "Chur", "null"} <= set(shown)


def test_a_hidden_real_share_is_a_gap_in_the_line() -> None:
    whole, gap = bins("x"), bins("x")
    filled = tuple(Share(s.label, s.synthetic, 0.05) for s in whole.shares)
    without = ColumnShares(column="x", form=Form.BINS, shares=filled, ticks=gap.ticks, other=NONE, null=NONE, k=10)
    assert column_plot(gap) != column_plot(without)


ODD = ["<script>alert(1)</script>", "]]>&amp;\"'", "$x^2$", "a\x00b\x1b[31m", "語 \u202etxt", "\ud800"]


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_and_labels_are_shown_as_text(odd: str) -> None:
    svg = column_plot(labels(odd, odd, "b"))
    tags = {e.tag.rpartition("}")[2] for e in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "style", "defs", "g", "path", "text", "use", "clipPath", "rect"}
    assert "\x1b" not in svg
    assert "\u202e" not in svg


def test_a_label_written_like_an_attribute_is_left_alone() -> None:
    odd = ' transform="rotate(-0 1 2)"'
    assert any(odd.strip()[:9] in t for t in texts(column_plot(labels("x", odd, "b"))))


def test_long_names_are_cut() -> None:
    assert max(map(len, texts(column_plot(labels("n" * 500, "l" * 500, "b"))))) < 40


def test_the_same_shares_give_the_same_bytes_in_any_process() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from scenario import SUBJECTS, clinic\n"
        "from twinlake.report.plots import columns_plot\n"
        "from twinlake.report.shares import compare\n"
        "sys.stdout.buffer.write(columns_plot(compare(*[clinic()['subjects']] * 2, SUBJECTS)).encode())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": s}, capture_output=True).stdout
        for s in ("1", "2")
    ]
    here = columns_plot(compare(*[clinic()["subjects"]] * 2, SUBJECTS)).encode()
    assert runs == [here, here]


def test_three_hundred_columns_show_the_worst_ones_and_stay_small() -> None:
    many = [labels(f"c{i}", *(f"a very long label {j}" for j in range(12))) for i in range(300)]
    parts = {f"c{i}": 0.5 if i >= 290 else 0.9 for i in range(300)}
    svg = columns_plot(many, parts=parts)
    assert len(svg) < 60_000
    assert {f"c{i}" for i in range(290, 300)} <= set(texts(svg))
    assert any("276 more columns" in t for t in texts(svg))


def test_few_columns_are_all_kept_in_their_order() -> None:
    few = [labels("b", "x", "y"), bins("a")]
    assert [c.column for c in worst(few, parts={"a": 0.1})] == ["b", "a"]


def test_no_column_and_one_column_draw() -> None:
    ET.fromstring(columns_plot([]))
    ET.fromstring(columns_plot([bins("only")]))


def test_every_column_of_the_clinic_draws() -> None:
    for shares in compare(clinic()["subjects"], clinic(seed=1)["subjects"], SUBJECTS):
        assert shares.column in texts(column_plot(shares))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"passed": False},
        {"passed": False, "severity": Severity.WARNING},
        {"value": 0.0, "low": None, "high": None, "baseline": None, "limit": 0.0, "bound": "at_most"},
        {"value": None, "low": None, "high": None, "baseline": None, "passed": False},
        {"value": float("nan"), "low": float("nan"), "high": float("inf"), "passed": False},
    ],
)
def test_a_verdict_of_any_kind_draws(changes: dict[str, object]) -> None:
    ET.fromstring(bullet_plot(verdict(**changes)))


def test_a_pass_and_a_failure_look_different_without_colour() -> None:
    colour = "#008a64", "#c9510c"
    passed, failed = bullet_plot(verdict()), bullet_plot(verdict(value=0.9, low=0.89, high=0.91, passed=False))
    assert passed.replace(colour[0], "") != failed.replace(colour[1], "")


def test_pairs_are_named_once_each_and_stay_small() -> None:
    names = [f"column {i}" for i in range(40)]
    pairs = [f"{a} × {b}" for i, a in enumerate(names) for b in names[i + 1 :]]
    parts = {pair: 1 - i % 30 / 100 for i, pair in enumerate(pairs)}
    svg = pairs_plot(pair_scores(parts, names))
    assert sum(t.startswith("column") for t in texts(svg)) == 16
    assert len(svg) < 60_000


def test_markdown_holds_the_picture_and_no_markup_of_its_own() -> None:
    markdown = as_markdown("<svg/>", alt="](javascript:alert(1))[")
    assert markdown == f"![javascript:alert1](data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()})"


def test_every_colour_has_one_for_dark_surroundings() -> None:
    for svg in (columns_plot([labels("a", "x", "y"), bins("b")]), bullet_plot(verdict())):
        light, dark = svg.split("@media (prefers-color-scheme:dark)", 1)
        coloured = set(re.findall(r"\.(s\d+)\{[^}]*#[0-9a-f]{6}", light))
        assert coloured
        assert coloured == set(re.findall(r"\.(s\d+)\{", dark))


def test_ranked_parts_are_named_with_their_values_the_worst_first_and_beside_the_limit() -> None:
    parts = {f"a × t.c{i}": 0.5 + i / 100 for i in range(20)}
    shown = texts(ranked_plot(verdict(gate="parent_trend", parts=parts), "Beside parents"))
    assert "Beside parents" in shown
    assert [t for t in shown if "×" in t] == [f"a × t.c{i}" for i in range(12)]
    assert {"0.500", "0.95", "1"} <= set(shown)


@pytest.mark.parametrize("parts", [{"a × b": 0.0}, {"a × b": 1.0}, dict.fromkeys(ODD, 0.3)])
def test_ranked_parts_of_any_kind_draw(parts: dict[str, float]) -> None:
    ET.fromstring(ranked_plot(verdict(parts=parts), "x"))
