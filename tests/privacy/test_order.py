"""Rows and keys in the order of the learnt rows they are like are found; shuffled ones are not, however alike."""

import numpy as np
import pyarrow as pa
from dealt import PEOPLE, people
from scipy.stats import binom

from twinlake.privacy.order import follows
from twinlake.random import stream
from twinlake.schema import Column, Reference, Table

KEYED = Table("people", (Column("id", pa.int64()), *PEOPLE.columns), key=("id",))
REAL = people(600, 0).add_column(0, "id", pa.array(np.arange(600) * 7))


def twin(seed: int = 1, *, keys=None) -> pa.Table:
    """Real rows in random order, so as like to learnt ones as can be, with keys that mean nothing."""
    order = stream(seed, "shuffle").permutation(600)
    keys = stream(seed, "keys").permutation(600) if keys is None else keys
    return REAL.drop_columns(["id"]).take(pa.array(order)).add_column(0, "id", pa.array(keys))


def chance(rows: pa.Table, table: Table = KEYED, real: pa.Table = REAL) -> float:
    return follows(real, rows, table, rng=stream(0, "order"))


def test_rows_in_the_order_they_were_read_are_found():
    assert chance(REAL.set_column(0, "id", pa.array(stream(1, "keys").permutation(600)))) < 1e-9


def test_keys_that_count_up_along_the_source_are_found_though_rows_are_shuffled():
    order = stream(1, "shuffle").permutation(600)
    assert chance(twin(1, keys=order + 10_000)) < 1e-9
    assert chance(twin(1, keys=[f"k{i:05d}" for i in 900 - order]), KEYED) < 1e-9  # backwards, and as text


def test_shuffled_rows_and_keys_are_found_as_seldom_as_promised():
    alarms = sum(chance(twin(seed)) < 0.05 for seed in range(100))
    assert alarms <= binom.ppf(1 - 1e-4, 100, 0.05)


def test_a_key_that_refers_has_the_order_of_what_it_refers_to():
    order = stream(1, "shuffle").permutation(600)
    refers = Table("people", KEYED.columns, key=("id",), references=(Reference(("id",), "all", ("id",)),))
    assert chance(twin(1, keys=order), refers) > 0.001


def test_a_table_without_key_or_with_few_rows_is_no_error():
    assert chance(twin().drop_columns(["id"]), PEOPLE, REAL.drop_columns(["id"])) > 0.001
    assert chance(twin().slice(0, 5)) == 1.0
    assert chance(twin(), Table("people", KEYED.columns[:1], key=("id",))) == 1.0
