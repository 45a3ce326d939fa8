"""The page that `relational.py` writes: references, AUCs and costs by database, the peer, and how it was measured."""

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.databases import DATABASES
from bench.ledger import APART, FOLDS, LEAST, Told
from bench.page import count, machine, markdown, spread, times, versions

OURS, HMA = "Twinlake", "SDV HMA"
AUCS = {
    "joined": "with all parents", "parents": "with what children have in common", "lag": "with the row before",
}  # fmt: skip
COSTS = {
    "fit_wall": "fit, s", "fit_cpu": "CPU s", "rows_per_second": "rows/s as Parquet", "model_mb": "model, MB",
}  # fmt: skip
NOTES = {
    "bakeoff": "Ten series have fewer rows than must share a value for it to be shown (k = 10): all that is said of "
    "series and most of episodes is made up, and a judge sees that.",
    "chinook": "59 customers and 8 employees, nearly each with values of their own: under the k rule a twin has "
    "others, which a judge of invoice lines sees.",
    "nycflights13": "Models of planes that fewer than 10 planes share are under the k rule too.",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one measurement found: measures and costs by name; none and a reason where it failed."""

    told: Mapping[str, Told]
    failed: str = ""
    cached: bool = False


Results = Mapping[str, Mapping[str, Sequence[Outcome]]]  # by database, then by generator: one per seed


def page(results: Results, *, rows: int | None, settings: Mapping[str, Any]) -> str:
    """The whole page as Markdown."""
    parts = ["# Whole databases", _about(rows, settings)]
    for name, by_generator in results.items():
        parts += [f"## {name}", *_section(name, by_generator)]
    return "\n\n".join([*parts, "## How it was measured", _METHOD]) + "\n"


def progress(database: str, generator: str, seed: int, outcome: Outcome) -> str:
    """One line about one measurement."""
    head = f"{database:16} {generator:9} seed {seed}"
    if outcome.failed:
        return f"{head}  could not run: {outcome.failed}"
    wrong = sum(t.value for n, t in outcome.told.items() if n.startswith(("orphans ", "repeated ")))
    aucs = [f"{n} {t.value:.3f} ({t.floor:.3f})" for n, t in outcome.told.items() if n.split()[0] in AUCS]
    fit = f"fit {outcome.told['fit_wall'].value:.1f} s"
    return "  ".join([head, f"orphans, repeated keys {wrong:.0f}", *aucs, fit, *(["(kept)"] if outcome.cached else [])])


def _section(name: str, by_generator: Mapping[str, Sequence[Outcome]]) -> list[str]:
    good = {g: [o.told for o in outcomes if not o.failed] for g, outcomes in by_generator.items()}
    failed = [f"{g} could not run: {o.failed}" for g, outcomes in by_generator.items() for o in outcomes if o.failed]
    ours = good.get(OURS, [])
    parts = [*dict.fromkeys(failed)]
    if ours and HMA in good and good[HMA]:
        parts += [_compared(ours, good[HMA])]
    elif ours:
        parts += [_references(ours), *_aucs(ours), _costs(ours)]
    return [*parts, *([NOTES[name]] if name in NOTES else [])]


def _references(told: Sequence[Mapping[str, Told]]) -> str:
    rows = [["reference", "orphans", "children per parent, TVD", "floor"]]
    for name in (n.removeprefix("orphans ") for n in told[0] if n.startswith("orphans ")):
        measured = f"children {name}"
        cells = [_value(told, measured), _floor(told, measured)] if measured in told[0] else ["public", "public"]
        rows.append([f"`{name}`", _most(told, f"orphans {name}"), *cells])
    keys = [n for n in told[0] if n.startswith("repeated ")]
    worst = max(t[n].value for t in told for n in keys) if keys else 0
    return f"{markdown(rows)}\n\nRepeated keys in {len(keys)} tables with a key: {worst:.0f}."


def _aucs(told: Sequence[Mapping[str, Told]]) -> list[str]:
    names = list(dict.fromkeys(n.split(" ", 1)[1] for n in told[0] if n.split()[0] in AUCS))
    if not names:
        return []
    rows = [["AUC, real against twin (floor)", *AUCS.values()]]
    for name in names:
        measured = [f"{what} {name}" for what in AUCS]
        rows.append(
            [f"`{name}`", *(f"{_value(told, m)} ({_floor(told, m)})" if m in told[0] else "–" for m in measured)]
        )
    return [markdown(rows)]


def _costs(told: Sequence[Mapping[str, Told]]) -> str:
    values = [count(float(np.mean([t[c].value for t in told]))) for c in COSTS]
    return markdown([list(COSTS.values()), values])


def _compared(ours: Sequence[Mapping[str, Told]], theirs: Sequence[Mapping[str, Told]]) -> str:
    """Both generators on the same halves: every measure, and how many times nearer to perfect Twinlake is."""
    rows = [["", OURS, HMA, "floor", f"{OURS} is better by"]]
    for name in ours[0]:
        what = name.split()[0]
        if what in COSTS:
            continue
        ideal = 0.5 if what in AUCS else 0.0
        off = [abs(float(np.mean([t[name].value for t in side])) - ideal) for side in (ours, theirs)]
        show = _most if what in ("orphans", "repeated") else _value
        rows.append([f"{_WHAT[what]} `{name.split(' ', 1)[1]}`", show(ours, name), show(theirs, name),
                     _floor(ours, name) if show is _value else "0", _ratio(off[1], off[0])])  # fmt: skip
    for cost, head in COSTS.items():
        mine, other = (float(np.mean([t[cost].value for t in side])) for side in (ours, theirs))
        ratio = mine / other if cost == "rows_per_second" else other / mine
        rows.append([head, count(mine), count(other), "", f"{times(ratio)} ×"])
    return markdown(rows)


_WHAT = {"orphans": "orphans", "repeated": "repeated keys", "children": "children per parent, TVD"} | {
    what: f"AUC {how}" for what, how in AUCS.items()
}


def _ratio(theirs: float, ours: float) -> str:
    return "both perfect" if not theirs and not ours else f"{times(theirs / ours)} ×" if ours else "∞"


def _value(told: Sequence[Mapping[str, Told]], name: str) -> str:
    return _shown([t[name].value for t in told if name in t])


def _floor(told: Sequence[Mapping[str, Told]], name: str) -> str:
    return _shown([t[name].floor for t in told if name in t])


def _shown(values: Sequence[float]) -> str:
    mean, half = spread(values)
    return f"{mean:.3f}" if math.isnan(half) else f"{mean:.3f} ± {half:.3f}"


def _most(told: Sequence[Mapping[str, Told]], name: str) -> str:
    return f"{max(t[name].value for t in told):.0f}"


def _about(rows: int | None, settings: Mapping[str, Any]) -> str:
    said = "".join(f", {name} {value}" for name, value in settings.items())
    return (
        f"Made by `python bench/relational.py`. {machine()}, no GPU. Python {platform.python_version()}, "
        f"{', '.join(versions())}. Every table is learnt by the forest{said}."
        + (f" About {rows:,} rows of the largest table: a trial, not a result." if rows else "")
    )


_UNITS = ", ".join(f"`{d.unit}` ({d.name})" for d in DATABASES.values())
_METHOD = f"""\
* **Halves.** A seed draws half of the root units to learn, with all that belongs to them; the other half judges. The
  twin has as many root units as were learnt. Numbers are means over seeds ± the half-width of their 95 % interval
  (Student's t). Root units are {_UNITS}.
  Rows that belong to nobody, and public tables, are learnt and held out alike. What points nowhere in the source is set
  to null beforehand, or left out where it can't be.
* **Floor**: the learnt half in the place of the twin, judged by the same code: real against real. A twin that is
  better than that by much would be a copy. With few root units it lies below .5: what the training folds hold more
  of on one side, the test fold holds less of.
* **Orphans** are rows that point to a row that is not there; **repeated keys** are counted beyond their first. The
  largest number of any seed.
* **Children per parent, TVD**: total variation distance of the number of children per parent, each number a bin of its
  own, parents without children counted. The floor is what chance alone does: the more different numbers there are, the
  larger. Of a public table, whose rows are the same on both sides: distance of the shares of children each row has.
* **AUCs**: LightGBM with its defaults tells real rows from the twin's: at most {APART:,} of each and as many of each,
  mean of {FOLDS} folds, .5 is best; only where there are {LEAST} rows of each. All rows of one root unit are in one
  fold: otherwise a judge that knows a unit's own values by heart tells real from real (.82 for `labs` of nafld with
  their subjects, .71 for `Fielding`, .64 for `flights`). Keys and references are left out, but for those to public
  tables, and so are names and free text; what a composite key holds beside references (a year, a position) is in.
  Dates and times are numbers, text is a category however rare.
* **With all parents**: a row beside all rows it refers to, and those these refer to.
* **With what children have in common**: a row beside the number of its children, mean, smallest, largest and standard
  deviation of their quantities, and shares of the ten most frequent values of their labels, by child table.
* **With the row before**: a row beside the one before it of the same parent, with what the column that orders them
  grew by. Rows at the same place in the order are taken in the order of their other columns, real ones and the twin's.
* **fit** is wall time from tables in memory to a model, after a small fit that warms up compiled kernels. **rows/s**
  are rows of all tables on disk as Parquet, drawn by two running processes; HMA's by one call. **model** is what is
  saved.
* **{HMA}** has its defaults and is told keys and references. It takes no chains of three tables, no composite keys and
  no order. *Better by* is how many times nearer to perfect (0, or an AUC of .5) Twinlake is.
* nycflights13 has 112,000 random flights; `fielding` is lahman's players with what they fielded, `lahman` all its 27
  tables (keys, references and children per parent only); `subjects+events` are 4,000 subjects of nafld with their
  events, which HMA accepts.
"""
