"""Small SVG pictures: synthetic beside real shares, scores of pairs, a verdict. Same input, same bytes.

Nothing here touches pyplot. A picture carries its own colours for light and dark and its own background, so it stays
readable wherever it is embedded. The filled shape is synthetic and the line is real: no meaning rests on colour alone.
"""

import base64
import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeGuard

from twinlake.card import share_of_limit
from twinlake.report.shares import ColumnShares, Form, PairScores
from twinlake.report.words import mark, measure, percent, printable, said, worst_parts
from twinlake.verdict import Severity, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours (Color Universal Design, 2008): told apart by every kind of colour vision
PAPER, INK, MUTED, RULE = "#ffffff", "#1c2530", "#5d6b7a", "#dfe5ec"
FILL, GOOD, BAD, WARN, ZONE = "#7cc3ea", "#008a64", "#c9510c", "#b87800", "#d9f0e7"
HEAT = (
    (0.98, "#e9eef3", "#27313d"), (0.95, "#fbe3c3", "#4a3a22"), (0.9, "#f5b870", "#7d5318"),
    (0.8, "#e07b39", "#b85c1c"), (-math.inf, "#a63603", "#f08a4b"),
)  # fmt: skip
_DARK = {
    PAPER: "#151b23", INK: "#e8edf3", MUTED: "#97a5b4", RULE: "#2c3743",
    FILL: "#2b75a3", GOOD: "#3cc79a", BAD: "#f58a4c", WARN: "#e8b04a", ZONE: "#173a30",
} | {light: dark for _, light, dark in HEAT}  # fmt: skip
Box = tuple[float, float, float, float]
PANEL = (244.0, 168.0)  # points
MOST_COLUMNS = 24
MOST_RANKED = 12
MOST_NUMBERED = 16  # with more panels in one picture, bars go without numbers: Dagster keeps pictures in its database


def column_plot(shares: ColumnShares) -> str:
    """One column's shares as an SVG."""
    with _figure(*PANEL) as (figure, svg):
        _panel(figure, shares, (0.0, 0.0, 1.0, 1.0), numbered=True)
    return svg.getvalue()


def columns_plot(
    comparisons: Sequence[ColumnShares], *, parts: Mapping[str, float] | None = None, most: int = MOST_COLUMNS
) -> str:
    """Small multiples of the columns of a table as one SVG; beyond `most`, those with the lowest scores in `parts`."""
    shown = worst(comparisons, parts=parts or {}, most=most)
    across = max(1, min(3, len(shown)))
    down = max(1, -(-len(shown) // across))
    width, height = PANEL[0] * across, PANEL[1] * down + 26
    k = comparisons[0].k if comparisons else 0
    with _figure(width, height) as (figure, svg):
        for i, shares in enumerate(shown):
            x, y = i % across, i // across
            box = (x / across, 1 - (26 + (y + 1) * PANEL[1]) / height, 1 / across, PANEL[1] / height)
            _panel(figure, shares, box, numbered=len(shown) <= MOST_NUMBERED)
        _legend(figure, k=k, left_out=len(comparisons) - len(shown))
    return svg.getvalue()


def worst(
    comparisons: Sequence[ColumnShares], *, parts: Mapping[str, float], most: int = MOST_COLUMNS
) -> tuple[ColumnShares, ...]:
    """At most `most` of the comparisons, those with the lowest scores in `parts`, in their own order."""
    drawn = [c for c in comparisons if c.form is not Form.NONE] if len(comparisons) > most else list(comparisons)
    kept = sorted(drawn, key=lambda c: parts.get(c.column, math.inf))[:most]
    return tuple(c for c in comparisons if c in kept)


def pairs_plot(pairs: PairScores) -> str:
    """A triangle of cells, one for each pair of columns, darker where the twin keeps the pair worse; as an SVG."""
    n, cell = len(pairs.names), 17.0
    width, height = max(n * cell + 130, 420.0), n * cell + 44
    with _figure(width, height) as (figure, svg):
        axes = _axes(figure, (10 / width, 32 / height, n * cell / width, n * cell / height), (0, n), (0, n))
        for level in range(len(HEAT)):
            _cells(axes, pairs, level)
        for i, name in enumerate(pairs.names):  # at the end of its row, which is the top of its column
            axes.text(i + 0.2, n - i - 0.5, printable(name, most=24), va="center_baseline", color=INK)
        _heat_key(figure, width, height)
    return svg.getvalue()


def ranked_plot(verdict: Verdict, title: str, *, most: int = MOST_RANKED) -> str:
    """The parts of a verdict that are least alike, one below the other, and its limit as an upright line; as an SVG."""
    parts = worst_parts(verdict, most=most)
    low = math.floor(10 * min([verdict.limit, *(x for _, x in parts)]) - 0.5) / 10
    width, row = 380.0, 14.0
    height = 50 + row * len(parts)
    with _figure(width, height) as (figure, svg):
        figure.text(10 / width, 1 - 17 / height, printable(title, most=70), color=INK, fontsize=10, fontweight="bold")
        axes = _axes(figure, (0.60, 18 / height, 0.30, row * len(parts) / height), (low, 1.0), (len(parts) - 0.5, -0.5))
        for x in (low, verdict.limit, 1.0):
            axes.plot([x, x], [-0.5, len(parts) - 0.5], color=INK if x == verdict.limit else RULE, linewidth=0.9)
            axes.text(x, len(parts) - 0.2, f"{x:g}", ha="center", va="top", color=MUTED, fontsize=7.5)
        for i, (name, x) in enumerate(parts):
            _rectangles(axes, [(low, x, i - 0.32, i + 0.32)], HEAT[heat_level(x)][1])
            axes.text(low - 0.02 * (1 - low), i, printable(name, most=52), ha="right", va="center_baseline", color=INK,
                      fontsize=7.5)  # fmt: skip
            axes.text(1 + 0.03 * (1 - low), i, measure(x), va="center_baseline", color=MUTED, fontsize=7.5)
    return svg.getvalue()


def bullet_plot(verdict: Verdict) -> str:
    """A verdict on one line as an SVG: what passes is shaded, the limit is a bar, then interval, value and baseline."""
    points = [p for p in (verdict.value, verdict.low, verdict.high, verdict.baseline) if _is_number(p)]
    low, high = min([*points, verdict.limit]), max([*points, verdict.limit])
    pad = 0.12 * (high - low) or max(abs(high), 1.0) * 0.5
    span = (low - pad, high + pad)
    with _figure(190, 26) as (figure, svg):
        axes = _axes(figure, (0.02, 0.08, 0.96, 0.84), span, (-1, 1))
        passing = (verdict.limit, span[1]) if verdict.bound == "at_least" else (span[0], verdict.limit)
        axes.fill_between(span, -0.62, 0.62, color=RULE, linewidth=0)
        axes.fill_between(passing, -0.62, 0.62, color=ZONE, linewidth=0)
        axes.plot([verdict.limit] * 2, [-1, 1], color=INK, linewidth=1.6)
        _needle(axes, verdict)
    return svg.getvalue()


def attacks_plot(verdicts: Sequence[Verdict], titles: Mapping[str, str]) -> str:
    """Attacks one below the other as an SVG: a bar as long as the harm is of what the limit allows, the limit a line.

    Bars end at twice the limit. An attack whose value is a probability, or was not measured, has none.
    """
    row, width = 17.0, 560.0
    height = 36 + row * len(verdicts)
    with _figure(width, height) as (figure, svg):
        axes = _axes(
            figure, (0.42, 22 / height, 0.36, row * len(verdicts) / height), (0, 2), (len(verdicts) - 0.5, -0.5)
        )
        axes.fill_between((0, 1), len(verdicts) - 0.5, -0.5, color=ZONE, linewidth=0)
        for i, verdict in enumerate(verdicts):
            length = share_of_limit(verdict)
            if length is not None:
                _rectangles(axes, [(0, min(2.0, max(0.02, length)), i - 0.3, i + 0.3)], _color(verdict))
            name = f"{titles.get(verdict.gate, verdict.gate)} · {verdict.table}"
            axes.text(-0.04, i, printable(name, most=46), ha="right", va="center_baseline", color=INK, fontsize=7.5)
            axes.text(2.04, i, f"{mark(verdict)} {said(verdict)}", va="center_baseline", color=MUTED, fontsize=7.5)
        axes.plot([1, 1], [len(verdicts) - 0.5, -0.5], color=INK, linewidth=1.4)
        for x, text in ((0, "guessing"), (1, "limit")):
            axes.text(x, len(verdicts) - 0.2, text, ha="center", va="top", color=MUTED, fontsize=7.5)
    return svg.getvalue()


def as_uri(svg: str) -> str:
    """The picture as a `data:` address."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def as_markdown(svg: str, *, alt: str = "") -> str:
    """The picture as inline Markdown, as Dagster's metadata show it."""
    quiet = printable(alt).translate({ord(c): None for c in "[]()\\`"})
    return f"![{quiet}]({as_uri(svg)})"


def _panel(figure: "Figure", shares: ColumnShares, box: Box, *, numbered: bool) -> None:
    x, y, w, h = box
    at = (x + 10 / PANEL[0] * w, lambda points: y + h - points / PANEL[1] * h)
    figure.text(at[0], at[1](17), printable(shares.column, most=32), color=INK, fontsize=10, fontweight="bold")
    if under := subtitle(shares):
        figure.text(at[0], at[1](29), printable(under, most=58), color=MUTED, fontsize=7.5)
    if shares.form is Form.BINS:
        _histogram(figure, shares, (x + 0.13 * w, y + 0.15 * h, 0.82 * w, 0.61 * h))
    elif shares.form is Form.LABELS:
        _bars(figure, shares, (x + 0.40 * w, y + 0.05 * h, 0.46 * w, 0.73 * h), numbered=numbered)


def subtitle(shares: ColumnShares) -> str:
    """What stands under a column's name: its note, and the shares that have no bar."""
    texts = [shares.note] if shares.note else []
    for name, share in (("null", shares.null), ("outside", shares.other)):
        has_bar = shares.form is Form.LABELS
        nowhere = shares.form is Form.NONE and share is shares.other  # what is not drawn has no outside
        if not has_bar and not nowhere and (share.synthetic or share.real):
            real = "hidden" if share.real is None else percent(share.real)
            texts.append(f"{name} {percent(share.synthetic)} (real {real})")
    return " · ".join(texts)


def _histogram(figure: "Figure", shares: ColumnShares, box: Box) -> None:
    synthetic = [s.synthetic for s in shares.shares]
    real = [math.nan if s.real is None else s.real for s in shares.shares]
    top = max([*synthetic, *(r for r in real if _is_number(r)), 1e-6])
    n, edges = len(synthetic), range(len(synthetic) + 1)
    axes = _axes(figure, box, (0, n), (0, top * 1.06))
    axes.plot([0, n], [top, top], color=RULE, linewidth=0.8)
    axes.stairs(synthetic, edges, fill=True, color=FILL, linewidth=0)
    axes.stairs(real, edges, baseline=None, color=INK, linewidth=1.4)
    axes.plot([0, n], [0, 0], color=MUTED, linewidth=0.8)
    axes.text(-0.02 * n, top, percent(top), ha="right", va="center", color=MUTED, fontsize=7.5)
    for i in _spread(n):
        axes.text(i, -0.06 * top, printable(shares.ticks[i], most=12), ha="center", va="top", color=MUTED, fontsize=7.5)


def _spread(n: int) -> list[int]:
    """Up to five of the edges 0 to n, evenly apart."""
    step = max(1, -(-n // 4))
    return list(range(0, n + 1, step))


def _bars(figure: "Figure", shares: ColumnShares, box: Box, *, numbered: bool) -> None:
    extra = [s for s in (shares.other, shares.null) if s.synthetic or s.real]
    rows = [*shares.shares, *extra]
    top = max([*(s.synthetic for s in rows), *(s.real or 0.0 for s in rows), 1e-6])
    n = max(len(rows), 5)
    axes = _axes(figure, box, (0, top), (-n + 0.4, 0.6))
    half = 0.36 if n > 5 else 0.26
    _rectangles(axes, [(0, s.synthetic, -i - half, -i + half) for i, s in enumerate(rows)], FILL)
    for i, share in enumerate(rows):
        slanted = "italic" if share in extra else "normal"
        axes.text(-0.03 * top, -i, printable(share.label, most=18), ha="right", va="center_baseline", color=INK,
                  fontsize=7.5, fontstyle=slanted)  # fmt: skip
        end = max(share.synthetic, share.real or 0.0)
        text = percent(share.synthetic) if numbered else ""
        text = text if share.real is not None else f"{text} *".strip()
        axes.text(end + 0.04 * top, -i, text, va="center_baseline", color=MUTED, fontsize=7)
    thin, over = 0.007 * top, half + 0.1
    held = [(s.real, -i) for i, s in enumerate(rows) if s.real is not None]
    _rectangles(axes, [(x - thin, x + thin, y - over, y + over) for x, y in held], INK)
    axes.plot([0, 0], [-len(rows) + 0.4, 0.6], color=MUTED, linewidth=0.8)


def _legend(figure: "Figure", *, k: int, left_out: int) -> None:
    width, height = figure.get_size_inches() * 72
    more = f"; {left_out} more columns are not drawn" if left_out else ""
    axes = _axes(figure, (0, 1 - 26 / height, 1, 26 / height), (0, width), (0, 26))
    axes.fill_between((10, 24), 7, 16, color=FILL, linewidth=0)
    axes.text(28, 8, "synthetic", color=INK)
    axes.plot([82, 96], [11.5, 11.5], color=INK, linewidth=1.6)
    axes.text(100, 8, "real", color=INK)
    if width > 300:
        axes.text(130, 8, f"no line, or *: fewer than {k} real units, hidden{more}", color=MUTED)


def _cells(axes: "Axes", pairs: PairScores, level: int) -> None:
    n = len(pairs.names)
    found = [
        (x, n - y - 1)
        for y in range(n)
        for x in range(y)
        if (score := pairs.scores[y][x]) is not None and heat_level(score) == level
    ]
    _rectangles(axes, [(x + 0.06, x + 0.94, y + 0.06, y + 0.94) for x, y in found], HEAT[level][1])


def heat_level(score: float) -> int:
    """The step of `HEAT` that a score falls on; 0 is the best."""
    return next(i for i, (floor, _, _) in enumerate(HEAT) if score >= floor or floor == -math.inf)


def _rectangles(axes: "Axes", boxes: Sequence[Box], color: str) -> None:
    """Boxes of (left, right, bottom, top) as one path, which keeps pictures small."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if boxes:
        corners = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)] for x0, x1, y0, y1 in boxes]
        path = Path.make_compound_path(*(Path(c, closed=True) for c in corners))
        axes.add_patch(PathPatch(path, facecolor=color, edgecolor="none", linewidth=0))


def _heat_key(figure: "Figure", width: float, height: float) -> None:
    axes = _axes(figure, (0, 0, 1, 24 / height), (0, width), (0, 24))
    texts = ["0.98 and over", "0.95 to 0.98", "0.90 to 0.95", "0.80 to 0.90", "under"]
    x = 12.0
    for (_, color, _), text in zip(HEAT, texts, strict=True):
        _rectangles(axes, [(x, x + 11, 7, 17)], color)
        axes.text(x + 15, 8.5, text, color=MUTED, fontsize=7.5)
        x += 28 + 4.6 * len(text)


def _needle(axes: "Axes", verdict: Verdict) -> None:
    color = _color(verdict)
    if _is_number(verdict.baseline):
        axes.plot([verdict.baseline], [0], linestyle="", marker="D", markersize=6, markerfacecolor=PAPER,
                  markeredgecolor=MUTED, markeredgewidth=1.3)  # fmt: skip
    if _is_number(verdict.low) and _is_number(verdict.high):
        axes.plot([verdict.low, verdict.high], [0, 0], color=color, linewidth=3.2, solid_capstyle="butt")
    if _is_number(verdict.value):
        axes.plot([verdict.value], [0], linestyle="", marker="o", markersize=7, color=color, markeredgecolor=PAPER)


def _color(verdict: Verdict) -> str:
    return GOOD if verdict.passed else BAD if verdict.severity is Severity.CRITICAL else WARN


def _is_number(x: float | None) -> TypeGuard[float]:
    return x is not None and math.isfinite(x)


def _axes(figure: "Figure", box: Box, x: tuple[float, float], y: tuple[float, float]) -> "Axes":
    axes = figure.add_axes(box)
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    return axes


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple["Figure", io.StringIO]]:
    """A figure of `width` × `height` points; when the block ends, its SVG is in the second value."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": "twinlake", "svg.fonttype": "none", "text.parse_math": False, "text.usetex": False,
        "font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans"], "font.size": 8.0, "path.simplify": False,
    }  # fmt: skip
    svg = io.StringIO()
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's browser has the letters
        figure = Figure((width / 72, height / 72), dpi=72, facecolor=PAPER)
        yield figure, svg
        for artist in (a for axes in figure.axes for a in axes.get_children()):
            artist.set_clip_on(False)
        raw = io.StringIO()
        figure.savefig(raw, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg.write(_dressed(raw.getvalue()))


def _dressed(raw: str) -> str:
    """The bare `<svg>` element, made small: each style told once, with its colours for dark surroundings."""
    head, rest = raw[raw.index("<svg") :].split(">", 1)
    styles: dict[str, str] = {}
    body = re.sub(r"<[^>]+>(?:\n *)?", lambda tag: _short_tag(tag[0], styles), rest)
    body = re.sub(r"<g>(<text[^>]*>[^<]*</text>)</g>", r"\1", body)
    light = "".join(f".{name}{{{style}}}" for style, name in styles.items())
    dark = "".join(f".{name}{{{_darkened(style)}}}" for style, name in styles.items() if _darkened(style) != style)
    sheet = f"text{{font-family:system-ui,sans-serif}}{light}@media (prefers-color-scheme:dark){{{dark}}}"
    return f"{head}><style>{sheet}</style>{body}"


def _short_tag(tag: str, styles: dict[str, str]) -> str:
    """A tag without what no reader sees, and with the name of its style, which is added to `styles`, for the style."""
    tag = re.sub(r"\s+", " ", tag).rstrip()
    tag = re.sub(r' transform="rotate\(-0[^"]*"| font-family: [^;"]*;| text-anchor: start;|(?<=<g) id="[^"]*"', "", tag)
    tag = re.sub(r"(\d\.\d)\d+", r"\1", tag)
    tag = tag if " C " in tag else tag.replace(" L ", " ")  # after a move, numbers alone draw lines
    if not (found := re.search(r' style="([^"]*)"', tag)):
        return tag
    name = styles.setdefault(found[1], f"s{len(styles)}")
    return f'{tag[: found.start()]} class="{name}"{tag[found.end() :]}'


def _darkened(style: str) -> str:
    return re.sub(r"#[0-9a-f]{6}", lambda colour: _DARK.get(colour[0], colour[0]), style)
