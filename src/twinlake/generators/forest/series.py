"""Drawing sequences: a row of every parent at a time, each column given its own row's and what the past tells."""

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.generators.arrays import one
from twinlake.generators.forest.coding import Coding
from twinlake.generators.forest.past import BEGUN, Memory, Past
from twinlake.generators.forest.portrait import Portrait
from twinlake.generators.forest.sequence import FIRST, GAP, HEAP, REPEAT, Forced, Sequence
from twinlake.generators.forest.step import Step
from twinlake.generators.relations.ruler import MOST
from twinlake.generators.siblings import Siblings
from twinlake.generators.states.alphabet import Codes, alphabet_from_json
from twinlake.generators.states.census import Ints
from twinlake.generators.states.quantity import Quantity
from twinlake.hashing import Hashes

_REDRAWS = 3  # of a step that leaves its bounds
_ROWS = 65_536  # whose past is worked out at a time
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Series:
    """How the rows of one parent follow one another.

    Attributes:
        sequence: what is learnt in place of the order column, and which columns repeat.
        past: what a row sees of those before it.
        forced: states that are not drawn, by the column that they are of.
        moments: how values of the order column are coded; None where there is none.
        rooms: how what is left up to the ceiling is coded; None where there is none.
        gaps: how steps are coded; None where there are none.
        portrait: what of whole sequences is judged; None where they are kept as they are drawn.
    """

    sequence: Sequence
    past: Past
    forced: Mapping[int, tuple[Forced, ...]]
    moments: Coding | None = None
    rooms: Coding | None = None
    gaps: Coding | None = None
    portrait: Portrait | None = None

    @classmethod
    def learn(
        cls, sequence: Sequence, codings: Several[Coding], codes: Codes, times: "Times | None",
        units: Hashes | None, *, k: int,
    ) -> Self:  # fmt: skip
        """The series of rows with these codes, shape (rows, context and drawn columns)."""
        names = sequence.unrolled.names
        given = len(codings) - len(names)
        own = codings[given:]
        place = {name: given + i for i, name in enumerate(names)}
        moments, rooms, gaps = None, None, None
        if times is not None:
            moments = Coding(Quantity.learn(sequence.ruler.write(times.now, times.valid), units, k=k))
            gaps = codings[place[sequence.names[GAP, sequence.order or ""]]]
            if sequence.ceiling is not None:
                rooms = Coding(Quantity.learn(sequence.gap_ruler.write(times.room, times.begun), units, k=k))
        past = Past.over(
            given, codes[:, given:], [c.size for c in own], [c.ordinal for c in own],
            moments=_size(moments), rooms=_size(rooms), gaps=_size(gaps),
        )  # fmt: skip
        forced = dict[int, tuple[Forced, ...]]()
        for found in _forced(sequence, past, place, codings):
            forced[found.target] = (*forced.get(found.target, ()), found)
        return cls(sequence, past, forced, moments, rooms, gaps)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The columns that are drawn first: a value that stands out, a beginning, the step."""
        kinds = (HEAP, FIRST, GAP) if self.sequence.heaps else (FIRST, GAP)
        return tuple(self._place(kind, self.sequence.order) for kind in kinds) if self.sequence.order else ()

    @cached_property
    def flags(self) -> dict[int, int]:
        """The flag that must be drawn before each column that repeats."""
        return {self._place("", n): self._place(REPEAT, n) for n in self.sequence.repeats}

    @cached_property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest tick of the order column that is drawn: sums of steps keep within them."""
        if self.moments is None or not isinstance(self.moments.alphabet, Quantity):
            return -MOST, MOST
        alphabet, ruler = self.moments.alphabet, self.sequence.ruler
        cells = alphabet.at(np.array(alphabet.ends), np.zeros(2, np.int8))
        (low, high), _ = ruler.read(cells)
        inside = ruler.write(np.array([low, high]), np.ones(2, np.bool_))  # what was rounded may lie beyond
        return int(low + (inside[0].as_py() < cells[0].as_py())), int(high - (inside[1].as_py() > cells[1].as_py()))

    def _place(self, kind: str, name: str | None) -> int:
        wanted = self.sequence.names[kind, name or ""] if kind else name or ""
        return self.past.given + self.sequence.unrolled.names.index(wanted)

    def seen(self, codes: Codes, times: "Times | None", siblings: Siblings, rows: Ints) -> Codes:
        """Codes with the columns of the past, for some rows, ascending; shape (len(rows), all columns).

        Args:
            codes: of real rows, shape (rows, context and drawn columns).
            times: values of the order column.
            siblings: which rows follow one another.
            rows: the rows that are wanted.
        """
        told = np.zeros((len(codes), 4), np.int32)
        if times is not None and self.moments is not None:
            told[:, 0] = self.moments.encode(self.sequence.ruler.write(times.now, times.valid))
            self.tell(told[:, 1], told[:, 2], times)
            told[:, 3] = times.begun & times.valid & (times.now != np.roll(times.now, 1))
        found = np.empty((len(rows), self.past.width), np.int32, order="F")
        begin = 0
        for start, stop in _batches(siblings):
            low, high = int(siblings.starts[start]), int(siblings.starts[stop])
            end = begin + int(np.searchsorted(rows[begin:], high))
            if end > begin:
                part = Siblings(siblings.starts[start : stop + 1] - low)
                here = self._seen(codes[low:high], told[low:high], part)
                found[begin:end] = here[rows[begin:end] - low]
            begin = end
        return found

    def tell(self, room: Codes, pace: Codes, times: "Times") -> None:
        """Put what is left up to the ceiling, and what of it each row may take, in place."""
        if self.rooms is None or self.gaps is None:
            return
        ruler, begun = self.sequence.gap_ruler, times.begun
        each = times.room // (times.left + 1)
        room[:] = np.where(begun, self.rooms.encode(ruler.write(times.room, begun)), self.rooms.size)
        pace[:] = np.where(begun, self.gaps.encode(ruler.write(each, begun)), self.gaps.size)

    def _seen(self, codes: Codes, told: Codes, siblings: Siblings) -> Codes:
        found, memory = np.empty((len(codes), self.past.width), np.int32), Memory(self.past, siblings)
        while memory.count:
            rows = memory.rows
            now = self._now(codes, rows)
            memory.look(now)
            for column in self.past.labels:
                memory.drawn(now, self.past.given + column)
            now[:, self.past.moment] = told[rows, 0]
            now[:, self.past.room : self.past.moved + 1] = told[rows, 1:]
            memory.keep(now)
            found[rows] = now
        return found

    def _now(self, codes: Codes, rows: Ints) -> Codes:
        now = np.zeros((len(rows), self.past.width), np.int32, order="F")
        now[:, : self.past.at] = codes[rows]
        return now

    def fill(
        self, codes: Codes, siblings: Siblings, steps: Several[Step], *, context: pa.Table | None,
        codings: Several[Coding], rng: np.random.Generator,
    ) -> tuple[Ints, Flags]:  # fmt: skip
        """Draw sequences in place; returns ticks of the order column and where they are there, shape (rows,).

        Args:
            codes: shape (rows, context and drawn columns), the context filled.
            siblings: which rows follow one another.
            steps: how the columns are drawn, in their order.
            context: the rows' context, for the bounds of their order.
            codings: of all columns.
            rng: decides where in a state a step lies.
        """
        memory = Memory(self.past, siblings)
        clock = _Clock(self, memory, context, codings, steps, rng, rows=len(codes))
        while memory.count:
            rows = memory.rows
            now = self._now(codes, rows)
            memory.look(now)
            clock.look(now, rows)
            for step in steps:
                now[:, step.target] = step.draw(now, rng)
                for forced in self.forced.get(step.target, ()):
                    forced.apply(now)
                memory.drawn(now, step.target)
                clock.drawn(now, rows, step.target)
            memory.keep(now)
            codes[rows] = now[:, : self.past.at]
        return clock.settled(siblings), clock.valid

    def told(self, ticks: Ints, valid: Flags) -> Codes:
        """Codes of values of the order column, all 0 where there is none."""
        if self.moments is None:
            return np.zeros(len(ticks), np.int32)
        return self.moments.encode(self.sequence.ruler.write(ticks, valid))

    def rolled(self, drawn: pa.Table, codes: Codes, moments: tuple[Ints, Flags]) -> pa.Table:
        """Drawn rows as rows of the table; see `Sequence.roll`."""
        repeated = {}
        for target, flag in self.flags.items():
            name = self.sequence.unrolled.names[target - self.past.given]
            repeated[name] = Forced(target, flag, self.forced[target][0].when).rows(codes)
        return self.sequence.roll(drawn, repeated, moments)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "sequence": self.sequence.to_json(),
            "past": self.past.to_json(),
            "forced": [f.to_json() for several in self.forced.values() for f in several],
            "moments": None if self.moments is None else self.moments.alphabet.to_json(),
            "portrait": None if self.portrait is None else self.portrait.to_json(),
            "rooms": None if self.rooms is None else self.rooms.alphabet.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], codings: Several[Coding]) -> Self:
        """The series that `to_json` wrote; `codings` are those of the columns."""
        moments, rooms = (
            None if data[k] is None else Coding(alphabet_from_json(data[k])) for k in ("moments", "rooms")
        )
        forced = dict[int, tuple[Forced, ...]]()
        for found in data["forced"]:
            forced[found["target"]] = (*forced.get(found["target"], ()), Forced(**found))
        series = cls(Sequence.from_json(data["sequence"]), Past.from_json(data["past"]), forced, moments, rooms)
        portrait = None if data["portrait"] is None else Portrait.from_json(data["portrait"])
        return replace(series, gaps=codings[series.order[-1]] if series.order else None, portrait=portrait)


@dataclass(frozen=True, slots=True)
class Times:
    """Values of the order column, and what is left at the row before; all of shape (rows,).

    Attributes:
        now: ticks.
        valid: where they are there.
        begun: rows that have one before them that is there: all that is known before they are drawn.
        room: ticks from the row before up to the ceiling; 0 where there is none.
        left: how many rows follow.
    """

    now: Ints
    valid: Flags
    begun: Flags
    room: Ints
    left: Ints

    @classmethod
    def of(cls, sequence: Sequence, data: pa.Table, siblings: Siblings, context: pa.Table | None) -> "Times | None":
        """Those of real rows; None where no column orders them."""
        if sequence.order is None:
            return None
        now, valid = sequence.ruler.read(one(data[sequence.order]))
        begun = np.roll(valid, 1) & ~siblings.begins
        ceiling = sequence.bound(sequence.ceiling, context, rows=len(now))
        left = np.repeat(siblings.starts[1:], siblings.sizes) - 1 - np.arange(len(now))
        return cls(now, valid, begun, np.where(begun, ceiling - np.roll(now, 1), 0), left)


class _Clock:
    """The order column's value in every sequence: where it began, and the steps since."""

    def __init__(
        self, series: Series, memory: Memory, context: pa.Table | None, codings: Several[Coding], steps: Several[Step],
        rng: np.random.Generator, *, rows: int,
    ) -> None:  # fmt: skip
        self.ticks, self.valid = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
        self._series, self._memory, self._codings, self._rng = series, memory, codings, rng
        self._steps = {step.target: step for step in steps}
        sequence = series.sequence
        self._floor = sequence.bound(sequence.floor, context, rows=rows)
        self._ceiling = None if sequence.ceiling is None else sequence.bound(sequence.ceiling, context, rows=rows)
        self._most = np.full(rows, MOST) if self._ceiling is None else self._ceiling
        self._heaped = np.zeros(rows, np.bool_)
        self._ends = series.ends

    def look(self, now: Codes, rows: Ints) -> None:
        """Tell what is left up to the ceiling."""
        past = self._series.past
        if self._series.moments is None:
            return
        begun = np.zeros(len(rows), np.bool_) if not now[0, past.at + BEGUN] else self.valid[rows - 1]
        room = np.zeros(len(rows), np.int64)
        if self._ceiling is not None:
            room = np.where(begun, self._ceiling[rows] - self.ticks[rows - 1], 0)
        times = Times(self.ticks[rows], self.valid[rows], begun, room, self._memory.left)
        self._series.tell(now[:, past.room], now[:, past.room + 1], times)

    def drawn(self, now: Codes, rows: Ints, column: int) -> None:
        """Once the step is drawn, move on and tell the value."""
        series = self._series
        if series.moments is None or column != series.order[-1]:
            return
        begun = bool(now[0, series.past.at + BEGUN])  # all rows of a call stand at the same step
        heap, heaped = self._heap(now, rows, begun=begun)
        ticks, valid = self._moved(now, rows, begun=begun)
        for _ in range(_REDRAWS):
            over = np.flatnonzero((ticks > self._most[rows]) & ~heaped)
            if not len(over):
                break
            self._again(now, over, begun=begun)
            ticks[over], valid[over] = self._moved(now[over], rows[over], begun=begun)
        cut = heaped | (valid & (ticks > self._most[rows]))
        ticks, valid = np.where(heaped, heap, np.minimum(ticks, self._most[rows])), valid | heaped
        self._put_right(now, rows, ticks, cut, begun=begun)
        self.ticks[rows], self.valid[rows], self._heaped[rows] = ticks, valid, heaped
        now[:, series.past.moved] = valid & self.valid[rows - 1] & (ticks != self.ticks[rows - 1]) if begun else 0
        now[:, series.past.moment] = series.moments.encode(series.sequence.ruler.write(ticks, valid))

    def settled(self, siblings: Siblings) -> Ints:
        """Ticks within the ends: sequences that lead beyond begin earlier, so that their steps stay as they are."""
        if self._series.moments is None or not len(self.ticks):
            return self.ticks
        starts, (least, most) = siblings.starts[:-1], self._ends
        low = np.full(len(self.ticks), least) if self._series.sequence.floor is None else self._floor
        highest = np.maximum.reduceat(np.where(self.valid, self.ticks, least), starts)
        room = np.maximum(self.ticks[starts] - np.maximum(low[starts], least), 0)
        room[np.logical_or.reduceat(self._heaped, starts)] = 0
        earlier = np.clip(highest - most, 0, room)
        return np.asarray(np.minimum(self.ticks - np.repeat(earlier, siblings.sizes), np.maximum(most, low)))

    def _moved(self, now: Codes, rows: Ints, *, begun: bool) -> tuple[Ints, Flags]:
        """Ticks after the step that was drawn, or where a sequence begins; never below the floor."""
        series = self._series
        ruler = series.sequence.gap_ruler if begun else series.sequence.first_ruler
        column = series.order[-1 if begun else -2]
        moved, there = ruler.read(self._codings[column].decode(now[:, column], self._rng))
        if begun:
            return self.ticks[rows - 1] + np.maximum(moved, 0), self.valid[rows - 1] & there
        first = moved if series.sequence.floor is None else self._floor[rows] + np.maximum(moved, 0)
        return np.maximum(first, self._ends[0]), there

    def _heap(self, now: Codes, rows: Ints, *, begun: bool) -> tuple[Ints, Flags]:
        """The value that stands out, where one was drawn and can be; where it can't, a step is drawn after all."""
        series, sequence = self._series, self._series.sequence
        if not sequence.heaps:
            return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
        heap, drawn = sequence.ruler.read(self._codings[series.order[0]].decode(now[:, series.order[0]], self._rng))
        former = self.ticks[rows - 1] if begun else self._floor[rows]
        can = (heap >= former) | (not begun and sequence.floor is None)
        can &= self.valid[rows - 1] | (not begun)
        if self._ceiling is not None:
            can &= heap <= self._ceiling[rows]
        if len(lost := np.flatnonzero(drawn & ~can)):
            none = self._codings[series.order[0]].encode(pa.nulls(1, sequence.ruler.type))
            now[lost, series.order[0]] = none[0]
            self._memory.drawn(now, series.order[0])
            self._again(now, lost, begun=begun)
        return heap, drawn & can

    def _again(self, now: Codes, places: Ints, *, begun: bool) -> None:
        """Draw the step, or the beginning, of some rows again."""
        again, target = np.asfortranarray(now[places]), self._series.order[-1 if begun else -2]
        now[places, target] = self._steps[target].draw(again, self._rng)

    def _put_right(self, now: Codes, rows: Ints, ticks: Ints, moved: Flags, *, begun: bool) -> None:
        """The step of rows that hold a value which it doesn't lead to: one that stands out, or the highest."""
        if not moved.any():
            return
        sequence, column = self._series.sequence, self._series.order[-1 if begun else -2]
        ruler = sequence.gap_ruler if begun else sequence.first_ruler
        former = self.ticks[rows - 1] if begun else self._floor[rows]
        now[moved, column] = self._codings[column].encode(ruler.write((ticks - former)[moved], moved[moved]))


def _forced(sequence: Sequence, past: Past, place: dict[str, int], codings: Several[Coding]) -> Iterator[Forced]:
    begun = past.at + BEGUN
    if sequence.order is not None:
        for kind, when in ((FIRST, 1), (GAP, 0)):
            target = place[sequence.names[kind, sequence.order]]
            if sequence.heaps:
                heap = place[sequence.names[HEAP, sequence.order]]
                none = _code(codings[heap], None, sequence, place, heap)
                yield Forced(target, heap, none, state=0, unless=True)
            yield Forced(target, begun, when, state=_code(codings[target], None, sequence, place, target))
    for name in sequence.repeats:
        flag = place[sequence.names[REPEAT, name]]
        yes, no = (_code(codings[flag], value, sequence, place, flag) for value in (True, False))
        yield Forced(flag, begun, 0, state=no)
        yield Forced(place[name], flag, yes, source=past.lag(place[name]))


def _size(coding: Coding | None) -> int:
    return 0 if coding is None else coding.size


def _code(coding: Coding, value: bool | None, sequence: Sequence, place: dict[str, int], column: int) -> int:
    name = next(n for n, p in place.items() if p == column)
    return int(coding.encode(pa.array([value], sequence.unrolled[name].type))[0])


def _batches(siblings: Siblings) -> Iterator[tuple[int, int]]:
    """Runs from one number to another that have about so many rows together."""
    start, runs = 0, len(siblings.starts) - 1
    while start < runs:
        stop = int(np.searchsorted(siblings.starts, siblings.starts[start] + _ROWS))
        stop = min(max(stop, start + 1), runs)
        yield start, stop
        start = stop
