"""What is drawn of references: how many children parents have, and no single parent."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from projects import job, make_project
from scenario import SCHEMA, clinic

from twinlake.report.shares import ColumnShares, Form
from twinlake.run.extract import extract, open_extract
from twinlake.run.families import families
from twinlake.run.record import Record
from twinlake.run.sample import sample
from twinlake.run.train import train
from twinlake.tables import Tables


def with_hypochondriacs(subjects: int) -> Tables:
    """A clinic in which nine subjects have 300 visits more, some of whom are held back."""
    real = clinic(subjects)
    visits = real["visits"].slice(0, 1)
    often = real["subjects"]["id"].to_numpy()[:9]
    n = 300 * len(often)
    more = visits.take(pa.array(np.zeros(n, int)))
    more = more.set_column(0, visits.schema.field(0), pa.array(np.repeat(often, 300)))
    more = more.set_column(1, visits.schema.field(1), pa.array(np.tile(np.arange(100, 400), len(often)), pa.int32()))
    return Tables(SCHEMA, {**real, "visits": pa.concat_tables([real["visits"], more])})


def drawn(root: Path, real: Tables) -> tuple[dict[str, dict[str, ColumnShares]], int]:
    """What is drawn of a clinic's references, by table and title; and how many subjects were held back."""
    one = job(make_project(root / "project", real=real))
    record = sample(one, train(one, extract(one, Record("clinic", "2026-11-22"))))
    held = open_extract(one, record.need("extract")).holdout.rows("subjects")
    return {table: {c.column: c for c in shares} for table, shares in families(one, record).items()}, held


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> dict[str, dict[str, ColumnShares]]:
    return drawn(tmp_path_factory.mktemp("families"), clinic(1500))[0]


def test_each_reference_is_drawn_and_lookup_lists_refer_to_nothing(shown) -> None:
    assert {t: set(drawn) for t, drawn in shown.items()} == {
        "subjects": {"mentor → subjects"},
        "visits": {"id → subjects", "ward, site → wards"},
    }


def test_shares_are_of_parents_with_so_many_children(shown) -> None:
    visits = shown["visits"]["id → subjects"]
    assert visits.note == "visits per row of subjects"
    assert [s.label for s in visits.shares][:7] == ["0", "1", "2", "3", "4", "5", "6"]
    for share in visits.shares[:7]:
        assert share.synthetic == pytest.approx(1 / 7, abs=0.05)
        assert share.real == pytest.approx(1 / 7, abs=0.08)


def test_no_share_rests_on_few_real_parents(tmp_path) -> None:
    told, held = drawn(tmp_path, with_hypochondriacs(1500))
    visits = told["visits"]["id → subjects"]
    every = [*visits.shares, visits.other, visits.null]
    assert any(s.real is None for s in every)
    assert all(round(s.real * held) >= 10 for s in every if s.real)


def test_a_reference_to_few_rows_is_not_drawn(shown) -> None:
    assert shown["visits"]["ward, site → wards"].form is Form.NONE
