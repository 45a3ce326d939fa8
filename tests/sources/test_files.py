"""Parquet and CSV files as a source."""

import datetime as dt
import gzip
import uuid
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinlake.errors import DataError, SourceError
from twinlake.schema import Schema, Table
from twinlake.sources.registry import open_source
from twinlake.types import ENUM

CANARY = "CANARY-7731"


def source(folder, rest="data"):
    return open_source(f"files:{rest}", root=folder)


def write(folder, **texts):
    """Files of `folder/data`; `a__csv="..."` writes a.csv, and `parts___1__csv` writes parts/1.csv."""
    for name, text in texts.items():
        path = folder / "data" / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def rows(opened, name, *, key=()):
    table = opened.schema([name])[name]
    table = Table(table.name, table.columns, key=key)
    with opened.reading() as reading:
        return pa.Table.from_batches(list(reading.batches(table)), table.arrow)


def storage(type_, values, width):
    return pa.ExtensionArray.from_storage(type_, pa.array(values, width))


PARQUET = pa.table(
    {
        "i8": pa.array([-128, None], pa.int8()), "u64": pa.array([2**64 - 1, None], pa.uint64()),
        "f32": pa.array([1.5, None], pa.float32()), "money": pa.array([Decimal("-9.99"), None], pa.decimal128(38, 2)),
        "yes": pa.array([True, None]), "day": pa.array([-1_000_000, None], pa.date32()),
        "ms": pa.array([86_399_999, None], pa.time32("ms")), "clock": pa.array([1, None], pa.time64("ns")),
        "s": pa.array([-62_135_596_800_000, None], pa.timestamp("ms")), "ns": pa.array([1, None], pa.timestamp("ns")),
        "zoned": pa.array([1, None], pa.timestamp("us", "Europe/Zurich")),
        "span": pa.array([5, None], pa.duration("us")),
        "words": pa.array(["", None]), "kind": pa.array(["a", None]).dictionary_encode().cast(ENUM),
        "ident": storage(pa.uuid(), [uuid.UUID(int=7).bytes, None], pa.binary(16)),
        "j": storage(pa.json_(), ['{"a":  1}', None], pa.string()), "raw": pa.array([b"\x00\xff", None]),
    }
)  # fmt: skip


def test_every_type_and_value_of_parquet_is_carried_exactly(tmp_path):
    (tmp_path / "data").mkdir()
    pq.write_table(PARQUET, tmp_path / "data" / "every.parquet")
    opened = source(tmp_path)
    assert {c.name: c.type for c in opened.schema()["every"].columns} == {f.name: f.type for f in PARQUET.schema}
    for key in ((), ("i8",)):
        assert rows(opened, "every", key=key).equals(PARQUET)


def test_variants_of_a_type_become_the_one_that_is_carried(tmp_path):
    (tmp_path / "data").mkdir()
    table = pa.table({
        "large": pa.array(["a"], pa.large_string()), "view": pa.array(["a"], pa.string_view()),
        "codes": pa.array([5]).dictionary_encode(), "half": pa.array([1.5], pa.float16()),
        "fixed": pa.array([b"ab"], pa.binary(2)), "day": pa.array([86_400_000], pa.date64()), "none": pa.nulls(1),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "data" / "t.parquet")
    got = rows(source(tmp_path), "t")
    assert [str(t) for t in got.schema.types] == [
        "string", "string", "int64", "float", "binary", "date32[day]", "string"
    ]  # fmt: skip
    assert list(got.to_pylist()[0].values()) == ["a", "a", 5, 1.5, b"ab", dt.date(1970, 1, 2), None]


def test_required_columns_of_parquet_are_not_nullable(tmp_path):
    (tmp_path / "data").mkdir()
    schema = pa.schema([pa.field("id", pa.int32(), nullable=False), pa.field("x", pa.int32())])
    pq.write_table(pa.table({"id": [1], "x": [1]}, schema=schema), tmp_path / "data" / "t.parquet")
    assert [c.nullable for c in source(tmp_path).schema()["t"].columns] == [False, True]


def test_nested_columns_are_named_at_once_unless_left_out(tmp_path):
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"id": [1], "many": [[1]], "pair": [{"a": 1}]}), tmp_path / "data" / "t.parquet")
    with pytest.raises(DataError, match=r"t\.many \(list<.*t\.pair \(struct<.*t\.many: \{drop: true\}, t\.pair"):
        source(tmp_path).schema()
    assert source(tmp_path).uncarried() == (("t", "many"), ("t", "pair"))
    assert source(tmp_path).schema(without=source(tmp_path).uncarried())["t"].names == ("id",)


def test_csv_types_hold_for_every_row(tmp_path):
    many = "".join(f"{i},1\n" for i in range(30_000))
    write(tmp_path, t__csv=f"id,late\n{many}30000,x\n")
    assert [str(c.type) for c in source(tmp_path).schema()["t"].columns] == ["int64", "string"]
    assert rows(source(tmp_path), "t")["late"].to_pylist()[-1] == "x"


def test_csv_cells_keep_leading_zeros_long_numbers_and_empty_text(tmp_path):
    write(
        tmp_path,
        t__csv="id,zip,long,huge,amount,yes,day,at,words,none\n"
        "1,01234,12345678901234567890,123456789012345678901234567890123456789012,1.50,true,1066-10-14,"
        '2020-01-01 10:00:00,"",\n2,5,1,2,-2,false,,,,\n3,,,,,,,,"a ""b"", c",\n',
    )
    got = rows(source(tmp_path), "t")
    assert [str(t) for t in got.schema.types] == [
        "int64", "string", "decimal128(38, 0)", "string", "double", "bool", "date32[day]", "timestamp[us]", "string",
        "string",
    ]  # fmt: skip
    assert got.to_pylist()[0] == {
        "id": 1, "zip": "01234", "long": Decimal("12345678901234567890"),
        "huge": "123456789012345678901234567890123456789012", "amount": 1.5, "yes": True, "day": dt.date(1066, 10, 14),
        "at": dt.datetime(2020, 1, 1, 10), "words": "", "none": None,
    }  # fmt: skip
    assert got["words"].to_pylist() == ["", None, 'a "b", c']


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_line_ends_byte_order_marks_and_hash_signs_are_read(tmp_path, separator):
    text = "\ufeffid,name\r\n1,#no comment\r\n#2,b\r\n".replace(",", separator)
    write(tmp_path, t__csv=text)
    assert rows(source(tmp_path), "t").to_pylist() == [{"id": "1", "name": "#no comment"}, {"id": "#2", "name": "b"}]


def test_compressed_csv_is_read(tmp_path):
    write(tmp_path, t__csv__gz=gzip.compress(b"id\n1\n2\n"))
    assert rows(source(tmp_path), "t")["id"].to_pylist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"a,b\n1,2\n{CANARY},4,5\n6,7\n", "t.csv can't be read, line 3"),
        (f"a,b\n1,2\n{CANARY}\n6,7\n", "t.csv can't be read, line 3"),
        (f'a,b\n1,2\n3,"{CANARY}\n6,7\n', "t.csv can't be read, line 3"),
        (b"a,b\n1,2\n" + CANARY.encode() + b",\xff\xfe\n6,7\n", "t.csv"),
        ("", "the first line must name the columns"),
        ("a,,c\n1,2,3\n", "the first line must name the columns"),
        ("a,A\n1,2\n", "the first line must name the columns"),
    ],
)
def test_a_bad_csv_is_a_sentence_with_file_and_line_and_never_a_cell(tmp_path, text, said):
    write(tmp_path, t__csv=text)
    with pytest.raises(SourceError, match=said) as caught:
        source(tmp_path).schema()
    assert CANARY not in str(caught.value) + repr(caught.value.__cause__)
    assert "\n" not in str(caught.value)


def test_a_folder_of_parts_is_one_table_in_the_order_of_its_files(tmp_path):
    write(tmp_path, visits___2__csv="id,x\n3,c\n", visits___1__csv="id,x\n9,\n1,a\n", wards__csv="w\n1\n")
    write(tmp_path, _hidden__csv="no table")
    opened = source(tmp_path)
    assert opened.names() == ("visits", "wards")
    assert rows(opened, "visits")["id"].to_pylist() == [9, 1, 3]
    assert rows(opened, "visits", key=("id",))["id"].to_pylist() == [1, 3, 9]


def test_parts_agree_on_the_widest_type(tmp_path):
    write(tmp_path, t___1__csv="a,b,c,d\n1,1,2020-01-01,\n", t___2__csv="a,b,c,d\n1.5,x,31/12/2020,7\n")
    types = [str(c.type) for c in source(tmp_path).schema()["t"].columns]
    assert types == ["double", "string", "string", "int64"]
    assert rows(source(tmp_path), "t")["c"].to_pylist() == ["2020-01-01", "31/12/2020"]


def test_dates_of_another_style_are_read_as_the_file_writes_them(tmp_path):
    write(tmp_path, t__csv="day\n31/12/2020\n01/02/2021\n")
    assert rows(source(tmp_path), "t")["day"].to_pylist() == [dt.date(2020, 12, 31), dt.date(2021, 2, 1)]


def test_parts_with_other_columns_are_a_sentence(tmp_path):
    write(tmp_path, t___1__csv="a,b\n1,2\n", t___2__csv="a,c\n1,2\n")
    with pytest.raises(SourceError, match=r"2\.csv has other columns than 1\.csv"):
        source(tmp_path).schema()
    (tmp_path / "data" / "p").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "data" / "p" / "1.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "data" / "p" / "2.parquet")
    with pytest.raises(SourceError, match=r"2\.parquet has other columns.*a is text there and int64 here"):
        source(tmp_path).schema(["p"])


def test_patterns_single_files_and_odd_names_work(tmp_path):
    names = ["two words", "it's", "Größe 😀", "a[1]", "b*c", 'quo"ted', "select", "semi;colon"]
    (tmp_path / "data").mkdir()
    for name in names:
        (tmp_path / "data" / f"{name}.csv").write_text(f'"{name.replace(chr(34), chr(34) * 2)}",x\n1,2\n')
    pq.write_table(pa.table({"x": [1]}), tmp_path / "data" / "p.parquet")
    assert source(tmp_path, "data/*.parquet").names() == ("p",)
    assert source(tmp_path, "data/p.parquet").names() == ("p",)
    opened = source(tmp_path, "data/*.csv")
    assert opened.names() == tuple(sorted(names))
    with opened.reading() as reading:
        for table in opened.schema():
            assert table.names == (table.name, "x")
            assert sum(b.num_rows for b in reading.batches(table)) == 1
            assert reading.count(f'SELECT count(*) FROM "{table.name.replace(chr(34), chr(34) * 2)}"') == 1
    assert source(tmp_path, f"{tmp_path}/data/p.parquet").names() == ("p",)


def test_no_files_clashing_names_and_mixed_folders_are_sentences(tmp_path):
    (tmp_path / "data").mkdir()
    for rest in ("data", "nowhere", "data/*.parquet"):
        with pytest.raises(SourceError, match=r"no Parquet or CSV files; endings are \.parquet"):
            source(tmp_path, rest).names()
    write(tmp_path, t__csv="a\n1\n", t___1__csv="a\n1\n")
    with pytest.raises(SourceError, match="would both be table t"):
        source(tmp_path).names()
    write(tmp_path, m___1__csv="a\n1\n")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "data" / "m" / "2.parquet")
    with pytest.raises(SourceError, match="folder m holds Parquet and CSV"):
        source(tmp_path, "data/m*").schema(["m"])


def test_a_damaged_parquet_file_is_a_sentence(tmp_path):
    write(tmp_path, t__parquet=CANARY * 100)
    with pytest.raises(SourceError, match=r"t\.parquet is no Parquet file") as caught:
        source(tmp_path).schema()
    assert CANARY not in str(caught.value)


def test_files_have_no_keys_and_no_references(tmp_path):
    write(tmp_path, a__csv="id\n1\n", b__csv="id\n1\n")
    schema = source(tmp_path).schema()
    assert isinstance(schema, Schema)
    assert not any(t.key or t.references for t in schema)


def test_a_bad_file_spoils_no_other_table(tmp_path):
    write(tmp_path, good__csv="id\n1\n", bad__csv="a,b\n1,2,3\n")
    opened = source(tmp_path)
    assert rows(opened, "good").to_pylist() == [{"id": 1}]
    with opened.reading() as reading:
        assert reading.count('SELECT count(*) FROM "good"') == 1
        with pytest.raises(SourceError, match=r"bad\.csv can't be read, line 2"):
            reading.count('SELECT count(*) FROM "bad"')


def test_three_hundred_columns_are_read(tmp_path):
    (tmp_path / "data").mkdir()
    table = pa.table({f"c{i}": pa.array(range(i, i + 30), pa.int64()) for i in range(300)})
    pq.write_table(table, tmp_path / "data" / "p.parquet")
    text = ",".join(table.column_names) + "\n" + ",".join(str(i) for i in range(300)) + "\n"
    write(tmp_path, c__csv=text)
    assert rows(source(tmp_path), "p", key=("c7",)).equals(table)
    assert rows(source(tmp_path), "c").num_columns == 300
