"""How long extracting a large table takes, and that its memory does not grow with the rows.

    python bench/extract.py --rows 5000000 [--source postgres|duckdb|both]

Makes a table of 12 columns in a throw-away PostgreSQL server and in a DuckDB file, and extracts each in a process of
its own: once a tenth of the rows, once all of them. Peak memory is that process's highest resident set.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # for the throw-away server

COLUMNS = """
    i AS id, (i * 7919 % 1000003)::int AS customer, (i % 7)::smallint AS kind,
    (i * 0.37 % 10000)::numeric(12, 2) AS amount,
    (i % 1000) / 3.0::double precision AS score, i % 3 = 0 AS paid, DATE '2015-01-01' + (i % 3650)::int AS day,
    TIMESTAMP '2020-01-01' + INTERVAL '1 second' * (i % 31536000) AS at, 'city ' || (i % 500) AS city,
    CASE WHEN i % 5 = 0 THEN NULL ELSE md5(i::text) END AS note, md5((i * 3)::text)::uuid AS token,
    '{"n": ' || (i % 50) || '}' AS extra
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--source", choices=["postgres", "duckdb", "both"], default="both")
    parser.add_argument("--child", nargs=2, metavar=("URL", "TABLE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(extract_here(*asked.child)))
        return
    makers = {"postgres": in_postgres, "duckdb": in_duckdb}
    print(f"{'source':10}{'rows':>12}{'seconds':>10}{'peak MB':>10}{'Parquet MB':>12}")
    for name in makers if asked.source == "both" else [asked.source]:
        with makers[name](asked.rows) as url:
            for table in ("tenth", "whole"):
                told = measured(url, table)
                print(f"{name:10}{told['rows']:>12,}{told['seconds']:>10.1f}{told['peak']:>10.0f}{told['size']:>12.0f}")


def measured(url: str, table: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", url, table]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def extract_here(url: str, table: str) -> dict[str, float]:
    from twinlake.sources.extract import extract
    from twinlake.sources.registry import open_source
    from twinlake.tables import Tables

    with tempfile.TemporaryDirectory() as folder:
        source, out, start = open_source(url, root=Path(folder)), Path(folder) / "out", time.perf_counter()
        extract(source, source.schema([table]), out)
        seconds = time.perf_counter() - start
        peak = peak_megabytes()
        size = sum(p.stat().st_size for p in out.rglob("*.parquet")) / 1e6
        return {"rows": Tables.open(out).rows(table), "seconds": seconds, "peak": peak, "size": size}


def peak_megabytes() -> float:
    """VmHWM; `getrusage` would also count what the parent held before it started this process."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


@contextmanager
def in_postgres(rows: int) -> Iterator[str]:
    from postgres import server  # type: ignore[import-not-found]  # of the tests, which are not checked

    with server() as running:
        yield running.create("bench", *[
            statement
            for table, n in (("tenth", rows // 10), ("whole", rows))
            for statement in (
                f"CREATE TABLE {table} AS SELECT {COLUMNS} FROM generate_series(1, {n}::bigint) g(i)",
                f"ALTER TABLE {table} ADD PRIMARY KEY (id)",
            )
        ])  # fmt: skip


@contextmanager
def in_duckdb(rows: int) -> Iterator[str]:
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.duckdb"
        with duckdb.connect(str(path)) as connection:
            for table, n in (("tenth", rows // 10), ("whole", rows)):
                connection.execute(f"CREATE TABLE {table} AS SELECT {COLUMNS} FROM range(1, {n + 1}) g(i)")
        yield f"duckdb:///{path}"


if __name__ == "__main__":
    main()
