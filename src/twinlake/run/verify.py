"""Look at a release once more: its bytes, why it was let out, and the gates again.

What makes a release also says that it may go out. Seals find what was changed by whoever lacks the vault's secret; a
run has it. That the gates would say the same is found by asking them again, which takes nobody's word.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from twinlake.card import coarse
from twinlake.errors import LakeError, TwinlakeError, listed
from twinlake.progress import Progress
from twinlake.run.extract import Extract, open_extract
from twinlake.run.gates import REAL_GATES, Case, judge_table
from twinlake.run.job import Job
from twinlake.run.judge import read_suites
from twinlake.run.policy import policy_hash
from twinlake.run.wall import keep, walled
from twinlake.storage.attempts import read_attempts
from twinlake.storage.bundle import check_bundle
from twinlake.storage.catalog import is_current, is_ours
from twinlake.storage.layout import Layout
from twinlake.storage.ledger import Entry, read_censuses, read_ledger
from twinlake.storage.manifest import Manifest, read_manifest, verify_files
from twinlake.storage.publish import REPORT, files_hash
from twinlake.storage.release import find_release
from twinlake.storage.secret import SIZE, vault_secret
from twinlake.storage.verdicts import Gate, Judgement, read_verdicts
from twinlake.tables import Tables, file_hash
from twinlake.verdict import Verdict

NOT_ASKED = {*REAL_GATES, "over_time", "shadow"}
"""Gates that hang on more than a release and the rows it was judged by: the source, other releases, other draws."""


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at: what, whether it holds, and a sentence."""

    what: str
    holds: bool
    said: str


def release_folder(name: str, layout: Layout | None) -> Path:
    """The folder that `adult`, `adult@2026-11-22` or a path with a / in it names; raises LakeError where none does."""
    if "/" in name or layout is None:
        folder = Path(name)
        if not (folder / "manifest.json").is_file():
            raise LakeError(
                f"{name} is no release's folder: it has no manifest.json", fix="Name a release, or its folder"
            )
        return folder
    found = find_release(layout, name)
    if "@" in name and found.id != name:
        raise LakeError(f"there is no release {name}", fix=f"The nearest is {found.id}")
    return found.folder


def verify(
    folder: Path, layout: Layout | None, *, again: bool = False, progress: Progress | None = None
) -> Iterator[Look]:
    """What a release's folder, and the vault, tell of why it was let out; each thing as soon as it is known.

    Args:
        folder: of the release, in the lake or a copy of it.
        layout: the project whose vault judged it; None to look at the folder alone.
        again: run the gates again on the rows in the vault, and hold what they say against what they said.
        progress: told of each table.

    Raises LakeError where the manifest can't be read, or there is no vault.
    """
    manifest = read_manifest(folder)
    secret = _secret(layout) if layout else secrets.token_bytes(SIZE)
    looks = {"files": lambda: _files(folder, manifest), "what is in it": lambda: _bundle(folder, secret)}
    if layout is not None:
        looks["verdicts"] = lambda: _verdicts(manifest, _judgement(layout, manifest, secret))
        looks["ledger"] = lambda: _ledger(folder, layout, manifest, secret)
        if folder.resolve().is_relative_to(layout.lake.resolve()):
            looks["catalog"] = lambda: _catalog(folder, layout, manifest)
    holds = True
    for what, look in looks.items():
        yield (told := _tried(what, look))
        holds = holds and told.holds
    if again and layout is not None:
        yield (
            _tried("gates again", lambda: _again(folder, layout, manifest, secret, progress)) if holds
            else Look("gates again", False, "not asked, for something above does not hold")
        )  # fmt: skip


def _tried(what: str, look: Callable[[], str]) -> Look:
    """What a look says; one that ends in a mistake does not hold."""
    try:
        return Look(what, True, look())
    except TwinlakeError as error:
        return Look(what, False, f"{error.what}. {error.fix}" if error.fix else error.what)
    except Exception as error:  # whatever a damaged file makes of a reader
        return Look(what, False, f"it can't be looked at ({type(error).__name__})")


def _secret(layout: Layout) -> bytes:
    if not layout.secret_file.exists():
        raise LakeError(
            "there is no vault here, and it alone can tell why a release was let out", where=str(layout.root),
            fix="Verify it where it was made; or look at what is in the folder alone: twinlake verify --public",
        )  # fmt: skip
    return vault_secret(layout)


def _files(folder: Path, manifest: Manifest) -> str:
    """Whether these are the bytes that the manifest lists, and the rows those that it says were judged."""
    if problems := verify_files(folder, manifest):
        raise LakeError(listed(problems))
    if files_hash(f for f in manifest.files if f.path != REPORT) != manifest.snapshot:
        raise LakeError("the manifest lists other rows than those that were judged")
    return f"{len(manifest.files)} files are those that the manifest lists"


def _bundle(folder: Path, secret: bytes) -> str:
    try:
        check_bundle(folder, secret=secret)
    except LakeError as error:
        raise LakeError(error.what) from None  # its advice is for a release that is not out yet
    return "no footer, page or manifest tells what no release tells"


def _judgement(layout: Layout, manifest: Manifest, secret: bytes) -> Judgement:
    return read_verdicts(layout, manifest.pipeline, manifest.snapshot, secret=secret)


def _verdicts(manifest: Manifest, judged: Judgement) -> str:
    """Whether the vault's signed verdicts are about these rows, let them out, and are those on the card."""
    told = manifest.evidence
    if told is None or (judged.policy, judged.version, judged.attempt) != (told.policy, told.version, told.attempt):
        raise LakeError("they were given under another policy, version or attempt than the release names")
    shown = [v.to_json() for v in manifest.verdicts]  # as they stand there: what tells more is no card
    if failing := judged.failing({(v.table, v.gate) for v in manifest.verdicts}):
        raise LakeError(f"{failing[0][0]} · {failing[0][1]}: {failing[0][2]}")
    if shown != [coarse(v).to_json() for v in judged.verdicts]:
        raise LakeError("the card shows others than the vault holds")
    return f"{len(shown)} are signed, about these very rows, and let them out; the card shows the same"


def _entry(layout: Layout, manifest: Manifest, secret: bytes) -> Entry:
    ledger = read_ledger(layout, manifest.pipeline, secret=secret)
    mine = [e for e in ledger.entries if (e.release, e.snapshot) == (manifest.release, manifest.snapshot)]
    if not mine:
        raise LakeError("it does not know this release: verify it in the project that made it")
    return mine[-1]


def _ledger(folder: Path, layout: Layout, manifest: Manifest, secret: bytes) -> str:
    """Whether the ledger saw this very manifest go out, which lists every file and says all that the release claims."""
    entry = _entry(layout, manifest, secret)
    if not entry.committed:
        raise LakeError("this release was reserved, and not seen to be placed in the lake")
    if not entry.manifest:
        raise LakeError("an earlier version let it out, which did not keep what its manifest said")
    if file_hash(folder / "manifest.json") != entry.manifest:
        raise LakeError("the manifest is not the one that was let out")
    read_censuses(layout, manifest.pipeline, entry, tables=list(entry.rows))
    tried = read_attempts(layout, manifest.pipeline, secret=secret)
    if not any(a.snapshot == manifest.snapshot and a.passed for a in tried):
        raise LakeError("the account of attempts holds none that passed with these rows")
    return "it is whole, and this very manifest stands in it"


def _catalog(folder: Path, layout: Layout, manifest: Manifest) -> str:
    """Whether the release stands where its name says, and SQL is answered from releases alone."""
    if folder.resolve() != layout.release(manifest.pipeline, manifest.release).resolve():
        raise LakeError(f"this folder of the lake is not that of {manifest.pipeline}@{manifest.release}")
    if not is_current(layout):
        return "it was built for another place or for other releases; twinlake sql builds it anew before it asks"
    if not is_ours(layout):
        raise LakeError("it serves something else than the releases that are here", fix="A new release builds it anew")
    return "it serves the releases and nothing else"


def _again(folder: Path, layout: Layout, manifest: Manifest, secret: bytes, progress: Progress | None) -> str:
    """Whether every gate says the same of these rows today."""
    with walled(layout, manifest.pipeline, "verifying"):
        job = Job.open(manifest.pipeline, start=layout.root)
        evidence = manifest.evidence
        if evidence is None or policy_hash(job) != evidence.policy:
            commit = manifest.origin.commit
            raise LakeError(
                "not run: the pipeline file, its suites or Twinlake's version are not those that it was judged by",
                fix=f"Check out commit {commit}" if commit else "",
            )  # fmt: skip
        extract = open_extract(job, _entry(layout, manifest, secret).judged)
        asked = list(_judged(_case(job, extract, folder, evidence.attempt), progress))
    before = {(v.table, v.gate): v for v in _judgement(layout, manifest, secret).verdicts}
    other = [f"{v.table} · {v.gate} {_was(before, v)}" for v in asked if v.blocks or _was(before, v)]
    silent = before.keys() - {(v.table, v.gate) for v in asked}
    other += [f"{table} · {gate} says nothing" for table, gate in sorted(silent) if gate not in NOT_ASKED]
    if other:
        raise LakeError(f"not all gates say the same: {listed(other)}")
    return f"{len(asked)} gates say the same again. Not asked: {listed(sorted({gate for _, gate in silent}))}"


def _judged(case: Case, progress: Progress | None) -> Iterator[Verdict]:
    units, names = case.units(), case.real.schema.names
    for done, table in enumerate(names):
        if progress:
            progress(f"check {table}", done, len(names))
        yield from judge_table(case, table, units)


def _was(before: dict[Gate, Verdict], now: Verdict) -> str:
    """How a verdict differs from the one that was given; "" where it does not."""
    then = before.get((now.table, now.gate))
    if then is None:
        return f"{now.outcome}, and gave no verdict then"
    return "" if then.outcome == now.outcome else f"{now.outcome}, and {then.outcome} then"


def _case(job: Job, extract: Extract, folder: Path, attempt: int) -> Case:
    return Case(
        real=extract.learnt, holdout=extract.holdout, synthetic=Tables.open(folder), unit=job.pipeline.unit,
        gates=job.pipeline.gates, suites=read_suites(job, extract.schema), seed=job.seed("gates"),
        report=lambda error: keep(job.layout, job.name, error), attempt=attempt,
    )  # fmt: skip
