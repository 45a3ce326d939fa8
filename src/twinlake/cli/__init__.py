"""The command line: mirrors `run`. Parses, calls one function, prints; what is decided is decided below."""

from twinlake.cli.commands import main

__all__ = ["main"]
