"""Whole small projects for tests of stages and commands: the clinic as a DuckDB file, and its pipeline."""

import json
from pathlib import Path

import duckdb
from scenario import SCHEMA, clinic

from twinlake.run.job import Job
from twinlake.schema import path_name, quoted
from twinlake.storage.layout import Layout
from twinlake.tables import Tables

PRIVACY = (
    "{recipient: internal, holdout_units: 10, membership: 0.95, membership_tpr: 1, membership_epsilon: 9, "
    "singling_out: 0.95, linkability: 0.95, attribute_inference: 0.95, shadow_fits: 0}"
)  # limits that worlds of a few hundred units meet: what attacks find is tested elsewhere
PIPELINE = f"""\
description: A small clinic
source: duckdb:///clinic.duckdb
unit: subjects
tables:
  wards: {{public: true}}
  subjects: {{references: ["mentor -> subjects"]}}
  visits: {{order_by: at}}
columns:
  subjects.name: {{kind: personal, as: full_name}}
  subjects.email: {{kind: personal, as: email}}
generator: {{name: marginals, seed: 7}}
snapshot: {{every: "0 3 * * *"}}
gates: {{fidelity: {{column_shape: 0.8, pair_trend: 0.7}}, privacy: {PRIVACY}}}
release: {{keep: 2}}
"""


def make_project(root: Path, *, pipeline: str = PIPELINE, real: Tables | None = None) -> Layout:
    """A project whose pipeline `clinic` reads `clinic.duckdb`."""
    (root / "pipelines").mkdir(parents=True)
    (root / "dvc.yaml").write_text("stages:\n  release:\n    foreach: []\n    do: {cmd: make}\n", encoding="utf-8")
    layout = Layout(root)
    layout.pipeline_file("clinic").write_text(pipeline, encoding="utf-8")
    write_duckdb(root / "clinic.duckdb", real or clinic(3000))
    layout.suites("clinic").mkdir(parents=True)
    for name in SCHEMA.names:
        write_suite(layout, name, "expect_table_row_count_to_be_between", {"min_value": 1})
    return layout


def write_suite(layout: Layout, table: str, kind: str, kwargs: dict[str, object]) -> None:
    """A suite of one critical expectation."""
    suite = {"name": table, "expectations": [{"type": kind, "kwargs": kwargs, "severity": "critical"}]}
    layout.suite_file("clinic", table).write_text(json.dumps(suite, indent=2), encoding="utf-8")


def job(layout: Layout) -> Job:
    """The clinic's job."""
    return Job.open("clinic", start=layout.root)


def write_duckdb(path: Path, tables: Tables) -> None:
    """The tables as a DuckDB file whose catalog knows types, keys and references."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TYPE sex AS ENUM ('f', 'm', 'x')")
        for name in tables.schema.names:
            connection.execute(_DDL[name])
            connection.register("rows", tables[name])
            connection.execute(f"INSERT INTO {quoted(name)} SELECT * FROM rows")
            connection.unregister("rows")


def parquet_bytes(folder: Path) -> dict[str, bytes]:
    """Every Parquet file below a folder, by its path."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.parquet"))}


def part(folder: Path, table: str) -> Path:
    """The first part of a table."""
    return folder / path_name(table) / "part-00000.parquet"


_DDL = {
    "wards": "CREATE TABLE wards (ward TEXT, site SMALLINT, beds INTEGER, PRIMARY KEY (ward, site))",
    "subjects": """CREATE TABLE subjects (id BIGINT PRIMARY KEY, name TEXT, email TEXT, born DATE, sex sex, city TEXT,
        income DECIMAL(10, 2), bmi DOUBLE, smoker BOOLEAN, "order" TEXT, mentor BIGINT)""",
    "visits": """CREATE TABLE visits (id BIGINT REFERENCES subjects (id), visit_no INTEGER, ward TEXT, site SMALLINT,
        "at" TIMESTAMPTZ NOT NULL, "the ""score"" ü" DOUBLE, PRIMARY KEY (id, visit_no),
        FOREIGN KEY (ward, site) REFERENCES wards (ward, site))""",
}
