"""Every command. Heavy modules are imported when a command runs, so that `--help` is quick."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlake.cli.screen import MISTAKE, encoding, progress, sentences
from twinlake.version import VERSION

if TYPE_CHECKING:
    from twinlake.run.model import Model
    from twinlake.tables import Tables

PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="twinlake")
def main() -> None:
    """Turn the tables of a database into a lake of synthetic twins."""
    from twinlake.run.wall import no_core_dump

    no_core_dump()  # whatever the command reads: its memory is written nowhere


@main.command()
@click.argument("url")
@click.argument("name", required=False)
def init(url: str, name: str | None) -> None:
    """Draft pipelines/NAME.yaml and expectations/NAME/*.json for the source at URL.

    Example: twinlake init postgresql://reader:secret@db/clinic clinic
    """
    with sentences(), progress() as told:
        from twinlake.run.init import init as draft
        from twinlake.run.init import name_for
        from twinlake.storage.layout import Layout

        layout = Layout.find_or(Path.cwd())
        made = draft(url, name or name_for(url), layout=layout, progress=told)
    click.echo(f"wrote {made.pipeline.relative_to(layout.root)} and {len(made.suites)} suites beside it")
    for column in made.personal:
        click.echo(f"  personal, will be made up: {column}")
    for hint in made.hints:
        click.echo(f"  to decide: {hint}")
    click.echo(f"next: read the file, then: twinlake check {made.pipeline.stem}")


@main.command()
@click.argument("name", required=False)
@click.option("--json-schema", is_flag=True, help="Print the JSON Schema of the pipeline file, for editors.")
def check(name: str | None, json_schema: bool) -> None:
    """Read everything, connect, and report what would go wrong; runs nothing. Without NAME: every pipeline.

    Example: twinlake check clinic
    """
    from twinlake.project import json_schema as schema_of_pipeline_files
    from twinlake.run.preflight import preflight
    from twinlake.storage.layout import Layout
    from twinlake.tables import canonical

    if json_schema:
        click.echo(canonical(schema_of_pipeline_files()))
        return
    with sentences():
        names = [name] if name else sorted(f.stem for f in Layout.find(Path.cwd()).pipelines.glob("*.yaml"))
        notes: dict[str, list[str]] = {n: [] for n in names}
        found = {n: preflight(n, note=notes[n].append) for n in names}
    for pipeline, mistakes in found.items():
        click.echo(f"{pipeline}: {'ready to run' if not mistakes else f'{len(mistakes)} to mend'}")
        for mistake in mistakes:
            click.echo(f"  {mistake}")
        for sentence in notes[pipeline]:
            click.echo(f"  note: {sentence}")
    sys.exit(MISTAKE if any(found.values()) else 0)


@main.command()
@click.argument("name")
@click.option("--workers", default=1, show_default=True, help="Processes to draw with; the bytes are the same.")
@click.option("--date", default=None, help="Date of the snapshot, YYYY-MM-DD; today where left out.")
def run(name: str, workers: int, date: str | None) -> None:
    """Extract … release. Ends with the scorecard; exit status 0 released, 1 refused, 2 could not run.

    Example: twinlake run adult
    """
    with sentences():
        from twinlake.card import rounded
        from twinlake.report.scorecard import render_text
        from twinlake.run.job import Job
        from twinlake.run.run import run as whole

        job = Job.open(name)
        with progress() as told:
            outcome = whole(job, date=date, workers=workers, progress=told)
        released = outcome.release.name if outcome.release else None
        title = f"{job.name} · {outcome.title}"
        click.echo(
            render_text([rounded(v) for v in outcome.verdicts], title=title, release=released, encoding=encoding())
        )
        for line in outcome.lines():
            click.echo(line)
        sys.exit(1 if outcome.refused else 0)


@main.command()
@click.argument("data")
@click.option("--out", "out", required=True, type=PATH, help="A new folder for the model.")
@click.option("--generator", default="forest", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--unit", default=None, help="The table whose rows, with all that refers to them, are one person's.")
def fit(data: str, out: Path, generator: str, seed: int, unit: str | None) -> None:
    """Learn DATA: a Parquet or CSV file, a folder of them, a source's URL, or a pipeline.

    Example: twinlake fit examples/adult/people.parquet --out models/people
    """
    with sentences(), progress() as told:
        from twinlake.run.model import fit_data

        fit_data(data, out, generator=generator, seed=seed, unit=unit, progress=told)
    click.echo(f"learnt {data}: {out}. It holds what was learnt of real rows: keep it as private as they are")


@main.command()
@click.argument("model", type=PATH)
@click.option("--rows", default="1.0x", show_default=True, help="A multiple of the source's rows, or a number.")
@click.option("--out", required=True, type=PATH, help="A new folder: OUT/TABLE/*.parquet")
@click.option("--where", default=None, help="An SQL predicate that every row satisfies.")
@click.option("--rebalance", default=None, help='Shares that values shall have: \'{"income": {">50K": 0.5}}\'')
@click.option("--seed", default=0, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes to draw with; the bytes are the same.")
def sample(
    model: Path, rows: str, out: Path, where: str | None, rebalance: str | None, seed: int, workers: int
) -> None:
    """Draw tables from MODEL.

    Example: twinlake sample models/people --rows 1000 --out drawn --where "age < 30"
    """
    notes: list[str] = []
    with sentences(), progress() as told:
        from twinlake.run.satisfy import as_shares

        drawn = _model(model).sample(
            rows, seed=seed, where=where, rebalance=None if rebalance is None else as_shares(rebalance),
            workers=workers, folder=_fresh(out), progress=told, note=notes.append,
        )  # fmt: skip
    for name in drawn:
        click.echo(f"{name}: {drawn.rows(name)} rows in {out}")
    for note in notes:
        click.echo(f"  {note}")


@main.command()
@click.argument("model", type=PATH)
@click.argument("data")
@click.option("--out", required=True, type=PATH, help="A new folder: OUT/TABLE/*.parquet")
@click.option("--column", "columns", multiple=True, help="One whose nulls are filled; all where left out. Repeatable.")
@click.option("--seed", default=0, show_default=True)
def impute(model: Path, data: str, out: Path, columns: tuple[str, ...], seed: int) -> None:
    """Fill in what the rows of DATA lack: whole columns, and nulls; what is there stays as it is.

    Example: twinlake impute models/people known.parquet --out filled
    """
    with sentences():
        from twinlake.run.fill import fill_in

        name, rows = fill_in(_model(model), _tables(data), columns=columns, seed=seed, folder=_fresh(out))
    click.echo(f"{name}: {rows} rows in {out}")


@main.command()
@click.option("--real", required=True, help="What the generator learnt from: a file, a folder, or a URL.")
@click.option("--holdout", required=True, help="Rows of other units, never learnt from.")
@click.option("--synthetic", required=True, help="What is judged.")
@click.option("--unit", default=None, help="The table whose rows, with all that refers to them, are one person's.")
def evaluate(real: str, holdout: str, synthetic: str, unit: str | None) -> None:
    """Judge any generator's tables, also not ours; exit status 0 all gates pass, 1 not.

    Example: twinlake evaluate --real learnt.parquet --holdout held.parquet --synthetic drawn.parquet
    """
    with sentences():
        from twinlake.run.evaluate import evaluate as judge

        card = judge(_tables(real), _tables(holdout), _tables(synthetic), unit=unit)
        click.echo(str(card))
        sys.exit(0 if card.passed else 1)


@main.command()
@click.argument("name")
@click.option("--fits", default=None, type=click.IntRange(min=1), help="Models to learn; the file's where left out.")
@click.option("--workers", default=1, show_default=True, help="Processes to learn with; the outcome is the same.")
def shadow(name: str, fits: int | None, workers: int) -> None:
    """Play the shadow game: does the generator of NAME keep single units? Exit status 0 no, 1 yes or undecided.

    Example: twinlake shadow adult --workers 2
    """
    with sentences():
        from twinlake.report.scorecard import render_text
        from twinlake.run.job import Job
        from twinlake.run.shadow import play_today
        from twinlake.verdict import blocking

        job = Job.open(name)
        with progress() as told:
            verdicts = play_today(job, fits=fits, workers=workers, progress=told)
        click.echo(render_text(verdicts, title=f"{job.name} · shadow game", encoding=encoding()))
        sys.exit(1 if blocking(verdicts) else 0)


@main.command()
@click.argument("name", required=False)
def releases(name: str | None) -> None:
    """List the releases of a pipeline, or of all, newest first; of one, also what was let out in all.

    Example: twinlake releases adult
    """
    with sentences():
        from twinlake.report.listing import release_lines
        from twinlake.run.account import account
        from twinlake.storage.layout import Layout
        from twinlake.storage.release import releases as there

        layout = Layout.find(Path.cwd())
        found = there(layout, name)
        for line in release_lines(
            (r.pipeline, r.name, r.manifest.created, r.manifest.rows, r.manifest.origin.generator)
            for r in reversed(found)
        ):
            click.echo(line)
        for line in account(name, layout) if name else ():
            click.echo(line)


@main.command()
@click.argument("name")
@click.option(
    "--keep-days", type=click.IntRange(min=0), default=None, help="What is younger stays; by default as in the file."
)
@click.option("--all", "everything", is_flag=True, help="Also what the newest run and the served release came from.")
def purge(name: str, keep_days: int | None, everything: bool) -> None:
    """Remove real rows, models, snapshots and logs of a pipeline that nothing needs any more.

    Example: twinlake purge adult --keep-days 7
    """
    with sentences():
        from twinlake.run.purge import purge as clear
        from twinlake.run.purge import usual_days
        from twinlake.storage.layout import Layout

        layout = Layout.find(Path.cwd())
        days = usual_days(layout, name) if keep_days is None else keep_days
        click.echo(f"{name}: {clear(layout, name, keep_days=days, everything=everything)}")


@main.command()
@click.argument("release")
@click.option("--vault", is_flag=True, help="Write the page with all that was found on real rows, into the vault.")
def report(release: str, vault: bool) -> None:
    """Print where the report of a release is: one HTML page that a browser opens. RELEASE: NAME or NAME@RELEASE.

    Example: twinlake report adult@2026-11-22
    """
    with sentences():
        from twinlake.card import coarse
        from twinlake.report.claim import claim
        from twinlake.report.scorecard import render_text
        from twinlake.storage.layout import Layout
        from twinlake.storage.release import find_release

        found = find_release(Layout.find(Path.cwd()), release)
        verdicts, title = [coarse(v) for v in found.manifest.verdicts], f"{found.pipeline} · {found.name}"
        click.echo(render_text(verdicts, title=title, release=found.name, encoding=encoding()))
        click.echo(str(claim(verdicts, found.manifest.evidence)))
        click.echo(f"the page: {found.folder / 'report.html'}")
        if vault:
            from twinlake.run.job import Job
            from twinlake.run.pages import full_page

            click.echo(f"all that was found, in the vault: {full_page(Job.open(found.pipeline), found)}")


@main.command()
@click.argument("release")
@click.option("--again", is_flag=True, help="Run the gates again on the vault's rows too.")
@click.option("--public", is_flag=True, help="Look at the folder alone, where there is no vault.")
def verify(release: str, again: bool, public: bool) -> None:
    """Look at a release once more: is it what was judged, and why was it let out? RELEASE: NAME, NAME@RELEASE or ./DIR.

    Exit status 0 where everything holds, 1 where something does not, 2 where nobody could look.

    Example: twinlake verify adult@2026-11-22 --again
    """
    with sentences():
        from twinlake.report.listing import look_line
        from twinlake.run.verify import release_folder
        from twinlake.run.verify import verify as looks
        from twinlake.storage.layout import Layout

        if again and public:
            raise click.UsageError("--again asks the gates on the vault's rows, and --public is without a vault")
        layout = None if public and "/" in release else Layout.find(Path.cwd())
        folder, holds = release_folder(release, layout), True
        click.echo(f"{folder}")
        with progress() as told:
            for look in looks(folder, None if public else layout, again=again, progress=told):
                click.echo(look_line(look.what, look.holds, look.said, encoding=encoding()))
                holds = holds and look.holds
        if public:
            click.echo("nothing here is signed: who changed files and manifest together is not seen")
        sys.exit(0 if holds else 1)


@main.command()
@click.argument("query")
@click.option("--at", default=None, help="A release (adult@2026-11-22), or a date: the latest on or before it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option("--no-formulas", is_flag=True, help="Put ' before texts that a spreadsheet would run as formulas.")
@click.option("--seconds", default=60.0, show_default=True, help="How long the query may take.")
@click.option("--memory", default=2.0, show_default=True, help="How many GiB of memory it may take.")
def sql(query: str, at: str | None, as_csv: bool, no_formulas: bool, seconds: float, memory: float) -> None:
    """Ask the lake. Tables are PIPELINE.TABLE; older releases are "PIPELINE@RELEASE".TABLE.

    Example: twinlake sql "SELECT count(*) FROM adult.people"
    """
    with sentences():
        from twinlake.run.ask import ask
        from twinlake.storage.lake import Limits
        from twinlake.storage.layout import Layout

        layout, limits = Layout.find(Path.cwd()), Limits(seconds=seconds, memory=round(memory * 2**30))
        click.echo(ask(layout, query, at=at, csv=as_csv, formulas=not no_formulas, limits=limits))


def _tables(place: str) -> "Tables":
    from twinlake.run.model import read

    return read(place)


def _model(folder: Path) -> "Model":
    from twinlake.run.model import load

    return load(folder)


def _fresh(folder: Path) -> Path:
    from twinlake.errors import TwinlakeError

    if folder.exists() and any(folder.iterdir()):
        raise TwinlakeError(f"{folder} holds files already", fix="Name a new folder")
    return folder
