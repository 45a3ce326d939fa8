"""The canary sweep: unique values in every real column, then every command, then every byte outside the vault."""

import base64
import gzip
import os
import re
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from projects import PRIVACY, write_duckdb, write_suite
from scenario import SCHEMA, clinic
from webserver import ui

from twinlake.storage.layout import Layout
from twinlake.storage.release import releases
from twinlake.tables import Tables

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wall")]

WORDS = {
    "name": "Zephyrine Quohogsdottir",
    "email": "quohog.only@clinic.example",
    "city": "Kanarienvogelberg",
    "note": "Xylophagous quohogitis of the left elbow",
    "doc": '{"quohog": "hidden"}',
    "blob": "quohog-bytes",
    "csv": "quohogcell",
}
NUMBERS = {  # the exact extremes of each quantity, each held by one
    "id": (7_777_771_777_771,),
    "income": (Decimal("8765432.19"), Decimal("-98765.43")),
    "bmi": (987.6543210123457, -3.2109876543217),
    "score": (123.45678901234567, -98.76543210987654),
    "born": (date(1801, 2, 3), date(2022, 12, 29)),
    "at": (datetime(1999, 12, 30, 23, 59, 58, 123457), datetime(2031, 7, 8, 9, 10, 11, 765431)),
    "seen": (datetime(1888, 8, 7, 6, 5, 4, 321987), datetime(2099, 9, 8, 7, 6, 5, 432198)),
    "clock": (time(0, 0, 1, 234567), time(23, 59, 59, 987654)),
    "token": (UUID("c0ffee00-5eed-4bad-8ace-0123456789ab"),),
}
HELD = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")
FLOATS = re.compile(rb"-?\d+\.\d{9,}")
DAGSTER = """
import sys
from pathlib import Path
import dagster as dg
from dagsters import launch
from twinlake.storage.layout import Layout
with dg.DagsterInstance.get() as instance:
    sys.exit(0 if launch(Layout(Path(sys.argv[1])), instance).success else 1)
"""


@dataclass(frozen=True)
class World:
    """A project that went through everything.

    Attributes:
        codes: exit status of each command, by what it was for.
        said: what each wrote to standard output and standard error.
        floats: every real number of 64 bits.
        listening: the addresses on which the UI answered.
    """

    layout: Layout
    codes: Mapping[str, int]
    said: Mapping[str, str]
    floats: frozenset[float]
    listening: frozenset[str]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    """Everything that Twinlake does, on a source full of canaries; the source and a fitted model lie outside."""
    root = tmp_path_factory.mktemp("wall")
    layout, private = Layout(root / "swept" / "project"), root / "private"
    for folder in (layout.root, private, root / "swept" / "tmp", root / "swept" / "home", root / "swept" / "said"):
        folder.mkdir(parents=True)
    write_source(private / "clinic.duckdb")
    run = Runner(layout.root, root / "swept", {}, {})
    everything(run, layout, private)
    listening = answers(run, layout)
    with duckdb.connect(str(private / "clinic.duckdb"), read_only=True) as con:
        numbers = con.sql('SELECT bmi FROM subjects UNION ALL SELECT "the ""score"" ü" FROM visits').fetchall()
    floats = frozenset(x for (x,) in numbers if x is not None and x == x)
    return World(layout, run.codes, run.said, floats, listening)


def answers(run: "Runner", layout: Layout) -> frozenset[str]:
    """Let a real UI tell all it knows of what ran, into what is swept; returns where it listened."""
    with ui(layout.root, run.swept / "home", environment=run.environment()) as opened:
        for name, answer in opened.everything():
            (run.swept / "said" / f"ui {name}").write_bytes(answer)
        return opened.listening


@dataclass(frozen=True)
class Runner:
    """Runs commands in a project and keeps what they say beside it."""

    project: Path
    swept: Path
    codes: dict[str, int]
    said: dict[str, str]

    def __call__(self, what: str, *command: str) -> None:
        """Run `twinlake` with these words, or Python where they begin with -c."""
        start = [sys.executable, *(() if command[0] == "-c" else ("-c", "from twinlake.cli import main; main()"))]
        done = subprocess.run(
            [*start, *command], cwd=self.project, env=self.environment(), capture_output=True, text=True
        )
        self.codes[what], self.said[what] = done.returncode, done.stdout + done.stderr
        (self.swept / "said" / what).write_text(self.said[what], encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """Every place where a program puts what it is not told where to put lies within what is swept."""
        own = {"TMPDIR": "tmp", "HOME": "home", "DAGSTER_HOME": "home"}
        paths = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
        told = {name: str(self.swept / folder) for name, folder in own.items()}
        return os.environ | told | {"PYTHONPATH": paths, "DAGSTER_DISABLE_TELEMETRY": "1"}


def everything(run: Runner, layout: Layout, private: Path) -> None:
    """Every command once, well and badly."""
    run("init", "init", f"duckdb:///{private / 'clinic.duckdb'}", "clinic")
    drafted = layout.pipeline_file("clinic").read_text()
    loose = f"gates: {{fidelity: {{column_shape: 0.6, pair_trend: 0.5}}, privacy: {PRIVACY}}}"
    text = drafted.replace("generator: {name: forest}", f"generator: {{name: marginals, seed: 7}}\n{loose}")
    text = text.replace("wards: {", "wards: {public: true, ")
    use(layout, text)
    for file in layout.suites("clinic").glob("*.json"):  # a drafted suite is stricter than so odd a source allows
        file.write_text(re.sub(r'"mostly": [0-9.]+', '"mostly": 0.8', file.read_text()))
    versioned(layout.root)
    run("check", "check", "clinic")
    run("run", "run", "clinic", "--date", "2025-02-01")
    run("report", "report", "clinic")
    run("sql", "sql", "SELECT city, count(*), max(income) FROM clinic.subjects GROUP BY ALL", "--csv")
    run("sql wrong", "sql", "SELECT * FROM read_blob('data/vault/**')")
    use(layout, text.replace("membership: 0.95", "membership: 0.3").replace("seed: 7", "seed: 8"))
    run("refused", "run", "clinic", "--date", "2025-02-02")
    use(layout, text)
    suite = layout.suite_file("clinic", "subjects").read_text()
    write_suite(layout, "subjects", "expect_column_values_to_be_in_set", {"column": "city", "value_set": ["Bern"]})
    run("wrong suite", "run", "clinic", "--date", "2025-02-03")
    layout.suite_file("clinic", "subjects").write_text(suite)
    use(layout, text.replace("seed: 7", "seed: 9"))
    run("dagster", "-c", DAGSTER, str(layout.root))
    broken_sources(run, layout, private, text)
    split_people(private)
    run("fit", "fit", str(private / "learnt.parquet"), "--generator", "marginals", "--out", str(private / "model"))
    run("sample", "sample", str(private / "model"), "--rows", "500", "--out", str(layout.root / "drawn"))
    three = [f"--{n}={f}" for n, f in (("real", "learnt.parquet"), ("holdout", "held.parquet"))]
    folder = layout.root / "drawn" / "learnt"
    run("purge", "purge", "clinic", "--keep-days", "0")
    for name, synthetic in (("evaluate", folder), ("evaluate copies", private / "learnt.parquet")):
        run(name, "evaluate", *[t.replace("=", f"={private}/") for t in three], f"--synthetic={synthetic}")


def broken_sources(run: Runner, layout: Layout, private: Path, text: str) -> None:
    """Sources whose rows break their keys, or whose cells break their types."""
    with duckdb.connect(str(private / "broken.duckdb")) as con:
        con.execute(f"ATTACH '{private / 'clinic.duckdb'}' AS whole (READ_ONLY)")
        con.execute("CREATE TABLE subjects AS FROM whole.subjects UNION ALL (FROM whole.subjects WHERE bmi > 900)")
    use(layout, f"source: duckdb:///{private / 'broken.duckdb'}\ntables: {{subjects: {{key: id}}}}\n", "twice")
    run("twice", "run", "twice")
    run("check twice", "check", "twice")
    (private / "cells").mkdir()
    rows = "\n".join(f"{i},{i % 7}" for i in range(30_000))
    (private / "cells" / "rows.csv").write_text(f"id,number\n{rows}\n{WORDS['csv']},{WORDS['csv']},{WORDS['csv']}\n")
    use(layout, f"source: files:{private}/cells/*.csv\ntables: {{rows: }}\n", "cells")
    run("cells", "run", "cells")
    (private / "torn.duckdb").write_bytes((private / "clinic.duckdb").read_bytes()[:300_000])
    use(layout, text.replace("clinic.duckdb", "torn.duckdb"))
    run("torn", "run", "clinic", "--date", "2025-03-02")


def use(layout: Layout, text: str, name: str = "clinic") -> None:
    """Make that text the pipeline's file."""
    layout.pipeline_file(name).write_text(text, encoding="utf-8")


def versioned(root: Path) -> None:
    """Git and DVC with a remote of their own, both within what is swept."""
    (root / ".gitignore").write_text("data/\n")
    dvc = [sys.executable, "-m", "dvc"]
    for command in (
        ["git", "init", "-q"],
        [*dvc, "init", "-q"],
        [*dvc, "remote", "add", "-q", "-d", "local", str(root.parent / "remote")],
        ["git", "add", "-A"],
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "start"],
    ):
        subprocess.run(command, cwd=root, check=True, capture_output=True)


def write_source(file: Path) -> None:
    """The clinic with a canary in every column, and one table more for types that it lacks."""
    real = clinic(3000)
    people, visits = real["subjects"], real["visits"]
    for name, values in {
        "name": {5: WORDS["name"]},
        "email": {6: WORDS["email"]},
        "city": {7: WORDS["city"]},
        "income": dict(enumerate(NUMBERS["income"])),
        "bmi": dict(enumerate(NUMBERS["bmi"])),
        "born": dict(enumerate(NUMBERS["born"])),
        "id": {2999: NUMBERS["id"][0]},
    }.items():
        people = planted(people, name, values)
    gone = pa.compute.is_in(visits["id"], people["id"])
    visits = visits.filter(gone)
    visits = planted(visits, "at", dict(enumerate(t.replace(tzinfo=None) for t in NUMBERS["at"])))
    visits = planted(visits, 'the "score" ü', dict(enumerate(NUMBERS["score"])))
    write_duckdb(file, Tables(SCHEMA, {**real, "subjects": people, "visits": visits}))
    with duckdb.connect(str(file)) as con:
        con.execute("""CREATE TABLE papers (paper BIGINT PRIMARY KEY, subject BIGINT REFERENCES subjects (id),
            note TEXT, seen TIMESTAMP, clock TIME, token UUID, doc JSON, blob BLOB)""")
        con.execute("""INSERT INTO papers SELECT id * 7 + 90000000000, id, 'seen for the ' || (id % 83) || 'th time',
            TIMESTAMP '2020-01-01' + to_microseconds(id % 100003 * 7919000003 % 99999999999977),
            TIME '08:00:00' + INTERVAL 1 SECOND * (id % 997), md5(id::VARCHAR)::UUID,
            '{"stay": ' || (id % 5) || '}', encode('b' || (id % 9)) FROM subjects""")
        row = "(SELECT paper FROM papers ORDER BY paper LIMIT 1 OFFSET ?)"
        told = {n: WORDS[n] for n in ("note", "doc")} | {n: NUMBERS[n][0] for n in ("seen", "clock", "token")}
        told["blob"] = WORDS["blob"].encode()
        for at, (name, value) in enumerate(told.items()):
            con.execute(f"UPDATE papers SET {name} = ? WHERE paper = {row}", [value, at])
        for at, name in enumerate(("seen", "clock")):
            con.execute(f"UPDATE papers SET {name} = ? WHERE paper = {row}", [NUMBERS[name][1], 20 + at])


def planted(table: pa.Table, name: str, values: Mapping[int, object]) -> pa.Table:
    """The table with these values of a column, by row."""
    at, type_ = table.column_names.index(name), table.schema.field(name).type
    column = table[name].to_pylist()
    for row, value in values.items():
        column[row] = value
    return table.set_column(at, table.schema.field(name), pa.array(column, type_))


def split_people(private: Path) -> None:
    """Two Parquet files of people for commands that work without a project."""
    with duckdb.connect(str(private / "clinic.duckdb"), read_only=True) as con:
        columns = "name, email, born, city, income, bmi, smoker"
        for name, side in (("learnt", "< 4"), ("held", "= 4")):
            con.execute(f"COPY (SELECT {columns} FROM subjects WHERE id // 3 % 5 {side}) TO '{private / name}.parquet'")


def needles() -> dict[bytes, str]:
    """Every form in which a canary could stand in bytes, and whose it is."""
    found: dict[bytes, str] = {}
    for column, word in WORDS.items():
        found |= dict.fromkeys(forms(word), column)
    found |= dict.fromkeys(forms("@clinic.example"), "email")
    for column, values in NUMBERS.items():
        for value in values:
            short = {str(np.float32(value)), str(float(np.float32(value)))} if isinstance(value, float) else set()
            for text in {*short, str(value), repr(value), getattr(value, "isoformat", lambda v=value: str(v))()}:
                found |= dict.fromkeys(forms(text) if len(text) > 6 else [], column)
            found |= dict.fromkeys(packed(value), column)
    return found


def forms(text: str) -> Iterator[bytes]:
    """A text in the encodings of files; base64 at each of its three offsets."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        yield text.encode(encoding)
    yield text.encode().hex().encode()
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + text.encode())[4 if offset else 0 : -4]
        if len(coded) >= 8:  # fewer signs stand somewhere by chance
            yield coded


def packed(value: object) -> Iterator[bytes]:
    """A value as bytes of a binary file, both ways round."""
    if isinstance(value, float):
        yield from (struct.pack("<d", value), struct.pack(">d", value))
    elif isinstance(value, int):
        yield from (struct.pack("<q", value), struct.pack(">q", value))
    elif isinstance(value, UUID):
        yield value.bytes
    elif isinstance(value, datetime):
        micros = int((value - datetime(1970, 1, 1)).total_seconds()) * 10**6 + value.microsecond
        yield from (struct.pack("<q", micros), struct.pack(">q", micros))


def bodies(folder: Path, *, without: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder as its bytes, and again with what it packs unpacked."""
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        if without is None or not file.is_relative_to(without):
            where, content = str(file.relative_to(folder)), file.read_bytes()
            yield f"{where} (its name)", where.encode()
            yield from unpacked(where, content, file)


def unpacked(where: str, content: bytes, file: Path) -> Iterator[tuple[str, bytes]]:
    yield where, content
    if content[:1] == b"\x78":  # git's objects
        yield f"{where} (inflated)", zlib.decompress(content)
    elif content[:2] == b"\x1f\x8b":
        yield f"{where} (gunzipped)", gzip.decompress(content)
    elif content[:4] == b"PAR1":
        rows = pq.read_table(pa.BufferReader(content)).to_pylist()
        yield f"{where} (decoded)", "\n".join(f"{v!r} {v}" for row in rows for v in row.values()).encode()
    elif content[:15] == b"SQLite format 3":
        with sqlite3.connect(f"file:{file}?immutable=0", uri=True) as con:
            yield f"{where} (dumped)", "\n".join(con.iterdump()).encode("utf-8", "replace")
            for text in con.iterdump():
                for blob in re.findall(r"X'([0-9A-F]+)'", text):
                    yield f"{where} (blob)", inflated(bytes.fromhex(blob))
    for picture in HELD.findall(content):
        coded = picture.rstrip(b"=")
        yield f"{where} (base64)", base64.b64decode(coded[: len(coded) // 4 * 4])


def inflated(blob: bytes) -> bytes:
    return zlib.decompress(blob) if blob[:1] == b"\x78" else blob


def sweep(folder: Path, *, without: Path | None = None, floats: frozenset[float] = frozenset()) -> list[str]:
    """Where a canary of which column was found, and where a real number of 64 bits stands in full."""
    wanted = needles()
    hits = []
    for where, content in bodies(folder, without=without):
        hits += [f"{where}: {column}" for needle, column in wanted.items() if needle in content]
        hits += [f"{where}: a real number" for text in FLOATS.findall(content) if float(text) in floats]
    return sorted(set(hits))


def test_everything_was_tried_and_ended_as_it_should(world):
    assert world.codes == {
        "init": 0, "check": 0, "run": 0, "report": 0, "sql": 0, "sql wrong": 2, "refused": 1, "wrong suite": 1,
        "dagster": 0, "twice": 2, "check twice": 2, "cells": 2, "torn": 2, "fit": 0, "sample": 0, "purge": 0,
        "evaluate": 0, "evaluate copies": 1,
    }, world.said  # fmt: skip
    assert [r.name for r in releases(world.layout, "clinic")] == ["2025-02-01", "2025-03-01"]
    assert "recorded as git tag clinic@2025-02-01 and pushed" in world.said["run"]


def test_the_vault_holds_the_canaries(world):
    """Else the sweep would find nothing because there was nothing."""
    found = {hit.rpartition(": ")[2] for hit in sweep(world.layout.vault, floats=world.floats)}
    assert found >= {"a real number", *WORDS, *NUMBERS} - {"csv"}


def test_no_canary_is_found_outside_the_vault(world):
    searched = [len(content) for _, content in bodies(world.layout.root.parent, without=world.layout.vault)]
    print(f"\nsearched {sum(searched):,} bytes in {len(searched):,} bodies for {len(needles()):,} forms of canaries")
    assert sum(searched) > 10_000_000
    assert sweep(world.layout.root.parent, without=world.layout.vault, floats=world.floats) == []


def test_every_place_where_a_canary_could_hide_was_looked_into(world):
    swept = {where for where, _ in bodies(world.layout.root.parent, without=world.layout.vault)}
    for kind in (
        r"project/data/lake/clinic/2025-02-01/report.html", r".*catalog\.duckdb", r"project/data/staging/.*\(decoded\)",
        r"remote/.*\(decoded\)", r"project/\.dvc/cache/.*\(decoded\)", r"project/\.git/objects/.*\(inflated\)",
        r"home/.*\(dumped\)", r"said/ui run 0", r"said/ui assets", r"said/ui checks", r"said/ui logs 0",
        r"project/expectations/.*\.json", r"project/drawn/.*\(decoded\)", r"said/dagster",
    ):  # fmt: skip
        assert any(re.fullmatch(kind, where) for where in swept), kind


def test_the_ui_told_of_everything_and_answered_this_machine_only(world):
    said = {
        name: (world.layout.root.parent / "said" / f"ui {name}").read_text() for name in ("assets", "checks", "run 0")
    }
    assert "dagster/row_count" in said["assets"]
    assert "column_shape" in said["checks"]
    assert "STEP_SUCCESS" in said["run 0"]
    assert not any('"errors"' in text[:200] for text in said.values())
    assert world.listening == {"127.0.0.1"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "base64", "hex"])
@pytest.mark.parametrize("word", [*WORDS.values(), *(str(v) for own in NUMBERS.values() for v in own)])
def test_the_sweep_finds_a_canary_in_any_writing(tmp_path, word, encoding):
    body = f"before {word} after"
    coded = {"base64": lambda: base64.b64encode(body.encode()), "hex": lambda: body.encode().hex().encode()}
    (tmp_path / "leak").write_bytes(coded[encoding]() if encoding in coded else body.encode(encoding))
    assert sweep(tmp_path)


def test_the_sweep_finds_canaries_in_whatever_packs_them(tmp_path):
    folders = [tmp_path / n for n in ("parquet", "git", "sqlite", "binary", "float", "gzip", "float32")]
    for folder in folders:
        folder.mkdir()
    leaks = pa.table({"x": pa.array([*NUMBERS["income"]]), "y": [*NUMBERS["born"]], "z": [*NUMBERS["clock"]]})
    pq.write_table(leaks, folders[0] / "leak.parquet", compression="zstd")
    (folders[1] / "leak").write_bytes(zlib.compress(WORDS["city"].encode()))
    with sqlite3.connect(folders[2] / "leak.db") as con:
        con.execute("CREATE TABLE t (x BLOB)")
        con.execute("INSERT INTO t VALUES (?)", [zlib.compress(WORDS["note"].encode() * 20)])
    (folders[3] / "leak").write_bytes(b"....." + struct.pack("<d", NUMBERS["bmi"][0]))
    (folders[4] / "leak").write_text("the mean is 24.012345678912 of all")
    (folders[5] / "leak.gz").write_bytes(gzip.compress(WORDS["city"].encode()))
    pq.write_table(pa.table({"x": pa.array([NUMBERS["bmi"][0]], pa.float32())}), folders[6] / "leak.parquet")
    found = [sweep(f, floats=frozenset({24.012345678912})) for f in folders]
    assert {h.rpartition(": ")[2] for h in found[0]} == {"income", "born", "clock"}
    assert [h[0].rpartition(": ")[2] for h in found[1:]] == ["city", "note", "bmi", "a real number", "city", "bmi"]
