"""Sources by the scheme of their URL. An adapter is imported when a URL asks for it."""

import re
from pathlib import Path

from twinlake.errors import SourceError
from twinlake.sources.protocols import Source

FORMS = (
    "postgresql://user:password@host:5432/database?schema=public",
    "duckdb:///file.duckdb",
    "files:folder or files:folder/*.parquet",
)


def open_source(url: str, *, root: Path, scratch: Path | None = None) -> Source:
    """The source at `url`; connects to nothing yet.

    Args:
        url: one of `FORMS`.
        root: what relative paths are relative to.
        scratch: where sorting may spill rows while a reading is open; a private temporary folder by default.

    Raises:
        SourceError: where the URL is none of the forms; its text is never repeated, it may hold a password.
    """
    scheme, colon, rest = url.partition(":")
    if colon and scheme in ("postgresql", "postgres"):
        from twinlake.sources.postgres import PostgresSource

        return PostgresSource.at(url)
    if colon and scheme == "duckdb":
        from twinlake.sources.duckdb import DuckDBSource

        return DuckDBSource.at(rest, root=root, scratch=scratch)
    if colon and scheme == "files":
        from twinlake.sources.files import FilesSource

        return FilesSource.at(rest, root=root, scratch=scratch)
    known = colon and re.fullmatch(r"[a-z][a-z0-9+.-]{1,20}", scheme)
    raise SourceError(
        f"no source has the scheme {scheme}:" if known else "this is no URL of a source",
        where="source",
        allowed=f"allowed are {'; '.join(FORMS)}",
    )
