"""A job: one pipeline in one project, with the vault's secret; what every stage works on."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from twinlake.errors import ProjectError
from twinlake.project import Pipeline, declare, read_pipeline
from twinlake.project.declare import dropped, missing_tables
from twinlake.random import derive
from twinlake.schema import Schema
from twinlake.sources.protocols import Source
from twinlake.sources.registry import open_source
from twinlake.storage.layout import Layout, private
from twinlake.storage.secret import vault_secret


@dataclass(frozen=True)
class Job:
    """A pipeline, where its project lives, and the secret of its vault."""

    pipeline: Pipeline
    layout: Layout

    @classmethod
    def open(cls, name: str, *, start: Path | None = None) -> Self:
        """The job of a pipeline, by its name or its file; the project is found upwards from `start` (here)."""
        layout, file = cls.locate(name, start=start)
        return cls(read_pipeline(file), layout)

    @staticmethod
    def locate(name: str, *, start: Path | None = None) -> tuple[Layout, Path]:
        """The project and the file of a pipeline."""
        path = Path(name)
        if path.suffix in (".yaml", ".yml") and path.exists():
            return Layout.find(path.resolve().parent), path
        layout = Layout.find(start or Path.cwd())
        return layout, layout.pipeline_file(name)

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.pipeline.name

    @cached_property
    def secret(self) -> bytes:
        """The vault's secret; made when it is first needed."""
        return vault_secret(self.layout)

    @cached_property
    def source(self) -> Source:
        """Where the real tables come from."""
        spill = private(private(self.layout.vault) / "spill")  # sorting may write real rows to the disk
        return open_source(self.pipeline.source.get_secret_value(), root=self.layout.root, scratch=spill)

    def schema(self) -> Schema:
        """The catalog's schema with what the pipeline file says; raises ProjectError with every mistake."""
        mistakes = missing_tables(self.pipeline, self.source.names())
        if mistakes:
            raise ProjectError(mistakes)
        return declare(self.pipeline, self.source.schema(tuple(self.pipeline.tables), without=dropped(self.pipeline)))

    def seed(self, *path: str | int) -> int:
        """A seed by name: from the pipeline file's seed where it sets one, else from the vault's secret."""
        own = self.pipeline.generator.seed
        base = int.from_bytes(self.secret, "big") if own is None else own
        return derive(base, *path)
