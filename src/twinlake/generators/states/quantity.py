"""Quantities as states: null, NaN, atoms (values many units hold) and quantile bins, in the order of their values.

A bin draws either a heap (a value at least k units hold) or a point of a quantile function whose knots are means over
at least k units, so no value that fewer units hold, and no exact extreme, is ever drawn on purpose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.states.census import Floats, Ints, count_units, mean_of_units, runs, unit_ids
from twinlake.generators.states.ticks import HIGH, LOW, NAN, NULL, VALUE, Grid, Scale, Ticks
from twinlake.hashing import Hashes

ATOM_SHARE = 0.005
MOST_BINS = 64
_KNOTS = 9
_FAR = 1e150


@dataclass(frozen=True, slots=True)
class Bin:
    """A range of values between two cuts.

    Attributes:
        knots: the quantile function at 0, 1/8, ..., 1, as positions on the grid.
        heaps: ticks that at least k units hold, ascending.
        shares: of each heap among the rows of the bin; what is left to 1 is drawn from the knots.
    """

    knots: tuple[float, ...]
    heaps: tuple[int | float, ...] = ()
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Quantity:
    """The alphabet of a quantity; codes are ascending in value after null and NaN.

    Attributes:
        scale, grid: how cells become ticks, and ticks positions.
        specials: which of `NULL`, `NAN`, `LOW`, `HIGH` have a state of their own.
        atoms: ticks with a state of their own, ascending.
        cuts: positions between bins, ascending; one fewer than bins.
        bins: the bins, ascending; empty where all values are atoms.
    """

    scale: Scale
    grid: Grid
    specials: tuple[int, ...]
    atoms: tuple[int | float, ...]
    cuts: tuple[float, ...]
    bins: tuple[Bin, ...]
    _layout: "_Layout" = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Lay the states out once."""
        object.__setattr__(self, "_layout", _Layout.of(self))

    @property
    def size(self) -> int:
        """How many states."""
        return self._layout.size

    @property
    def ordinal(self) -> bool:
        """Codes follow the order of values."""
        return True

    @property
    def safe(self) -> npt.NDArray[np.bool_]:
        """Whether each state is one value that at least k units hold, shape (size,)."""
        single = [len(b.heaps) == 1 and b.shares[0] == 1.0 for b in self.bins]
        return np.isin(np.arange(self.size), np.r_[self._layout.atom_codes, self._layout.bin_codes[single]])

    @property
    def apart(self) -> npt.NDArray[np.bool_]:
        """Whether each state is null, NaN or an infinity, shape (size,)."""
        return self._layout.kinds != VALUE

    @classmethod
    def learn(cls, cells: pa.Array, units: Hashes | None, *, k: int) -> Self:
        """The alphabet of real cells."""
        ids = unit_ids(units, len(cells))
        valid = np.asarray(cells.is_valid().to_numpy(zero_copy_only=False))
        scale = Scale.learn(cells.filter(pa.array(valid)), ids[valid], k=k)
        ticks, kinds = scale.read(cells)
        specials = tuple(s for s in (NULL, NAN, LOW, HIGH) if _has_state(s, kinds, ids, k))
        ticks, ids = ticks[kinds == VALUE], ids[kinds == VALUE]
        if len(np.unique(ids)) < k:
            return cls._unknown(scale, specials, ticks)
        grid = Grid.learn(np.asarray(ticks, np.int64), ids, scale, k=k) if scale.exact else Grid()
        return cls(scale, grid, specials, *_states(ticks, ids, grid, scale, k))

    @classmethod
    def _unknown(cls, scale: Scale, specials: tuple[int, ...], ticks: Ticks) -> Self:
        """What fewer than k units hold: one value, their mean cut to its first digit; or only null."""
        if not len(ticks) and specials:
            return cls(scale, Grid(), specials, (), (), ())
        mean = float(np.mean(np.clip(ticks.astype(np.float64), -_FAR, _FAR))) - scale.zero if len(ticks) else 0.0
        rounded = float(f"{mean:.0e}")
        low, high = scale.bounds
        atom = min(max(int(rounded) + scale.zero, low), high) if scale.exact else rounded
        if scale.exact and len(ticks):
            near = (atom, atom + 1, atom + 2, atom - 1, atom - 2)  # of five, two may be ends and two out of bounds
            atom = next(x for x in near if low <= x <= high and x not in (ticks.min(), ticks.max()))
        return cls(scale, Grid(), specials, (atom,), (), ())

    def encode(self, cells: pa.Array) -> npt.NDArray[np.int32]:
        """The state of each cell, shape (rows,)."""
        ticks, kinds = self.scale.read(cells)
        codes = self._values(ticks)
        codes = np.where(kinds == LOW, self._layout.ends[0], np.where(kinds == HIGH, self._layout.ends[1], codes))
        for special, code in zip(self.specials, self._layout.special_codes, strict=True):
            codes = np.where(kinds == special, code, codes)
        return np.minimum(codes, self.size - 1).astype(np.int32)  # an end may be told of where no value has a state

    def decode(self, codes: npt.NDArray[np.int32], rng: np.random.Generator) -> pa.Array:
        """A cell for each state, shape (rows,)."""
        layout = self._layout
        kinds, ticks = layout.kinds[codes], layout.ticks[codes]
        drawn = np.flatnonzero(layout.bin_of[codes] >= 0)
        if len(drawn):
            ticks[drawn] = self._draw(layout.bin_of[codes[drawn]], rng)
        return self.scale.write(ticks, kinds)

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest position that is ever drawn."""
        points = [*self._position(_ticks(self.atoms, self.scale)).tolist(), *(x for b in self.bins for x in b.knots)]
        heaps = [self._position(_ticks(b.heaps, self.scale)).tolist() for b in self.bins]
        points += [x for h in heaps for x in h]
        return (min(points), max(points)) if points else (0.0, 0.0)

    def positions(self, cells: pa.Array) -> Floats:
        """Cells as numbers spaced as their values are, shape (rows,); NaN where there is no finite value."""
        ticks, kinds = self.scale.read(cells)
        return np.where(kinds == VALUE, self._position(ticks), np.nan)

    def at(self, positions: Floats, missing: npt.NDArray[np.int8]) -> pa.Array:
        """The cells at positions, kept within the ends; `missing` says what stands at NaN (`NULL`, `NAN` ...)."""
        low, high = self.ends
        kinds = np.where(np.isnan(positions), missing, VALUE).astype(np.int8)
        kept = np.clip(np.where(np.isnan(positions), low, positions), low, high)
        return self.scale.write(self.grid.tick(kept, self.scale.bounds) if self.scale.exact else kept, kinds)

    def _values(self, ticks: Ticks) -> Ints:
        layout = self._layout
        if not len(self.bins) and not len(self.atoms):
            return np.zeros(len(ticks), np.int64)
        atoms = _ticks(self.atoms, self.scale)
        if not len(self.bins):
            return np.asarray(layout.atom_codes[_closest(atoms, ticks)])
        codes = layout.bin_codes[np.searchsorted(np.asarray(self.cuts), self._position(ticks), side="right")]
        if len(atoms):
            at = np.minimum(np.searchsorted(atoms, ticks), len(atoms) - 1)
            codes = np.where(atoms[at] == ticks, layout.atom_codes[at], codes)
        return codes

    def _position(self, ticks: Ticks) -> Floats:
        return _positions(ticks, self.grid, self.scale)

    def _draw(self, bins: Ints, rng: np.random.Generator) -> Ticks:
        layout, which, where = self._layout, rng.random(len(bins)), rng.random(len(bins)) * (_KNOTS - 1)
        left = np.minimum(where.astype(np.int64), _KNOTS - 2)
        low, high = layout.knots[bins, left], layout.knots[bins, left + 1]
        points = low + (where - left) * (high - low)
        ticks = self.grid.tick(points, self.scale.bounds) if self.scale.exact else points
        if not len(layout.heaps):
            return ticks
        at = np.minimum(np.searchsorted(layout.heap_ends, bins + which, side="right"), len(layout.heaps) - 1)
        return np.where(which < layout.heap_share[bins], layout.heaps[at], ticks)

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return {
            "alphabet": "quantity",
            "scale": self.scale.to_json(),
            "grid": self.grid.to_json(),
            "specials": list(self.specials),
            "atoms": list(self.atoms),
            "cuts": list(self.cuts),
            "bins": [{"knots": list(b.knots), "heaps": list(b.heaps), "shares": list(b.shares)} for b in self.bins],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The alphabet that `to_json` wrote."""
        bins = tuple(Bin(tuple(b["knots"]), tuple(b["heaps"]), tuple(b["shares"])) for b in data["bins"])
        grid, scale = Grid(**data["grid"]), Scale.from_json(data["scale"])
        return cls(scale, grid, tuple(data["specials"]), tuple(data["atoms"]), tuple(data["cuts"]), bins)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Lookup arrays of a `Quantity`, by code, by atom and by bin."""

    size: int
    special_codes: Ints
    atom_codes: Ints
    bin_codes: Ints
    ends: tuple[int, int]
    kinds: npt.NDArray[np.int8]
    ticks: Ticks
    bin_of: Ints
    knots: Floats
    heaps: Ticks
    heap_ends: Floats
    heap_share: Floats

    @classmethod
    def of(cls, of: Quantity) -> Self:
        ranks = _ranks(of)
        first = sum(s in of.specials for s in (NULL, NAN, LOW))
        atoms, bins = first + ranks[: len(of.atoms)], first + ranks[len(of.atoms) :]
        size = len(of.specials) + len(ranks)
        special = np.array([size - 1 if s == HIGH else i for i, s in enumerate(of.specials)], np.int64)
        kinds, ticks, bin_of = np.zeros(size, np.int8), _ticks([0] * size, of.scale), np.full(size, -1, np.int64)
        kinds[special] = of.specials
        ticks[atoms] = of.atoms
        bin_of[bins] = np.arange(len(of.bins))
        heaps = [h for b in of.bins for h in b.heaps]
        ends = [i + c for i, b in enumerate(of.bins) for c in np.cumsum(b.shares).tolist()]
        return cls(
            size=size, special_codes=special, atom_codes=atoms, bin_codes=bins,
            ends=(first, max(first, first + len(ranks) - 1)), kinds=kinds, ticks=ticks, bin_of=bin_of,
            knots=np.array([b.knots for b in of.bins], np.float64).reshape(-1, _KNOTS),
            heaps=_ticks(heaps, of.scale), heap_ends=np.array(ends, np.float64),
            heap_share=np.array([np.sum(b.shares) for b in of.bins], np.float64),
        )  # fmt: skip


def _positions(ticks: Ticks, grid: Grid, scale: Scale) -> Floats:
    """Where ticks lie, as numbers whose squares can be summed."""
    return grid.position(ticks) if scale.exact else np.clip(np.asarray(ticks, dtype=np.float64), -_FAR, _FAR)


def _ticks(values: Sequence[int | float], scale: Scale) -> Ticks:
    return np.array(values, np.int64) if scale.exact else np.array(values, np.float64)


def _ranks(of: Quantity) -> Ints:
    """The place in value order of each atom, then of each bin."""
    atoms = of._position(_ticks(of.atoms, of.scale))
    bins = np.array([b.knots[_KNOTS // 2] for b in of.bins], np.float64)
    order = np.argsort(np.r_[atoms, bins], kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _closest(atoms: Ticks, ticks: Ticks) -> Ints:
    """The atom nearest to each tick, by halves of the gaps between them."""
    middles = atoms[:-1] / 2 + atoms[1:] / 2
    return np.asarray(np.searchsorted(middles, ticks), dtype=np.int64)


def _has_state(special: int, kinds: npt.NDArray[np.int8], units: Ints, k: int) -> bool:
    """Missing cells always have one; infinities only where at least k units hold them."""
    held = kinds == special
    return bool(held.any()) and (special in (NULL, NAN) or len(np.unique(units[held])) >= k)


def _states(
    ticks: Ticks, units: Ints, grid: Grid, scale: Scale, k: int
) -> tuple[tuple[int | float, ...], tuple[float, ...], tuple[Bin, ...]]:
    distinct, inverse = np.unique(ticks, return_inverse=True)
    held = count_units(inverse.astype(np.int64), units, len(distinct))
    is_atom = held >= max(k, ATOM_SHARE * len(np.unique(units)))
    atoms = tuple(distinct[is_atom].tolist())
    rest = ~is_atom[inverse]
    if len(np.unique(units[rest])) < k:
        return atoms, (), ()
    order = np.flatnonzero(rest)[np.argsort(ticks[rest], kind="stable")]
    positions = _positions(ticks[order], grid, scale)
    heaped = (held >= k)[inverse[order]]
    cuts = _cuts(positions, units[order], k)
    which = np.searchsorted(cuts, positions, side="right").astype(np.int64)
    ends = _ends(positions, units[order], k, inwards=(scale.exact and held[0] < k, scale.exact and held[-1] < k))
    bins = []
    for i in range(len(cuts) + 1):
        mine = which == i
        low, high = cuts[i - 1] if i else ends[0], cuts[i] if i < len(cuts) else ends[1]
        bins.append(_bin(ticks[order][mine], positions[mine], units[order][mine], heaped[mine], (low, high), k))
    return atoms, tuple(cuts.tolist()), tuple(bins)


def _cuts(positions: Floats, units: Ints, k: int) -> Floats:
    """Cuts into up to 64 bins of equal length and at least k units; each the middle between means over k units."""
    run = runs(units, most=MOST_BINS, k=2 * k)
    fine = runs(units, most=len(units), k=k)
    means = mean_of_units(positions, fine, units, int(fine.max()) + 1)
    starts = np.flatnonzero(np.diff(run)) + 1
    before = fine[starts - 1]
    cuts = np.unique((means[before] + means[np.minimum(before + 1, len(means) - 1)]) / 2)
    while len(cuts):
        held = count_units(np.searchsorted(cuts, positions, side="right").astype(np.int64), units, len(cuts) + 1)
        if held.min() >= k:
            break
        cuts = np.delete(cuts, max(int(np.argmin(held)) - 1, 0))
    return np.asarray(cuts, dtype=np.float64)


def _ends(positions: Floats, units: Ints, k: int, *, inwards: tuple[bool, bool]) -> tuple[float, float]:
    """The means over the k units with the lowest and the highest values; `inwards` takes the next step from there.

    It is asked for where fewer than k units hold the extreme: rounding their mean to the nearest step could make it.
    """
    low, high = _end(positions, units, k), _end(positions[::-1], units[::-1], k)
    if inwards[1]:
        high = float(np.floor(high))
        low = min(low, high)
    if inwards[0]:
        low = float(np.ceil(low))
        high = max(low, high)
    return low, high


def _end(positions: Floats, units: Ints, k: int) -> float:
    _, first = np.unique(units, return_index=True)
    return float(positions[np.sort(first)[:k]].mean())


def _bin(
    ticks: Ticks, positions: Floats, units: Ints, heaped: npt.NDArray[np.bool_], limits: tuple[float, float], k: int
) -> Bin:
    smooth = ~heaped
    heaps, counts = np.unique(ticks[heaped], return_counts=True)
    if len(np.unique(units[smooth])) < k:  # too few to tell anything of: the heaps stand for them
        if not len(heaps):
            return Bin(_knots(positions, units, limits, k))
        return Bin((float(limits[0]),) * _KNOTS, tuple(heaps.tolist()), tuple((counts / counts.sum()).tolist()))
    knots = _knots(positions[smooth], units[smooth], limits, k)
    return Bin(knots, tuple(heaps.tolist()), tuple((counts / len(ticks)).tolist()))


def _knots(positions: Floats, units: Ints, limits: tuple[float, float], k: int) -> tuple[float, ...]:
    """A quantile function through means over k units, kept within `limits`, at 9 equal steps."""
    run = runs(units, most=_KNOTS - 1, k=k)
    count = int(run.max()) + 1
    means = np.maximum.accumulate(mean_of_units(positions, run, units, count))
    if count == 1:
        below = above = float(positions.std() * 3**0.5)  # as wide as a uniform distribution of that spread
    else:
        below, above = (means[1] - means[0]) / 2, (means[-1] - means[-2]) / 2
    points = np.r_[means[0] - below, means, means[-1] + above]
    shares = np.r_[0.0, (np.arange(count) + 0.5) / count, 1.0]
    low, high = min(limits[0], limits[1]), max(limits)
    return tuple(np.clip(np.interp(np.linspace(0, 1, _KNOTS), shares, points), low, high).tolist())
