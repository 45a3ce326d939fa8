"""Pages of documentation as blocks that can be run: commands with what they print, Python, pipeline files."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STATE = r"""
(exit $LAST)
eval "$COMMAND"
LAST=$?
export -n COMMAND LAST
export PWD
env -0 > "$STATE"
exit $LAST
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language and its text."""

    language: str
    text: str


@dataclass(frozen=True)
class Said:
    """A command of a page, and the lines that the page shows below it."""

    command: str
    lines: tuple[str, ...]


@dataclass
class Shell:
    """Runs one command after another; what they export, where they go and how they end is kept between them."""

    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    status: int = 0
    here: Path = field(init=False)

    def __post_init__(self) -> None:
        """Start in the folder."""
        self.here = self.folder

    def run(self, command: str) -> tuple[str, str]:
        """What a command prints on standard output and on standard error."""
        state = self.folder / ".state"
        told = {"COMMAND": command, "LAST": str(self.status), "STATE": str(state)}
        done = subprocess.run(
            ["bash", "-c", _STATE], cwd=self.here, env=self.environment | told, capture_output=True, text=True
        )
        pairs = (p.split("=", 1) for p in state.read_text().split("\0") if p)
        self.environment = {k: v for k, v in pairs if k not in ("_", "STATE")}
        state.unlink()
        self.status, self.here = done.returncode, Path(self.environment["PWD"])
        return done.stdout, done.stderr


def blocks(page: Path, replaced: Mapping[str, str]) -> Iterator[Block]:
    """The fenced blocks of a page, with words replaced."""
    text = page.read_text(encoding="utf-8")
    for old, new in replaced.items():
        text = text.replace(old, new)
    for language, body in _FENCE.findall(text):
        yield Block(language, body)


def commands(text: str) -> Iterator[Said]:
    """The commands of a `console` block."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block begins with a command"
    for part in parts[1:]:
        command, *lines = part.splitlines()
        yield Said(command, tuple(line for line in lines if line.strip()))


def matches(said: Said, output: str) -> bool:
    """Whether a command printed what the page shows; `...` stands for anything, and white space counts as one space."""
    wanted = _plain("\n".join(said.lines))
    pattern = re.escape(wanted).replace(re.escape("..."), ".*")
    pattern = pattern.replace("\\\n.*\\\n", "\\\n(?:.*\\\n)?")  # `...` may stand for no line at all
    return not said.lines or re.fullmatch(pattern, _plain(output), re.DOTALL) is not None


def follow(page: Path, shell: Shell, replaced: Mapping[str, str]) -> None:
    """Do what a page says, block by block."""
    for block in blocks(page, replaced):
        if block.language == "console":
            _console(block.text, shell)
        elif block.language == "python":
            shell.run(f"cat > .snippet.py <<'END'\n{block.text}\nEND")
            out, err = shell.run(f'"{sys.executable}" .snippet.py && rm .snippet.py')
            assert shell.status == 0, f"{page.name}:\n{block.text}\n{out}{err}"
        elif block.language == "yaml" and (named := re.match(r"# (pipelines/\w+\.yaml)\n", block.text)):
            (shell.folder / named[1]).write_text(block.text, encoding="utf-8")


def _console(text: str, shell: Shell) -> None:
    there = list(commands(text))
    for said, following in zip(there, [*there[1:], None], strict=True):
        out, err = shell.run(said.command)
        shown = f"$ {said.command}\n{out}{err}"
        assert matches(said, out or err), f"the page shows\n{os.linesep.join(said.lines)}\nand this came\n{shown}"
        asked = following is not None and "$?" in following.command
        assert shell.status == 0 or asked, f"exit status {shell.status}, which the page does not tell\n{shown}"


def _plain(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
