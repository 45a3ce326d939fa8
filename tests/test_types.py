import pyarrow as pa
import pytest

from twinlake.types import ENUM, carried, is_discrete, parse_type, type_name

ALL = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float32(), pa.float64(), pa.bool_(), pa.string(), ENUM, pa.uuid(), pa.json_(), pa.binary()),
    *(pa.decimal128(38, 10), pa.decimal128(5, 0), pa.date32(), pa.time32("s"), pa.time64("us")),
    *(pa.timestamp("us"), pa.timestamp("ns", "Europe/Zurich"), pa.timestamp("s", "+02:00"), pa.duration("ms")),
]


@pytest.mark.parametrize("type_", ALL, ids=str)
def test_every_carried_type_survives_as_text(type_):
    assert parse_type(type_name(type_)) == type_
    assert carried(type_) == type_


@pytest.mark.parametrize(
    ("read", "kept"),
    [(pa.large_string(), pa.string()), (pa.binary(16), pa.binary()), (pa.date64(), pa.date32()),
     (pa.dictionary(pa.int8(), pa.large_string()), ENUM), (pa.dictionary(pa.int8(), pa.int64()), pa.int64())],
)  # fmt: skip
def test_other_widths_become_the_carried_one(read, kept):
    assert carried(read) == kept


@pytest.mark.parametrize("type_", [pa.list_(pa.int8()), pa.struct([("a", pa.int8())]), pa.month_day_nano_interval()])
def test_what_has_no_equal_is_not_carried(type_):
    assert carried(type_) is None


def test_an_unknown_text_is_no_type():
    with pytest.raises(ValueError, match="no type of Twinlake"):
        parse_type("strnig")


def test_labels_are_discrete_and_quantities_are_not():
    assert is_discrete(ENUM)
    assert is_discrete(pa.bool_())
    assert not is_discrete(pa.date32())
