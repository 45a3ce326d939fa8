"""Extraction: whole tables to a folder, or nothing."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scenario import SCHEMA, clinic

from twinlake.errors import DataError
from twinlake.sources.extract import extract
from twinlake.sources.registry import open_source
from twinlake.tables import Tables, fingerprint, parts


@pytest.fixture
def source(tmp_path):
    with duckdb.connect(str(tmp_path / "clinic.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, data in clinic(120).items():
            connection.register("data_", data)
            connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM data_')
    return open_source("duckdb:///clinic.duckdb", root=tmp_path)


def test_every_table_arrives_whole_and_ordered_by_key(tmp_path, source):
    seen = []
    extract(source, SCHEMA, tmp_path / "out", progress=lambda *told: seen.append(told))
    got, real = Tables.open(tmp_path / "out"), clinic(120)
    assert got.schema == SCHEMA
    for name in SCHEMA.names:
        ordered = real[name].sort_by([(k, "ascending") for k in SCHEMA[name].key])
        assert repr(got[name].to_pylist()) == repr(ordered.to_pylist())  # by text: NaN equals NaN
        assert (f"extract {name}", got.rows(name), got.rows(name)) in seen
    assert not (tmp_path / "out.partial").exists()


def test_the_same_source_gives_the_same_bytes(tmp_path, source):
    for folder in ("one", "two"):
        extract(source, SCHEMA, tmp_path / folder)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")


def test_footers_hold_no_statistics(tmp_path, source):
    extract(source, SCHEMA, tmp_path / "out")
    for name in SCHEMA.names:
        meta = pq.read_metadata(parts(tmp_path / "out", name)[0])
        assert all(meta.row_group(0).column(i).statistics is None for i in range(meta.num_columns))


def test_a_table_without_rows_is_a_sentence_and_leaves_nothing(tmp_path, source):
    with duckdb.connect(str(tmp_path / "clinic.duckdb")) as connection:
        connection.execute("DELETE FROM visits")
    with pytest.raises(DataError, match=r"table visits of duckdb:///clinic.duckdb has no rows.*leave it out"):
        extract(source, SCHEMA, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clinic.duckdb"]


def test_what_a_killed_run_left_is_replaced_and_a_full_folder_is_not(tmp_path, source):
    (tmp_path / "out.partial" / "old").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    extract(source, SCHEMA, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["schema.json", *sorted(SCHEMA.names)]
    with pytest.raises(FileExistsError):
        extract(source, SCHEMA, tmp_path / "out")
    assert isinstance(Tables.open(tmp_path / "out")["wards"], pa.Table)
