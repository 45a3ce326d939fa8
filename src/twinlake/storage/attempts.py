"""Attempts: every snapshot that was judged, in the vault, so that nobody draws until one passes.

One line per attempt, added at the end and never changed. Each is signed with the vault's secret together with the
signature of the line before, so that a line that was edited, moved or taken out from between is noticed.
"""

import hmac
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from twinlake.errors import LakeError
from twinlake.storage.layout import Layout, private
from twinlake.storage.lock import short_lock
from twinlake.storage.secret import keyed
from twinlake.storage.writing import write_whole
from twinlake.tables import canonical
from twinlake.verdict import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A snapshot that was judged.

    Attributes:
        date: of the run.
        real: fingerprint of the real tables.
        policy: hash of the settings without the seed.
        snapshot: its hash.
        number: which of that day's attempts with these rows and settings it was, from 1.
        passed: whether no gate blocked it.
        privacy: the worst outcome of the privacy gates that block.
    """

    date: str
    real: str
    policy: str
    snapshot: str
    number: int
    passed: bool
    privacy: Outcome


def read_attempts(layout: Layout, pipeline: str, *, secret: bytes) -> tuple[Attempt, ...]:
    """All attempts of a pipeline, oldest first; raises LakeError where a line was edited, moved or taken out."""
    file = layout.attempts(pipeline)
    if not file.exists():
        return ()
    return tuple(attempt for attempt, _ in _lines(layout, pipeline, secret))


def add_attempt(layout: Layout, pipeline: str, attempt: Attempt, *, secret: bytes) -> None:
    """Add an attempt at the end; the same snapshot judged again with the same end is the same attempt."""
    file = layout.attempts(pipeline)
    private(layout.vault)
    private(file.parent)
    with short_lock(layout, "attempts"):
        before = list(_lines(layout, pipeline, secret)) if file.exists() else []
        if attempt in [a for a, _ in before]:
            return
        told = {**asdict(attempt), "privacy": attempt.privacy.value}
        mac = _mac(secret, pipeline, before[-1][1] if before else "", told)
        there = file.read_text(encoding="utf-8") if before else ""
        write_whole(file, there + json.dumps({"attempt": told, "mac": mac}) + "\n")


def _lines(layout: Layout, pipeline: str, secret: bytes) -> Iterator[tuple[Attempt, str]]:
    """Each attempt with its signature."""
    last = ""
    for line in layout.attempts(pipeline).read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
            signed, mac = told["attempt"], told["mac"]
            if not hmac.compare_digest(_mac(secret, pipeline, last, signed), mac):
                raise ValueError("edited")
            yield Attempt(**{**signed, "privacy": Outcome(signed["privacy"])}), mac
        except (ValueError, KeyError, TypeError):
            raise LakeError(
                "the count of attempts was edited, or is damaged", where=_within(layout, pipeline),
                allowed="a line is only ever added to it", fix="Bring the file back from a backup",
            ) from None  # fmt: skip
        last = mac


def _within(layout: Layout, pipeline: str) -> str:
    return layout.attempts(pipeline).relative_to(layout.root).as_posix()


def _mac(secret: bytes, pipeline: str, last: str, told: dict[str, object]) -> str:
    return keyed(secret, f"attempt {pipeline} {last} {canonical(told)}")
