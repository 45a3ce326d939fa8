"""The page about a release."""

import base64
import datetime as dt
import re
from html.parser import HTMLParser

import pyarrow as pa
import pytest
from scenario import SCHEMA, clinic

from twinlake.report.page import page
from twinlake.report.shares import compare
from twinlake.schema import Column, Schema, Table
from twinlake.tables import Tables
from twinlake.verdict import Severity, Verdict

AT = dt.datetime(2026, 11, 22, 3, 0, tzinfo=dt.UTC)
REFERENCED = {"script", "link", "iframe", "object", "embed", "form", "base", "audio", "video", "source"}


def verdict(gate: str = "column_shape", table: str = "subjects", **changes) -> Verdict:
    told = {"value": 0.97, "n": 400, "limit": 0.95, "bound": "at_least", "passed": True, "reason": "as it should be"}
    return Verdict(gate=gate, table=table, **(told | changes))


def written(**changes) -> str:
    told = {
        "pipeline": "clinic", "release": "2026-11-22", "created": AT, "manifest_rows": [("Generator", "forest")],
        "verdicts": [verdict()], "comparisons": {}, "families": {}, "schema": SCHEMA,
    }  # fmt: skip
    return page(**(told | changes))


def compared(real: Tables, synthetic: Tables) -> dict[str, object]:
    return {n: compare(real[n], synthetic[n], SCHEMA[n]) for n in SCHEMA.names}


def opened(html: str) -> str:
    """The page with the text of its pictures."""
    pictures = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", html)
    return html + "".join(base64.b64decode(p).decode() for p in pictures)


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text a person sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_says_that_the_data_are_synthetic_who_made_them_and_what_they_passed() -> None:
    reader = Reader(written())
    assert ("meta", {"name": "data-origin", "content": "synthetic"}) in reader.tags
    for told in ("Synthetic data", "pipeline clinic", "2026-11-22", "Passed 1 of 1 gate", "Generator", "forest"):
        assert told in reader.text


def test_nothing_is_loaded_and_nothing_runs() -> None:
    html = written(comparisons=compared(clinic(), clinic(seed=1)))
    reader = Reader(html)
    assert not REFERENCED & {tag for tag, _ in reader.tags}
    loaded = [a[k] or "" for _, a in reader.tags for k in ("src", "href", "srcset") if k in a]
    assert all(address.startswith(("data:image/svg+xml;base64,", "#")) for address in loaded)
    assert not any(name.startswith("on") or name == "style" for _, a in reader.tags for name in a)
    policy = next(a["content"] for _, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"url\((?!#)", opened(html))


ODD = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a\x00\x1b\u202eb"]


@pytest.mark.parametrize("odd", ODD)
def test_a_name_is_shown_as_text_wherever_it_comes_from(odd: str) -> None:
    table = Table(odd, (Column(odd, pa.string()), Column("b", pa.string())), key=("b",))
    rows = pa.table({odd: [odd, "x"] * 50, "b": [str(i) for i in range(100)]})
    html = written(
        pipeline=odd, release=odd, manifest_rows=[(odd, odd)], schema=Schema((table,)),
        verdicts=[verdict(odd, odd, passed=False, reason=odd, parts={f"{odd} × b": 0.5})],
        comparisons={odd: compare(rows, rows, table)},
    )  # fmt: skip
    assert not {"script"} & {tag for tag, _ in Reader(opened(html)).tags}
    assert all("onerror" not in a for _, a in Reader(opened(html)).tags)
    assert not set(html) & set("\x00\x1b\u202e")
    assert "49" not in Reader(html).text
    if odd.isprintable():
        assert odd in Reader(html).text


def test_a_unique_real_label_and_extreme_show_nowhere() -> None:
    real = clinic()
    people = real["subjects"].to_pylist()
    people[0] |= {"city": "Soglio", "bmi": 4711.0815}
    planted = Tables(SCHEMA, {**real, "subjects": pa.Table.from_pylist(people, schema=SCHEMA["subjects"].arrow)})
    seen = opened(written(comparisons=compared(planted, clinic(seed=1))))
    assert "Bern" in seen
    assert not [secret for secret in ("Soglio", "4711", "4.711", "4712", "real0@") if secret in seen]


def test_no_promise_is_made_that_nobody_can_keep() -> None:
    failed = [verdict(), verdict("copying", passed=False), Verdict.could_not_run("replay", "subjects", why="x")]
    for verdicts in ([], [verdict()], failed):
        for release in (None, "2026-11-22"):
            told = Reader(written(verdicts=verdicts, release=release)).text.lower()
            assert not re.search(r"anonym|complian|gdpr|hipaa|no risk|risk-free|guarantee|\bsafe\b", told)


def test_what_was_not_tested_is_named_until_a_gate_tests_it() -> None:
    before = Reader(written()).text
    assert "Membership: whether" in before
    assert "Not tested: Membership; Singling out; Linkability; Attribute inference; Several releases together" in before
    after = Reader(written(verdicts=[verdict(), verdict("membership", bound="at_most", value=0.5, limit=0.55)])).text
    assert "Membership: whether" not in after
    assert "Attribute inference: whether" in after


def test_a_gate_that_could_not_run_tested_nothing() -> None:
    silent = Verdict.could_not_run("membership", "subjects", why="too few rows")
    told = Reader(written(verdicts=[silent])).text
    assert "Membership: whether" in told
    assert "Membership of table subjects: the gate could not run." in told
    assert "could not run; the vault has why" in told
    assert "could not run: too few rows" in Reader(written(verdicts=[silent], full=True)).text
    assert "Refused" in told


def test_a_refusal_names_the_gate_and_its_reason() -> None:
    told = Reader(written(verdicts=[verdict(passed=False, reason="0.90 is under 0.95")], release=None)).text
    assert "Column shape of subjects failed." in told
    assert "0.90 is under 0.95" in told
    assert "candidate, not released" in told
    assert "Refused" in Reader(written(verdicts=[])).text


def test_a_warning_does_not_refuse() -> None:
    warned = verdict("expectations_warning", passed=False, severity=Severity.WARNING, reason="2 rules are not met")
    told = Reader(written(verdicts=[verdict(), warned])).text
    assert "Released" in told
    assert "1 warning: see below" in told


def test_every_gate_on_the_page_is_explained() -> None:
    gates = ["structure", "expectations", "column_shape", "pair_trend", "replay", "copying", "a_new_gate"]
    told = Reader(written(verdicts=[verdict(g) for g in gates])).text
    assert told.count("Pair trend") == 2  # in the scorecard and in how to read it
    assert told.count("Replay") == 2
    assert told.count("A new gate") == 3  # and in the claim


def test_keys_references_and_personal_columns_are_in_the_schema_table() -> None:
    told = Reader(written()).text
    for role in ("key; refers to subjects (id)", "refers to wards (ward, site)", "personal: made up as full_name"):
        assert role in told


def test_public_tables_are_named_as_carried_over() -> None:
    table = Table("countries", (Column("code", pa.string()),), public=True)
    assert "Rows of countries are declared to be common knowledge" in Reader(written(schema=Schema((table,)))).text


def test_pairs_are_drawn_where_a_verdict_has_them() -> None:
    told = Reader(written(verdicts=[verdict("pair_trend", parts={"city × income": 0.81, "bmi × city": 0.9})])).text
    assert "Pairs of columns" in told
    assert told.index("city × income") < told.index("bmi × city")
    assert "Pairs of columns" not in Reader(written()).text


def test_references_are_drawn_with_their_pairs() -> None:
    visits = Table("x", (Column("id → subjects", pa.int64()),))
    few, many = ({"id → subjects": [1, 2, 3] * n} for n in (100, 5))
    told = {"visits": [compare(*[pa.table(rows, schema=visits.arrow)] * 2, visits)[0] for rows in (few, many)]}
    parts = [
        verdict("parent_trend", "visits", parts={"at × subjects.age": 0.71}),
        verdict("sibling_trend", "visits", parts={"at × at before": 0.83}),
    ]
    html = written(families=told, verdicts=parts)
    assert "Across tables" in Reader(html).text
    alts = [a["alt"] or "" for tag, a in Reader(html).tags if tag == "img"]
    assert any(alt.startswith("id → subjects") for alt in alts)
    assert any("kept least well: at × subjects.age 0.710" in alt for alt in alts)
    assert any("kept least well: at × at before 0.830" in alt for alt in alts)
    assert "not drawn: fewer than 20" in Reader(html).text
    assert "Across tables" not in Reader(written()).text


def test_equal_arguments_give_equal_pages() -> None:
    comparisons = compared(clinic(), clinic(seed=1))
    assert written(comparisons=comparisons) == written(comparisons=comparisons)


def test_all_null_and_undrawn_columns_are_said_in_words() -> None:
    told = Reader(written(comparisons=compared(clinic(), clinic(seed=1)))).text
    assert "order not drawn: fewer than 20 synthetic values · null 100 % (real 100 %)" in re.sub(r"\s+", " ", told)


def test_one_column_makes_a_page() -> None:
    table = Table("t", (Column("x", pa.int64()),))
    rows = pa.table({"x": list(range(200))})
    assert "<img" in written(schema=Schema((table,)), comparisons={"t": compare(rows, rows, table)})


def test_three_hundred_columns_draw_the_worst_and_stay_under_two_megabytes() -> None:
    names = [f"c{i}" for i in range(300)]
    table = Table("wide", tuple(Column(n, pa.int64()) for n in names))
    rows = pa.table({n: [(j * (i + 1)) % 97 for j in range(300)] for i, n in enumerate(names)})
    html = written(
        schema=Schema((table,)), comparisons={"wide": compare(rows, rows, table)},
        verdicts=[verdict(table="wide", parts={n: 0.1 if n == "c299" else 0.9 for n in names})],
    )  # fmt: skip
    assert len(html.encode()) < 2_000_000
    assert html.count("<figure>") == 24
    assert "276 more are not drawn" in html
    assert 'alt="c299' in html
