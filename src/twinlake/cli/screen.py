"""What commands print: progress on standard error, results on standard output, mistakes as sentences."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from twinlake.errors import TwinlakeError

if TYPE_CHECKING:
    from twinlake.progress import Progress as Told

TRACEBACK = "TWINLAKE_TRACEBACK"  # an environment variable
MISTAKE = 2  # exit status: the question was wrong, or the world was


@contextmanager
def sentences() -> Iterator[None]:
    """Print a TwinlakeError as its sentence, anything else as its kind only, and leave with status 2."""
    try:
        yield
    except TwinlakeError as error:
        click.echo(str(error), err=True)
        sys.exit(MISTAKE)
    except (click.ClickException, click.exceptions.Exit, KeyboardInterrupt):
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `twinlake sql ... | head` is fine
        sys.exit(0)
    except Exception as error:
        if TRACEBACK in os.environ:
            raise
        kind = type(error).__name__
        click.echo(f"unforeseen: {kind}. Its text may quote real rows; to see it, set {TRACEBACK}=1.", err=True)
        sys.exit(MISTAKE)


def encoding() -> str:
    """What standard output can hold."""
    return sys.stdout.encoding or "utf-8"


@contextmanager
def progress() -> Iterator["Told"]:
    """A bar per stage on a terminal, a line per stage elsewhere; on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for earlier in tasks.values():
                    bars.update(earlier, completed=bars.tasks[earlier].total or 0)
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield told
        for task in tasks.values():
            bars.update(task, completed=bars.tasks[task].total or 0)


def _lines() -> "Told":
    seen: set[str] = set()

    def told(what: str, _done: int, _total: int) -> None:
        if what not in seen:
            seen.add(what)
            click.echo(f"  {what} …", err=True)

    return told
