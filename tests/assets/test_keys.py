"""Names of the graph."""

import re

import pytest

from assets import keys

ODD = [
    "order items", "order_items", "order-items", 'say "x"', "größe", "grösse", "select", "a/b", "a.b", "a\\b", "日本",
    "日木", "x" * 200, "x" * 201, "type", "class", "", " ", "__",
]  # fmt: skip


def test_plain_names_stay_as_they_are():
    assert keys.real("adult", "people").path == ["adult", "real_people"]
    assert keys.safe("People_2") == "People_2"


@pytest.mark.parametrize("name", ODD)
def test_any_name_becomes_one_that_dagster_takes(name):
    assert re.fullmatch(r"[A-Za-z0-9_]{1,80}", keys.safe(name))
    assert keys.safe(name) not in keys.RESERVED
    assert keys.safe(name) == keys.safe(name)


def test_different_names_stay_different():
    assert len({keys.safe(name) for name in ODD}) == len(ODD)
