"""What a row sees of the rows before it that have the same parent: further columns of codes, for trees to look at.

They say where in its sequence a row stands, what the two rows before it and the first one hold, what the rows before
it hold on average or most often, what the last row with the same label held, and which labels were seen: how long ago,
how often since the order moved on, in what share of the rows so far.
No column sees its own row, or one after it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from twinlake.generators.siblings import Siblings
from twinlake.generators.states.alphabet import Codes

Ints = npt.NDArray[np.int64]

BEGUN, STEP, LEFT, TOTAL = range(4)
HEAD = 4
_TIMES = 5  # columns that tell of the order column's values
_BLOCKS = HEAD + _TIMES  # where the columns of rows before begin
_CAP = 255
_LABELS = 2  # labels that are followed one by one
_STATES = 24  # of such a label at most
_SHARES = 16  # parts in which a share is told
_COUNTED = 256  # states of a label, up to which its most frequent one is known
_AGO = 12  # rows since a label was last seen, and how often it was since the order moved on, are counted up to here


@dataclass(frozen=True, slots=True)
class Seen:
    """One column of the past: how many codes, whether they have an order, which column must be known before it."""

    size: int
    ordinal: bool
    needs: int | None = None


@dataclass(frozen=True)
class Past:
    """Which columns tell of the past, and where they stand: after the given and the drawn ones.

    Attributes:
        given: how many columns the context has.
        sizes: states of each drawn column.
        ordinal: whether the states of each have an order.
        labels: drawn columns, counted from 0, whose states are followed one by one.
        moments: states of the order column's values; 0 where there is none.
        rooms: states of what is left up to its ceiling; 0 where there is none.
        gaps: states of its steps; 0 where there are none.
    """

    given: int
    sizes: tuple[int, ...]
    ordinal: tuple[bool, ...]
    labels: tuple[int, ...]
    moments: int = 0
    rooms: int = 0
    gaps: int = 0

    @classmethod
    def over(cls, given: int, drawn: Codes, sizes: list[int], ordinal: list[bool], **times: int) -> Self:
        """The past of columns with these codes, shape (rows, columns): followed are the labels that vary most."""
        varied = []
        for i, size in enumerate(sizes):
            if not ordinal[i] and 2 <= size <= _STATES and len(drawn):
                shares = np.bincount(drawn[:, i], minlength=size) / len(drawn)
                varied.append((-float((shares * (1 - shares)).sum()), i))
        labels = tuple(sorted(i for _, i in sorted(varied)[:_LABELS]))
        return cls(given, tuple(sizes), tuple(ordinal), labels, **times)

    @property
    def at(self) -> int:
        """The first column of the past."""
        return self.given + len(self.sizes)

    @property
    def moment(self) -> int:
        """The column that tells the order column's value in this row; the one after it, in the row before."""
        return self.at + HEAD

    @property
    def room(self) -> int:
        """The column that tells what is left up to the ceiling; the one after it, what is left for each row."""
        return self.moment + 2

    @property
    def moved(self) -> int:
        """The column that tells whether the order column holds something else than in the row before."""
        return self.moment + 4

    @cached_property
    def quantities(self) -> tuple[int, ...]:
        """Drawn columns, counted from 0, whose codes have a mean."""
        return tuple(i for i, o in enumerate(self.ordinal) if o)

    @cached_property
    def named(self) -> tuple[int, ...]:
        """Drawn columns, counted from 0, that have a most frequent state."""
        return tuple(i for i, o in enumerate(self.ordinal) if not o and 2 < self.sizes[i] <= _COUNTED)

    @cached_property
    def seen(self) -> tuple[Seen, ...]:
        """All columns of the past in their order."""
        every = [Seen(s + 1, o) for s, o in zip(self.sizes, self.ordinal, strict=True)]
        means = [Seen(self.sizes[i] + 1, ordinal=True) for i in self.quantities]
        moments = [Seen(self.moments + 1, ordinal=True, needs=self.moment), Seen(self.moments + 1, ordinal=True)]
        moments += [Seen(self.rooms + 1, ordinal=True), Seen(self.gaps + 1, ordinal=True)]
        moments += [Seen(2, ordinal=True, needs=self.moment)]
        found = [Seen(2, ordinal=True), *[Seen(_CAP + 1, ordinal=True)] * 3, *moments]
        modes = [Seen(self.sizes[i] + 1, ordinal=False) for i in self.named]
        found += [*every, *every, *every, *means, *modes]
        for label in self.labels:
            found += [Seen(_AGO + 1, ordinal=True)] * (2 * self.sizes[label])
            found += [Seen(_SHARES + 1, ordinal=True)] * self.sizes[label]
            found += [Seen(s.size, s.ordinal, needs=self.given + label) for s in (*every, *means)]
        return tuple(found)

    @cached_property
    def width(self) -> int:
        """How many columns there are in all."""
        return self.at + len(self.seen)

    def lag(self, column: int) -> int:
        """The column that holds what the row before held in a drawn column."""
        return self.at + _BLOCKS + column - self.given

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The past that `to_json` wrote."""
        sizes, labels = tuple(data["sizes"]), tuple(data["labels"])
        times = int(data["moments"]), int(data["rooms"]), int(data["gaps"])
        return cls(int(data["given"]), sizes, tuple(data["ordinal"]), labels, *times)


class Memory:
    """The past of many sequences while they grow by a row at a time; the longest sequences come first."""

    def __init__(self, past: Past, siblings: Siblings) -> None:
        """Sequences that have no row yet."""
        self.past, self.step = past, 0
        self.order = np.argsort(-siblings.sizes, kind="stable")
        self.sizes, self.starts = siblings.sizes[self.order], siblings.starts[:-1][self.order]
        runs, drawn, means = len(self.order), len(past.sizes), len(past.quantities)
        none = np.array(past.sizes, np.int32)
        self._none = none[list(past.quantities)]
        self._last, self._before, self._first = (np.tile(none, (runs, 1)) for _ in range(3))
        self._sums = np.zeros((runs, means), np.int64)
        self._modes = [_Mode(past, i, runs) for i in past.named]
        self._former = np.full(runs, past.moments, np.int32)
        self._labels = [_Label(past, label, runs, none, drawn, means) for label in past.labels]

    @property
    def count(self) -> int:
        """How many sequences have a row at this step."""
        return int(np.searchsorted(-self.sizes, -self.step, side="left"))

    @property
    def rows(self) -> Ints:
        """The rows at this step, shape (count,)."""
        return np.asarray(self.starts[: self.count] + self.step)

    @property
    def left(self) -> Ints:
        """How many rows follow those at this step, shape (count,)."""
        return np.asarray(self.sizes[: self.count] - 1 - self.step)

    def look(self, codes: Codes) -> None:
        """Fill what is seen before anything is drawn; `codes` are the rows of this step."""
        n, at, past = len(codes), self.past.at, self.past
        codes[:, at + BEGUN] = self.step > 0
        codes[:, at + STEP] = min(self.step, _CAP)
        codes[:, at + LEFT] = np.minimum(self.left, _CAP)
        codes[:, at + TOTAL] = np.minimum(self.sizes[:n], _CAP)
        codes[:, past.moment + 1] = self._former[:n]
        at += _BLOCKS
        for block in (self._last, self._before, self._first):
            codes[:, at : at + len(past.sizes)] = block[:n]
            at += len(past.sizes)
        codes[:, at : at + len(past.quantities)] = self._sums[:n] // self.step if self.step else self._none
        at += len(past.quantities)
        for i, mode in enumerate(self._modes):
            codes[:, at + i] = mode.most[:n]
        at += len(self._modes)
        for label in self._labels:
            ago, since, share = (slice(at + i * label.states, at + (i + 1) * label.states) for i in range(3))
            codes[:, ago], codes[:, since] = label.ago[:n], label.tally[:n]
            codes[:, share] = label.rows[:n] * _SHARES // max(self.step, 1)
            at += label.width

    def drawn(self, codes: Codes, column: int) -> None:
        """Fill what is seen once `column` is drawn: the last row with the same label."""
        past = self.past
        at = past.at + _BLOCKS + 3 * len(past.sizes) + len(past.quantities) + len(past.named)
        for label in self._labels:
            if label.column == column:
                label.look(codes, at + 3 * label.states)
            at += label.width

    def keep(self, codes: Codes) -> None:
        """Remember the rows of this step and go on to the next."""
        n, past = len(codes), self.past
        own = codes[:, past.given : past.at]
        if not self.step:
            self._first[:n] = own
        self._former[:n] = codes[:, past.moment]
        self._before[:n] = self._last[:n]
        self._last[:n] = own
        self._sums[:n] += own[:, list(past.quantities)]
        for mode in self._modes:
            mode.keep(codes[:, mode.column])
        for label in self._labels:
            label.keep(own, codes[:, label.column], codes[:, past.moved] > 0)
        self.step += 1


class _Label:
    """What the last row with each state of a label held, and how long ago that was."""

    def __init__(self, past: Past, label: int, runs: int, none: Codes, drawn: int, means: int) -> None:
        self.column, self.states = past.given + label, past.sizes[label]
        self.width = 3 * self.states + drawn + means
        self.ago = np.full((runs, self.states), _AGO, np.int32)
        self.tally = np.zeros((runs, self.states), np.int32)
        self._quantities = list(past.quantities)
        self._none = none[self._quantities]
        self._last = np.tile(none, (runs, self.states, 1))
        self._sums = np.zeros((runs, self.states, means), np.int64)
        self.rows = np.zeros((runs, self.states), np.int64)

    def look(self, codes: Codes, at: int) -> None:
        n = np.arange(len(codes))
        state = codes[:, self.column]
        last, rows = self._last[n, state], self.rows[n, state][:, None]
        codes[:, at : at + last.shape[1]] = last
        means = np.where(rows > 0, self._sums[n, state] // np.maximum(rows, 1), self._none)
        codes[:, at + last.shape[1] : at + last.shape[1] + means.shape[1]] = means

    def keep(self, own: Codes, state: Codes, moved: npt.NDArray[np.bool_]) -> None:
        n = np.arange(len(own))
        self.tally[: len(own)][moved] = 0
        self.tally[n, state] = np.minimum(self.tally[n, state] + 1, _AGO)
        self._last[n, state] = own
        self._sums[n, state] += own[:, self._quantities]
        self.rows[n, state] += 1
        self.ago[: len(own)] = np.minimum(self.ago[: len(own)] + 1, _AGO)
        self.ago[n, state] = 0


class _Mode:
    """The most frequent state of a label so far, of several the last."""

    def __init__(self, past: Past, label: int, runs: int) -> None:
        self.column = past.given + label
        self.most = np.full(runs, past.sizes[label], np.int32)
        self._rows = np.zeros((runs, past.sizes[label] + 1), np.int16)

    def keep(self, state: Codes) -> None:
        n = np.arange(len(state))
        self._rows[n, state] += 1
        most = self.most[: len(state)]
        self.most[: len(state)] = np.where(self._rows[n, state] >= self._rows[n, most], state, most)
