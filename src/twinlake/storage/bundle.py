"""The last look at a release before it is let out: its bytes and footers, not what was meant to be in them.

Everything is made without such things. This look holds also for what a later change, a library or a hand puts in.
"""

import base64
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from twinlake.errors import LakeError

_PARQUET_KEYS = {b"ARROW:schema"}
_FIELD_KEYS = {b"ARROW:extension:name", b"ARROW:extension:metadata"}
_KINDS = {".parquet", ".json", ".html"}
_PICKLED = re.compile(rb"\A\x80[\x02-\x05].*\.\Z", re.DOTALL)  # protocols 2 to 5 begin so, and end with STOP
_RUN = {"script", "iframe", "frame", "object", "embed", "link", "base", "form", "svg"}
_LEADS = {"src", "href", "action", "srcset", "poster", "data", "background"}
_SEEDED = re.compile(r"(^|_)seed$")


def check_bundle(folder: Path, *, secret: bytes) -> None:
    """Raise LakeError where a release's folder holds what no release holds.

    That is: a file of another kind, a link, a pickle, a Parquet footer that tells more than the types of its columns
    (pandas would write its index there), a seed in the manifest, a page that runs a script or loads something, or the
    vault's secret in any file, as bytes, hexadecimal or base64.

    Args:
        folder: of the release, complete.
        secret: the vault's.
    """
    if found := next(_found(folder, secret), None):
        raise LakeError(
            found, where=f"release {folder.parent.name}", allowed="rows, schema, manifest and report are let out",
            fix="Nothing was released; run the sampling again",
        )  # fmt: skip


def _found(folder: Path, secret: bytes) -> Iterator[str]:
    written = (secret, secret.hex().encode(), base64.b64encode(secret), base64.urlsafe_b64encode(secret))
    for file in sorted(p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()):
        name = file.relative_to(folder).as_posix()
        if file.is_symlink() or not file.is_file() or file.suffix not in _KINDS:
            yield f"{name} is no file of a release"
            continue
        content = file.read_bytes()
        if any(form in content for form in written):
            yield f"{name} holds the secret of the vault"
        if _PICKLED.match(content):
            yield f"{name} is a pickle"
        yield from (f"{name} {told}" for told in _of_kind(file, content))


def _of_kind(file: Path, content: bytes) -> Iterator[str]:
    if file.suffix == ".parquet":
        yield from _footer(file)
    elif file.suffix == ".json":
        told = json.loads(content)
        if any(_SEEDED.search(key) for key in _numbers(told.get("origin") if isinstance(told, dict) else None)):
            yield "holds a seed"
    elif file.suffix == ".html":
        page = _Page()
        page.feed(content.decode("utf-8", "replace"))
        yield from page.found[:1]


class _Page(HTMLParser):
    """Finds what a browser would run or load; text that only reads like it, it leaves alone."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        runs = tag in _RUN or any(name.startswith("on") for name, _ in attrs)
        away = any(n in _LEADS and not (v or "").startswith(("#", "data:image/")) for n, v in attrs)
        if runs or away:
            self.found.append("runs or loads something")


def _footer(file: Path) -> Iterator[str]:
    try:
        with pq.ParquetFile(file) as opened:
            more = set(opened.metadata.metadata or {}) - _PARQUET_KEYS
            schema = opened.schema_arrow
    except (pa.ArrowException, OSError):
        yield "is damaged"
        return
    own = {key for field in schema for key in field.metadata or {}} - _FIELD_KEYS - {b"PARQUET:field_id"}
    if told := sorted(more | own | set(schema.metadata or {})):
        yield f"tells {told[0].decode(errors='replace')} in its footer"


def _numbers(value: object) -> Iterator[str]:
    """The names of all numbers in a JSON value; a table or a column that is called seed holds no number there."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, int | str) and not isinstance(inner, bool) and str(inner).isdigit():
                yield str(name)
            yield from _numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
