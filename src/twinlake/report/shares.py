"""What may be drawn of real rows: per column, the share of rows in each bin or label, hidden where few units hold it.

Plots and pages see nothing else of real rows. Bins and labels come from the synthetic table alone, so that an axis
can't show a real extreme or a rare real label; a label is drawn only where at least k real units hold it too, so that
one that a snapshot has copied isn't spread further. Hiding follows the primary and complementary suppression of
statistical disclosure control (Hundepool et al., Statistical Disclosure Control, 2012).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinlake.hashing import Hashes
from twinlake.report.bins import bin_edges, quantities
from twinlake.schema import Column, Kind, Table
from twinlake.tables import conform
from twinlake.types import ENUM

Codes = npt.NDArray[np.int64]
MOST_LABELS = 10
MOST_TRIED = 100
FEW_VALUES = 12  # a quantity with no more distinct values than this is drawn value by value


class Form(StrEnum):
    """How a column is drawn."""

    BINS = "bins"  # neighbouring bins of equal width: a histogram
    LABELS = "labels"  # a bar for each label
    NONE = "none"  # not at all; the note says why


@dataclass(frozen=True, slots=True)
class Share:
    """The share of rows in one bin or with one label; `real` is None where fewer than k units hold it."""

    label: str
    synthetic: float
    real: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnShares:
    """Synthetic beside real shares of one column; all shares are of all rows of their table.

    Attributes:
        column: the column's name.
        form: how it is drawn.
        shares: a share for each bin or label, in drawing order.
        ticks: the texts of the edges of bins, one more than bins; none for labels.
        other: rows whose value is in no bin or has none of the labels.
        null: rows without a value.
        k: fewest real units whose share may be shown.
        note: what a reader should know, for instance why nothing is drawn.
    """

    column: str
    form: Form
    shares: tuple[Share, ...]
    ticks: tuple[str, ...] = ()
    other: Share
    null: Share
    k: int
    note: str = ""

    @property
    def furthest(self) -> Share | None:
        """The bin or label whose shares differ most, among those that are shown for both."""
        both = [s for s in self.shares if s.real is not None]
        return max(both, key=lambda s: abs(s.synthetic - (s.real or 0.0)), default=None)


@dataclass(frozen=True, slots=True)
class PairScores:
    """Scores of pairs of columns: a symmetric matrix with None where a pair was not measured."""

    names: tuple[str, ...]
    scores: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class _Cut:
    """Both sides of a column as cell numbers: 0 to b-1 the cells, b in none of them, b+1 null."""

    form: Form
    labels: tuple[str, ...]
    ticks: tuple[str, ...]
    synthetic: Codes
    real: Codes
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Real:
    """A column's real values with the privacy unit of each, and how many units make a crowd."""

    values: pa.Array
    units: Hashes | None
    k: int

    def held(self, mask: npt.NDArray[np.bool_]) -> int:
        """How many units have a row in `mask`."""
        return int(mask.sum()) if self.units is None else len(np.unique(self.units[mask]))


def compare(
    real: pa.Table, synthetic: pa.Table, table: Table, *, k: int = 10, units: Hashes | None = None
) -> tuple[ColumnShares, ...]:
    """Shares of every learnt column.

    Args:
        real: real rows, learnt or held back, with at least the learnt columns of `table`.
        synthetic: synthetic rows, likewise.
        table: their schema.
        k: fewest real units whose share may be shown.
        units: the privacy unit of each real row, shape (rows,); None where each row is its own.
    """
    learnt = table.select(table.learnt)
    theirs, ours = conform(real, learnt), conform(synthetic, learnt)
    return tuple(_compare(c, _plain(ours[c.name]), _Real(_plain(theirs[c.name]), units, k)) for c in learnt.columns)


def pair_scores(parts: Mapping[str, float], names: Sequence[str], *, most: int = 16) -> PairScores:
    """The matrix of the `a × b` parts of a verdict over the `most` columns with the lowest scores, in table order."""
    pairs = {(a, b): parts[f"{a} × {b}"] for a in names for b in names if f"{a} × {b}" in parts}
    lowest: dict[str, float] = {}
    for (a, b), score in pairs.items():
        lowest |= {a: min(score, lowest.get(a, score)), b: min(score, lowest.get(b, score))}
    kept = sorted(lowest, key=lambda n: (lowest[n], names.index(n)))[:most]
    shown = tuple(n for n in names if n in kept)
    return PairScores(shown, tuple(tuple(pairs.get((a, b), pairs.get((b, a))) for b in shown) for a in shown))


def _compare(column: Column, ours: pa.Array, real: _Real) -> ColumnShares:
    cut = _cut(column, ours, real)
    cells = len(cut.labels) + 2
    synthetic = np.bincount(cut.synthetic, minlength=cells) / max(1, len(cut.synthetic))
    shown = _shown(cut.real, cells, real)
    shares = [
        Share(label, round(float(s), 4), r)
        for label, s, r in zip((*cut.labels, "other", "null"), synthetic, shown, strict=True)
    ]
    *kept, other, null = shares
    return ColumnShares(
        column=column.name, form=cut.form, shares=tuple(kept), ticks=cut.ticks, other=other, null=null, k=real.k,
        note=cut.note,
    )  # fmt: skip


def _shown(codes: Codes, cells: int, real: _Real) -> list[float | None]:
    """Real shares; None for cells that fewer than k units hold, and for others that would give those away by a sum."""
    holders = np.array([real.held(codes == c) for c in range(cells)])
    hidden = holders < real.k
    while 0 < real.held(hidden[codes]) < real.k and not hidden.all():
        hidden[int(np.argmin(np.where(hidden, np.iinfo(np.int64).max, holders)))] = True
    rows = np.bincount(codes, minlength=cells)
    return [None if h else round(int(n) / len(codes), 4) for n, h in zip(rows, hidden, strict=True)]


def _cut(column: Column, ours: pa.Array, real: _Real) -> _Cut:
    values = pc.drop_null(ours)
    if column.type == pa.uuid():
        return _uncut(ours, real, "not drawn: identifiers are made, not learnt")
    if len(values) < 2 * real.k:
        return _uncut(ours, real, f"not drawn: fewer than {2 * real.k} synthetic values")
    if _is_long(column, values):
        unit = "bytes" if pa.types.is_binary(ours.type) else "characters"
        lengths = _Real(_lengths(real.values), real.units, real.k)
        return _by_bin(pa.int64(), _lengths(ours), lengths, f"free values: only their length is drawn, in {unit}")
    if _is_label(column, values):
        return _by_label(column, ours, real)
    return _by_bin(column.type, ours, real)


def _uncut(ours: pa.Array, real: _Real, note: str) -> _Cut:
    none = pa.array([], ours.type)
    return _Cut(Form.NONE, (), (), _find(ours, none), _find(real.values, none), note)


def _is_long(column: Column, values: pa.Array) -> bool:
    if pa.types.is_binary(values.type) or column.type == pa.json_():
        return True
    mostly_distinct = pc.count_distinct(values).as_py() > len(values) // 2
    return pa.types.is_string(values.type) and (column.kind is Kind.TEXT or (mostly_distinct and not column.public))


def _is_label(column: Column, values: pa.Array) -> bool:
    plain = pa.types.is_string(values.type) or pa.types.is_boolean(values.type) or column.kind is Kind.CATEGORY
    return plain or pc.count_distinct(values).as_py() <= FEW_VALUES


def _by_label(column: Column, ours: pa.Array, real: _Real) -> _Cut:
    labels = _labels(column, ours, real)
    note = "" if len(labels) else "not drawn: no value is held by enough rows"
    texts = tuple("true" if x is True else "false" if x is False else str(x) for x in labels.to_pylist())
    form = Form.LABELS if len(labels) else Form.NONE
    return _Cut(form, texts, (), _find(ours, labels), _find(real.values, labels), note)


def _labels(column: Column, ours: pa.Array, real: _Real) -> pa.Array:
    """Labels to draw: the commonest synthetic ones that enough rows hold on both sides, quantities in their order."""
    declared = column.labels if column.labels and len(column.labels) <= MOST_LABELS else None
    if declared:
        return pa.array(declared, pa.string())
    counts = pc.value_counts(pc.drop_null(ours))
    common = counts.filter(pc.greater_equal(counts.field("counts"), real.k))
    order = pc.sort_indices(
        pa.table({"n": common.field("counts"), "value": common.field("values")}),
        sort_keys=[("n", "descending"), ("value", "ascending")],
    )
    ordered = common.field("values").take(order)[:MOST_TRIED]
    quantity = not pa.types.is_string(ours.type)
    held = (i for i, v in enumerate(ordered) if column.public or real.held(_equal(real.values, v)) >= real.k)
    labels = ordered.take(pa.array(islice(held, FEW_VALUES if quantity else MOST_LABELS), pa.int64()))
    return labels.take(pc.sort_indices(labels)) if quantity else labels


def _by_bin(type_: pa.DataType, ours: pa.Array, real: _Real, note: str = "") -> _Cut:
    mine, theirs = quantities(ours), quantities(real.values)
    bins = bin_edges(type_, mine[np.isfinite(mine)], k=real.k, is_common=lambda x: real.held(theirs == x) >= real.k)
    if bins is None:
        return _uncut(ours, real, "not drawn: too few different values are held by enough rows")
    labels = tuple(f"{a} – {b}" if a != b else a for a, b in bins.spans)
    form, ticks = (Form.BINS, bins.ticks) if bins.even else (Form.LABELS, ())
    return _Cut(form, labels, ticks, _place(mine, bins.edges), _place(theirs, bins.edges), note)


def _place(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> Codes:
    cells = len(edges) - 1
    at = np.searchsorted(edges, values, side="right") - 1
    at = np.where((at < 0) | (at >= cells), cells, at)
    return np.where(np.isnan(values), cells + 1, at).astype(np.int64)


def _find(values: pa.Array, labels: pa.Array) -> Codes:
    at = pc.fill_null(pc.index_in(values, value_set=labels), len(labels)).to_numpy(zero_copy_only=False)
    nulls = values.is_null().to_numpy(zero_copy_only=False)
    return np.where(nulls, len(labels) + 1, at).astype(np.int64)


def _equal(values: pa.Array, value: pa.Scalar) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.equal(values, value), False).to_numpy(zero_copy_only=False))


def _lengths(values: pa.Array) -> pa.Array:
    return pc.binary_length(values) if pa.types.is_binary(values.type) else pc.utf8_length(values)


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """One array without dictionary or extension type; NaN becomes null."""
    array = column.combine_chunks()
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    array = array.cast(pa.string()) if array.type == ENUM else array
    if not pa.types.is_floating(array.type):
        return array
    return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
