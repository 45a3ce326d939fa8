"""Sources by URL."""

from pathlib import Path

import pytest

from twinlake.errors import SourceError
from twinlake.sources.protocols import Source
from twinlake.sources.registry import open_source


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("postgresql://u:p@h/db", "postgresql://h/db"),
        ("postgres://u:p@h/db?schema=s", "postgresql://h/db?schema=s"),
        ("duckdb:///a/b.duckdb", "duckdb:///a/b.duckdb"),
        ("files:exports/*.parquet", "files:exports/*.parquet"),
    ],
)
def test_a_url_opens_its_source_without_connecting(url, label):
    opened = open_source(url, root=Path("/nowhere"))
    assert isinstance(opened, Source)
    assert opened.label == label


@pytest.mark.parametrize("url", ["mysql://u:canary@h/db", "u:canary@h/db", "canary", "postgresql+psycopg://u:canary@h"])
def test_an_unknown_scheme_is_answered_with_the_allowed_ones_and_no_password(url):
    with pytest.raises(SourceError, match=r"postgresql://.*duckdb:///.*files:") as caught:
        open_source(url, root=Path())
    assert "canary" not in str(caught.value)


def test_an_unknown_scheme_is_named():
    with pytest.raises(SourceError, match="no source has the scheme mysql:"):
        open_source("mysql://h/db", root=Path())
