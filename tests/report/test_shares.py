"""What may be drawn of real rows, and what may not."""

import datetime as dt
import json
import uuid
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario import SUBJECTS, clinic

from twinlake.random import stream
from twinlake.report.shares import ColumnShares, Form, compare, pair_scores
from twinlake.schema import Column, Kind, Table

SECRET = "Soglio"
DAY = dt.timedelta(days=1)
NEW_YEAR = dt.datetime(2024, 1, 1)


def one(real: pa.Array, synthetic: pa.Array, *, units: np.ndarray | None = None, **declared) -> ColumnShares:
    column = Column("x", synthetic.type, **declared)
    tables = [pa.table({"x": side}) for side in (real, synthetic)]
    (shares,) = compare(*tables, Table("t", (column,)), units=units)
    return shares


def normal(n: int, seed: int = 0) -> np.ndarray:
    return stream(seed, "normal").normal(50, 10, n)


def test_every_learnt_column_is_compared_and_no_other() -> None:
    people = clinic()["subjects"]
    assert [c.column for c in compare(people, people, SUBJECTS)] == list(SUBJECTS.learnt)


def test_the_same_rows_have_the_same_shares_wherever_they_are_shown() -> None:
    people = clinic()["subjects"]
    for column in compare(people, people, SUBJECTS):
        assert all(s.real in (None, s.synthetic) for s in column.shares)
        assert sum(s.synthetic for s in (*column.shares, column.other, column.null)) == pytest.approx(1, abs=0.002)


def test_a_label_that_one_real_row_holds_is_never_shown() -> None:
    real = pa.array(["Bern"] * 500 + [SECRET])
    assert SECRET not in repr(one(real, pa.array(["Bern"] * 300 + ["Chur"] * 200)))


def test_a_rare_real_label_that_a_snapshot_copied_often_is_not_spread_further() -> None:
    real = pa.array(["Bern"] * 300 + ["Chur"] * 300 + [SECRET])
    shares = one(real, pa.array(["Bern"] * 200 + ["Chur"] * 200 + [SECRET] * 200))
    assert SECRET not in repr(shares)
    assert shares.other.synthetic == pytest.approx(1 / 3, abs=1e-3)


def test_a_label_that_the_pipeline_file_calls_public_is_shown_however_rare() -> None:
    shares = one(pa.array(["CH"] * 500 + ["LI"]), pa.array(["CH"] * 480 + ["LI"] * 20), public=True)
    assert [s.label for s in shares.shares] == ["CH", "LI"]
    assert [s.real for s in shares.shares] == [None, None]  # shown as a label; its share stays hidden


def test_a_unique_real_extreme_moves_no_edge_and_shows_nowhere() -> None:
    real, synthetic = normal(2000), normal(2000, seed=1)
    plain = one(pa.array(real), pa.array(synthetic))
    planted = one(pa.array([*real, 987654.32]), pa.array(synthetic))
    assert planted.ticks == plain.ticks
    assert "987" not in repr(planted)
    assert planted.other.real is None


def test_an_extreme_that_a_snapshot_copied_often_is_shown_only_as_a_round_edge() -> None:
    copied = pa.array([*normal(500), *[987654.32] * 400])
    shares = one(pa.array([*normal(2000), 987654.32]), copied)
    assert "987654" not in repr(shares)
    assert "987.6" not in repr(shares)


def test_edges_and_labels_depend_on_the_synthetic_rows_alone_where_all_are_held_by_many() -> None:
    synthetic = clinic(seed=1)["subjects"]
    first, second = (compare(clinic(seed=s)["subjects"], synthetic, SUBJECTS) for s in (2, 3))
    assert [c.ticks for c in first] == [c.ticks for c in second]
    assert [[s.label for s in c.shares] for c in first] == [[s.label for s in c.shares] for c in second]


def test_a_share_that_rests_on_fewer_than_k_rows_is_hidden() -> None:
    real = pa.array(["a"] * 100 + ["b"] * 50 + [None] * 9, pa.string())
    shares = one(real, real.slice(0).take(pa.array([*range(159), *range(150, 159)])), public=True)
    assert shares.null.real is None


def test_a_hidden_share_cannot_be_worked_out_from_those_that_are_shown() -> None:
    real = pa.array(["a"] * 100 + ["b"] * 50 + ["c"] * 20 + [None] * 9, pa.string())
    shares = one(real, real)
    assert [s.real is None for s in shares.shares] == [False, False, True]  # the smallest goes too
    assert shares.null.real is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=2, max_size=8), st.integers(0, 40))
def test_what_is_hidden_is_nobody_or_a_crowd(counts: list[int], nulls: int) -> None:
    real = pa.array([f"l{i}" for i, n in enumerate(counts) for _ in range(n)] + [None] * nulls, pa.string())
    synthetic = pa.array([f"l{i}" for i in range(len(counts)) for _ in range(20)])
    shares = one(real, synthetic, public=True)
    shown = [s.real for s in (*shares.shares, shares.other, shares.null) if s.real is not None]
    left = len(real) - round(sum(shown) * len(real))
    assert left == 0 or left >= 10 or len(real) < 10


def test_many_rows_of_one_unit_are_no_crowd() -> None:
    real = pa.array(["a"] * 300 + ["b"] * 40)
    units = np.array([*range(300), *[9999] * 40], dtype=np.uint64)
    labels = [s.label for s in one(real, real, units=units).shares]
    assert labels == ["a"]
    assert [s.label for s in one(real, real).shares] == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([dt.date(1950, 1, 1) + 31 * i * DAY for i in range(600)], ("1950", "1955", "2000")),
        ([NEW_YEAR + i * DAY / 24 for i in range(300)], ("2024-01-01", "2024-01-02", "2024-01-13")),
        ([NEW_YEAR + i * DAY / 1440 for i in range(300)], ("01-01 00:00", "01-01 00:15", "01-01 04:45")),
        ([dt.time(i // 60, i % 60) for i in range(0, 1440, 4)], ("00:00", "03:00", "21:00")),
        ([dt.timedelta(seconds=i) for i in range(400)], ("0", "20", "380")),
        ([Decimal(i) / 100 for i in range(0, 40000, 50)], ("0", "20", "380")),
        (list(range(-300, 300)), ("-300", "-250", "250")),
        ([i * 1e6 for i in range(600)], ("0", "50M", "550M")),
        ([i * 1e-6 for i in range(600)], ("0", "5e-05", "0.00055")),
    ],
)  # fmt: skip
def test_quantities_dates_and_times_get_round_bins(values: list[object], ticks: tuple[str, ...]) -> None:
    column = pa.array(values)
    shares = one(column, column)
    assert shares.form is Form.BINS
    assert len(shares.ticks) == len(shares.shares) + 1
    assert (shares.ticks[0], shares.ticks[1]) == ticks[:2]
    assert ticks[2] in shares.ticks
    assert all(s.real is not None for s in shares.shares[:-1])


def test_dates_before_the_epoch_fall_in_the_year_they_belong_to() -> None:
    column = pa.array([dt.date(1900 + i % 30, 12, 31) for i in range(3000)])
    shares = one(column, column)
    assert shares.ticks[0] == "1900"
    assert sum(s.synthetic for s in shares.shares) == pytest.approx(1, abs=1e-3)


def test_a_value_that_most_rows_share_stands_alone() -> None:
    gain = np.where(stream(0, "zero").random(3000) < 0.9, 0, stream(1, "gain").integers(1, 99_999, 3000))
    shares = one(pa.array(gain), pa.array(gain))
    assert shares.form is Form.LABELS
    assert shares.shares[0].label == "0"
    assert shares.shares[1].label.startswith("over 0 – ")
    assert shares.shares[0].synthetic == pytest.approx(0.9, abs=0.02)


def test_a_value_that_most_synthetic_but_few_real_rows_share_does_not_stand_alone() -> None:
    collapsed = pa.array([*normal(900), *[73.1415] * 1500])
    assert "73.14" not in repr(one(pa.array([*normal(3000, seed=2), 73.1415]), collapsed))


def test_few_different_numbers_are_drawn_one_by_one_in_their_order() -> None:
    stars = pa.array([5, 1, 3] * 40)
    assert [s.label for s in one(stars, stars).shares] == ["1", "3", "5"]


def test_booleans_and_enums_are_labels() -> None:
    smoker = pa.array([True, False] * 30)
    assert [s.label for s in one(smoker, smoker).shares] == ["false", "true"]
    sex = next(c for c in compare(*[clinic()["subjects"]] * 2, SUBJECTS) if c.column == "sex")
    assert [s.label for s in sex.shares] == ["f", "m", "x"]  # the declared ones, in their order


def test_free_values_show_only_their_length() -> None:
    notes = [f"patient {i} says {'a' * (i % 40)}" for i in range(200)]
    for values in (notes, [n.encode() for n in notes]):
        shares = one(pa.array(values), pa.array(values))
        assert "only their length" in shares.note
        assert "patient" not in repr(shares)
    told = one(pa.array(["short", "longer"] * 50), pa.array(["short", "longer"] * 50), kind=Kind.TEXT)
    assert "short" not in repr(told)


def test_json_shows_only_its_length_and_uuids_nothing() -> None:
    documents = pa.array([json.dumps({"secret": "x" * (i % 30)}) for i in range(300)]).cast(pa.json_())
    assert "secret" not in repr(one(documents, documents))
    ids = pa.array([uuid.UUID(int=i).bytes for i in range(300)], pa.binary(16)).cast(pa.uuid())
    assert one(ids, ids).form is Form.NONE


def test_not_a_number_counts_as_null_and_infinity_as_outside() -> None:
    values = pa.array([*normal(900), *[float("nan")] * 50, *[float("inf")] * 50])
    shares = one(values, values)
    assert shares.null.synthetic == shares.null.real == 0.05
    assert shares.other.synthetic >= 0.05


@pytest.mark.parametrize("synthetic", [[], [None] * 50, ["a"] * 5])
def test_too_few_synthetic_values_are_not_drawn(synthetic: list[str | None]) -> None:
    shares = one(pa.array(["a"] * 50), pa.array(synthetic, pa.string()))
    assert shares.form is Form.NONE
    assert "fewer than 20" in shares.note


def test_no_real_rows_give_no_real_shares() -> None:
    shares = one(pa.array([], pa.float64()), pa.array(normal(300)))
    assert all(s.real is None for s in shares.shares)


def test_a_synthetic_label_that_real_rows_lack_counts_as_other() -> None:
    shares = one(pa.array(["a"] * 100), pa.array(["a"] * 50 + ["new"] * 50))
    assert [s.label for s in shares.shares] == ["a"]
    assert shares.other.synthetic == 0.5


def test_equal_tables_give_equal_shares_however_they_are_chunked() -> None:
    people = clinic()["subjects"]
    pieces = pa.concat_tables([people.slice(0, 150), people.slice(150)])
    assert compare(people, people, SUBJECTS) == compare(pieces, pieces, SUBJECTS)


def test_pairs_make_a_symmetric_matrix_of_the_worst_columns() -> None:
    parts = {"a × b": 0.9, "a × c": 0.5, "b × c": 0.8, "b × d": 0.99}
    whole = pair_scores(parts, ["a", "b", "c", "d"])
    assert whole.names == ("a", "b", "c", "d")
    assert whole.scores[0] == (None, 0.9, 0.5, None)
    assert [row[0] for row in whole.scores] == [None, 0.9, 0.5, None]
    assert pair_scores(parts, ["a", "b", "c", "d"], most=2).names == ("a", "c")


def test_a_column_with_the_sign_of_pairs_in_its_name_is_still_found() -> None:
    scores = pair_scores({"a × b × c": 0.7}, ["a × b", "c", "a"])
    assert scores.names == ("a × b", "c")
