"""A twin of any size keeps how many children parents have, of tables whose rows were held back in any way."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinlake.generators.registry import table_generator
from twinlake.generators.relational import RelationalGenerator, RelationalModel
from twinlake.joining import places
from twinlake.random import stream
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units, held

SCALES = [0.1, 1.0, 10.0]
SHARE = 0.25


def number(name: str) -> Column:
    return Column(name, pa.int64(), nullable=False)


SCHEMA = Schema((
    Table("people", (number("id"), Column("age", pa.int64())), key=("id",)),
    Table("shops", (number("id"), Column("size", pa.int64())), key=("id",)),  # nobody's, and grows with the twin
    Table("slots", (number("day"), number("hour")), key=("day", "hour"), public=True),  # stays as it is
    Table(
        "orders", (number("id"), number("person"), number("shop"), number("day"), number("hour")), key=("id",),
        references=(
            Reference(("person",), "people", ("id",)), Reference(("shop",), "shops", ("id",)),
            Reference(("day", "hour"), "slots", ("day", "hour")),
        ),
    ),
    Table(
        "lines", (number("id"), number("order"), Column("guest", pa.int64())), key=("id",),
        references=(Reference(("order",), "orders", ("id",)), Reference(("guest",), "people", ("id",))),
    ),
))  # fmt: skip
REFERENCES = {f"{t.name}.{r.columns[0]}": (t.name, r) for t in SCHEMA for r in t.references}


def market(people: int = 2000) -> Tables:
    """People with none to three orders of one to three lines; shops with four or twelve orders, slots with two to six.

    Every other person is the guest of one line, which may be anybody's.
    """
    rng = stream(1, "market")
    own = rng.choice(4, people, p=[0.4, 0.3, 0.2, 0.1])
    n = int(own.sum())
    sold = np.repeat(np.arange(n), np.resize([4, 12], n))[:n]
    slots = np.repeat(np.arange(n), np.resize([2, 6], n))[:n]
    slots = slots - slots.min()
    lines = np.repeat(np.arange(n), rng.integers(1, 4, n))
    guests = np.concatenate([np.arange(0, people, 2), np.full(len(lines), -1)])[: len(lines)]
    guests = rng.permutation(guests)
    shops, hours = int(sold.max()) + 1, int(slots.max()) + 1
    return Tables(SCHEMA, {
        "people": table("people", id=np.arange(people), age=rng.integers(18, 80, people)),
        "shops": table("shops", id=np.arange(shops), size=rng.integers(1, 9, shops)),
        "slots": table("slots", day=np.arange(hours) // 24, hour=np.arange(hours) % 24),
        "orders": table(
            "orders", id=np.arange(n), person=np.repeat(np.arange(people), own), shop=rng.permutation(sold),
            **dict(zip(("day", "hour"), np.divmod(rng.permutation(slots), 24), strict=True)),
        ),
        "lines": table("lines", id=np.arange(len(lines)), order=lines, guest=pa.array(guests, mask=guests < 0)),
    })  # fmt: skip


def table(name: str, **columns: object) -> pa.Table:
    return pa.table(columns).cast(SCHEMA[name].arrow)


def children(tables: Tables, name: str, reference: Reference) -> np.ndarray:
    at = places(tables[name], tables[reference.table], reference)
    return np.bincount(at[at >= 0], minlength=tables.rows(reference.table))


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The total variation distance of two histograms."""
    size = int(max(one.max(), other.max())) + 1
    shares = [np.bincount(c, minlength=size) / len(c) for c in (one, other)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


@pytest.fixture(scope="module")
def real() -> Tables:
    return market()


@pytest.fixture(scope="module")
def model(real: Tables) -> RelationalModel:
    """Learnt from three quarters of the people."""
    units = assign_units(real, "people")
    sides = {n: held(u, share=SHARE, seed=3) for n, u in units.items()}
    learnt = {n: t if sides[n] is None else t.filter(pa.array(~sides[n])) for n, t in real.items()}
    learnt = Tables(SCHEMA, learnt)
    rows = {n: real.rows(n) for n in real}
    generator = RelationalGenerator(table_generator("marginals"))
    return generator.fit(learnt, units=assign_units(learnt, "people"), seed=5, unit="people", rows=rows)


@pytest.fixture(scope="module")
def twins(model: RelationalModel, tmp_path_factory: pytest.TempPathFactory) -> dict[float, Tables]:
    folder: Path = tmp_path_factory.mktemp("twins")
    return {scale: model.sample(folder / str(scale), scale=scale, seed=2) for scale in SCALES}


@pytest.mark.parametrize("scale", SCALES)
def test_all_tables_but_public_ones_are_scaled(real: Tables, twins: dict[float, Tables], scale: float) -> None:
    for name in real:
        wanted = real.rows(name) * (1 if SCHEMA[name].public else scale)
        assert twins[scale].rows(name) == pytest.approx(wanted, abs=1), name


@pytest.mark.parametrize("where", REFERENCES)
def test_parents_have_as_many_children_as_those_of_the_source(
    real: Tables, twins: dict[float, Tables], where: str
) -> None:
    """Also where children were held back apart from their parents, and where parents were held back themselves."""
    name, reference = REFERENCES[where]
    assert apart(children(twins[1.0], name, reference), children(real, name, reference)) < 0.05


@pytest.mark.parametrize("scale", [0.1, 10.0])
@pytest.mark.parametrize("where", [w for w, (_, r) in REFERENCES.items() if r.table != "slots"])
def test_parents_have_as_many_children_in_a_twin_of_any_size(
    twins: dict[float, Tables], where: str, scale: float
) -> None:
    name, reference = REFERENCES[where]
    one, other = (children(twins[s], name, reference) for s in (1.0, scale))
    if len(other) < 30:  # shops at 0.1: as many of each kind, give or take a child, so that the sum comes out
        even = np.quantile(one, (np.arange(len(other)) + 0.5) / len(other), method="nearest")
        assert np.abs(np.sort(other) - even).mean() < 1
    else:
        assert apart(one, other) < (0.01 if scale > 1 else 0.05)


def test_children_of_a_public_parent_grow_with_the_twin(real: Tables, twins: dict[float, Tables]) -> None:
    name, reference = REFERENCES["orders.day"]
    counts = {scale: np.sort(children(twin, name, reference)) for scale, twin in twins.items()}
    assert np.abs(counts[10.0] / 10 - counts[1.0]).max() <= 0.2
    thinned = np.sort(stream(1).binomial(children(real, name, reference), 0.1))
    assert apart(counts[0.1], thinned) < 0.05
