"""Rows that point to rows of their own table: heads that point to themselves, and those that follow them."""

import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators.links import Link
from twinlake.generators.thinning import Split
from twinlake.generators.trees import grow
from twinlake.random import stream
from twinlake.schema import Reference

HEAD = Reference(("head",), "people", ("id",))
PEOPLE = 3000  # one in four heads the other three; the last tenth are alone


def households() -> pa.Table:
    ids = np.arange(PEOPLE)
    return pa.table({"id": ids, "head": np.where(ids < 0.9 * PEOPLE, ids - ids % 4, ids)})


def learn(rows: pa.Table, split: Split | None = None) -> Link:
    return Link.learn(rows.select(["head"]), rows.select(["id"]), HEAD, own=True, k=10, rng=stream(1), split=split)


def counts(heads: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(np.bincount(heads, minlength=size), minlength=8) / size


def test_heads_point_to_themselves_and_have_as_many_followers() -> None:
    rows = households()
    link = learn(rows)
    heads = rows["head"].to_numpy()
    assert link.loops == pytest.approx(np.mean(heads == np.arange(PEOPLE)))
    drawn = grow(link, PEOPLE, optional=False, seed=2)
    assert np.mean(drawn == np.arange(PEOPLE)) == pytest.approx(link.loops, abs=0.001)
    assert np.abs(counts(drawn, PEOPLE) - counts(heads, PEOPLE)).sum() / 2 < 0.01


def test_followers_that_were_held_back_are_counted_and_the_heads_own_row_only_once() -> None:
    rows = households()
    kept = stream(3).random(PEOPLE) < 0.8
    units = np.flatnonzero(kept).astype(np.uint64)
    link = learn(rows.filter(pa.array(kept)), Split(float(kept.mean()), units, units))
    drawn = grow(link, PEOPLE, optional=False, seed=2)
    assert np.abs(counts(drawn, PEOPLE) - counts(rows["head"].to_numpy(), PEOPLE)).sum() / 2 < 0.05
