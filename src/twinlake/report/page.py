"""One HTML file that says what a release is, what it passed and what was not tested. No script, nothing loaded."""

import base64
import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from twinlake.report import plots, words
from twinlake.report.reading import reading, untested, untested_attacks
from twinlake.report.shares import ColumnShares, Form, Share, pair_scores
from twinlake.schema import Column, Schema, Table
from twinlake.types import type_name
from twinlake.verdict import Severity, Verdict, blocking

MOST_NOTES = 50
MOST_FIGURES = 240  # over all tables, so that a page of many tables still opens at once
_RANKED = {"parent_trend": "Columns beside those of rows referred to", "sibling_trend": "Columns beside the row before"}
_STATUS = {True: ("pass", "✓", "passed"), False: ("fail", "✗", "missed, blocks"), None: ("warn", "!", "missed, warns")}


def page(
    *,
    pipeline: str,
    release: str | None,
    created: dt.datetime,
    manifest_rows: Sequence[tuple[str, str]],
    verdicts: Sequence[Verdict],
    comparisons: Mapping[str, Sequence[ColumnShares]],
    families: Mapping[str, Sequence[ColumnShares]],
    schema: Schema,
) -> str:
    """The page as HTML; equal arguments give equal text.

    Args:
        pipeline: its name.
        release: the release's name; None for a candidate that was refused or not yet let out.
        created: when the release was published, or the snapshot drawn.
        manifest_rows: settings, versions, hashes and licences as labels and values, shown in this order.
        verdicts: of every gate that was reached.
        comparisons: by table, what `compare` gave.
        families: by table, what `compare` gave of how many of its rows the rows have that it refers to.
        schema: of the synthetic tables.
    """
    when = created.strftime("%Y-%m-%d %H:%M") + (f" {created.tzname()}" if created.tzinfo else "")
    css = files("twinlake.report").joinpath("page.css").read_text(encoding="utf-8")
    html = _template().render(
        policy=_policy(css),
        css=_safe(css),
        pipeline=pipeline,
        release=release,
        created=when,
        outcome=_outcome(verdicts, release),
        facts=_facts(pipeline, when, verdicts, schema),
        gates=_gates(verdicts),
        readings=[reading(g) for g in dict.fromkeys(v.gate for v in verdicts)],
        untested=untested(verdicts),
        attacks=[text.split(":")[0].lower() for text in untested_attacks(verdicts)],
        public=", ".join(t.name for t in schema if t.public),
        k=max((c.k for shares in comparisons.values() for c in shares), default=0),
        columns=list(_columns(comparisons, verdicts)),
        pairs=list(_pairs(verdicts, schema)),
        families=list(_families(families, verdicts)),
        schema=[{"name": t.name, "columns": [_described(t, c) for c in t.columns]} for t in schema],
        manifest=list(manifest_rows),
    )
    return str(html)


def _template() -> Any:  # noqa: ANN401 - Jinja2 is imported late
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda x: words.printable(x) if isinstance(x, str) and not isinstance(x, Markup) else x,
    )
    return environment.from_string(files("twinlake.report").joinpath("page.html.j2").read_text(encoding="utf-8"))


def _safe(css: str) -> str:
    from markupsafe import Markup

    return str.__new__(Markup, css)  # our own file, not data


def _policy(css: str) -> str:
    """Only this very style sheet and pictures inside the page."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def _outcome(verdicts: Sequence[Verdict], release: str | None) -> dict[str, str]:
    passed, all_, missed = sum(v.passed for v in verdicts), len(verdicts), [v for v in verdicts if not v.passed]
    if blocking(verdicts) or not verdicts:
        return {"status": "fail", "mark": "✗", "head": "Refused", "text": _refusal(blocking(verdicts))}
    warned = f" {words.counted(len(missed), 'warning')}: see below." if missed else ""
    text = f"Passed {passed} of {words.counted(all_, 'gate')}.{warned}"
    return {"status": "pass", "mark": "✓", "head": "Released" if release else "May be released", "text": text}


def _refusal(stopped: Sequence[Verdict]) -> str:
    if not stopped:
        return "No gate was run."
    more = f" and {words.counted(len(stopped) - 1, 'other gate')}" if len(stopped) > 1 else ""
    return f"{reading(stopped[0].gate).title} of {stopped[0].table}{more} did not pass."


def _facts(pipeline: str, when: str, verdicts: Sequence[Verdict], schema: Schema) -> list[tuple[str, str]]:
    missed = [v for v in verdicts if not v.passed]
    return [
        ("Made by", f"Twinlake, pipeline {words.printable(pipeline, most=60)}"),
        ("Released on", when),
        ("Tables", f"{len(schema.tables):,}"),
        ("Columns", f"{sum(len(t.columns) for t in schema):,}"),
        ("Gates passed", f"{len(verdicts) - len(missed)} of {len(verdicts)}"),
        ("Warnings", str(len(missed) - len(blocking(verdicts)))),
    ]


def _gates(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    tables = dict.fromkeys(v.table for v in verdicts)
    return [{"name": name, "rows": [_gate(v) for v in verdicts if v.table == name]} for name in tables]


def _gate(v: Verdict) -> dict[str, Any]:
    status, mark, said = _STATUS[True if v.passed else False if v.severity is Severity.CRITICAL else None]
    limit, value = words.bounded(v), words.measure(v.value)
    title = reading(v.gate).title
    return {
        "status": status, "mark": mark, "said": said, "title": title,
        "picture": plots.as_uri(plots.bullet_plot(v)) if v.value is not None else "",
        "alt": f"{title}: {value} {words.interval(v)}, limit {limit}, {said}",
        "numbers": [
            ("value", value), ("95 %", words.interval(v)),
            ("baseline", "" if v.baseline is None else words.measure(v.baseline)),
            ("limit", limit), ("rows", f"{v.n:,}"),
        ],
        "reason": "" if v.passed else v.reason,
    }  # fmt: skip


def _columns(
    comparisons: Mapping[str, Sequence[ColumnShares]], verdicts: Sequence[Verdict]
) -> Iterator[dict[str, Any]]:
    most = min(plots.MOST_COLUMNS, max(4, MOST_FIGURES // max(1, len(comparisons))))
    for table, shares in comparisons.items():
        parts = {n: x for v in verdicts if v.table == table and v.bound == "at_least" for n, x in v.parts.items()}
        drawn = [c for c in shares if c.form is not Form.NONE]
        shown = plots.worst(drawn, parts=parts, most=most)
        hidden = len(drawn) - len(shown)
        text = f"The {len(shown)} columns that are kept least well; {hidden} more are not drawn." if hidden else ""
        figures = [{"uri": plots.as_uri(plots.column_plot(c)), "alt": _alt(c)} for c in shown]
        notes = [(c.column, plots.subtitle(c)) for c in shares if c.form is Form.NONE][:MOST_NOTES]
        if figures or notes:
            yield {"name": table, "left_out": text, "figures": figures, "notes": notes}


def _alt(shares: ColumnShares) -> str:
    furthest: Share | None = shares.furthest
    if furthest is None or furthest.real is None:
        return f"{shares.column}: {shares.note or 'no real share may be shown'}"
    return (
        f"{shares.column}: synthetic beside real shares. Furthest apart at {words.printable(furthest.label, most=40)}: "
        f"{words.percent(furthest.synthetic)} synthetic, {words.percent(furthest.real)} real."
    )


def _pairs(verdicts: Sequence[Verdict], schema: Schema) -> Iterator[dict[str, Any]]:
    for v in verdicts:
        scores = pair_scores(v.parts, schema[v.table].names) if v.table in schema.names else None
        if scores is not None and scores.names:
            worst = [(name, words.measure(x)) for name, x in words.worst_parts(v, most=10)]
            alt = f"Scores of the pairs of {words.counted(len(scores.names), 'column')}; the lowest are listed beside."
            yield {"name": v.table, "uri": plots.as_uri(plots.pairs_plot(scores)), "alt": alt, "worst": worst}


def _families(families: Mapping[str, Sequence[ColumnShares]], verdicts: Sequence[Verdict]) -> Iterator[dict[str, Any]]:
    for table, counts in families.items():
        drawn = [c for c in counts if c.form is not Form.NONE]
        found = {v.gate: v for v in verdicts if v.table == table and v.parts}
        ranked = [_ranked(found[gate], title) for gate, title in _RANKED.items() if gate in found]
        yield {
            "name": table,
            "figures": [{"uri": plots.as_uri(plots.column_plot(c)), "alt": _alt(c)} for c in drawn],
            "notes": [(c.column, plots.subtitle(c)) for c in counts if c.form is Form.NONE],
            "ranked": ranked,
        }


def _ranked(verdict: Verdict, title: str) -> dict[str, str]:
    worst = words.worst_parts(verdict, most=5)
    least = "; ".join(f"{words.printable(name, most=60)} {words.measure(x)}" for name, x in worst)
    return {"uri": plots.as_uri(plots.ranked_plot(verdict, title)), "alt": f"{title}, kept least well: {least}."}


def _described(table: Table, column: Column) -> tuple[str, str, str, str]:
    roles = [
        *(["key"] if column.name in table.key else []),
        *(f"refers to {r.table} ({', '.join(r.to)})" for r in table.references if column.name in r.columns),
        *(["orders the rows of a parent"] if column.name == table.order_by else []),
        *([f"personal: made up as {column.provider}"] if column.provider else []),
        *(["every value is public"] if column.public else []),
    ]
    type_ = type_name(column.type) + (f" ({column.native})" if column.native else "")
    return column.name, type_, "yes" if column.nullable else "no", "; ".join(roles)
