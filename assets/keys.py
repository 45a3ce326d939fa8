"""The names of everything in the graph: nouns, all of them here.

The UI shows the last part of a key alone, so that part says which stage's table it is.
"""

import hashlib
import keyword
import re

import dagster as dg

LONGEST = 60
_DAGSTER = "arg_dict bool conf config context dict float input input_arg_dict int meta output output_arg_dict str type"
RESERVED = frozenset((*keyword.kwlist, *_DAGSTER.split()))


def safe(name: str) -> str:
    """A name as Dagster takes it: plain ones as they are, others with a hash so that they stay apart."""
    if re.fullmatch(r"[A-Za-z0-9_]+", name) and name not in RESERVED and len(name) <= LONGEST:
        return name
    readable = re.sub(r"[^A-Za-z0-9]+", "_", name)[:LONGEST].strip("_")
    return f"{readable}_{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("_")


def real(pipeline: str, table: str) -> dg.AssetKey:
    """The real rows of a table."""
    return dg.AssetKey([safe(pipeline), f"real_{safe(table)}"])


def model(pipeline: str) -> dg.AssetKey:
    """What was learnt of all tables."""
    return dg.AssetKey([safe(pipeline), "model"])


def synthetic(pipeline: str, table: str) -> dg.AssetKey:
    """The synthetic rows of a table."""
    return dg.AssetKey([safe(pipeline), f"synthetic_{safe(table)}"])


def release(pipeline: str) -> dg.AssetKey:
    """What consumers see."""
    return dg.AssetKey([safe(pipeline), "release"])


def group(pipeline: str) -> str:
    """The group of all of a pipeline's assets."""
    return safe(pipeline)


def step(pipeline: str, stage: str) -> str:
    """The op that runs a stage."""
    return f"{safe(pipeline)}__{stage}"


def pool(pipeline: str) -> str:
    """The pool that lets one run of a pipeline go at a time."""
    return f"twinlake_{safe(pipeline)}"


def job(pipeline: str) -> str:
    """The job that runs every stage."""
    return safe(pipeline)


def retrain_job(pipeline: str) -> str:
    """The job that learns a new model and stops there."""
    return f"{safe(pipeline)}_retrain"


def shadow_job(pipeline: str) -> str:
    """The job that plays the shadow game."""
    return f"{safe(pipeline)}_shadow"
