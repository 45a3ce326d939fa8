"""Parents and their children for tests of gates across tables: what children hold follows their parent and the past."""

import numpy as np
import pyarrow as pa

from twinlake.fidelity.databases import Databases
from twinlake.random import stream
from twinlake.schema import Column, Reference, Schema, Table
from twinlake.tables import Tables
from twinlake.units import assign_units, held

PARENTS = Table(
    "parents",
    (Column("id", pa.int64()), Column("size", pa.float64()), Column("kind", pa.string())),
    key=("id",),
)
CHILDREN = Table(
    "children",
    (
        Column("id", pa.int64()),
        Column("parent", pa.int64()),
        Column("at", pa.int64()),  # orders the children of a parent
        Column("weight", pa.float64()),  # follows the parent's size
        Column("mood", pa.string()),  # stays as it was with the child before, mostly
    ),
    key=("id",),
    references=(Reference(("parent",), "parents", ("id",)),),
    order_by="at",
)
SCHEMA = Schema((PARENTS, CHILDREN))


def apart(whole: Tables) -> tuple[Tables, Tables]:
    """Learnt and held-back rows, each row a unit of its own."""
    units = assign_units(whole, None)
    learnt, kept = (
        Tables(whole.schema, {n: whole[n].filter(pa.array(held(units[n], share=0.2, seed=7) == s)) for n in whole})
        for s in (False, True)
    )
    return learnt, kept


def family(counts: np.ndarray, seed: int = 0) -> Tables:
    """Parents with so many children each."""
    rng, n = stream(seed, "family"), len(counts)
    ids = rng.permutation(n) + 1000 * seed
    size, kind = rng.normal(size=n), rng.choice(["a", "b", "c"], n)
    parents = pa.table({"id": ids, "size": size, "kind": kind}, schema=PARENTS.arrow)
    at = np.repeat(np.arange(n), counts)
    step = np.concatenate([np.arange(c) for c in counts] or [np.zeros(0)])
    children = {
        "id": np.arange(len(at)) + 100_000 * seed,
        "parent": ids[at],
        "at": step,
        "weight": size[at] + rng.normal(size=len(at)) / 2,
        "mood": _moods(step, rng),
    }
    return Tables(SCHEMA, {"parents": parents, "children": pa.table(children, schema=CHILDREN.arrow)})


def drawn(seed: int, parents: int = 600) -> Tables:
    """A family of its own for each seed, all of one kind: no child to nine."""
    return family(stream(seed, "counts").binomial(9, 0.4, parents), seed)


def databases(real: Tables, holdout: Tables, synthetic: Tables) -> Databases:
    """The three sides, where each parent with its children is a unit."""
    return Databases(real, holdout, synthetic, assign_units(holdout, "parents"))


def _moods(step: np.ndarray, rng: np.random.Generator) -> list[str]:
    moods: list[str] = []
    stays, other = rng.random(len(step)) < 0.9, rng.choice(["x", "y"], len(step))
    for i, first in enumerate(step == 0):
        moods.append(moods[-1] if stays[i] and not first else str(other[i]))
    return moods
