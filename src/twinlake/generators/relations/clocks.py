"""Finds times of day written as HHMM that are another time of day and some minutes: a schedule and its delay."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pyarrow as pa

from twinlake.generators.relations.kinds import Clock, as_minutes
from twinlake.generators.relations.plan import Plan
from twinlake.generators.relations.ruler import Flags
from twinlake.generators.relations.sheet import LEAST_ROWS, Sheet, spread
from twinlake.generators.states.census import Ints

_DISTINCT = 24
_FAR = 100_000  # minutes
_ROWS = 256


def take_clocks(sheet: Sheet, plan: Plan) -> None:
    """Compute times of day from others; first those that leave nothing to be learnt."""
    whole = [n for n in sheet.names if pa.types.is_integer(sheet.rulers[n].type)]
    every = {n: sheet.sampled(n, spread(np.arange(sheet.data.num_rows))) for n in whole}
    clocks = [n for n in whole if _is_clock(*every[n])]
    minutes = [n for n in whole if _is_minutes(*every[n])]
    guesses = [
        Clock(target, clock, delay, sign)
        for target, clock in permutations(clocks, 2) for delay in minutes for sign in (1, -1)
        if delay not in (target, clock) and _may_be(every[target], every[clock], every[delay], sign)
    ]  # fmt: skip
    for leaves_rest in (False, True):
        for guess in guesses:
            _take(sheet, plan, guess, leaves_rest=leaves_rest)


def _take(sheet: Sheet, plan: Plan, guess: Clock, *, leaves_rest: bool) -> None:
    (truth, there), (clock, timed), (delay, known) = (
        sheet.ticks(n) for n in (guess.target, guess.clock, guess.minutes)
    )
    inputs = timed & known
    early, late = bool((there & (truth == 0)).any()), bool((truth == 2400).any())
    if (early and late) or (inputs & ~there).any() or leaves_rest != bool((there & ~inputs).any()):
        return
    rest = plan.fresh(f"{guess.target} without {guess.minutes}") if leaves_rest else None
    relation = replace(guess, midnight=2400 if late else 0, rest=rest)
    rows = np.flatnonzero(inputs)

    def holds() -> bool:
        right = (relation.computed([clock, delay]) == truth) | ~inputs
        return (
            len(rows) >= LEAST_ROWS and 2 * len(rows) > there.sum() and sheet.enough(rows) and bool(right.all())
            and _shows_time(truth) and _shows_time(clock)
            and all(sheet.supported(n, inputs) for n in relation.inputs)
        )  # fmt: skip

    plan.offer(relation, holds)


def _is_clock(ticks: Ints, valid: Flags) -> bool:
    return _shows_time(ticks) and int(ticks.max(initial=0)) > 100 and len(np.unique(ticks[valid])) >= _DISTINCT


def _shows_time(ticks: Ints) -> bool:
    return bool(ticks.min(initial=0) >= 0 and ticks.max(initial=0) <= 2400 and (ticks % 100).max(initial=0) < 60)


def _is_minutes(ticks: Ints, valid: Flags) -> bool:
    values = ticks[valid]
    return len(values) > 0 and abs(int(values.min())) < _FAR and abs(int(values.max())) < _FAR


def _may_be(target: tuple[Ints, Flags], clock: tuple[Ints, Flags], delay: tuple[Ints, Flags], sign: int) -> bool:
    rows = np.flatnonzero(target[1] & clock[1] & delay[1])[:_ROWS]
    apart = as_minutes(target[0][rows]) - as_minutes(clock[0][rows]) - sign * delay[0][rows]
    return len(rows) > 0 and bool((apart % 1440 == 0).all())
