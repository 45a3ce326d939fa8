"""One transaction of PostgreSQL over ADBC: queries, streams, and sentences for what goes wrong.

Text of the server and of the driver is never passed on: it may quote values or the password.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from twinlake.errors import SourceError
from twinlake.schema import quoted

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
BATCH_BYTES = 8 << 20
_STATES = {
    "42501": "this user may not read all that is asked for; GRANT SELECT to it",
    "42P01": "a table is gone that was there a moment ago",
    "53200": "the server ran out of memory",
    "53100": "the server's disk is full",
    "57P01": "the server was shut down meanwhile",
}
_PLACES = """
SELECT nspname::text AS name, has_schema_privilege(oid, 'USAGE') AS usable FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY nspname COLLATE "C"
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A READ ONLY, REPEATABLE READ transaction; unqualified names are those of one schema."""

    label: str
    connection: Any = field(repr=False)  # adbc_driver_postgresql has no types
    _open: list[Any] = field(default_factory=list, repr=False)

    def run(self, sql: str) -> None:
        """Run a statement that gives nothing."""
        with self._asking() as cursor:
            cursor.execute(sql)

    def rows(self, sql: str, *values: str) -> list[dict[str, Any]]:
        """The rows of a small query, `$1` in it being the first of `values`."""
        with self._asking() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetch_arrow_table().to_pylist())

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query in batches of about `BATCH_BYTES`, as the driver types them."""
        from adbc_driver_postgresql import StatementOptions

        with self._asking() as cursor:
            cursor.adbc_statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)})
            cursor.execute(sql)
            yield from cursor.fetch_record_batch()

    def close(self) -> None:
        """Close what is still open, also streams that nobody read to their end."""
        for cursor in self._open:
            cursor.close()
        self.connection.close()

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        from adbc_driver_manager import Error

        cursor = self.connection.cursor()
        self._open.append(cursor)
        try:
            yield cursor
        except (Error, pa.ArrowException, OSError) as error:
            state = str(getattr(error, "sqlstate", None) or "")
            plain = _STATES.get(state, f"PostgreSQL did not answer ({state or type(error).__name__})")
            raise SourceError(plain, where=self.label) from None
        finally:
            cursor.close()
            self._open.remove(cursor)


@contextmanager
def session(uri: str, *, place: str, label: str) -> Iterator[Session]:
    """Connect, fix one snapshot of all tables, and look at the schema `place`.

    Raises:
        SourceError: for a host that is down, a wrong password, a missing database or schema, no permission.
    """
    opened = Session(label, _connect(uri, label))
    try:
        opened.run(SNAPSHOT)
        opened.run(f"SET LOCAL search_path TO {quoted(place)}")
        _check_place(opened, place)  # the first query: from here on nothing changes
        yield opened
    finally:
        opened.close()


def _connect(uri: str, label: str) -> Any:  # noqa: ANN401 - adbc_driver_postgresql has no types
    from adbc_driver_manager import Error
    from adbc_driver_postgresql import dbapi

    try:
        return dbapi.connect(uri)
    except Error as error:
        what, fix = _refusal(str(error))
        raise SourceError(what, where=label, fix=fix) from None


def _refusal(text: str) -> tuple[str, str]:
    if re.search(r"password authentication failed|no password supplied|role .* does not exist", text):
        return "the server refused the user or the password", "Check both in the URL or in the environment"
    if re.search(r"database .* does not exist", text):
        return "there is no such database on the server", "Check the name after the last slash of the URL"
    if re.search(r"could not translate host|refused|timeout|timed out|unreachable|No such file", text):
        return "no PostgreSQL server answers there", "Check host and port, and that the server runs"
    if re.search(r"pg_hba|SSL|certificate", text):
        return "the server refused the way to connect", "Check its pg_hba.conf and the URL's sslmode"
    if re.search(r"permission denied|not permitted", text):
        return "this user may not connect to the database", "GRANT CONNECT on it to the user"
    if re.search(r"too many|remaining connection slots|starting up|shutting down", text):
        return "the server takes no connection now", "Try again later"
    return "PostgreSQL refused the connection", "Check the URL: postgresql://user:password@host:5432/database"


def _check_place(opened: Session, place: str) -> None:
    usable = {row["name"]: row["usable"] for row in opened.rows(_PLACES)}
    if place not in usable:
        raise SourceError(f"there is no schema {place}", where=opened.label, allowed=f"schemas are {', '.join(usable)}")
    if not usable[place]:
        raise SourceError(
            f"this user may not use schema {place}", where=opened.label, fix="GRANT USAGE ON it to the user"
        )
