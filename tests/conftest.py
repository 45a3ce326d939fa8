"""Fixtures that more than one test file needs."""

import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers of a test run share the cores; threads that wait would spin

import pytest
from postgres import Postgres, binaries, server

from twinlake.storage import secret


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server, thrown away at the end; each test makes databases of its own in it."""
    if binaries() is None and not os.environ.get("TWINLAKE_POSTGRES_REQUIRED"):
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    with server() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def known_secret() -> Iterator[None]:
    """Every vault made in this process has one secret: a gate's rare false alarm comes back, or never comes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(secret, "_drawn", lambda: b"s" * secret.SIZE)
        yield
