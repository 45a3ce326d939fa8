"""A real PostgreSQL server for tests and benchmarks: made in a temporary folder, thrown away after.

PostgreSQL refuses to run as root, so root hands it to an unprivileged user.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

SETTINGS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=40"
PASSWORD = "canary p@ss/word"  # has signs that a URL must escape, and is looked for in every message


@dataclass(frozen=True)
class Postgres:
    """A running server; its only user is `twin`."""

    port: int
    log: Path

    def url(self, database: str = "postgres", *, user: str = "twin", password: str = PASSWORD) -> str:
        """How to reach a database of this server."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{quote(database)}"

    def create(self, database: str, *statements: str) -> str:
        """Make an empty database, run statements in it, and give its URL."""
        name = database.replace('"', '""')
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.execute(f"CREATE DATABASE \"{name}\" ENCODING 'UTF8' TEMPLATE template0")
        self.execute(*statements, database=database)
        return self.url(database)

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements, each committed on its own."""
        with self._connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def query(self, sql: str, *, database: str = "postgres") -> pa.Table:
        """The rows of a query."""
        with self._connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def ingest(self, database: str, table: str, rows: pa.Table) -> None:
        """Append rows to a table that is there."""
        with self._connect(database) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="append")

    def _connect(self, database: str) -> Any:
        from adbc_driver_postgresql import dbapi

        return dbapi.connect(self.url(database), autocommit=True)


def binaries() -> Path | None:
    """The folder of the newest PostgreSQL server of this machine, or None."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda p: float(p.parent.name), default=None)


@contextmanager
def server() -> Iterator[Postgres]:
    """A server on a free loopback port; stopped and deleted at the end."""
    bin_ = binaries()
    if bin_ is None:
        raise FileNotFoundError("PostgreSQL's initdb is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="twinlake-pg-"))
    try:
        _own(folder)
        _initdb(bin_, folder)
        port = _start(bin_, folder)
        try:
            yield Postgres(port, folder / "log")
        finally:
            _as_user([bin_ / "pg_ctl", "stop", "-D", folder / "data", "-m", "immediate", "-w"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initdb(bin_: Path, folder: Path) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    _own(secret)
    command = [bin_ / "initdb", "-D", folder / "data", "-U", "twin", "--pwfile", secret, "-A", "scram-sha-256"]
    _as_user([*command, "-E", "UTF8", "--locale=C.UTF-8", "-N"], folder)


def _start(bin_: Path, folder: Path) -> int:
    for _ in range(5):  # another process may take the free port first
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' {SETTINGS}"
        start = [
            bin_ / "pg_ctl",
            "start",
            "-D",
            folder / "data",
            "-l",
            folder / "log",
            "-w",
            "-t",
            "120",
            "-o",
            options,
        ]
        if _as_user(start, folder, check=False) == 0:
            return port
    raise RuntimeError((folder / "log").read_text())


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        account = _account()
        os.chown(path, account.pw_uid, account.pw_gid)


def _account() -> pwd.struct_passwd:
    names = {p.pw_name: p for p in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _as_user(command: list[Any], folder: Path, *, check: bool = True) -> int:
    account = _account()
    drop = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with (folder / "commands").open("ab") as out:  # a pipe would be held open by the server itself
        done = subprocess.run(
            [str(c) for c in command], cwd=folder, stdout=out, stderr=out, check=False, env=_environment(), **drop
        )
    if check and done.returncode:
        raise RuntimeError((folder / "commands").read_text(errors="replace"))
    return done.returncode


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
