"""Schedules of the pipeline file."""

import pytest

from twinlake.project.cron import parse_cron


@pytest.mark.parametrize("text", ["0 3 * * *", "*/5 1-3,7 1 jan mon-fri", "0/10  3 * * 7"])
def test_a_schedule_of_five_fields_is_read(text):
    assert parse_cron(text) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0 3 * *", '"0 3 * *" is no cron schedule; write five fields such as "0 3 * * *"'),
        ("99 3 * * *", '"99" is no minute of a cron schedule; it goes from 0 to 59, or * for every'),
        ("0 3 * foo *", '"foo" is no month of a cron schedule; it goes from 1 to 12, or * for every'),
        ("0 5-1 * * *", '"5-1" is no hour of a cron schedule; it goes from 0 to 23, or * for every'),
        ("*/0 * * * *", '"*/0" is no minute of a cron schedule; it goes from 0 to 59, or * for every'),
    ],
)
def test_a_wrong_field_is_named(text, sentence):
    with pytest.raises(ValueError, match="cron schedule") as caught:
        parse_cron(text)
    assert str(caught.value) == sentence
