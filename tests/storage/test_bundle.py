"""What is let out is looked at once more, byte by byte: each thing that no release holds is refused."""

import base64
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lakes import judge, project, put_out, released, stage

from twinlake.errors import LakeError
from twinlake.storage.bundle import check_bundle
from twinlake.storage.secret import vault_secret

SECRET = bytes(range(32))
PART = "subjects/part-00000.parquet"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return released(project(tmp_path_factory.mktemp("bundle")), "2026-11-22").folder


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    """A copy of a release that may be written to."""
    shutil.copytree(whole, tmp_path / "r", copy_function=shutil.copyfile)
    return tmp_path / "r"


def written(folder: Path, name: str, content: bytes | str) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def footer(folder: Path, *, schema: dict | None = None, field: dict | None = None, file: dict | None = None) -> None:
    rows = pq.read_table(folder / PART)
    fields = [f.with_metadata(field) if field else f for f in rows.schema]
    with pq.ParquetWriter(folder / PART, pa.schema(fields, metadata=schema)) as writer:
        writer.write_table(rows.cast(writer.schema))
        writer.add_key_value_metadata(file or {})


def manifest(folder: Path, **more: object) -> None:
    told = json.loads((folder / "manifest.json").read_text())
    told["origin"]["settings"] |= more
    written(folder, "manifest.json", json.dumps(told))


def pandas(folder: Path) -> None:
    frame = pq.read_table(folder / PART).to_pandas()
    frame.index.name = "row of the source"
    frame.to_parquet(folder / PART)


LEAKS = {
    "a stray file": (lambda f: written(f, "model.npz", b""), r"model\.npz is no file of a release"),
    "a hidden one": (lambda f: written(f, ".DS_Store", b""), r"\.DS_Store is no file of a release"),
    "a link": (lambda f: (f / "x.json").symlink_to("/etc/passwd"), r"x\.json is no file of a release"),
    "a pickle": (lambda f: written(f, "schema.json", pickle.dumps({"rows": 1})), r"schema\.json is a pickle"),
    "pandas": (pandas, "tells pandas in its footer"),
    "a note in a footer": (lambda f: footer(f, file={"host": "db7"}), "tells host in its footer"),
    "a note in its schema": (lambda f: footer(f, schema={"max": "9"}), "tells max in its footer"),
    "a note on a column": (lambda f: footer(f, field={"real_max": "9"}), "tells real_max in its footer"),
    "the secret": (lambda f: written(f, "report.html", b"<p>" + SECRET), "report.html holds the secret of the vault"),
    "the secret in hex": (lambda f: written(f, "report.html", SECRET.hex()), "holds the secret of the vault"),
    "the secret in base64": (lambda f: manifest(f, key=base64.b64encode(SECRET).decode()), "holds the secret"),
    "a seed": (lambda f: manifest(f, seed=7), r"manifest\.json holds a seed"),
    "a deeper seed": (lambda f: manifest(f, generator={"sample_seed": "4711"}), r"manifest\.json holds a seed"),
    "a script": (lambda f: written(f, "report.html", "<p>a<script>1</script>"), r"report\.html runs or loads"),
    "a handler": (lambda f: written(f, "report.html", "<img src=x onerror=alert(1)>"), r"report\.html runs or loads"),
    "a picture from elsewhere": (lambda f: written(f, "report.html", "<img src='//x/y'>"), "runs or loads something"),
    "a torn file": (lambda f: written(f, PART, b"PAR1"), r"part-00000\.parquet is damaged"),
}  # fmt: skip


def test_a_release_as_it_is_made_is_let_out(whole):
    check_bundle(whole, secret=SECRET)


@pytest.mark.parametrize("leak", LEAKS)
def test_what_no_release_holds_is_refused(folder, leak):
    plant, said = LEAKS[leak]
    plant(folder)
    with pytest.raises(LakeError, match=said):
        check_bundle(folder, secret=SECRET)


def test_it_is_looked_at_when_it_is_published(tmp_path):
    """A report that somebody's template fills with the secret: every gate has passed, and nothing goes out."""
    import lakes

    layout = project(tmp_path)
    staging = stage(layout)
    judge(layout, staging)
    secret = vault_secret(layout).hex()
    with pytest.raises(LakeError, match="holds the secret of the vault"):
        lakes.put_out(layout, staging, "2026-11-22", report=lambda _: f"<p>{secret}")
    assert not list(layout.lake.glob("clinic/*"))
    put_out(layout, staging, "2026-11-22")


@pytest.mark.parametrize(
    "text", ["a rule: one = 1 and onset = 2", "&lt;script&gt;", "javascript: a word", "<a href='#x'>"]
)
def test_words_that_read_like_scripts_are_none(folder, text):
    written(folder, "report.html", f"<p>{text}</p>")
    check_bundle(folder, secret=SECRET)


def test_a_table_called_seed_is_no_seed(folder):
    told = json.loads((folder / "manifest.json").read_text())
    written(folder, "manifest.json", json.dumps(told | {"rows": {"seed": 100}}))
    check_bundle(folder, secret=SECRET)


def test_a_column_called_seed_is_no_seed(folder):
    told = json.loads((folder / "schema.json").read_text())
    written(folder, "schema.json", json.dumps(told).replace("income", "seed"))
    check_bundle(folder, secret=SECRET)


def test_no_files_time_tells_when_or_in_which_order_it_was_written(whole):
    assert {p.stat().st_mtime for p in (whole, *whole.rglob("*"))} == {315_532_800}


def test_footers_of_synthetic_rows_tell_of_synthetic_rows(whole):
    """Statistics stay, for readers skip files by them: they are those of the rows that are in the file."""
    with pq.ParquetFile(whole / PART) as opened:
        at = opened.schema_arrow.get_field_index("id")
        told = opened.metadata.row_group(0).column(at).statistics
        rows = opened.read(["id"])["id"].to_numpy()
    assert (told.min, told.max) == (np.min(rows), np.max(rows))
