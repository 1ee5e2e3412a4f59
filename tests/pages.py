"""Pages of the documentation as what they are to do: files to write, and commands to run, in their order."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_NAMED = re.compile(r"`([\w./]+\.?\w+)`[^`]*:\s*$")


@dataclass(frozen=True, slots=True)
class Step:
    """A block of a page: a file to write, or commands with what they write.

    Args:
        kind: `file`, `console` for commands that any machine can run, or `sh` for those that need an engine.
        name: of the file.
        text: of the block.
    """

    kind: str
    name: str
    text: str

    def commands(self) -> list[tuple[str, str]]:
        """Each command, and what it writes."""
        parts = re.split(r"^\$ (.*)\n", self.text, flags=re.M)[1:]
        return list(zip(parts[::2], parts[1::2], strict=True))


def steps(page: Path) -> list[Step]:
    """The blocks of a page; a file's name stands right before its block, or is that which its language has."""
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        language = match[1]
        if language in {"console", "sh"}:
            found.append(Step(language, "", match[2]))
            continue
        named = _NAMED.search(text[: match.start()])
        name = {"toml": "pyproject.toml", "yaml": "invoke.yaml"}.get(language) or (named[1] if named else "")
        assert name, f"nothing says which file this is: {match[2][:60]}"
        found.append(Step("file", name, match[2]))
    return found


def programs(folder: Path) -> dict[str, str]:
    """An environment in which the programs of a page are those of these tests."""
    folder.mkdir(exist_ok=True)
    for name in ("tinyship", "invoke"):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {name} "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}


def write(root: Path, step: Step) -> None:
    """Write the file of a step."""
    (root / step.name).parent.mkdir(parents=True, exist_ok=True)
    (root / step.name).write_text(step.text)


def run(root: Path, command: str, environment: dict[str, str]) -> str:
    """Run a command of a page, which has to end well, and return what it wrote to standard output."""
    done = subprocess.run(
        command, cwd=root, env=environment, shell=True, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def agrees(shown: str, wrote: str) -> bool:
    """Whether a page shows what was written: `...` stands for anything, in a line or for lines."""
    pattern = ".*".join(re.escape(part) for part in shown.rstrip("\n").split("..."))
    return re.fullmatch(pattern.replace(r"\n.*\n", r"\n(?:.*\n)?"), wrote.rstrip("\n"), re.S) is not None
