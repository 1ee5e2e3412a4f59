"""What a user would type for a task: `invoke release` in a text becomes the command of this program and this mount."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from invoke.collection import Collection
from invoke.executor import Executor
from invoke.program import Program

from tinyship.tasks.callers import calling

_COMMAND = re.compile(r"`invoke ([^`]+)`")
_EXAMPLE = re.compile(r"^( +)invoke (.*?)(?=  #|$)", re.M)
_BEGINNING = re.compile(r"(`|^ +)invoke ", re.M)
"""Of a command, in a sentence or as an example."""
_KEPT = "tinyship_commands"


class Commands:
    """The commands of the program that runs a task now; as they are written where it was called by no program.

    Args:
        mount: the tasks that texts are about, under the names that they have there.
    """

    def __init__(self, mount: Collection) -> None:
        self._mount = mount
        self._executor = calling(Executor)
        self.program = calling(Program)
        self._before: tuple[str, str] | None = None

    def said(self, text: str) -> str:
        """A text with its commands as one would type them here."""
        return _COMMAND.sub(self._typed, text) if "`invoke " in text else text

    def helped(self, text: str) -> str:
        """A page of help with its commands, and those of its examples, as one would type them here."""
        return _EXAMPLE.sub(lambda found: f"{found[1]}{self._command(found[2])}", self.said(text))

    def _typed(self, found: re.Match[str]) -> str:
        return f"`{self._command(found[1])}`"

    def _command(self, rest: str) -> str:
        if self._before is None:
            self._before = _called(self.program), self._prefix()
        program, prefix = self._before
        return " ".join((program, *self._named(rest.split(" "), prefix)))

    def _named(self, words: list[str], prefix: str) -> Iterator[str]:
        """The words, those of them that are tasks by their whole names; what follows a task may be what it takes."""
        last, takes, flag = None, False, ""
        for word in words:
            is_value = takes or word.startswith("-") or _takes_value(last, flag)
            task = None if is_value else _find(self._mount, word)
            last, flag = task or last, word
            takes = takes or bool(task and task.positional)
            yield f"{prefix}{word}" if task else word

    def _prefix(self) -> str:
        """What stands before the names of this mount's tasks: the names of the collections that it is in."""
        every = self._executor.collection if self._executor else getattr(self.program, "collection", None)
        for name in every.task_names if every else ():
            task = every[name] if every else None
            entry = getattr(task, "entry", None)
            if entry and getattr(task, "mount", None) is self._mount:
                for ours in self._mount.task_names:
                    if self._mount[ours].entry is entry and name.endswith(ours):
                        return str(name.removesuffix(ours))
        return ""


def of_program(text: str, name: str) -> str:
    """A text with its commands as one would type them for a program whose tasks have the names that texts know."""
    return _BEGINNING.sub(rf"\1{name} ", text)


def helped(text: str, mount: Collection) -> str:
    """A page of help as the program shows it that shows it now; as it is where none does.

    Args:
        mount: the tasks that it is about.
    """
    program = calling(Program)
    if program is None or not hasattr(program, "collection"):
        return text
    before: Commands | None = vars(mount).get(_KEPT)
    if before is None or before.program is not program:  # a listing asks for each task
        before = vars(mount)[_KEPT] = Commands(mount)
    return before.helped(text)


def _takes_value(task: Any, flag: str) -> bool:
    """Whether what follows a flag of a task is its value."""
    if not task or not flag.startswith("--"):
        return False
    return any(f"--{one.name}" == flag and one.kind is not bool for one in task.get_arguments())


def _find(mount: Collection, name: str) -> Any:
    """The task of this name; None where there is none."""
    try:
        return mount[name]
    except (KeyError, ValueError):
        return None


def _called(program: Program | None) -> str:
    """The program's name as it was called, where that is one of its names; with the collection that it was told."""
    if not program:
        return "invoke"
    names = program.binary_names
    name = program.called_as if program.called_as in names else names[0]
    collection = program.args.collection.value if "collection" in program.args else ""
    return f"{name} -c {collection}" if collection else name
