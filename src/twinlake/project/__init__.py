"""The pipeline file: what is taken from where, how it is learnt, checked and released. The only reader of YAML."""

from twinlake.project.declare import declare
from twinlake.project.pipeline import GateLimit, Pipeline, json_schema
from twinlake.project.read import read_pipeline
from twinlake.project.rows import Rows

__all__ = ["GateLimit", "Pipeline", "Rows", "declare", "json_schema", "read_pipeline"]
