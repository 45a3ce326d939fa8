"""Lessons: which real rows are learnt from, in which order, and beside what."""

import numpy as np
import pyarrow as pa

from twinlake.generators.context import Contexts, Telling
from twinlake.generators.lesson import Lesson
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables

HOME = Reference(("home",), "homes", ("id",))
WARD = Reference(("ward",), "wards", ("id",))
HOMES = Table("homes", (Column("id", pa.int64(), nullable=False), Column("size", pa.int64())), key=("id",))
WARDS = Table("wards", (Column("id", pa.int64(), nullable=False),), key=("id",))


def lesson(stays: dict[str, list], *, key=(), order_by=None, order=(), references=(HOME,)) -> Lesson | None:
    rows = pa.table(stays)
    table = Table("stays", tuple(Column(f.name, f.type) for f in rows.schema), key, references, order_by)
    tables = Tables(
        Schema((HOMES, WARDS, table)),
        {
            "homes": pa.table({"id": [1, 2, 3], "size": [10, 20, 30]}),
            "wards": pa.table({"id": [5]}),
            "stays": rows.cast(table.arrow),
        },
    )
    contexts = Contexts(
        lambda t, c: tables.columns(t, c).select(list(c)), {"homes": Telling(("size",)), "wards": Telling(())},
        lambda child, lead: True,
    )  # fmt: skip
    return Lesson.of(tables, table, contexts, {r: contexts.found("stays", r) for r in references}, order=order)


def test_a_table_that_refers_to_nothing_has_no_lesson() -> None:
    assert lesson({"home": [1]}, references=()) is None


def test_rows_of_a_parent_lie_together_and_know_it() -> None:
    found = lesson({"home": [3, 1, 3, 2, 1]})
    assert [sorted(p) for p in np.split(found.rows, [2, 3])] == [[1, 4], [3], [0, 2]]
    assert found.context.to_pydict() == {"homes.size": [10, 10, 20, 30, 30]}
    assert found.siblings.sizes.tolist() == [2, 1, 2]


def test_rows_whose_parent_was_held_back_are_left_out() -> None:
    found = lesson({"home": [3, 9, None, 1]})
    assert found.rows.tolist() == [3, 0, 2]  # a row that points nowhere stays, and comes last
    assert found.context["homes.size"].to_pylist() == [10, 30, None]


def test_a_second_parent_that_was_held_back_counts_too() -> None:
    found = lesson({"home": [1, 1, 1], "ward": [5, 6, None]}, references=(HOME, WARD))
    assert sorted(found.rows) == [0, 2]


def test_rows_that_nothing_orders_are_shuffled_in_the_same_way_each_time() -> None:
    many = {"home": [1] * 50}
    assert lesson(many).rows.tolist() == lesson(many).rows.tolist() != list(range(50))


def test_where_all_parents_were_held_back_all_rows_are_learnt_from() -> None:
    assert sorted(lesson({"home": [8, 9]}).rows) == [0, 1]


def test_rows_stand_in_their_order_with_nulls_last_and_ties_as_they_stand() -> None:
    found = lesson({"home": [1, 1, 1, 1, 1], "day": [4, None, 2, 4, 2]}, order_by="day")
    assert found.rows.tolist() == [2, 4, 0, 3, 1]


def test_without_an_order_the_parts_of_the_key_that_are_told_say_it() -> None:
    stays = {"home": [1, 1, 1, 1], "ward": ["b", "a", "b", "a"], "no": [1, 2, 0, 1]}
    assert lesson(stays, key=("home", "ward", "no"), order=("ward", "no", "ward")).rows.tolist() == [3, 1, 2, 0]
    assert lesson(stays, key=("home", "ward", "no"), order=("no", "ward")).rows.tolist() == [2, 3, 0, 1]
    assert lesson(stays, key=("home", "ward", "no"), order=("no",)).rows.tolist() == [2, 0, 3, 1]
    assert lesson(stays, key=("home", "ward", "no"), order_by="no", order=("ward",)).rows.tolist() == [2, 0, 3, 1]


def test_without_brothers_there_are_no_siblings() -> None:
    assert lesson({"home": [3, 1, None, None]}).siblings is None


def test_a_parent_that_tells_nothing_gives_no_context() -> None:
    found = lesson({"ward": [5, 5]}, references=(WARD,))
    assert found.context is None
    assert found.siblings.sizes.tolist() == [2]
