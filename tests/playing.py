"""Plays pages of the documentation: one shell from the first command to the last, on a terminal of 100 columns."""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import stat
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

from tests import pages
from tools import terminal

COLUMNS = 100
_LINES, _KEPT = 500, 4000
_PATIENCE = 300.0
_SHELL = """\
. {state}
(exit {code})
{command}
code=$?
{{ export -p; declare -f; printf 'cd %q\\n' "$PWD"; }} > {state}
exit $code
"""


class Player:
    """A reader who types what pages say.

    Args:
        root: the folder that the reader is in.
        place: a folder beside it, for the reader's home and programs.
        names: words of pages that are others here, such as registries and the names of images, and what they are here;
            with the empty word, what stands here and on no page.
        variables: environment variables that the reader has set.
    """

    def __init__(self, root: Path, place: Path, names: Mapping[str, str] | None = None, **variables: str) -> None:
        self.columns = COLUMNS
        self.root = root
        self._names = dict(names or {})
        self._state = place / "state"
        self._code = 0
        home = place / "home"
        home.mkdir(parents=True, exist_ok=True)
        if (ours := Path(os.environ["HOME"]) / ".gitconfig").exists():
            shutil.copy(ours, home)
        programs = _programs(place / "programs")
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {
            **kept,
            "HOME": str(home),
            "PATH": os.pathsep.join([str(programs), *_path()]),
            "PAGER": "cat",
            "TERM": "xterm-256color",
            "PYTHONUTF8": "1",
            **variables,
        }
        self._state.write_text("")

    def play(self, page: Path) -> None:
        """Write the files of a page, and run its commands, in the order of the page.

        Raises:
            AssertionError: a command does not end as the page says, or writes something else. Where a page shows
                nothing of what a command writes, it may be anything.
        """
        for step in pages.steps(page):
            if step.kind in {"file", "more"}:
                self.write(step)
            for command, shown in step.commands() if step.kind == "console" else ():
                self.type(command, shown)

    def write(self, step: pages.Step) -> None:
        """Write a file, or the end of one, below where the shell is."""
        file = self._folder() / step.name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if step.kind == "more" else "w") as opened:
            opened.write(self._here(step.text))

    def type(self, command: str, shown: str = "") -> str:
        """Run a command, hold it against what the page shows, and return what it wrote, in the words of pages."""
        words = {"state": shlex.quote(str(self._state)), "code": self._code, "command": self._here(command)}
        self._code, screen = terminal.run(
            ["bash", "-c", _SHELL.format(**words)],
            self.root,
            self.environment,
            columns=self.columns,
            lines=_LINES,
            kept=_KEPT,
            patience=_PATIENCE,
        )
        wrote = terminal.text(screen).replace(self.environment["HOME"], "~")
        for name, here in sorted(self._names.items(), key=lambda pair: -len(pair[1])):
            wrote = wrote.replace(here, name)
        assert bool(self._code) == pages.must_fail(shown), f"$ {command}\n{wrote}\nexit code {self._code}"
        assert not shown or pages.agrees(shown, wrote), f"$ {command}\n{wrote}\n\nThe page shows:\n{shown}"
        return wrote

    def _here(self, text: str) -> str:
        for name, here in sorted(self._names.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(name, here) if name else text
        return text

    def _folder(self) -> Path:
        last = self._state.read_text().splitlines()[-1:]
        return Path(shlex.split(last[0])[1]) if last else self.root


def _path() -> list[str]:
    """The folders of programs that a reader has as well: not what is installed for the tests of tinyship."""
    ours = Path(sys.executable).parent
    return [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != ours]


def copied(example: str, target: Path, names: Mapping[str, str] | None = None) -> Path:
    """A copy of an example, with names in its files that are others here."""
    ignored = shutil.ignore_patterns(".tinyship", "__pycache__", "bin")
    shutil.copytree(pages.ROOT / "examples" / example, target, ignore=ignored)
    for file in (path for path in target.rglob("*") if path.is_file()):
        for name, here in (names or {}).items():
            file.write_text(file.read_text().replace(name, here))
    return target


def _programs(folder: Path) -> Path:
    """A virtual environment where pages find `python`, `invoke`, `tinyship` and a `pip` that installs this tinyship."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    site = next(folder.glob("lib/python*/site-packages"))
    ours = sysconfig.get_path("purelib")
    (site / "tests.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    scripts = {name: f'exec {python} -m {name} "$@"' for name in ("tinyship", "invoke", "pytest")}
    wheels = folder / "wheels"
    build = f"{sys.executable} -m hatchling build -t wheel -d {wheels}"
    scripts["pip"] = (
        f"[ -d {wheels} ] || (cd {pages.ROOT} && {build}) > /dev/null 2>&1\n"
        f"export PIP_NO_INDEX=1 PIP_NO_DEPS=1 PIP_IGNORE_INSTALLED=1 PIP_FIND_LINKS={wheels}\n"
        f'exec {sys.executable} -m pip --python {python} "$@"'
    )
    for name, text in scripts.items():
        script = folder / "bin" / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return folder / "bin"


def stand_in_for_dev(folder: Path) -> None:
    """Put a `./dev` there that runs nothing, and fails where a task or a flag is none of this project's.

    Its tasks run the tests that pages are played in, benchmarks of minutes, and what `tests/integration/test_setup.py`
    runs itself.
    """
    script = folder / "dev"
    script.write_text(_DEV.format(python=sys.executable, root=str(pages.ROOT)))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


def flags_of(script: Path) -> set[str]:
    """The flags that a script takes: those of its argparse, and those that it looks for in `sys.argv`."""
    found: set[object] = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            found |= {word.value for word in node.args if isinstance(word, ast.Constant)}
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant):
            found.add(node.left.value)
    return {word for word in found if isinstance(word, str) and word.startswith("-")}


def no_benchmark(command: str) -> str:
    """Why a command, where it runs a benchmark, runs none that there is; empty where all is well."""
    words = shlex.split(command, comments=True)
    if words[:2] == ["./dev", "bench"]:
        given = dict(zip(words[2::2], words[3::2], strict=False))
        name, flags = given.get("--only", ""), shlex.split(given.get("--words", ""))
    elif script := next((word for word in words if word.startswith("benchmarks/")), ""):
        name, flags = script.removeprefix("benchmarks/").removesuffix(".py"), words[words.index(script) + 1 :]
    else:
        return ""
    file = pages.ROOT / "benchmarks" / f"{name}.py"
    if name and not file.exists():
        return f"there is no benchmarks/{name}.py"
    unknown = {word.partition("=")[0] for word in flags if word.startswith("-")} - (flags_of(file) if name else set())
    return f"{name or 'no benchmark'} takes no {' '.join(sorted(unknown))}" if unknown else ""


def stand_in_for_benchmarks(folder: Path) -> None:
    """Put a script there for each in `benchmarks/` that measures nothing; what they are given, a unit test looks at."""
    (folder / "benchmarks").mkdir()
    for script in (pages.ROOT / "benchmarks").glob("*.py"):
        (folder / "benchmarks" / script.name).touch()


_DEV = """\
#!{python}
import sys
from pathlib import Path
root = Path({root!r})
sys.path.insert(0, str(root))
from invoke.parser import Parser
import tasks
(context,) = Parser(contexts=tasks.ns.to_contexts()).parse_argv(sys.argv[1:])
if context.name == "bench" and (only := context.args["only"].value):
    assert (root / "benchmarks" / (only + ".py")).exists(), only
"""
