"""What a twin of a database is worth: keys, references, children per parent, and what depends on whom.

Everything is judged against the held-out half; the learnt half judged the same way is the floor.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.joins import (
    Levels,
    Steps,
    beside_parents,
    beside_previous,
    found_at,
    frequent,
    referring,
    steps,
    with_children,
)
from twinlake.columns import Codes, is_quantity, labels, numbers
from twinlake.hashing import Hashes, hash_rows
from twinlake.random import integer_seed, stream
from twinlake.schema import Column, Reference, Table
from twinlake.tables import Tables
from twinlake.units import Units, assign_units

APART = 24_000  # rows of each side that are told apart at most
LEAST = 500  # rows of each side from which on they are told apart
FOLDS = 3


@dataclass(frozen=True, slots=True)
class Told:
    """A measure of the twin, and the same of the learnt half in its place: the floor. NaN where there is none."""

    value: float
    floor: float = float("nan")


def judge_database(held: Tables, twin: Tables, unit: str, *, seed: int, told_apart: bool = True) -> dict[str, float]:
    """All measures by name, each of a table or of a reference: `repeated labs`, `orphans labs: id -> subjects(id)`.

    `orphans` are rows, `repeated` are keys beyond their first, `children` is a total variation distance; `joined` (with
    all parents), `parents` (with what their children have in common) and `lag` (with the row before) are AUCs, .5 where
    twin and held-out rows can't be told apart.
    """
    found = {f"repeated {t.name}": repeated(twin, t) for t in twin.schema if t.key}
    for table in twin.schema:
        for reference in table.references:
            name = f"{table.name}: {reference}"
            found[f"orphans {name}"] = orphans(twin, table, reference)
            if not table.public:
                found[f"children {name}"] = children(held, twin, table, reference)
    return found | (_apart(held, twin, unit, seed=seed) if told_apart else {})


def orphans(tables: Tables, table: Table, reference: Reference) -> float:
    """How many rows point to a row that is not there."""
    return float((found_at(tables[table.name], tables[reference.table], reference) == -2).sum())


def repeated(tables: Tables, table: Table) -> float:
    """How many rows have the key of an earlier row."""
    keys = hash_rows(tables[table.name].select(list(table.key)))
    return float(len(keys) - len(np.unique(keys)))


def children(held: Tables, twin: Tables, table: Table, reference: Reference) -> float:
    """Total variation distance of the number of children per parent, each number a bin of its own, none is one too.

    Of a public table, whose rows are the same on both sides: of the share of children that each of its rows has.
    """
    counts = [_counts(side, table, reference) for side in (held, twin)]
    if held.schema[reference.table].public:
        shares = [c / max(1, c.sum()) for c in counts]
    else:
        size = 1 + max(int(c.max(initial=0)) for c in counts)
        shares = [np.bincount(c, minlength=size) / max(1, len(c)) for c in counts]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def apart(real: pa.Table, twin: pa.Table, *, groups: tuple[Hashes, Hashes], rng: np.random.Generator) -> float:
    """How well LightGBM with its defaults tells two tables of the same columns apart: mean AUC of 3 folds.

    Rows of one unit (`groups`, shape (rows,) each) are in one fold: whoever is known by heart tells nothing.
    """
    import lightgbm
    from sklearn.metrics import roc_auc_score

    frame = _frame(real, twin)
    truth = np.repeat([0, 1], [real.num_rows, twin.num_rows])
    sides = np.concatenate([groups[0], groups[1] ^ np.uint64(1)])
    fold = _folds(sides, rng)
    aucs = []
    for i in range(FOLDS):
        train, test = np.flatnonzero(fold != i), np.flatnonzero(fold == i)
        model = lightgbm.LGBMClassifier(verbose=-1, n_jobs=1, random_state=integer_seed(rng) >> 1)
        model.fit(frame.iloc[train], truth[train])
        aucs.append(roc_auc_score(truth[test], np.asarray(model.predict_proba(frame.iloc[test]))[:, 1]))
    return float(np.mean(aucs))


def _apart(held: Tables, twin: Tables, unit: str, *, seed: int) -> dict[str, float]:
    """The AUCs of every table that holds units' rows, and enough of them."""
    sides, units = (held, twin), (assign_units(held, unit), assign_units(twin, unit))
    levels = frequent(held, held.schema.names)
    found = {}
    for table in held.schema:
        for what, views in _views(sides, table, levels):
            if units[0][table.name] is None or min(len(v.rows) for v in views) < LEAST:
                continue
            rng = stream(seed, what, table.name)
            size = min(APART, *(len(v.rows) for v in views))
            picks = [np.sort(rng.choice(len(v.rows), size, replace=False)) for v in views]
            frames = [v.show(p) for v, p in zip(views, picks, strict=True)]
            groups = [_of(u, table.name)[v.rows[p]] for u, v, p in zip(units, views, picks, strict=True)]
            found[f"{what} {table.name}"] = apart(frames[0], frames[1], groups=(groups[0], groups[1]), rng=rng)
    return found


@dataclass(frozen=True, slots=True)
class View:
    """What can be told apart: the row of the table each belongs to, and how some of them are shown with their kin."""

    rows: Codes
    show: Callable[[Codes], pa.Table]


def _views(sides: tuple[Tables, Tables], table: Table, levels: Levels) -> Iterator[tuple[str, list[View]]]:
    name = table.name
    if table.public:
        return
    if table.references:
        yield "joined", [View(np.arange(s.rows(name)), partial(beside_parents, s, name)) for s in sides]
    if any(True for _ in referring(sides[0].schema, name)):
        yield "parents", [View(np.arange(s.rows(name)), partial(_parents, s, name, levels)) for s in sides]
    if table.order_by is not None and table.references:
        pairs = [steps(s, name) for s in sides]
        yield "lag", [View(p.after, partial(_pairs, s, name, p)) for s, p in zip(sides, pairs, strict=True)]


def _parents(tables: Tables, name: str, levels: Levels, picks: Codes) -> pa.Table:
    return with_children(tables, name, levels).take(pa.array(picks))


def _pairs(tables: Tables, name: str, pairs: Steps, picks: Codes) -> pa.Table:
    return beside_previous(tables, name, Steps(pairs.before[picks], pairs.after[picks]))


def _of(units: Units, name: str) -> Hashes:
    found = units[name]
    assert found is not None  # such tables are not told apart
    return found


def _folds(groups: Hashes, rng: np.random.Generator) -> Codes:
    """A fold for each row, the same for all rows of a group."""
    codes, found = pd.factorize(groups)
    return np.asarray(rng.permutation(len(found))[codes] % FOLDS)


def _counts(tables: Tables, table: Table, reference: Reference) -> Codes:
    at = found_at(tables[table.name], tables[reference.table], reference)
    return np.bincount(at[at >= 0], minlength=tables.rows(reference.table))


def _frame(real: pa.Table, twin: pa.Table) -> pd.DataFrame:
    """Both tables below one another, columns `c0`, `c1` ...: quantities as floats, labels as categories, nulls stay."""
    columns: dict[str, Any] = {}
    for i, field in enumerate(real.schema):
        sides = (real[field.name], twin[field.name])
        if is_quantity(Column(field.name, field.type)):
            columns[f"c{i}"] = np.concatenate([numbers(c) for c in sides])
        else:
            codes = np.concatenate(labels(*sides))
            size = pd.RangeIndex(1 + int(codes.max(initial=0)))
            columns[f"c{i}"] = pd.Categorical.from_codes(codes.tolist(), categories=size)
    return pd.DataFrame(columns)
