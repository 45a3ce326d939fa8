"""Quantities as states: null, NaN, atoms (values many units hold) and quantile bins, in the order of their values.

A bin draws either a heap (a value at least k units hold) or a point of a quantile function whose knots are means over
at least k units, so no value that fewer units hold, and no exact extreme, is ever drawn on purpose.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.states.census import Floats, Ints, count_all, part, shared_ids
from twinlake.generators.states.ranges import Ranges, Sorted
from twinlake.generators.states.ticks import HIGH, LOW, NAN, NULL, VALUE, Grid, Scale, Ticks
from twinlake.hashing import Hashes

ATOM_SHARE = 0.005
_FAR = 1e150
_PIECE = 16_384  # cells at a time: what is worked on stays in the processor's cache
_NEAR = 1 << 20  # a column whose ticks lie within so many steps is encoded by looking them up


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """The alphabet of a quantity; codes are ascending in value after null and NaN.

    Attributes:
        scale, grid: how cells become ticks, and ticks positions.
        specials: which of `NULL`, `NAN`, `LOW`, `HIGH` have a state of their own.
        atoms: ticks with a state of their own, ascending.
        bins: quantile bins of all other values, ascending; none where all values are atoms.
    """

    scale: Scale
    grid: Grid
    specials: tuple[int, ...]
    atoms: tuple[int | float, ...]
    bins: Ranges
    _layout: "_Layout" = field(init=False, repr=False)

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
        layout = self._layout
        return np.asarray((layout.kinds == VALUE) & (layout.bin_of < 0))

    @property
    def apart(self) -> npt.NDArray[np.bool_]:
        """Whether each state is null, NaN or an infinity, shape (size,)."""
        return np.asarray(self._layout.kinds != VALUE)

    @classmethod
    def learn(cls, cells: pa.Array, units: Hashes | None, *, k: int) -> Self:
        """The alphabet of real cells."""
        ids = shared_ids(units)
        valid = np.asarray(cells.is_valid().to_numpy(zero_copy_only=False))
        scale = Scale.learn(cells.filter(pa.array(valid)), part(ids, valid), k=k)
        ticks, kinds = scale.read(cells)
        specials = tuple(s for s in (NULL, NAN, LOW, HIGH) if _has_state(s, kinds, ids, k))
        ticks, ids = ticks[kinds == VALUE], part(ids, kinds == VALUE)
        if count_all(ids, len(ticks)) < k:
            return cls._unknown(scale, specials, ticks)
        values = Sorted.of(ticks, ids)
        grid = Grid.learn(values.distinct.astype(np.int64), values.held, scale, k=k) if scale.exact else Grid()
        is_atom = values.held >= max(k, ATOM_SHARE * count_all(ids, len(ticks)))
        atoms = tuple(values.distinct[is_atom].tolist())
        rest = values.without(is_atom)
        inwards = (scale.exact and bool(values.held[0] < k), scale.exact and bool(values.held[-1] < k))
        at = _positions(rest.distinct, grid, scale)
        bins = Ranges.learn(rest, at, whole=scale.exact, inwards=inwards, k=k)
        return cls(scale, grid, specials, atoms, bins)

    @classmethod
    def _unknown(cls, scale: Scale, specials: tuple[int, ...], ticks: Ticks) -> Self:
        """What fewer than k units hold: one value, their mean cut to its first digit; or only null."""
        none = Ranges.none(exact=scale.exact)
        if not len(ticks) and specials:
            return cls(scale, Grid(), specials, (), none)
        mean = float(np.mean(np.clip(ticks.astype(np.float64), -_FAR, _FAR))) - scale.zero if len(ticks) else 0.0
        rounded = float(f"{mean:.0e}")
        low, high = scale.bounds
        atom = min(max(int(rounded) + scale.zero, low), high) if scale.exact else rounded
        if scale.exact and len(ticks):
            near = (atom, atom + 1, atom + 2, atom - 1, atom - 2)  # of five, two may be ends and two out of bounds
            atom = next(x for x in near if low <= x <= high and x not in (ticks.min(), ticks.max()))
        return cls(scale, Grid(), specials, (atom,), none)

    def encode(self, cells: pa.Array) -> npt.NDArray[np.int32]:
        """The state of each cell, shape (rows,)."""
        ticks, kinds = self.scale.read(cells)
        codes = self._values(ticks)
        if kinds.any():
            codes = np.where(kinds == LOW, self._layout.ends[0], np.where(kinds == HIGH, self._layout.ends[1], codes))
        for special, code in zip(self.specials, self._layout.special_codes, strict=True):
            codes = np.where(kinds == special, code, codes)
        return np.minimum(codes, self.size - 1).astype(np.int32)  # an end may be told of where no value has a state

    def decode(self, codes: npt.NDArray[np.int32], rng: np.random.Generator, *, compact: bool = False) -> pa.Array:  # noqa: ARG002 - an alphabet's
        """A cell for each state, shape (rows,)."""
        stored = np.empty(len(codes), self._layout.stored.dtype)
        for start in range(0, len(codes), _PIECE):
            piece = slice(start, start + _PIECE)
            self._fill(stored[piece], codes[piece].astype(np.intp), rng)
        missing = codes == self._layout.special_codes[0] if NULL in self.specials else None
        return self.scale.cells(stored, missing)

    def _fill(self, stored: npt.NDArray[Any], codes: npt.NDArray[np.intp], rng: np.random.Generator) -> None:
        layout = self._layout
        if not layout.draws:
            np.take(layout.stored, codes, out=stored, mode="clip")  # clip: without a second buffer
            return
        bins = layout.bin_of.take(codes)
        drawn = np.flatnonzero(bins >= 0)
        if len(drawn) == len(codes):
            stored[:] = self.scale.store(self._draw(bins, rng))
            return
        np.take(layout.stored, codes, out=stored, mode="clip")
        stored[drawn] = self.scale.store(self._draw(bins.take(drawn), rng))

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest position that is ever drawn."""
        drawn = [_ticks(self.atoms, self.scale), self.bins.heaps]
        points = np.concatenate([*(self._position(t) for t in drawn), self.bins.knots.ravel()])
        return (float(points.min()), float(points.max())) if len(points) else (0.0, 0.0)

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
        """The state of each tick; where ticks lie close together, each of those between is looked at once."""
        if not self.scale.exact or not len(ticks):
            return self._states_of(ticks)
        low, high = int(ticks.min()), int(ticks.max())
        if high - low >= min(_NEAR, len(ticks)):
            return self._states_of(ticks)
        return np.asarray(self._states_of(np.arange(low, high + 1, dtype=np.int64))[ticks - low])

    def _states_of(self, ticks: Ticks) -> Ints:
        layout = self._layout
        if not len(self.bins) and not len(self.atoms):
            return np.zeros(len(ticks), np.int64)
        atoms = _ticks(self.atoms, self.scale)
        if not len(self.bins):
            return np.asarray(layout.atom_codes[_closest(atoms, ticks)])
        codes = layout.bin_codes[np.searchsorted(self.bins.cuts, self._position(ticks), side="right")]
        if len(atoms):
            at = np.minimum(np.searchsorted(atoms, ticks), len(atoms) - 1)
            codes = np.where(atoms[at] == ticks, layout.atom_codes[at], codes)
        return codes

    def _position(self, ticks: Ticks) -> Floats:
        return _positions(ticks, self.grid, self.scale)

    def _draw(self, bins: Ints, rng: np.random.Generator) -> Ticks:
        layout = self._layout
        points, heaps, heaped = self.bins.draw(bins, layout.knots, rng)
        if len(heaped) == len(bins):
            return np.asarray(self.bins.heaps.take(heaps))
        ticks: Ticks = self.grid.at(points) if self.scale.exact else points
        ticks[heaped] = self.bins.heaps.take(heaps)
        return ticks

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return {
            "alphabet": "quantity",
            "scale": self.scale.to_json(),
            "grid": self.grid.to_json(),
            "specials": list(self.specials),
            "atoms": list(self.atoms),
            "bins": self.bins.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The alphabet that `to_json` wrote."""
        grid, scale = Grid(**data["grid"]), Scale.from_json(data["scale"])
        bins = Ranges.from_json(data["bins"], exact=scale.exact)
        return cls(scale, grid, tuple(data["specials"]), tuple(data["atoms"]), bins)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Lookup arrays of a `Quantity`, by code, by atom and by bin.

    Attributes:
        size: how many states.
        special_codes, atom_codes, bin_codes: the code of each special, atom and bin.
        ends: the codes of the lowest and the highest value.
        kinds: of each code, `VALUE`, `NULL` ...
        stored: of each code the value as `Scale.store` gives it, where it has one value only.
        bin_of: the bin of each code, -1 where it has one value only.
        draws: whether any bin has more than one value.
        knots: of the bins, kept where rounding stays within the type.
    """

    size: int
    special_codes: Ints
    atom_codes: Ints
    bin_codes: Ints
    ends: tuple[int, int]
    kinds: npt.NDArray[np.int8]
    stored: npt.NDArray[Any]
    bin_of: Ints
    draws: bool
    knots: Floats

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
        single = of.bins.single
        ticks[bins[single]] = of.bins.heaps[of.bins.first_heap[:-1][single]]
        bin_of[bins[~single]] = np.flatnonzero(~single)
        stored = of.scale.store(ticks)
        for kind, value in ((NAN, np.nan), (LOW, -np.inf), (HIGH, np.inf)):
            if kind in of.specials:
                stored[kinds == kind] = value
        reach = of.grid.reach(of.scale.bounds) if of.scale.exact else (-np.inf, np.inf)
        return cls(
            size=size, special_codes=special, atom_codes=atoms, bin_codes=bins,
            ends=(first, max(first, first + len(ranks) - 1)), kinds=kinds, stored=stored, bin_of=bin_of,
            draws=not single.all(), knots=np.clip(of.bins.knots, *reach),
        )  # fmt: skip


def _positions(ticks: Ticks, grid: Grid, scale: Scale) -> Floats:
    """Where ticks lie, as numbers whose squares can be summed."""
    return grid.position(ticks) if scale.exact else np.clip(np.asarray(ticks, dtype=np.float64), -_FAR, _FAR)


def _ticks(values: "tuple[int | float, ...] | list[int]", scale: Scale) -> Ticks:
    return np.array(values, np.int64) if scale.exact else np.array(values, np.float64)


def _ranks(of: Quantity) -> Ints:
    """The place in value order of each atom, then of each bin."""
    atoms = of._position(_ticks(of.atoms, of.scale))
    order = np.argsort(np.r_[atoms, of.bins.middles], kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _closest(atoms: Ticks, ticks: Ticks) -> Ints:
    """The atom nearest to each tick, by halves of the gaps between them."""
    if atoms.dtype == np.int64:
        gaps = (atoms[1:] - atoms[:-1]).view(np.uint64)  # unsigned, as a gap may exceed 2**63
        middles = atoms[:-1] + (gaps >> np.uint64(1)).view(np.int64)
    else:
        middles = atoms[:-1] / 2 + atoms[1:] / 2
    return np.asarray(np.searchsorted(middles, ticks), dtype=np.int64)


def _has_state(special: int, kinds: npt.NDArray[np.int8], units: Ints | None, k: int) -> bool:
    """Missing cells always have one; infinities only where at least k units hold them."""
    held = kinds == special
    count = int(held.sum())
    return bool(count) and (special in (NULL, NAN) or count_all(part(units, held), count) >= k)
