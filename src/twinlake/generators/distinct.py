"""Repeats of what is unique, moved to values that nobody has."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinlake.columns import is_missing
from twinlake.generators.arrays import one
from twinlake.generators.drafts import Draft, repeated
from twinlake.generators.grid import Places, ends_of, grain_of, is_measured, scale_of, ticks, untick
from twinlake.rules import Mask

_LOCAL = 6  # rounds in which a free value is looked for near by, each four times as far
_ANYWHERE = 6  # and then anywhere among the others
_ALPHABETS = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def parted(draft: Draft) -> Draft:
    """Repeats moved to the next free value, else emptied."""
    for columns in draft.laws.table.unique:
        for name in (c for c in reversed(columns) if c in draft.laws.movable):
            draft = _beside(draft, columns, name)
        for name in (c for c in reversed(columns) if c in draft.laws.movable and draft.laws.table[c].nullable):
            places = np.flatnonzero(repeated(draft.rows, columns)).astype(np.int64)
            draft = _tried(draft, columns, places, name, pa.nulls(len(places), draft.rows[name].type))
    return draft


def _beside(draft: Draft, columns: Sequence[str], name: str) -> Draft:
    """Repeats moved near by, then anywhere among the others, then beyond them."""
    column = one(draft.rows[name])
    measured = is_measured(column.type)
    if not measured and pa.string() not in (column.type, getattr(column.type, "value_type", None)):
        return draft
    for power in range(_LOCAL + _ANYWHERE):
        places = np.flatnonzero(repeated(draft.rows, columns)).astype(np.int64)
        if not len(places):
            return draft
        cells = one(draft.rows[name])
        steps = draft.rng.integers(1, 4**power, len(places), endpoint=True) * draft.rng.choice([-1, 1], len(places))
        moved = _stepped(cells, places, steps) if measured else _counted_on(cells.take(pa.array(places)), steps)
        draft = draft if moved is None else _tried(draft, columns, places, name, moved)
    return _beyond(draft, columns, name) if measured else draft


def _stepped(cells: pa.Array, places: Places, steps: Places) -> pa.Array | None:
    """Values some steps away; those that would leave the range of the others go to any place in it."""
    scale = scale_of(cells, np.flatnonzero(~is_missing(cells)))
    drawn = ticks(cells, scale)
    grain, (low, high) = grain_of(drawn), ends_of(drawn)
    there = np.where(np.isfinite(drawn[places]), drawn[places], low) + steps * grain
    room = np.floor((high - low) / grain) + 1
    anywhere = low + np.mod(np.rint((there - low) / grain), room) * grain
    return untick(np.where((there < low) | (there > high), anywhere, there), scale, cells.type)


def _beyond(draft: Draft, columns: Sequence[str], name: str) -> Draft:
    """Values one after the other from a round number on that is larger than all others, as keys are made."""
    places = np.flatnonzero(repeated(draft.rows, columns)).astype(np.int64)
    if not len(places):
        return draft
    cells = one(draft.rows[name])
    scale = scale_of(cells, np.flatnonzero(~is_missing(cells)))
    drawn = ticks(cells, scale)
    grain, (low, last) = grain_of(drawn), ends_of(drawn)
    span = max(last - low, grain)
    least = 10.0 ** np.ceil(np.log10(span / grain)) / 10 * grain
    first = (np.floor(last / least) + 1) * least
    moved = untick(first + grain * np.arange(1, len(places) + 1), scale, cells.type)
    return draft if moved is None else _tried(draft, columns, places, name, moved)


def _tried(draft: Draft, columns: Sequence[str], places: Places, name: str, new: pa.Array) -> Draft:
    """With those new values that nobody has yet and that break no rule."""
    if not len(places):
        return draft
    cells = pa.table({name: new})
    changed = draft.put(places, cells)
    good = ~_taken(changed.rows, columns, places) & draft.holds(places, cells)
    return draft.put(places[good], cells.filter(pa.array(good)))


def _taken(rows: pa.Table, columns: Sequence[str], places: Places) -> Mask:
    """Whether another row has the values of the rows at some places, of which the first may keep them."""
    others = np.ones(rows.num_rows, np.bool_)
    others[places] = False
    order = np.concatenate([np.flatnonzero(others), places])
    return repeated(rows.select(list(columns)).take(pa.array(order)), columns)[len(order) - len(places) :]


def _counted_on(cells: pa.Array, steps: npt.NDArray[np.int64]) -> pa.Array:
    """Texts counted on by so many steps, as wide as before."""
    texts = zip(cells.cast(pa.string()).to_pylist(), steps.tolist(), strict=True)
    made = pa.array([None if t is None else _counted(t, n) for t, n in texts], pa.string())
    return made.dictionary_encode().cast(cells.type) if pa.types.is_dictionary(cells.type) else made.cast(cells.type)


def _counted(text: str, step: int) -> str:
    """`AB-129` after one step is `AB-130`: digits and plain letters count on, all other signs stay."""
    signs = list(text)
    for at in reversed(range(len(signs))):
        alphabet = next((a for a in _ALPHABETS if signs[at] in a), None)
        if alphabet:
            step, place = divmod(alphabet.index(signs[at]) + step, len(alphabet))
            signs[at] = alphabet[place]
    return "".join(signs)
