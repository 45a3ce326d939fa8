import numpy as np
import pytest
from orders import ORDERS, orders

from twinlake.errors import GeneratorError
from twinlake.generators.forest.predicate import Predicate


def test_what_is_asked_of_one_column_follows_through_and_and_or():
    read = Predicate.read("(state = 'OH' AND month = 2) OR (state = 'NY' AND low < high)", ORDERS)
    assert read.columns == ("state", "month", "low", "high")
    assert str(read.about("state")) == "(state = 'OH') OR (state = 'NY')"
    assert read.about("month") is None  # where the state is NY, any month is
    assert read.about("low") is None


def test_the_parts_are_those_joined_by_and():
    read = Predicate.read("state IN ('OH', 'NY') AND (month BETWEEN 2 AND 3 AND low < high)", ORDERS)
    assert [p.columns for p in read.parts] == [("state",), ("month",), ("low", "high")]
    assert read.over(frozenset(("month", "low"))).columns == ("month",)
    assert read.over(frozenset(("price",))) is None


@pytest.mark.parametrize(
    "text", ["product IS NULL", "weight > 3", "isnan(weight)", "price = 7.5 OR low < high", "NOT (month = 2)"]
)
def test_rows_hold_what_a_query_finds(text):
    import duckdb

    rows = orders(2_000)
    with duckdb.connect() as connection:
        connection.register("t", rows)
        expected = connection.sql(f"SELECT count(*) FROM t WHERE {text}").fetchall()[0][0]
    assert int(Predicate.read(text, ORDERS).holds(rows).sum()) == expected


def test_constants_are_told_in_the_type_of_the_column():
    found = Predicate.read("price > -3 AND price < 7.25", ORDERS).constants("price")
    assert {"-3.00", "7.25"} <= {str(c) for c in found.to_pylist()}
    assert not len(Predicate.read("price IS NULL", ORDERS).constants("price"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the predicate is empty"),
        ("state ==== 1", "can't be read"),
        ("state = 'OH' AND", "can't be read"),
        ("stat = 'OH'", 'names a column stat that table orders does not have.*Did you mean "state"'),
        ('state = "Rome"', "names a column Rome"),
        ("month = 'March'", "can't be read: Conversion Error"),
        ("state = (SELECT 'OH')", "it asks another query"),
        ("state IN (SELECT content FROM read_text('/etc/passwd'))", "it asks another query"),
        ("month = 2; DROP TABLE orders", "can't be read"),
        ("month = 2; SELECT 1", "can't be read"),
        ("month = 2) LIMIT (3", "is more than a condition"),
        ("month = ?", "it has a parameter"),
        ("COLUMNS(*) IS NULL", "it names columns by a star"),
        ("random() < 0.5", "random gives another answer each time"),
        ("sum(month) > 3", "can't be read"),
        ("row_number() OVER () = 1", "it looks at other rows"),
        ("month", "neither true nor false"),
    ],
)
def test_what_is_no_condition_is_one_sentence(text, told):
    with pytest.raises(GeneratorError, match=told) as raised:
        Predicate.read(text, ORDERS)
    assert "\n" not in str(raised.value).replace(text, "")


def test_a_predicate_that_fails_on_some_values_says_so_without_quoting_one():
    with pytest.raises(GeneratorError, match=r"fails on some values: ConversionException. Where it casts") as raised:
        Predicate.read("CAST(state AS INTEGER) = 1", ORDERS).holds(orders(100))
    assert not any(word in str(raised.value) for word in ("CA'", "NY", "OH", "AK"))


def test_a_comment_does_not_swallow_what_comes_after():
    assert np.all(Predicate.read("state IS NOT NULL -- all of them", ORDERS).holds(orders(50)))
