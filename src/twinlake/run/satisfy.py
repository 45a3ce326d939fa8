"""Drawing rows of one table that satisfy a predicate or have given shares: by the forest itself, else by rejection."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from twinlake.errors import GeneratorError, TwinlakeError
from twinlake.generators.drafts import repeated
from twinlake.generators.forest.conditions import Conditioned
from twinlake.generators.forest.model import ForestModel
from twinlake.generators.forest.predicate import Predicate
from twinlake.generators.forest.rebalancing import Rebalanced, Shares
from twinlake.generators.relational import RelationalModel
from twinlake.progress import Progress
from twinlake.project import Rows
from twinlake.random import derive
from twinlake.run.sample import executor
from twinlake.tables import Tables

MOST_DRAWS = 50

Note = Callable[[str], None]


def satisfying(
    learnt: RelationalModel,
    rows: Rows,
    *,
    where: str | None,
    rebalance: Shares | None,
    seed: int,
    workers: int = 1,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Tables:
    """So many rows of the model's only table; see `Model.sample`."""
    name = only(learnt)
    wanted = rows.count or round((rows.times or 1) * learnt.rows[name])
    predicate = None if where is None else Predicate.read(where, learnt.schema[name])
    model, whole = _narrowed(learnt, name, predicate, rebalance)
    kept = learnt.schema[name].arrow.empty_table()
    for draw in range(MOST_DRAWS):
        missing = wanted - kept.num_rows
        if missing <= 0:
            break
        count = missing if whole else max(missing, 1000) * 2 ** min(draw, 5)
        drawn = _drawn(model, name, count, seed=derive(seed, "where", draw), workers=workers)
        drawn = drawn if predicate is None else drawn.filter(pa.array(predicate.holds(drawn)))
        kept = _distinct(pa.concat_tables([kept, drawn]), learnt.schema[name].key)
        if progress:
            progress("rows that satisfy the predicate", min(kept.num_rows, wanted), wanted)
    if kept.num_rows < wanted:
        what = f'only {kept.num_rows} of {wanted} rows that satisfy "{where}" came in {MOST_DRAWS} draws'
        raise GeneratorError(what, fix="Ask for fewer rows or a wider predicate")
    if note and (told := _told(model, name)):
        note(told)
    return Tables(learnt.schema, {name: kept.slice(0, wanted)})


def only(learnt: RelationalModel) -> str:
    """The name of the model's only table; raises TwinlakeError where there are several."""
    names = learnt.schema.names
    if len(names) != 1:
        raise TwinlakeError("a predicate works on a model of one table", allowed=f"this one has {len(names)}")
    return names[0]


def forest_of(learnt: RelationalModel) -> ForestModel | None:
    """The forest of the model's only table; None where another generator learnt it."""
    model = learnt.blueprints[only(learnt)].model
    return model if isinstance(model, ForestModel) else None


def _narrowed(
    learnt: RelationalModel, name: str, predicate: Predicate | None, rebalance: Shares | None
) -> tuple[RelationalModel, bool]:
    """The model with its forest under what can be asked of it, and whether that is all that is asked."""
    forest = forest_of(learnt)
    if forest is None:
        if rebalance is not None:
            raise GeneratorError("only a forest can be rebalanced", fix="Fit with the generator forest")
        return learnt, False
    own = None if predicate is None else predicate.over(frozenset(forest.table.names))
    if own is None and rebalance is None:
        return learnt, False
    asked = Rebalanced.of(forest, rebalance, where=own) if rebalance is not None else _conditioned(forest, own)
    blueprint = replace(learnt.blueprints[name], model=asked)
    whole = predicate is None or (own is not None and len(own.parts) == len(predicate.parts))
    return replace(learnt, blueprints={name: blueprint}, folder=None), whole


def _conditioned(forest: ForestModel, own: Predicate | None) -> Conditioned:
    assert own is not None  # without one the model is drawn from as it is
    return Conditioned.of(forest, own)


def _drawn(learnt: RelationalModel, name: str, rows: int, *, seed: int, workers: int) -> pa.Table:
    """Rows of a snapshot; a model under a predicate draws here, for workers would need it in a folder."""
    scale = rows / learnt.rows[name]
    with tempfile.TemporaryDirectory(prefix="twinlake-") as scratch, executor(workers if learnt.folder else 1) as pool:
        return learnt.sample(Path(scratch), scale=scale, seed=seed, executor=pool)[name].combine_chunks()


def _distinct(rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """Rows whose key no earlier row has: each draw numbers its own."""
    return rows.filter(pa.array(~repeated(rows, key))) if key and rows.num_rows else rows


def _told(learnt: RelationalModel, name: str) -> str:
    """A sentence on how well the rows stand for all that satisfy the predicate; empty where rejection made them."""
    model = learnt.blueprints[name].model
    if not isinstance(model, Conditioned | Rebalanced):
        return ""
    efforts = [e for e in model.efforts if e.rows]
    rows, tried = sum(e.rows for e in efforts), sum(e.tried for e in efforts)
    effective = sum(e.effective for e in efforts)
    told = f"effective sample size {effective:,.0f} of {rows:,} rows, from {tried:,} begun"
    if isinstance(model, Rebalanced):
        return told
    likely = float(np.average([e.likelihood for e in efforts], weights=[e.tried for e in efforts]))
    return f"{told}; the model puts the predicate at {_share(likely)} of all rows"


def _share(likely: float) -> str:
    return f"{likely:.1%}" if likely >= 0.01 else f"1 in {1 / likely:,.0f}"


def as_shares(text: str) -> Shares:
    """What the command line says, `income: {">50K": 0.5}` as JSON or YAML; raises GeneratorError for anything else."""
    import yaml

    try:
        found: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, Mapping) or not all(isinstance(v, Mapping) for v in found.values()):
        raise GeneratorError("rebalance can't be read", where=text, fix='Say it as \'{"income": {">50K": 0.5}}\'')
    return {str(column): dict(shares) for column, shares in found.items()}
