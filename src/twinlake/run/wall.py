"""The boundary around real rows: what was not foreseen leaves as its kind only, its text stays in the vault."""

import datetime as dt
import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from twinlake.errors import LakeError, TwinlakeError, WalledError
from twinlake.storage.layout import Layout

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def walled(layout: Layout, pipeline: str, during: str) -> Iterator[None]:
    """Let our own sentences pass; keep any other exception's text and traceback in a file of the vault."""
    try:
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
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}.log"
    log.touch(mode=0o600)
    log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return str(log.relative_to(layout.root))
