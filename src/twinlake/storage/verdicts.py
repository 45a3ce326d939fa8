"""Verdicts kept in the vault under the hash of the snapshot they judge, signed with the vault's secret.

A release reads them from here and from nowhere else, so that no snapshot goes out on another one's verdicts,
nor on those of other limits.
"""

import hmac
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinlake.card import coarse
from twinlake.errors import LakeError
from twinlake.storage.layout import Layout, private
from twinlake.storage.lock import short_lock
from twinlake.storage.secret import keyed
from twinlake.storage.writing import write_whole
from twinlake.tables import canonical
from twinlake.verdict import Verdict
from twinlake.version import VERSION

Gate = tuple[str, str]
"""A table and the name of a gate on it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdicts on one snapshot, and the (table, gate) pairs that whoever judged it had to answer.

    Attributes:
        policy: hash of the settings that it was judged under.
        version: of the Twinlake that judged it.
        attempt: which of the day's attempts it was judged as, from 1.
    """

    pipeline: str
    snapshot: str
    verdicts: tuple[Verdict, ...]
    expected: frozenset[Gate]
    policy: str
    version: str = VERSION
    attempt: int = 1

    def failing(self, expected: Collection[Gate]) -> list[tuple[str, str, str]]:
        """(table, gate, reason) of every gate that keeps the snapshot back: it blocks, or has no verdict.

        Reasons begin with the outcome and are those of the card, for they go where refusals are read.
        """
        given = {(v.table, v.gate) for v in self.verdicts}
        missing = sorted((self.expected | set(expected)) - given)
        return [(v.table, v.gate, f"{v.outcome}: {coarse(v).reason}") for v in self.verdicts if v.blocks] + [
            (table, gate, "it gave no verdict, and a check that did not run is a failed check")
            for table, gate in missing
        ]


def store_verdicts(
    layout: Layout,
    pipeline: str,
    snapshot: str,
    verdicts: Iterable[Verdict],
    *,
    expected: Collection[Gate],
    policy: str,
    secret: bytes,
    attempt: int = 1,
) -> None:
    """Keep verdicts on a snapshot (its hash). Steps may store theirs one after the other; a later one of a gate counts.

    Those given under another policy, by another version or at another attempt are forgotten.

    Args:
        layout: the project.
        pipeline: whose snapshot it is.
        snapshot: its hash, from `snapshot_hash`.
        verdicts: any number of them.
        expected: every (table, gate) that must have a verdict before the snapshot may go out.
        policy: hash of the settings that it is judged under.
        secret: the vault's.
        attempt: which of the day's attempts it is judged as.
    """
    file = layout.verdicts(pipeline, snapshot)
    private(layout.vault)
    private(file.parent)
    with short_lock(layout, "verdicts"):
        found = _read(file, pipeline, snapshot, secret)
        before = found if found and (found.policy, found.version, found.attempt) == (policy, VERSION, attempt) else None
        kept = {(v.table, v.gate): v for v in before.verdicts} if before else {}
        kept |= {(v.table, v.gate): v for v in verdicts}
        wanted = frozenset(expected) | (before.expected if before else frozenset())
        judged = Judgement(pipeline, snapshot, tuple(kept.values()), wanted, policy, attempt=attempt)
        _write(file, _payload(judged), secret)


def read_verdicts(layout: Layout, pipeline: str, snapshot: str, *, secret: bytes) -> Judgement:
    """What was stored about exactly this snapshot; raises LakeError where nothing was, or where it was edited."""
    file = layout.verdicts(pipeline, snapshot)
    found = _read(file, pipeline, snapshot, secret)
    if found is None:
        edited = file.exists()
        raise LakeError(
            "its verdicts were edited after they were given" if edited else "nobody has judged this snapshot",
            where=f"pipeline {pipeline}, snapshot {snapshot[:12]}",
            fix="Run the checks again",
        )
    return found


def _read(file: Path, pipeline: str, snapshot: str, secret: bytes) -> Judgement | None:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        signed, mac = told["judgement"], told["mac"]
        genuine = hmac.compare_digest(keyed(secret, canonical(signed)), mac)
        if not genuine or "policy" not in signed or (signed["pipeline"], signed["snapshot"]) != (pipeline, snapshot):
            return None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return Judgement(
        pipeline,
        snapshot,
        tuple(Verdict.from_json(v) for v in signed["verdicts"]),
        frozenset((table, gate) for table, gate in signed["expected"]),
        signed["policy"],
        signed["version"],
        signed["attempt"],
    )


def _payload(judgement: Judgement) -> dict[str, Any]:
    return {
        "pipeline": judgement.pipeline,
        "snapshot": judgement.snapshot,
        "verdicts": [v.to_json() for v in judgement.verdicts],
        "expected": sorted(list(gate) for gate in judgement.expected),
        "policy": judgement.policy,
        "version": judgement.version,
        "attempt": judgement.attempt,
    }


def _write(file: Path, payload: dict[str, Any], secret: bytes) -> None:
    write_whole(file, canonical({"judgement": payload, "mac": keyed(secret, canonical(payload))}))
