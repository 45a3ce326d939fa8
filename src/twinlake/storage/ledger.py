"""The ledger: the vault's account of every release that was ever let out, also of those that are gone.

A file of JSON lines that only grows. Each line holds the seal of the line before it and is sealed, with the vault's
secret, over both; beside it stands, sealed too, how many lines there are. So a line that was edited, taken out or cut
off is found. A release is *reserved* before it is placed in the lake and *committed* afterwards; one that was reserved
counts as let out, for nobody can tell who saw it.
"""

import hashlib
import hmac
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from twinlake.census import Census
from twinlake.errors import LakeError
from twinlake.schema import path_name
from twinlake.storage.catalog import sync
from twinlake.storage.layout import Layout, private
from twinlake.storage.lock import short_lock
from twinlake.storage.secret import keyed
from twinlake.storage.writing import write_whole

_START = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One release that was let out.

    Attributes:
        release: its name within the pipeline.
        snapshot: the hash of its rows.
        rows: synthetic rows of each table of units.
        source: real rows of the same tables, at that time.
        extract: the extract that its model learnt from.
        census: SHA-256 of the file that holds the censuses of that extract.
        told_by: what units of each table were told by.
        settings: hash of all that the release depends on beside the rows.
        manifest: SHA-256 of its manifest, which lists every file; "" in entries of earlier versions.
        judged: the extract that it was judged by; "" in entries of earlier versions.
        committed: whether it is known to have been placed in the lake.
    """

    release: str
    snapshot: str
    rows: Mapping[str, int]
    source: Mapping[str, int]
    extract: str
    census: str
    told_by: Mapping[str, str]
    settings: str
    manifest: str = ""
    judged: str = ""
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that was let out of a pipeline, in that order."""

    entries: tuple[Entry, ...]

    def total(self, table: str, *, without: str = "") -> int:
        """Synthetic rows of a table over all releases; the same rows let out twice count once.

        `without` leaves a snapshot (its hash) out.
        """
        distinct = {e.snapshot: e.rows.get(table, 0) for e in self.entries if e.snapshot != without}
        return sum(distinct.values())


def read_ledger(layout: Layout, pipeline: str, *, secret: bytes) -> Ledger:
    """The pipeline's ledger, empty where nothing was let out yet; raises LakeError where it was tampered with."""
    return Ledger(_entries(_lines(layout, pipeline, secret)))


def reserve(layout: Layout, pipeline: str, entry: Entry, censuses: Mapping[str, Census], *, secret: bytes) -> None:
    """Write a release down before anybody can see it; the same manifest of the same rows is written down once.

    `entry.census` is filled in. On return everything is on the disk. Raises LakeError where the ledger was tampered
    with.
    """
    with short_lock(layout, f"ledger-{path_name(pipeline)}"):
        before = _lines(layout, pipeline, secret)
        mine = (entry.release, entry.snapshot, entry.manifest)
        if not any((e.release, e.snapshot, e.manifest) == mine for e in _entries(before)):
            census = _save_censuses(layout, pipeline, censuses)
            told = {"reserved": asdict(replace(entry, census=census))}
            _append(layout, pipeline, before, told, secret)


def commit(layout: Layout, pipeline: str, release: str, snapshot: str, *, secret: bytes) -> None:
    """Note that a reserved release stands in the lake; noting it again changes nothing."""
    with short_lock(layout, f"ledger-{path_name(pipeline)}"):
        before = _lines(layout, pipeline, secret)
        if any((e.release, e.snapshot) == (release, snapshot) and not e.committed for e in _entries(before)):
            told = {"committed": {"release": release, "snapshot": snapshot}}
            _append(layout, pipeline, before, told, secret)


def read_censuses(layout: Layout, pipeline: str, entry: Entry, *, tables: list[str]) -> dict[str, Census]:
    """The censuses of some tables behind a release; raises LakeError where their file is missing or was changed."""
    try:
        data = _census_file(layout, pipeline, entry.census).read_bytes()
    except FileNotFoundError:
        data = b""
    if hashlib.sha256(data).hexdigest() != entry.census:
        raise _tampered(pipeline, "the list of the units behind a release is missing or was changed")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        held = [t for t in tables if f"{path_name(t)}.units" in arrays]
        return {t: Census(*(arrays[f"{path_name(t)}.{part}"] for part in ("units", "content", "learnt"))) for t in held}


def _lines(layout: Layout, pipeline: str, secret: bytes) -> list[dict[str, Any]]:
    """All whole lines, verified; a last one that was torn, and nobody was told of, is left out."""
    head, file = _head(layout, pipeline, secret), _file(layout, pipeline)
    if head is None and not file.exists():
        return []
    if head is None or not file.exists():
        raise _tampered(pipeline, "a file of the ledger is missing")
    lines, seal = list[dict[str, Any]](), _START
    for text in file.read_bytes().split(b"\n")[:-1]:  # what follows the last line's end is torn
        line = _verified(text, seal, secret)
        if line is None:
            raise _tampered(pipeline, f"line {len(lines) + 1} of the ledger was edited, or one before it taken out")
        lines.append(line)
        seal = line["seal"]
    count, last = head
    if len(lines) < count or (lines[count - 1]["seal"] if count else _START) != last:
        raise _tampered(pipeline, f"the ledger has {len(lines)} whole lines and had {count}")
    return lines


def _verified(text: bytes, before: str, secret: bytes) -> dict[str, Any] | None:
    try:
        line: dict[str, Any] = json.loads(text)
        seal, told = line["seal"], line["told"]
        genuine = hmac.compare_digest(keyed(secret, f"ledger {before} {_canonical(told)}"), seal)
        return line if genuine else None
    except (ValueError, KeyError, TypeError):
        return None


def _entries(lines: list[dict[str, Any]]) -> tuple[Entry, ...]:
    found: dict[tuple[str, str], Entry] = {}
    for line in lines:
        for kind, told in line["told"].items():
            name = (told["release"], told["snapshot"])
            found[name] = replace(found[name], committed=True) if kind == "committed" else Entry(**told)
    return tuple(found.values())


def _append(layout: Layout, pipeline: str, before: list[dict[str, Any]], told: dict[str, Any], secret: bytes) -> None:
    """Add a line after those that were verified, then tell the head; each is on the disk before the next begins."""
    private(layout.vault)
    private(layout.own_vault(pipeline))
    private(layout.ledger(pipeline))
    if not before:
        _save_head(layout, pipeline, 0, _START, secret)
    last = before[-1]["seal"] if before else _START
    seal = keyed(secret, f"ledger {last} {_canonical(told)}")
    file = _file(layout, pipeline)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as out:
        out.seek(0)
        whole = out.read()
        out.truncate(whole.rfind(b"\n") + 1)  # what a killed process left of a line
        out.seek(0, os.SEEK_END)
        out.write(f"{_canonical({'told': told, 'seal': seal})}\n".encode())
        out.flush()
        os.fsync(out.fileno())
    sync(file.parent)
    _save_head(layout, pipeline, len(before) + 1, seal, secret)


def _head(layout: Layout, pipeline: str, secret: bytes) -> tuple[int, str] | None:
    try:
        told = json.loads(_head_file(layout, pipeline).read_text(encoding="utf-8"))
        lines, last = int(told["lines"]), str(told["last"])
        genuine = hmac.compare_digest(keyed(secret, f"ledger head {lines} {last}"), told["seal"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        genuine = False
    if not genuine:
        raise _tampered(pipeline, "the count of the ledger's lines was edited")
    return lines, last


def _save_head(layout: Layout, pipeline: str, lines: int, last: str, secret: bytes) -> None:
    told = {"lines": lines, "last": last, "seal": keyed(secret, f"ledger head {lines} {last}")}
    _write_through(_head_file(layout, pipeline), json.dumps(told))


def _save_censuses(layout: Layout, pipeline: str, censuses: Mapping[str, Census]) -> str:
    """Keep them in a file named by its SHA-256, which is returned; releases of the same extract share one."""
    private(layout.vault)
    private(layout.own_vault(pipeline))
    private(layout.ledger(pipeline))
    out = io.BytesIO()
    parts = ("units", "content", "learnt")
    arrays = {f"{path_name(t)}.{p}": getattr(c, p) for t, c in censuses.items() for p in parts}
    np.savez(out, allow_pickle=False, **arrays)
    data = out.getvalue()
    name = hashlib.sha256(data).hexdigest()
    file = _census_file(layout, pipeline, name)
    if not (file.exists() and file.read_bytes() == data):
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as written:
            written.write(data)
            written.flush()
            os.fsync(written.fileno())
        beside.replace(file)
        sync(file.parent)
    return name


def _write_through(file: Path, text: str) -> None:
    write_whole(file, text)
    sync(file)
    sync(file.parent)


def _tampered(pipeline: str, what: str) -> LakeError:
    return LakeError(
        f"{what}, so nobody can tell what was let out before",
        where=f"pipeline {pipeline}, the vault's ledger",
        allowed="nothing is released on a ledger that can't be trusted",
        fix="Bring the folder ledger of the vault back from a backup",
    )


def _canonical(told: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(told, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _file(layout: Layout, pipeline: str) -> Path:
    return layout.ledger(pipeline) / "releases.jsonl"


def _head_file(layout: Layout, pipeline: str) -> Path:
    return layout.ledger(pipeline) / "head.json"


def _census_file(layout: Layout, pipeline: str, census: str) -> Path:
    return layout.ledger(pipeline) / f"{census}.npz"
