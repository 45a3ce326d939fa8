"""The verdicts as a table for a terminal: 80 columns are enough, and neither colours nor UTF-8 are needed."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from twinlake.card import overridden
from twinlake.report.words import bounded, interval, mark, measure, outcome, printable, said, worst_parts
from twinlake.verdict import Verdict, blocking

MOST_WORST = 12
_PLAIN = str.maketrans(
    {"✓": "ok", "✗": "NO", "≥": ">=", "≤": "<=", "–": "-", "×": "x", "…": "...", "·": "-", "\ufffd": "?"}
)


def scorecard(verdicts: Sequence[Verdict], *, title: str, release: str | None = None) -> RenderableType:
    """The scorecard for a rich console; names are shown as they are, never read as markup.

    Args:
        verdicts: of every gate that was reached.
        title: the line above.
        release: the release's name, where there is one.
    """
    return _Card(tuple(verdicts), title, release)


def render_text(
    verdicts: Sequence[Verdict], *, title: str, release: str | None = None, width: int = 80, encoding: str = "utf-8"
) -> str:
    """The scorecard as plain text of at most `width` columns that `encoding` can write."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=out, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    console.print(scorecard(verdicts, title=title, release=release))
    out.seek(0)
    return "\n".join(line.rstrip() for line in out.read().rstrip().splitlines())


@dataclass(frozen=True, slots=True)
class _Card:
    verdicts: tuple[Verdict, ...]
    title: str
    release: str | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The parts from top to bottom."""
        pen = _Pen(options.encoding)
        yield pen.text(printable(self.title), "bold")
        yield Text()
        yield from self._tables(pen)
        yield from _listed(pen, "Why", ((mark(v), _named(v), _why(v)) for v in self.verdicts if not v.passed))
        eased = [v for v in self.verdicts if overridden(v)]
        yield from _listed(pen, "Overrides", (("!", _named(v), "warns, where it would block") for v in eased))
        yield from _listed(pen, "Furthest from real", self._worst())
        style = "bold red" if blocking(self.verdicts) or not self.verdicts else "bold green"
        yield pen.text(outcome(self.verdicts, release=self.release), style)

    def _tables(self, pen: "_Pen") -> Iterator[RenderableType]:
        for i, name in enumerate(dict.fromkeys(v.table for v in self.verdicts)):
            yield pen.text(printable(name, most=70), "bold cyan")
            yield Padding(_rows(pen, [v for v in self.verdicts if v.table == name], header=i == 0), (0, 0, 1, 0))

    def _worst(self) -> Iterator[tuple[str, str, str]]:
        likenesses = [v for v in self.verdicts if v.parts and v.bound == "at_least" and interval(v)]
        measured = sorted(likenesses, key=lambda v: v.passed)
        for verdict in measured[:MOST_WORST]:
            parts = ", ".join(f"{printable(n, most=40)} {measure(x)}" for n, x in worst_parts(verdict))
            yield "", _named(verdict), parts


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes text that an encoding can hold."""

    encoding: str

    def text(self, text: str, style: str = "") -> Text:
        """Styled text; letters that can't be written are escaped."""
        if self.encoding.startswith("utf"):
            return Text(text, style, overflow="fold")
        plain = text.translate(_PLAIN).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return Text(plain, style, overflow="fold")


def _rows(pen: _Pen, verdicts: Sequence[Verdict], *, header: bool) -> Table:
    table = Table(box=None, show_header=header, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("", width=2)
    table.add_column("gate", width=25, overflow="fold")
    widths = {"value": 7, "95 % interval": 14, "baseline": 8, "limit": 8, "rows": 9}
    for name, width in widths.items():
        table.add_column(name, width=width, justify="left" if "%" in name else "right", overflow="fold")
    for v in verdicts:
        cells = [measure(v.value), interval(v), measure(v.baseline), bounded(v), f"{v.n:,}"]
        style = _style(v)
        table.add_row(pen.text(mark(v), style), pen.text(printable(v.gate, most=42)), *map(pen.text, cells))
    return table


def _listed(pen: _Pen, head: str, lines: Iterator[tuple[str, str, str]]) -> Iterator[RenderableType]:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for sign, name, text in lines:
        table.add_row(pen.text(sign), pen.text(f"{name}: {printable(text)}"))
    if table.row_count:
        yield pen.text(head, "bold")
        yield Padding(table, (0, 0, 1, 0))


def _why(verdict: Verdict) -> str:
    """The reason; where there was too little data, that word and what follows from it first."""
    return f"{said(verdict)}: {verdict.reason}" if verdict.inconclusive else verdict.reason


def _named(verdict: Verdict) -> str:
    return f"{printable(verdict.table, most=30)} · {printable(verdict.gate, most=30)}"


def _style(verdict: Verdict) -> str:
    return {"✓": "green", "✗": "bold red", "?": "bold red", "!": "yellow"}[mark(verdict)]
