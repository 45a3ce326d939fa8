import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scenario import SCHEMA, clinic

from twinlake.errors import DataError
from twinlake.hashing import hash_rows
from twinlake.random import stream
from twinlake.schema import Column, Schema, Table
from twinlake.tables import Tables, TableWriter, conform, file_hash, fingerprint, parts, read_table
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


@pytest.mark.parametrize("words", [3, 5_000, 70_000])
@pytest.mark.parametrize("type_", [pa.string(), pa.binary()], ids=str)
def test_text_gives_the_same_bytes_spelt_out_or_as_dictionaries(tmp_path, type_, words):
    table, rng = Table("t", (Column("word", type_), Column("n", pa.int64()))), stream(0)
    texts = pa.array([f"a word of some length, {i}" for i in range(words)]).cast(type_)
    at = pa.array(rng.integers(0, words, 150_000), mask=rng.random(150_000) < 0.1)
    plain = pa.table({"word": texts.take(at), "n": pa.array(np.arange(150_000))}, schema=table.arrow)
    turned = texts.take(pa.array(np.arange(words)[::-1]))
    other = pa.DictionaryArray.from_arrays(pc.subtract(words - 1, at).cast(pa.int32()), turned)
    compact = plain.set_column(0, "word", other)
    for name, batches in {
        "plain": [plain],
        "compact": [compact],
        "mixed": [plain.slice(0, 100), compact.slice(100, 99_900), plain.slice(100_000)],
    }.items():
        with TableWriter(tmp_path / name, table) as writer:
            for batch in batches:
                writer.write(batch)
    assert len({file_hash(tmp_path / n / "t" / "part-00000.parquet") for n in ("plain", "compact", "mixed")}) == 1
    read = pq.read_table(tmp_path / "compact" / "t" / "part-00000.parquet")
    assert read.equals(plain)
    assert read.schema.metadata is None


def test_every_type_comes_back_from_a_file_as_it_was_declared(tmp_path):
    types = [
        *(getattr(pa, f"{u}int{bits}")() for u in ("", "u") for bits in (8, 16, 32, 64)),
        *(pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.binary(), ENUM, pa.uuid(), pa.json_(), pa.date32()),
        *(
            pa.decimal128(38, 10),
            pa.decimal128(5, 2),
            pa.time32("s"),
            pa.time32("ms"),
            pa.time64("us"),
            pa.time64("ns"),
        ),
        *(pa.timestamp(u, z) for u in ("s", "ms", "us", "ns") for z in (None, "Europe/Zurich")),
        *(pa.duration(u) for u in ("s", "ms", "us", "ns")),
    ]
    table = Table("t", tuple(Column(f"c.{i}", t) for i, t in enumerate(types)))
    whole = pa.array([3, 5, 5, None, 7] * 10, pa.int64())
    rows = pa.table([_any_cells(whole, t) for t in types], schema=table.arrow)
    with TableWriter(tmp_path, table) as writer:
        writer.write(rows)
    assert read_table(tmp_path, table).equals(rows)
    ours, arrows = pq.read_schema(writer.path), tmp_path / "arrows.parquet"
    pq.write_table(rows, arrows)
    assert ours.equals(pq.read_schema(arrows))


def _any_cells(whole: pa.Array, type_: pa.DataType) -> pa.Array:
    if type_ == pa.uuid():
        words = [None if n is None else bytes([n] * 16) for n in whole.to_pylist()]
        return pa.ExtensionArray.from_storage(type_, pa.array(words, pa.binary(16)))
    if type_ == pa.json_():
        return pa.ExtensionArray.from_storage(type_, whole.cast(pa.string()))
    if type_ == ENUM:
        return whole.cast(pa.string()).dictionary_encode()
    if type_ == pa.binary():
        return whole.cast(pa.string()).cast(pa.binary())
    if pa.types.is_decimal(type_):
        return whole.cast(pa.decimal128(19, 0)).cast(type_)
    narrow = pa.types.is_date32(type_) or pa.types.is_time32(type_)
    return (whole.cast(pa.int32()) if narrow else whole).cast(type_)


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
