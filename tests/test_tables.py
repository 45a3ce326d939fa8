import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scenario import SCHEMA, clinic

from twinlake.errors import DataError
from twinlake.hashing import hash_rows
from twinlake.schema import Column, Schema, Table
from twinlake.tables import Tables, TableWriter, conform, file_hash, fingerprint, parts
from twinlake.types import ENUM


def test_tables_survive_a_folder(tmp_path):
    real = clinic()
    real.save(tmp_path / "t")
    again = Tables.open(tmp_path / "t")
    assert again.schema == SCHEMA
    for name in SCHEMA.names:
        assert again[name].schema.equals(real[name].schema)
        assert np.array_equal(hash_rows(again[name]), hash_rows(real[name]))  # NaN equals itself here
        assert again.rows(name) == real[name].num_rows


def test_a_folder_reads_only_the_columns_that_are_asked_for(tmp_path):
    clinic().save(tmp_path / "t")
    assert Tables.open(tmp_path / "t").columns("subjects", ["id", "sex"]).column_names == ["id", "sex"]


def test_batches_are_all_rows_in_order(tmp_path):
    real = clinic()
    real.save(tmp_path / "t")
    batches = list(Tables.open(tmp_path / "t").batches("visits"))
    assert conform(pa.Table.from_batches(batches), SCHEMA["visits"]).equals(real["visits"])


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_the_same_rows_give_the_same_bytes_however_they_arrive(tmp_path, piece):
    rows = clinic(200)["subjects"]
    with TableWriter(tmp_path / "whole", SCHEMA["subjects"]) as whole:
        whole.write(rows)
    with TableWriter(tmp_path / "pieces", SCHEMA["subjects"]) as pieces:
        for start in range(0, rows.num_rows, piece):
            pieces.write(rows.slice(start, piece))
    assert file_hash(whole.path) == file_hash(pieces.path)


def test_dictionaries_that_differ_from_batch_to_batch_leave_no_trace(tmp_path):
    table = Table("t", (Column("kind", ENUM),))
    words = ["c", "a", None, "b", "a", "d"]
    for folder, size, labels in (("one", 6, list("abcd")), ("many", 2, list("dcba"))):
        with TableWriter(tmp_path / folder, table) as writer:
            for start in range(0, 6, size):
                codes = [None if w is None else labels.index(w) for w in words[start : start + size]]
                column = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), labels)
                writer.write(pa.RecordBatch.from_arrays([column], schema=table.arrow))
    assert file_hash(parts(tmp_path / "one", "t")[0]) == file_hash(parts(tmp_path / "many", "t")[0])
    assert pq.read_table(tmp_path / "many" / "t")["kind"].to_pylist() == words


def test_real_rows_are_written_without_extremes_in_the_footer(tmp_path):
    with TableWriter(tmp_path, SCHEMA["subjects"], statistics=False) as writer:
        writer.write(clinic()["subjects"])
    column = pq.read_metadata(writer.path).row_group(0).column(0)
    assert not column.is_stats_set


def test_one_changed_row_changes_the_fingerprint(tmp_path):
    real = clinic()
    real.save(tmp_path / "a")
    changed = Tables(SCHEMA, {**real, "wards": real["wards"].set_column(2, "beds", pa.array(range(12), pa.int32()))})
    changed.save(tmp_path / "b")
    clinic().save(tmp_path / "c")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "c")


def test_an_empty_table_is_one_empty_part(tmp_path):
    schema = Schema((Table("t", (Column("a", pa.int8()),)),))
    Tables(schema, {"t": schema["t"].arrow.empty_table()}).save(tmp_path)
    assert len(parts(tmp_path, "t")) == 1
    assert Tables.open(tmp_path)["t"].num_rows == 0


def test_a_value_that_does_not_fit_is_told_without_the_value():
    with pytest.raises(DataError) as told:
        conform(pa.table({"a": ["987654 Soglio"]}), Table("t", (Column("a", pa.int64()),)))
    assert str(told.value) == "column t.a is string and can't be read as int64."
    assert told.value.__cause__ is None


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="table t lacks column b"):
        conform(pa.table({"a": [1]}), Table("t", (Column("b", pa.int64()),)))
