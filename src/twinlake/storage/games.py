"""Outcomes of shadow games, kept in the vault under the hash of what was played, signed with the vault's secret."""

import hmac
import json
from dataclasses import dataclass
from typing import Any

from twinlake.storage.layout import Layout, private
from twinlake.storage.secret import keyed
from twinlake.storage.writing import write_whole
from twinlake.tables import canonical
from twinlake.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Played:
    """The outcome of a game.

    Attributes:
        settings: the hash of the generator, its settings and the game's; not of seeds and rows.
        date: of the run that played it, `2026-11-22`.
    """

    settings: str
    date: str
    verdict: Verdict


def store_game(layout: Layout, pipeline: str, played: Played, *, secret: bytes) -> None:
    """Keep an outcome; an earlier one of the same settings is replaced."""
    file = layout.shadow(pipeline, played.settings)
    private(layout.vault)
    private(file.parent)
    told = {"settings": played.settings, "date": played.date, "verdict": played.verdict.to_json()}
    write_whole(file, canonical({"game": told, "mac": _mac(secret, pipeline, told)}))


def read_game(layout: Layout, pipeline: str, settings: str, *, secret: bytes) -> Played | None:
    """The outcome last stored for these settings; None where there is none, or where it was edited."""
    try:
        told = json.loads(layout.shadow(pipeline, settings).read_text(encoding="utf-8"))
        game, mac = told["game"], told["mac"]
        if not hmac.compare_digest(_mac(secret, pipeline, game), mac) or game["settings"] != settings:
            return None
        return Played(game["settings"], game["date"], Verdict.from_json(game["verdict"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _mac(secret: bytes, pipeline: str, game: dict[str, Any]) -> str:
    return keyed(secret, f"shadow game\x1f{pipeline}\x1f{canonical(game)}")
