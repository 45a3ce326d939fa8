"""What can go wrong, in sentences a person can act on.

TwinlakeError
├── ProjectError      the pipeline file or a suite is wrong; carries every mistake found
├── SourceError       the database or the files can't be read
├── DataError         the real tables can't be used as they are
├── GeneratorError    a generator can't learn from, or draw, what was asked
├── ModelError        a saved model can't be trusted or read
├── LakeError         a release or the catalog is missing or damaged
├── BusyError         another run holds the pipeline
├── Refused           a snapshot failed a gate and was not released; the last good release stays served
└── WalledError       something unforeseen; the details stay in the vault

Each message says what is wrong, where, what is allowed and how to mend it. None ever quotes a value of a real row.
Failure of *data* against a gate is no exception: it is a `Verdict`. Asking for a release in spite of one is `Refused`.
"""

import difflib
from collections.abc import Iterable


class TwinlakeError(Exception):
    """What is wrong, where, what is allowed, and how to mend it, as one readable message."""

    def __init__(self, what: str, *, where: str = "", allowed: str = "", fix: str = "") -> None:
        """Keep the parts; `str()` joins those that are given."""
        self.what, self.where, self.allowed, self.fix = what, where, allowed, fix
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """`where: what; allowed. Fix.`"""
        head = f"{self.where}: {self.what}" if self.where else self.what
        middle = f"; {self.allowed}" if self.allowed else ""
        return " ".join(_ended(part) for part in (f"{head}{middle}", self.fix) if part)


class ProjectError(TwinlakeError):
    """A pipeline file or a suite is wrong; `mistakes` holds every one of them, in the file's order."""

    def __init__(self, mistakes: Iterable[TwinlakeError]) -> None:
        """Join the sentences of all mistakes, a line each."""
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(m.sentence for m in self.mistakes))


class SourceError(TwinlakeError):
    """The source can't be reached or read."""


class DataError(TwinlakeError):
    """The real tables can't be used as they are."""


class GeneratorError(TwinlakeError):
    """A generator can't learn from, or draw, what was asked."""


class ModelError(TwinlakeError):
    """A saved model can't be trusted or read."""


class LakeError(TwinlakeError):
    """A release or the catalog is missing or damaged."""


class BusyError(TwinlakeError):
    """Another run holds what this one needs."""


class Refused(TwinlakeError):  # noqa: N818 - the glossary's word: an answer, not a malfunction
    """A snapshot failed gates and went nowhere; `failing` holds (table, gate, reason) of every one of them."""

    def __init__(self, pipeline: str, failing: Iterable[tuple[str, str, str]]) -> None:
        """List every failing gate, a line each."""
        self.failing = tuple(failing)
        gates = f"{len(self.failing)} gate{'' if len(self.failing) == 1 else 's'}"
        lines = "".join(f"\n  {table}: {gate}: {reason}" for table, gate, reason in self.failing)
        super().__init__(f"the snapshot is not released, for it failed {gates}{lines}", where=pipeline)


class WalledError(TwinlakeError):
    """Something unforeseen happened near real rows: its kind is named, its text stays in the vault."""

    def __init__(self, error: BaseException, *, during: str, log: str) -> None:
        """Name the kind of `error` and the vault file that holds the rest."""
        super().__init__(
            f"{type(error).__name__} while {during}",
            fix=f"Its text may quote real rows, so it is kept in {log}",
        )


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`Did you mean "x"?` for the closest of the allowed words, or an empty string."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f'Did you mean "{close[0]}"?' if close else ""


def listed(words: Iterable[str], *, most: int = 12) -> str:
    """Words as one comma-separated phrase, cut after `most`."""
    names = list(words)
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."
