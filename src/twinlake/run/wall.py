"""The boundary around real rows: what was not foreseen leaves as its kind only, its text stays in the vault.

What libraries put down for a moment lies in the vault too, and a process that dies leaves no picture of its memory.
"""

import datetime as dt
import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinlake.errors import LakeError, TwinlakeError, WalledError
from twinlake.storage.layout import Layout, private

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def walled(layout: Layout, pipeline: str, during: str) -> Iterator[None]:
    """Let our own sentences pass; keep any other exception's text and traceback in a file of the vault."""
    no_core_dump()
    try:
        with _temporary(layout.temporary(pipeline)):
            yield
    except TwinlakeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            fix = "Free some space and run again; what was served is still served"
            raise LakeError("the disk is full", where=f"{pipeline}, {during}", fix=fix) from None
        raise WalledError(error, during=during, log=keep(layout, pipeline, error)) from None


def keep(layout: Layout, pipeline: str, error: Exception) -> str:
    """Write an exception's text and traceback to a file of the vault; returns its path within the project."""
    folder = layout.logs(pipeline)
    private(layout.vault)
    private(layout.own_vault(pipeline))
    private(folder)
    log = folder / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}.log"
    log.touch(mode=0o600)
    log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return str(log.relative_to(layout.root))


def no_core_dump() -> None:
    """Let this process, and those it starts, die without writing their memory to a file."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


@contextmanager
def _temporary(folder: Path) -> Iterator[None]:
    """Let temporary files of this process, and of those it starts, lie in a folder."""
    before, told = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        if told is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = told
