"""One HTML file that says what a release is, what it passed and what was not tested. No script, nothing loaded."""

import base64
import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from twinlake.card import Evidence, coarse, is_private, overridden
from twinlake.report import plots, words
from twinlake.report.claim import claim
from twinlake.report.reading import reading, untested
from twinlake.report.shares import ColumnShares, Form, Share, pair_scores
from twinlake.schema import Column, Schema, Table
from twinlake.types import type_name
from twinlake.verdict import Verdict, blocking

MOST_NOTES = 50
MOST_FIGURES = 240  # over all tables, so that a page of many tables still opens at once
_RANKED = {"parent_trend": "Columns beside those of rows referred to", "sibling_trend": "Columns beside the row before"}
_STATUS = {"✓": "pass", "✗": "fail", "?": "fail", "!": "warn"}


def page(
    *,
    pipeline: str,
    release: str | None,
    created: dt.datetime,
    manifest_rows: Sequence[tuple[str, str]],
    verdicts: Sequence[Verdict],
    evidence: Evidence | None = None,
    comparisons: Mapping[str, Sequence[ColumnShares]],
    families: Mapping[str, Sequence[ColumnShares]],
    schema: Schema,
    full: bool = False,
) -> str:
    """The page as HTML; equal arguments give equal text.

    Args:
        pipeline: its name.
        release: the release's name; None for a candidate that was refused or not yet let out.
        created: when the release was published, or the snapshot drawn.
        manifest_rows: settings, versions, hashes and licences as labels and values, shown in this order.
        verdicts: of every gate that was reached; those of privacy are shown as the card has them, unless `full`.
        evidence: under which policy they were given; None where nobody wrote it down.
        comparisons: by table, what `compare` gave.
        families: by table, what `compare` gave of how many of its rows the rows have that it refers to.
        schema: of the synthetic tables.
        full: whether the page stays in the vault, and may show all that was found.
    """
    verdicts = list(verdicts) if full else [coarse(v) for v in verdicts]
    when = created.strftime("%Y-%m-%d %H:%M") + (f" {created.tzname()}" if created.tzinfo else "")
    css = files("twinlake.report").joinpath("page.css").read_text(encoding="utf-8")
    html = _template().render(
        policy=_policy(css),
        css=_safe(css),
        pipeline=pipeline,
        release=release,
        created=when,
        outcome=_outcome(verdicts, release),
        claim=claim(verdicts, evidence),
        full=full,
        attempts=_attempts(evidence),
        overrides=_overrides(verdicts, evidence),
        attacked=_attacked(verdicts),
        facts=_facts(pipeline, (release, when), verdicts, schema, evidence),
        gates=_gates(verdicts, full=full),
        readings=[reading(g) for g in dict.fromkeys(v.gate for v in verdicts)],
        untested=untested(verdicts),
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
    missed, stopped = [v for v in verdicts if not v.passed], blocking(verdicts)
    if stopped or not verdicts:
        unsure = bool(stopped) and all(v.inconclusive for v in stopped)
        return {"status": "fail", "mark": "?" if unsure else "✗", "head": "Refused", "text": _refusal(stopped)}
    warned = f" {words.counted(len(missed), 'warning')}: see below." if missed else ""
    text = f"Passed {len(verdicts) - len(missed)} of {words.counted(len(verdicts), 'gate')}.{warned}"
    return {"status": "pass", "mark": "✓", "head": "Released" if release else "May be released", "text": text}


def _refusal(stopped: Sequence[Verdict]) -> str:
    if not stopped:
        return "No gate was run."
    more = f", and {words.counted(len(stopped) - 1, 'other gate')} did not pass" if len(stopped) > 1 else ""
    return f"{reading(stopped[0].gate).title} of {stopped[0].table} {words.ended(stopped[0])}{more}."


def _attempts(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    second = "" if evidence.attempt == 1 else (
        f" This is the second attempt of its date, after privacy gates had refused the first: they were held to "
        f"{100 * evidence.confidence:g} % confidence in place of 95 %."
    )  # fmt: skip
    return f"Snapshots of the same real rows were {evidence.history}.{second}"


def _overrides(verdicts: Sequence[Verdict], evidence: Evidence | None) -> list[str]:
    """Where the pipeline file asks less than the recipient's class, a sentence each."""
    if evidence is not None:
        return list(evidence.overrides)
    return [f"{g} warns, where it would block" for g in dict.fromkeys(v.gate for v in verdicts if overridden(v))]


def _attacked(verdicts: Sequence[Verdict]) -> dict[str, str] | None:
    """A picture of all attacks beside their limits."""
    private = [v for v in verdicts if is_private(v.gate)]
    if not private:
        return None
    titles = {v.gate: reading(v.gate).title for v in private}
    told = "; ".join(f"{titles[v.gate]} of {words.printable(v.table, most=40)}: {words.said(v)}" for v in private)
    return {"uri": plots.as_uri(plots.attacks_plot(private, titles)), "alt": told}


def _facts(
    pipeline: str,
    at: tuple[str | None, str],
    verdicts: Sequence[Verdict],
    schema: Schema,
    evidence: Evidence | None,
) -> list[tuple[str, str]]:
    missed = [v for v in verdicts if not v.passed]
    policy = [] if evidence is None else [
        ("For", f"{evidence.recipient} recipients"),
        ("Policy", evidence.policy),
        ("Judged by", f"Twinlake {evidence.version}"),
    ]  # fmt: skip
    return [
        ("Made by", f"Twinlake, pipeline {words.printable(pipeline, most=60)}"),
        ("Released on" if at[0] else "Judged on", at[1]),
        *policy,
        ("Tables", f"{len(schema.tables):,}"),
        ("Columns", f"{sum(len(t.columns) for t in schema):,}"),
        ("Gates", words.tally(verdicts)),
        ("Warnings", str(len(missed) - len(blocking(verdicts)))),
    ]


def _gates(verdicts: Sequence[Verdict], *, full: bool) -> list[dict[str, Any]]:
    tables = dict.fromkeys(v.table for v in verdicts)
    return [{"name": name, "rows": [_gate(v, full=full) for v in verdicts if v.table == name]} for name in tables]


def _gate(v: Verdict, *, full: bool) -> dict[str, Any]:
    mark, said = words.mark(v), words.said(v)
    limit, value = words.bounded(v), words.measure(v.value)
    if v.value and is_private(v.gate) and not full:  # the end of a bin
        value = f"{'≤' if v.bound == 'at_most' else '≥'} {value}"
    title = reading(v.gate).title
    return {
        "status": _STATUS[mark], "mark": mark, "said": said, "title": title,
        "picture": plots.as_uri(plots.bullet_plot(v)) if v.value is not None else "",
        "alt": f"{title}: {value} {words.interval(v)}, limit {limit}, {said}",
        "numbers": [
            ("value", value), ("95 %", words.interval(v)),
            ("baseline", "" if v.baseline is None else words.measure(v.baseline)),
            ("limit", limit), ("rows", f"{v.n:,}"),
        ],
        "reason": "" if v.passed else f"{said}: {v.reason}",
        "override": "override: warns, where it would block" if overridden(v) else "",
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
