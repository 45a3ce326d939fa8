"""Query results as text."""

import pyarrow as pa

from twinlake.report.listing import as_text


def test_two_columns_of_one_name_both_show_their_values():
    rows = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert as_text(rows).splitlines()[-1].split() == ["1", "2"]
    assert as_text(rows, csv=True).splitlines()[-1] == "1,2"


def test_lists_and_structs_are_texts_in_csv():
    rows = pa.table({"l": [[1, 2], None], "s": [{"a": 1}, {"a": 2}], "n": [1, 2]})
    assert as_text(rows, csv=True).splitlines() == ['"l","s","n"', '"[1, 2]","{\'a\': 1}",1', ",\"{'a': 2}\",2"]
