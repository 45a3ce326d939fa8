"""Sequences as they are drawn: rows see what they were taught to see, order holds, the past is followed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from patients import Visits, apart, numbers, unjudged, visits_of

from twinlake.generators.forest.model import ForestModel
from twinlake.generators.forest.series import Times
from twinlake.generators.forest.step import Step
from twinlake.generators.registry import read_table_model
from twinlake.generators.siblings import MOST, Siblings
from twinlake.random import stream

LABS = ("blood", "sugar", "salt")
ZERO = 150


def clinic(n: int = 500, *, seed: int = 0, type_: pa.DataType | None = None, nulls: float = 0.0) -> Visits:
    """Everything at once: bounds, a day that stands out, ties, labels, repeats, nulls at the end."""
    rng = stream(seed, "patients")
    sizes = rng.integers(1, 10, n)
    rows = int(sizes.sum())
    patient = np.repeat(np.arange(n), sizes)
    begins = np.r_[0, np.cumsum(sizes)[:-1]]
    born = rng.integers(0, 400, n)
    gap = np.where(rng.random(rows) < 0.4, 0, rng.integers(1, 60, rows))
    gap[begins] = rng.integers(0, 100, n)
    zero = (rng.random(n) < 0.3) & (born <= ZERO)
    gap[begins[zero]] = ZERO - born[zero]  # the day that stands out
    total = np.cumsum(gap)
    day = born[patient] + total - (total[begins] - gap[begins])[patient]
    last = np.maximum.reduceat(day, begins) + rng.integers(0, 30, n)
    hole = np.zeros(rows, np.bool_)
    for at, size in zip(begins, sizes, strict=True):
        if rng.random() < nulls:
            hole[at + size - 1 - rng.integers(0, size) : at + size] = True
    kind = rng.integers(0, 3, rows)
    level = rng.normal(size=rows)
    for i in range(1, rows):
        if patient[i] == patient[i - 1]:
            level[i] = 0.8 * level[i - 1] + 0.6 * level[i]
    dose = np.round(rng.gamma(2, 3, rows), 3)
    for i in range(1, rows):
        if patient[i] == patient[i - 1] and rng.random() < 0.6:
            dose[i] = dose[i - 1]
    return visits_of(
        {
            "day": as_order(day, hole, type_ or pa.int64()),
            "lab": np.array(LABS)[kind],
            "level": level,
            "dose": dose,
        },
        sizes,
        context={
            "born": as_order(born, np.zeros(n, np.bool_), type_ or pa.int64()),
            "last": as_order(last, np.zeros(n, np.bool_), type_ or pa.int64()),
            "sex": np.array(["f", "m"])[rng.integers(0, 2, n)],
        },
    )


def as_order(days: np.ndarray, hole: np.ndarray, type_: pa.DataType) -> pa.Array:
    """Days as cells of a type."""
    cells = [None if h else int(d) for d, h in zip(days, hole, strict=True)]
    if pa.types.is_date32(type_):
        return pa.array([None if c is None else date(2000, 1, 1) + timedelta(c) for c in cells], type_)
    if pa.types.is_timestamp(type_):
        start = datetime(2000, 1, 1, tzinfo=UTC)
        return pa.array([None if c is None else start + timedelta(hours=c) for c in cells], type_)
    if pa.types.is_decimal(type_):
        return pa.array([None if c is None else Decimal(c) / 4 for c in cells], type_)
    if pa.types.is_floating(type_):
        return pa.array([None if c is None else c / 10 for c in cells], type_)
    return pa.array(cells, type_)


TYPES = [pa.int64(), pa.date32(), pa.timestamp("us", "Europe/Zurich"), pa.decimal128(10, 2), pa.float64()]


@dataclass(frozen=True, slots=True)
class Watched(Step):
    """A step that tells what it is shown."""

    note: Callable[[Step, np.ndarray], np.ndarray] = lambda _, now: now

    def draw(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return Step.draw(self, self.note(self, codes), rng)


def watched(
    model: ForestModel, visits: Visits, *, taught: Siblings | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each row saw when each of its columns was drawn, what it sees afterwards, and which of this was looked at.

    Afterwards its siblings are those in `taught`. All of shape (rows, columns of the past, drawn columns).
    """
    series = model.series
    assert series is not None
    past, given = series.past, len(model.context)
    rows = visits.rows.num_rows
    targets = [s.target for s in model.steps]
    saw = np.full((rows, past.width, len(targets)), -1, np.int64)
    looked = np.zeros(saw.shape, np.bool_)
    codes = np.zeros((rows, past.at), np.int32, order="F")
    for i, name in enumerate(model.context):
        codes[:, i] = model.codings[i].encode(visits.context[name])
    first = codes[:, 0].copy()
    codes[:, 0] = np.arange(rows)  # the place of a row travels as its first code

    def note(step: Step, now: np.ndarray) -> np.ndarray:
        at, now = now[:, 0].copy(), now.copy(order="F")
        now[:, 0] = first[at]
        place = targets.index(step.target)
        saw[at, :, place] = now
        if step.bag is not None:
            looked[np.ix_(at, np.unique(step.bag.inputs), [place])] = True
        return now

    rng = stream(9)
    steps = [Watched(**{f.name: getattr(s, f.name) for f in fields(s)}, note=note) for s in model.steps]
    ticks, valid = series.fill(codes, visits.siblings, steps, context=visits.context, codings=model.codings, rng=rng)
    codes[:, 0] = first
    made = model.relations.restore(series.rolled(model._cells(codes, rng), codes, (ticks, valid)))
    times = Times.of(series.sequence, made, visits.siblings, visits.context)
    unrolled = series.sequence.unroll(made, visits.siblings, visits.context)
    for column in series.order[-2:]:  # a step that should be there and isn't, or the other way round
        coding, again = model.codings[column], model.codings[column].encode(unrolled[column - given])
        lost = coding.apart[again] != coding.apart[codes[:, column]]
        codes[lost, column] = again[lost]
    after = series.seen(codes, times, taught or visits.siblings, np.arange(rows))
    moved = np.zeros(rows, np.bool_)  # sequences that led beyond the ends were moved as a whole
    for start, stop in zip(visits.siblings.starts[:-1], visits.siblings.starts[1:], strict=True):
        moved[start:stop] = ticks[start:stop].max() >= series.ends[1]
    looked[moved] = False
    forced = [f for several in series.forced.values() for f in several]
    for place, column in enumerate(targets):  # what a column saw that was not drawn then is of no matter
        for f in (f for f in forced if f.target == column):
            looked[f.rows(after), :, place] = False
    return saw, np.repeat(after[:, :, None], len(targets), axis=2), looked


@pytest.fixture(scope="module")
def visits() -> Visits:
    return clinic(600)


@pytest.fixture(scope="module")
def learnt(visits: Visits) -> ForestModel:
    return visits.fit(trees=16)


@pytest.fixture(scope="module")
def made(learnt: ForestModel, visits: Visits) -> pa.Table:
    return visits.draw(learnt)


@pytest.mark.parametrize("type_", TYPES, ids=str)
def test_a_row_sees_when_drawn_what_it_was_taught_to_see(type_: pa.DataType) -> None:
    visits = clinic(300, type_=type_, nulls=0.2)
    model = visits.fit()
    saw, after, looked = watched(model, visits)
    wrong = (saw != after) & looked
    assert looked.any(axis=(0, 2)).sum() > 10
    assert np.argwhere(wrong.any(axis=0)).tolist() == []


@pytest.mark.parametrize("type_", TYPES, ids=str)
def test_nulls_of_the_order_come_last_and_in_their_share(type_: pa.DataType) -> None:
    visits = clinic(400, type_=type_, nulls=0.2)
    made = visits.draw(visits.fit())
    share = [t["day"].null_count / t.num_rows for t in (visits.rows, made)]
    assert share[1] == pytest.approx(share[0], abs=0.04)
    first, second = numbers(made["day"])[:-1], numbers(made["day"])[1:]
    same = visits.patient[1:] == visits.patient[:-1]
    assert not (np.isnan(first) & ~np.isnan(second) & same).any()


def test_a_past_that_is_off_by_a_row_is_noticed(learnt: ForestModel, visits: Visits) -> None:
    shifted = np.r_[0, visits.siblings.starts[1:-1] - 1, visits.siblings.starts[-1]]
    saw, after, looked = watched(learnt, visits, taught=Siblings(shifted))
    assert ((saw != after) & looked).any(axis=(1, 2)).mean() > 0.5


@pytest.mark.parametrize("type_", TYPES, ids=str)
def test_order_never_runs_backwards_and_never_leaves_its_bounds(type_: pa.DataType) -> None:
    visits = clinic(300, type_=type_)
    model = visits.fit()
    assert model.series is not None
    assert (model.series.sequence.floor, model.series.sequence.ceiling) == ("born", "last")
    made = visits.draw(model)
    assert made["day"].type == type_
    first, second = visits.within("day", made)
    assert (second >= first).all()
    day, born, last = (numbers(c) for c in (made["day"], visits.context["born"], visits.context["last"]))
    assert (day >= born).all()
    assert (day <= last).all()


def test_a_bound_that_one_row_breaks_is_none() -> None:
    visits = clinic(300)
    born = visits.context["born"].to_numpy().copy()
    born[:1] = 10_000
    visits = replace(visits, context=visits.context.set_column(0, "born", pa.array(born)))
    series = visits.fit().series
    assert series is not None
    assert series.sequence.floor is None


def test_what_differs_among_siblings_bounds_nothing() -> None:
    visits = clinic(300)
    own = numbers(visits.rows["day"]).astype(np.int64) - stream(3).integers(0, 9, visits.rows.num_rows)
    visits = replace(visits, context=visits.context.append_column("ordered", pa.array(own)))
    series = visits.fit().series
    assert series is not None
    assert series.sequence.floor == "born"


def test_days_that_stand_out_come_back_in_their_share(learnt: ForestModel, visits: Visits, made: pa.Table) -> None:
    assert learnt.series is not None
    assert learnt.series.sequence.heaps
    begins = visits.siblings.starts[:-1]
    share = [np.mean(numbers(t["day"])[begins] == ZERO) for t in (visits.rows, made)]
    assert share[0] > 0.08
    assert share[1] == pytest.approx(share[0], abs=0.03)


def test_ties_come_back_in_their_share(visits: Visits, made: pa.Table) -> None:
    share = [float(np.mean(np.equal(*visits.within("day", t)))) for t in (visits.rows, made)]
    assert share[1] == pytest.approx(share[0], abs=0.04)


def test_autocorrelation_is_kept(visits: Visits, made: pa.Table) -> None:
    kept = [np.corrcoef(*visits.within("level", t))[0, 1] for t in (visits.rows, made)]
    assert kept[0] > 0.7
    assert kept[1] == pytest.approx(kept[0], abs=0.05)


def test_repeats_of_rare_numbers_are_exact(visits: Visits, made: pa.Table) -> None:
    share = [float(np.mean(np.equal(*visits.within("dose", t)))) for t in (visits.rows, made)]
    assert share[0] > 0.5
    assert share[1] == pytest.approx(share[0], abs=0.05)
    again, real = made["dose"].to_numpy(), visits.rows["dose"].to_numpy()
    assert np.isin(np.unique(again), real).mean() < 0.6  # they repeat what was drawn, not real ones


def test_a_saved_model_draws_the_same(learnt: ForestModel, visits: Visits, made: pa.Table, tmp_path: Path) -> None:
    learnt.save(tmp_path / "model")
    assert made.equals(visits.draw(read_table_model(tmp_path / "model")))


def test_equal_fits_are_saved_as_equal_bytes(learnt: ForestModel, visits: Visits, tmp_path: Path) -> None:
    for name, model in (("one", learnt), ("two", visits.fit(trees=16))):
        model.save(tmp_path / name)
    one, two = ([p.read_bytes() for p in sorted((tmp_path / n).iterdir())] for n in ("one", "two"))
    assert one == two


def world(data: Callable[[np.random.Generator, np.ndarray], dict[str, object]], n: int = 400, most: int = 8) -> Visits:
    """Visits made by a function of chance and of each row's place."""
    rng = stream(5, "world")
    sizes = rng.integers(2, most, n)
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return visits_of(data(rng, place), sizes)


def test_regular_steps_stay_regular() -> None:
    def data(rng: np.random.Generator, place: np.ndarray) -> dict[str, object]:
        return {"day": rng.integers(0, 90, (place == 0).sum())[np.cumsum(place == 0) - 1] + 7 * place}

    visits = world(data)
    first, second = visits.within("day", visits.draw(visits.fit()))
    assert set(second - first) == {7}


def test_what_never_changes_within_a_parent_never_does() -> None:
    def data(rng: np.random.Generator, place: np.ndarray) -> dict[str, object]:
        who, n = np.cumsum(place == 0) - 1, (place == 0).sum()
        return {
            "day": place * 3 + rng.integers(0, 3, len(place)),
            "team": np.array(["red", "blue", "green"])[rng.integers(0, 3, n)][who],
            "weight": rng.normal(70, 9, n)[who],
        }

    visits = world(data)
    made = visits.draw(visits.fit())
    same = visits.patient[1:] == visits.patient[:-1]
    for name in ("team", "weight"):
        values = np.array(made[name].to_pylist())
        assert (values[1:] == values[:-1])[same].all()
        assert len(set(values)) > 2


def test_values_of_the_last_row_with_the_same_label_are_followed() -> None:
    levels = {"blood": 0.0, "sugar": 50.0, "salt": 100.0}

    def data(rng: np.random.Generator, place: np.ndarray) -> dict[str, object]:
        labs = np.array(LABS)[rng.integers(0, 3, len(place))]
        who = np.cumsum(place == 0) - 1
        own = {lab: rng.normal(0, 9, (place == 0).sum()) for lab in LABS}  # each patient's, for each lab
        level = [levels[lab] + own[lab][w] for lab, w in zip(labs, who, strict=True)]
        return {"day": place, "lab": labs, "level": np.array(level) + rng.normal(0, 2, len(place))}

    visits = world(data, most=12)

    def follows(made: pa.Table) -> float:
        last, pairs = {}, []
        for who, lab, level in zip(visits.patient, made["lab"].to_pylist(), made["level"].to_pylist(), strict=True):
            if (who, lab) in last:
                pairs.append((last[who, lab] - levels[lab], level - levels[lab]))
            last[who, lab] = level
        return float(np.corrcoef(np.array(pairs).T)[0, 1])

    made = visits.draw(visits.fit(trees=16))
    assert follows(visits.rows) > 0.9
    assert follows(made) > 0.7


def test_labels_that_come_in_pairs_at_a_moment_come_in_pairs() -> None:
    def data(rng: np.random.Generator, place: np.ndarray) -> dict[str, object]:
        return {"day": place // 2 * 5, "lab": np.array(["high", "low"])[place % 2]}

    rng = stream(5, "pairs")
    sizes = 2 * rng.integers(1, 5, 300)
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    visits = visits_of(data(rng, place), sizes)
    made = visits.draw(visits.fit())
    panels = Counter(zip(visits.patient, made["day"].to_pylist(), made["lab"].to_pylist(), strict=True))
    assert set(panels.values()) == {1}
    assert len(panels) == made.num_rows
    assert np.mean([(w, d, "high") in panels and (w, d, "low") in panels for w, d, _ in panels]) > 0.97


def test_long_runs_are_cut_and_each_piece_is_in_order() -> None:
    sizes = np.array([MOST + 300] * 3 + [5] * 40)
    rng = stream(7)
    day = np.concatenate([np.cumsum(rng.integers(0, 4, s)) for s in sizes])
    visits = visits_of({"day": day, "level": rng.normal(size=len(day))}, sizes)
    assert visits.siblings.sizes.max() <= MOST
    made = visits.draw(visits.fit())
    begins = np.zeros(len(day), np.bool_)
    begins[visits.siblings.starts[:-1]] = True
    steps = np.diff(made["day"].to_numpy())
    assert (steps[~begins[1:]] >= 0).all()
    saw, after, looked = watched(visits.fit(), visits)  # 300 rows are left, more than a code tells
    assert not ((saw != after) & looked).any()


def test_rows_alone_begin() -> None:
    visits = clinic(300)
    model = visits.fit()
    made = model.sample(len(visits.rows), context=visits.context, rng=stream(2))
    assert set(made["lab"].to_pylist()) == set(LABS)
    assert (numbers(made["day"]) >= numbers(visits.context["born"])).all()


def test_no_extreme_of_the_order_is_drawn_although_steps_add_up() -> None:
    rng = stream(8)
    sizes = np.full(300, 6)
    start, step = np.repeat(rng.integers(0, 20, 300), sizes), rng.integers(0, 2, sizes.sum())
    place = np.tile(np.arange(6), 300)
    total = np.cumsum(np.where(place == 0, 0, step))
    day = start + total - np.repeat(total[::6], 6)
    visits = visits_of({"day": day}, sizes)
    made = np.concatenate([visits.draw(visits.fit(), seed=s)["day"].to_numpy() for s in range(3)])
    held = {d: len(set(visits.patient[day == d])) for d in (day.min(), day.max())}
    for end, units in held.items():
        assert units >= 10 or end not in made
    assert min(held.values()) < 10
    assert made.max() < day.max()


def test_times_that_few_share_are_never_drawn() -> None:
    rng = stream(8)
    visits = clinic(300)
    day = numbers(visits.rows["day"]).astype(np.int64) * 10**9
    day = pa.array(day + np.sort(rng.integers(0, 10**9, len(day))))
    visits = replace(visits, rows=visits.rows.set_column(0, "day", day), context=visits.context.select(["sex"]))
    made = visits.draw(visits.fit())
    assert not set(made["day"].to_pylist()) & set(day.to_pylist())
    dose, real = made["dose"].to_pylist(), visits.rows["dose"].to_pylist()
    assert max(dose) < max(real)


def test_the_judge_makes_sequences_more_alike(learnt: ForestModel, visits: Visits) -> None:
    def data(rng: np.random.Generator, place: np.ndarray) -> dict[str, object]:
        sick = rng.random((place == 0).sum()) < 0.5  # a trait that only all rows together show
        level = rng.random(len(place)) < np.where(sick, 0.75, 0.25)[np.cumsum(place == 0) - 1]
        return {"day": place, "low": level, "high": rng.normal(size=len(place)) + 2 * level}

    visits = world(data, n=2_000, most=10)
    model = visits.fit()
    assert apart(visits, visits.draw(model)) < apart(visits, visits.draw(unjudged(model))) - 0.01


@pytest.mark.parametrize(
    ("day", "ordered"),
    [
        (pa.nulls(600, pa.int64()), True),
        (pa.array(np.r_[np.inf, np.arange(599) / 10]), False),
        (pa.array(np.r_[np.nan, np.arange(599) / 10]), False),
        (pa.array(["a"] * 600), False),
    ],
)
def test_an_order_that_is_none_is_drawn_like_any_column(day: pa.Array, *, ordered: bool) -> None:
    visits = visits_of({"day": day, "level": stream(1).normal(size=600)}, np.full(120, 5))
    model = visits.fit()
    assert model.series is not None
    assert (model.series.sequence.order is not None) is ordered
    made = visits.draw(model)
    assert made["day"].null_count == day.null_count
    assert made.num_rows == 600


@pytest.mark.parametrize("sizes", [[400], [1] * 300, [1], [1, 2], [0]])
def test_odd_families_are_drawn_too(sizes: list[int]) -> None:
    n = sum(sizes)
    day = np.arange(n)
    visits = visits_of(
        {"day": pa.array(day, pa.int64()), "level": stream(1).normal(size=n), "lab": pa.array(["x"] * n, pa.string())},
        np.array(sizes),
    )
    made = visits.draw(visits.fit())
    assert made.num_rows == n
    assert made.schema.names == ["day", "level", "lab"]
