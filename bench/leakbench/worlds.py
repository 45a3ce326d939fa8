"""The three tables of LeakBench: real rows that a perfect generator of Twinlake could have drawn.

`rich` is credit_default_taiwan, 13 columns, three of them nearly unique; `coarse` is the same binned, so that about a
fifth of 1,000 rows has a double; `relational` is nafld, people with their ordered measurements.

Real rows stand in the twin's place, so that where nothing is planted nothing leaked. A twin never holds labels of fewer
than k units, lone extremes of coarse quantities nor, but in a coarse table, a whole row that somebody has; so all sides
are drawn from rows that have none: rare labels are joined, quantities with ties are cut at their tails, and of units
that are alike in all columns one stays, before anything is drawn. Keys, made-up e-mail addresses and notes are put
beside the real columns, different for every unit, for leaks of such.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.leakbench.sides import AT, Side, Sides
from bench.worlds import FOLDER
from twinlake.random import stream
from twinlake.schema import Column, Kind, Reference, Schema, Table
from twinlake.tables import Tables

UNITS = 1_000
KEY = "id"
EMAIL = "email"
NOTE = "note"
_FIRST_KEY = 30_000_000_000  # keys are int64, given in the order of the file with gaps, as an application would
_LEAST = 0.03  # a label below this share joins others


@dataclass(frozen=True, slots=True)
class World:
    """One of the three tables.

    Attributes:
        name: as the command line and the page call it.
        about: what it is, for the page.
        root: the table of units.
        labels: columns of the root that are labels; the others but key, e-mail and note are quantities.
        precise: quantities that nearly every unit has for itself.
        secret: the label that inference goes for.
        minority: column and label of the smallest group, about 1 %; its labels are a declared domain.
        child: the table of the units' ordered rows, "" where there is none.
        child_labels: its labels.
        order: the column that orders it.
    """

    name: str
    about: str
    root: str
    labels: tuple[str, ...]
    precise: tuple[str, ...]
    minority: tuple[str, str]
    secret: str
    child: str = ""
    child_labels: tuple[str, ...] = ()
    order: str = ""

    def draw(self, seed: int, *, units: int = UNITS, snapshots: int = 1, folder: Path = FOLDER) -> Sides:
        """Disjoint random samples of whole units; fresh ones once per snapshot, which may share some."""
        whole = _population(self.name, folder)
        rng = stream(seed, "leakbench", self.name)
        order = rng.permutation(len(whole))
        rest = order[2 * units :]  # of whom each snapshot has some; nobody in it was learnt or held back
        drawn = [rest[:units], *(rng.choice(rest, units, replace=False) for _ in range(snapshots - 1))]
        fresh = tuple(_renamed(whole.take(at), seed, i) for i, at in enumerate(drawn))
        return Sides(whole.take(order[:units]), whole.take(order[units : 2 * units]), fresh)

    def columns(self) -> tuple[str, ...]:
        """The learnt columns of the root."""
        return tuple(c for c in _types(self.name)[self.root] if c not in (KEY, EMAIL, NOTE))

    def quantities(self) -> tuple[str, ...]:
        """Those of them that are quantities."""
        return tuple(c for c in self.columns() if c not in self.labels)

    def child_quantities(self) -> tuple[str, ...]:
        """The same of the ordered rows."""
        if not self.child:
            return ()
        return tuple(c for c in _types(self.name)[self.child] if c not in (KEY, "row_id", *self.child_labels))

    def schema(self) -> Schema:
        """What a pipeline file would declare."""
        types = _types(self.name)
        root = Table(self.root, tuple(self._column(c, t) for c, t in types[self.root].items()), key=(KEY,))
        if not self.child:
            return Schema((root,))
        columns = tuple(Column(c, t, nullable=c not in (KEY, "row_id")) for c, t in types[self.child].items())
        reference = Reference((KEY,), self.root, (KEY,))
        return Schema((root, Table(self.child, columns, key=("row_id",), references=(reference,), order_by=self.order)))

    def _column(self, name: str, type_: pa.DataType) -> Column:
        if name == EMAIL:
            return Column(name, type_, kind=Kind.PERSONAL, provider="email")
        if name == NOTE:
            return Column(name, type_, kind=Kind.TEXT)
        return Column(name, type_, nullable=name != KEY, public=name == self.minority[0])

    def tables(self, side: Side) -> Tables:
        """A side as Twinlake takes it."""
        schema = self.schema()
        data = {self.root: _arrow(side.root, schema[self.root])}
        if self.child:
            assert side.child is not None
            child = side.child.assign(**{KEY: side.root[KEY].to_numpy()[side.child[AT].to_numpy()]})
            data[self.child] = _arrow(child, schema[self.child])
        return Tables(schema, data)

    def side(self, tables: Tables) -> Side:
        """The inverse of `tables`; ordered rows are those of units that are there."""
        root = _pandas(tables[self.root])
        if not self.child:
            return Side(root)
        child = _pandas(tables[self.child])
        at = pd.Series(np.arange(len(root)), index=root[KEY]).reindex(child[KEY])
        child = child.assign(**{AT: at.to_numpy()}).dropna(subset=[AT]).astype({AT: np.intp}).drop(columns=KEY)
        return Side(root, child.sort_values([AT, self.order], kind="stable").reset_index(drop=True))

    def frame(self, side: Side) -> pd.DataFrame:
        """A side as one table for tools that take no other: learnt columns, and sums over a unit's ordered rows."""
        flat = side.root[list(self.columns())].copy()
        if not self.child:
            return flat
        assert side.child is not None
        groups = side.child.groupby(AT)
        every = range(len(side))
        flat["rows"] = groups.size().reindex(every, fill_value=0).to_numpy()
        for column in self.child_quantities():
            for what in ("first", "mean", "last"):
                flat[f"{column} {what}"] = getattr(groups[column], what)().reindex(every).astype(float).to_numpy()
        for column in self.child_labels:
            flat[f"{column} last"] = groups[column].last().reindex(every).to_numpy()
        return flat


WORLDS: Mapping[str, World] = {
    w.name: w
    for w in (
        World(
            "rich", "credit_default_taiwan, 13 columns, three of them nearly unique", "clients",
            ("sex", "education", "marriage", "pay_0", "pay_2", "default"),
            ("bill_1", "bill_2", "bill_3"), ("marriage", "other"), "default",
        ),
        World(
            "coarse", "the same 13 columns, quantities in few bins: a fifth of 1,000 rows has a double", "clients",
            ("sex", "education", "marriage", "pay_0", "pay_2", "default"), (), ("marriage", "other"), "default",
        ),
        World(
            "relational", "nafld, people with 4 to 8 ordered measurements each", "subjects",
            ("sex", "status", "course"), ("bmi",), ("course", "short"), "status",
            child="labs", child_labels=("test",), order="days",
        ),
    )
}  # fmt: skip


def new_keys(count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Keys that mean nothing, none twice."""
    drawn = np.unique(rng.integers(2**40, 2**60, 2 * count + 8))
    return np.asarray(rng.permutation(drawn)[:count])


def _renamed(side: Side, seed: int, snapshot: int) -> Side:
    """The same rows with keys that mean nothing, as a generator would give them, in random order."""
    rng = stream(seed, "leakbench", "keys", snapshot)
    side = side.take(rng.permutation(len(side)))
    root = side.root.assign(**{KEY: new_keys(len(side), rng)})
    child = None if side.child is None else side.child.assign(row_id=new_keys(len(side.child), rng))
    return Side(root, child)


def _pandas(rows: pa.Table) -> pd.DataFrame:
    """Whole numbers as such, also where some are missing."""
    whole = {f.name: "Int64" for f in rows.schema if pa.types.is_integer(f.type) and f.nullable}
    frame: pd.DataFrame = rows.to_pandas(integer_object_nulls=True)
    return frame.astype({name: kind for name, kind in whole.items() if name not in (KEY, "row_id")})


def _arrow(frame: pd.DataFrame, table: Table) -> pa.Table:
    return pa.table(
        [pa.array(frame[c.name], from_pandas=True).cast(c.type) for c in table.columns], names=list(table.names)
    )


@functools.cache
def _types(name: str) -> dict[str, dict[str, pa.DataType]]:
    """Column types by table; known without the data."""
    number, word, real = pa.int64(), pa.string(), pa.float64()
    beside = {EMAIL: word, NOTE: word}
    if name == "relational":
        subjects = {
            KEY: number, "sex": word, "status": word, "course": word, "age": number, "weight": real, "height": number,
            "bmi": real, "futime": number,
        }  # fmt: skip
        return {"subjects": subjects | beside,
                "labs": {"row_id": number, KEY: number, "days": number, "test": word, "value": real}}  # fmt: skip
    labels = dict.fromkeys(("sex", "education", "marriage", "pay_0", "pay_2", "default"), word)
    amounts = dict.fromkeys(("limit", "age", "bill_1", "bill_2", "bill_3", "paid_1", "paid_2"), number)
    return {"clients": {KEY: number} | labels | amounts | beside}


@functools.cache
def _population(name: str, folder: Path) -> Side:
    """All rows that sides are drawn from."""
    side = {"rich": _rich, "coarse": _coarse, "relational": _relational}[name](folder)
    if name != "coarse":
        side = side.take(np.flatnonzero(~side.root.drop(columns=KEY).duplicated()))
    count, rng = len(side), stream(0, "leakbench", "beside", name)
    root = side.root.assign(**{EMAIL: _emails(count, rng), NOTE: _notes(count, rng)})
    return Side(root.reset_index(drop=True), side.child)


def _read(folder: Path, file: str) -> pd.DataFrame:
    path = folder / file
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: say with --data where the data lies")
    frame: pd.DataFrame = pq.read_table(path).to_pandas()
    return frame


def _rich(folder: Path) -> Side:
    real = _read(folder, "credit_default_taiwan/credit_default_taiwan.parquet")
    months = {-2: "none", -1: "duly", 0: "some", 1: "1 late", 2: "2 late"}
    root = pd.DataFrame({
        KEY: _FIRST_KEY + 7 * np.arange(len(real)),
        "sex": real["SEX"].map({0: "male", 1: "female"}),
        "education": real["EDUCATION"].map({1: "graduate", 2: "university"}).fillna("school or other"),
        "marriage": real["MARRIAGE"].map({1: "married", 2: "single"}).fillna("other"),
        "pay_0": real["PAY_0"].clip(upper=2).map(months),
        "pay_2": real["PAY_2"].replace(1, 2).clip(upper=2).map(months),
        "default": real["default-payment-next-month"].map({0: "no", 1: "yes"}),
        "limit": _cut(real["LIMIT_BAL"]),
        "age": _cut(real["AGE"]),
        **{f"bill_{i}": real[f"BILL_AMT{i}"].astype("int64") for i in (1, 2, 3)},
        **{f"paid_{i}": _cut(real[f"PAY_AMT{i}"]) for i in (1, 2)},
    })  # fmt: skip
    return Side(root)


def _coarse(folder: Path) -> Side:
    root = _rich(folder).root
    bins = {"limit": 4, "age": 4, "bill_1": 4, "bill_2": 4, "bill_3": 4, "paid_1": 3, "paid_2": 3}
    for column, count in bins.items():
        ranked = pd.qcut(root[column].rank(method="first"), count, labels=False)
        root[column] = root[column].groupby(ranked).transform("median").round().astype("int64")
    root["pay_2"] = root["pay_2"].replace({"1 late": "2 late"})
    return Side(root)


def _relational(folder: Path) -> Side:
    labs = _read(folder, "nafld/labs.parquet")
    # in this file cholesterol repeats hdl, and diastolic repeats systolic pressure
    labs = labs[labs["test"].isin(["hdl", "sbp", "smoke"])].drop_duplicates(["id", "days", "test"])
    labs = labs.sort_values(["id", "days", "test"], kind="stable")
    labs = labs[labs.groupby("id").cumcount() < 8]
    labs = labs[labs.groupby("id")["id"].transform("size") >= 4]
    real = _read(folder, "nafld/subjects.parquet")
    real = real[real["id"].isin(labs["id"].unique())].reset_index(drop=True)
    short = real["futime"] <= real["futime"].quantile(0.012)
    root = pd.DataFrame({
        KEY: _FIRST_KEY + 7 * real["id"],
        "sex": real["male"].map({0: "female", 1: "male"}),
        "status": real["status"].map({0: "alive", 1: "died"}),
        "course": np.where(short, "short", "usual"),
        "age": _cut(real["age"]), "weight": _cut(real["weight"]), "height": _cut(real["height"]),
        "bmi": real["bmi"].astype(float), "futime": _cut(real["futime"]),
    })  # fmt: skip
    at = pd.Series(np.arange(len(real)), index=real["id"])
    child = pd.DataFrame({
        "row_id": _FIRST_KEY + 3 * labs["lab_id"], AT: at[labs["id"]].to_numpy(), "days": _cut(labs["days"], 0.01),
        "test": labs["test"], "value": _cut(labs["value"], 0.01),
    })  # fmt: skip
    return Side(root, child.reset_index(drop=True))


def _cut(column: "pd.Series[Any]", share: float = _LEAST) -> "pd.Series[Any]":
    """With both tails joined: the smallest and the largest value are those of many units."""
    low, high = column.astype(float).quantile([share, 1 - share], interpolation="nearest")
    whole = pd.api.types.is_integer_dtype(column.dtype)
    cut = column.astype(float).clip(low, high)
    return cut.astype("Int64") if whole else cut


_SYLLABLES = [a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u", "an", "el")]


def _words(count: int, syllables: int, rng: np.random.Generator) -> list[str]:
    drawn = rng.integers(0, len(_SYLLABLES), (count, syllables))
    return ["".join(_SYLLABLES[i] for i in row) for row in drawn]


def _emails(count: int, rng: np.random.Generator) -> list[str]:
    """One of its own for each unit, as a register has them."""
    first, last = _words(count, 2, rng), _words(count, 3, rng)
    return [f"{a}-{b}.{i:05d}@mail.example" for i, (a, b) in enumerate(zip(first, last, strict=True))]


def _notes(count: int, rng: np.random.Generator) -> list[str]:
    """Sixteen made-up words each; no run of letters comes twice but by copying."""
    words = _words(16 * count, 4, rng)
    return [" ".join(words[16 * i : 16 * i + 16]) for i in range(count)]
