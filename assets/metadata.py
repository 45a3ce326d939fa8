"""What a person sees of an asset or a check, as Dagster's metadata: counts, types, verdicts and safe shares of rows.

Real tables show counts and types only. Whatever else is shown of real rows comes as `ColumnShares`, which hide what
few units hold.
"""

import math
import shlex
from collections.abc import Iterable, Sequence

import dagster as dg

from assets import keys
from twinlake.card import Evidence, coarse, overridden
from twinlake.project import Pipeline
from twinlake.report.claim import claim
from twinlake.report.plots import as_markdown, columns_plot
from twinlake.report.shares import ColumnShares
from twinlake.report.words import bounded, mark, measure, percent, printable, worst_parts
from twinlake.run.extract import Extract
from twinlake.schema import Column, Table, quoted
from twinlake.storage.release import Release
from twinlake.storage.versions import Version
from twinlake.types import type_name
from twinlake.verdict import Verdict

Metadata = dict[str, dg.MetadataValue]
WORST = 5
_KINDS = {"postgresql": "postgres", "postgres": "postgres", "duckdb": "duckdb", "files": "file"}


def source_kind(pipeline: Pipeline) -> set[str]:
    """What kind of source the real tables come from; nothing where the URL is all secret."""
    scheme, _, rest = pipeline.source.get_secret_value().partition(":")
    files = {suffix for suffix in ("parquet", "csv") if scheme == "files" and rest.endswith(suffix)}
    return files or {_KINDS[scheme] for scheme in {scheme} & set(_KINDS)}


def real_table(extract: Extract, table: Table, pipeline: Pipeline) -> Metadata:
    """What may be seen of a real table."""
    return {
        "dagster/row_count": dg.MetadataValue.int(extract.rows[table.name]),
        "dagster/column_schema": dg.MetadataValue.table_schema(column_schema(table)),
        "table": dg.MetadataValue.text(table.name),
        "held back": dg.MetadataValue.text("nothing, it is public" if table.public else percent(pipeline.holdout)),
        "extract": dg.MetadataValue.text(extract.id),
        **({"orphans": dg.MetadataValue.text(orphans)} if (orphans := _orphans(extract, table)) else {}),
    }


def model(extract: Extract, name: str, pipeline: Pipeline) -> Metadata:
    """What was learnt, from how many rows."""
    learnt, choices = extract.learnt, [pipeline.generator, *(t.generator for t in pipeline.tables.values())]
    rows = {t: learnt.rows(t) for t in extract.schema.names}
    return {
        "generator": dg.MetadataValue.text(", ".join(sorted({c.name for c in choices if c}))),
        "rows learnt": dg.MetadataValue.int(sum(rows.values())),
        "tables": dg.MetadataValue.md(_table(("table", "rows learnt"), ((t, f"{n:,}") for t, n in rows.items()))),
        "model": dg.MetadataValue.text(name),
        "extract": dg.MetadataValue.text(extract.id),
    }


def synthetic_table(
    table: Table, rows: int, shares: Sequence[ColumnShares], families: Sequence[ColumnShares], pipeline: str
) -> Metadata:
    """A synthetic table beside the real rows that were held back; `families` tell how many of its rows parents have."""
    counted = as_markdown(columns_plot(families), alt=f"{table.name}: rows per row referred to") if families else ""
    drawn = as_markdown(columns_plot(shares), alt=f"{table.name}: synthetic beside real shares") if shares else ""
    return {
        "dagster/row_count": dg.MetadataValue.int(rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(column_schema(table)),
        "dagster/column_lineage": dg.MetadataValue.column_lineage(_lineage(table, pipeline)),
        "table": dg.MetadataValue.text(table.name),
        "columns": dg.MetadataValue.md(drawn or "It is public: its rows are the source's."),
        **({"references": dg.MetadataValue.md(counted)} if counted else {}),
        "furthest from real": dg.MetadataValue.md(_furthest(shares)),
    }


def release(made: Release, version: Version) -> Metadata:
    """What was let out, why, and how to read it."""
    verdicts, page = made.manifest.verdicts, made.folder / "report.html"
    queries = [f"SELECT * FROM {quoted(made.pipeline)}.{quoted(table)} LIMIT 10" for table in made.manifest.rows]
    return {
        "dagster/row_count": dg.MetadataValue.int(sum(made.manifest.rows.values())),
        "release": dg.MetadataValue.text(made.id),
        "report": dg.MetadataValue.path(page),
        "report page": dg.MetadataValue.url(page.as_uri()),
        "claim": dg.MetadataValue.text(str(claim(verdicts, made.manifest.evidence))),
        **_evidence(made.manifest.evidence),
        "scorecard": dg.MetadataValue.md(scorecard(verdicts)),
        "gates passed": dg.MetadataValue.int(sum(v.passed for v in verdicts)),
        "gates": dg.MetadataValue.int(len(verdicts)),
        "version": dg.MetadataValue.md(_cell(version.sentence)),
        "try": dg.MetadataValue.md("\n".join(f"    twinlake sql {shlex.quote(q)}" for q in queries)),
    }


def _evidence(evidence: Evidence | None) -> Metadata:
    """For whom a release is, and how often snapshots of the same real rows were tried."""
    if evidence is None:
        return {}
    told = {"recipient": evidence.recipient, "attempts": evidence.history, "policy": evidence.policy}
    eased = {"overrides": "; ".join(evidence.overrides)} if evidence.overrides else {}
    return {name: dg.MetadataValue.text(text) for name, text in (told | eased).items()}


def verdict(given: Verdict) -> Metadata:
    """A verdict: its outcome, its numbers as the card has them, so that Dagster draws them over time, and why."""
    given = coarse(given)
    numbers = {"value": given.value, "low": given.low, "high": given.high, "baseline": given.baseline}
    known = {n: x for n, x in numbers.items() if x is not None and math.isfinite(x)}
    shown: Metadata = {n: dg.MetadataValue.float(float(x)) for n, x in known.items()}
    limit = {"limit": dg.MetadataValue.float(float(given.limit)), "bound": dg.MetadataValue.text(bounded(given))}
    parts = ", ".join(f"{printable(name)} {measure(x)}" for name, x in worst_parts(given, most=WORST))
    return {
        **shown,
        **(limit if given.value is not None else {}),
        "outcome": dg.MetadataValue.text(given.outcome.value),
        **({"override": dg.MetadataValue.text("warns, where it would block")} if overridden(given) else {}),
        "n": dg.MetadataValue.int(given.n),
        "reason": dg.MetadataValue.text(given.reason),
        **({"worst parts": dg.MetadataValue.text(parts)} if parts else {}),
    }


def scorecard(verdicts: Iterable[Verdict]) -> str:
    """All verdicts as one Markdown table, narrow enough for the UI; the checks have the rest."""
    rows = (
        (
            mark(v),
            v.table,
            v.gate,
            measure(v.value),
            bounded(v).replace(" ", "\u00a0"),
        )
        for v in map(coarse, verdicts)
    )
    return _table(("", "table", "gate", "value", "limit"), rows)


def column_schema(table: Table) -> dg.TableSchema:
    """Names, types, nulls, keys and references of a table."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=c.name,
                type=type_name(c.type),
                description=_described(c),
                constraints=dg.TableColumnConstraints(nullable=c.nullable, unique=table.key == (c.name,)),
            )
            for c in table.columns
        ],
        constraints=dg.TableConstraints(other=_constraints(table)),
    )


def _described(column: Column) -> str | None:
    native = column.native if column.native != type_name(column.type) else ""
    return f"personal: made up as {column.provider}" if column.provider else native or None


def _constraints(table: Table) -> list[str]:
    key = [f"key ({', '.join(table.key)})"] if table.key else []
    return [*key, *(f"reference {r}" for r in table.references)]


def _lineage(table: Table, pipeline: str) -> dg.TableColumnLineage:
    """Which real column a synthetic one was learnt from; keys and personal columns are made, so they have none."""
    learnt = table.names if table.public else table.learnt
    real = keys.real(pipeline, table.name)
    return dg.TableColumnLineage({c: [dg.TableColumnDep(asset_key=real, column_name=c)] for c in learnt})


def _orphans(extract: Extract, table: Table) -> str:
    """What became of rows that point to no row, by reference."""
    told = (s for s in extract.orphans if s.table == table.name)
    return "; ".join(f"{s.reference}: {s.rows:,} rows, {s.handling.value}" for s in told)


def _furthest(shares: Sequence[ColumnShares]) -> str:
    found = [(c.column, f, abs(f.synthetic - f.real)) for c in shares if (f := c.furthest) and f.real is not None]
    worst = sorted(found, key=lambda each: -each[2])[:WORST]
    rows = [(c, f.label, percent(f.synthetic), percent(f.real or 0.0), percent(gap)) for c, f, gap in worst]
    return _table(("column", "bin or label", "synthetic", "real", "apart"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(c) for c in line)} |" for line in lines)


def _cell(text: str) -> str:
    """A text as a cell of a Markdown table: nothing in it is read as markup."""
    return "".join(f"\\{c}" if c in "\\|`*_[]<>" else c for c in printable(text))
