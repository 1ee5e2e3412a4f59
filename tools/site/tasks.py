"""The page of the tasks: what `--help` shows of each of them, from the tasks themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from invoke.collection import Collection
from invoke.parser.argument import Argument

from tinyship.tasks import mount

BAR = r"\|"
_UNSAID: tuple[Any, ...] = (None, False, "", 0, [], ())
"""Defaults that go without saying; where 0 means something, the help says what."""


def page() -> str:
    """A section for each collection, and in it one for each task."""
    ours = mount.collection()
    parts: list[str] = []
    for name, collection in ours.collections.items():
        parts += [f"## {name.capitalize()}", collection.__doc__ or "", *_sections(ours, name)]
    parts += ["## Others", *_sections(mount.program(), "")]
    return "\n\n".join(part for part in parts if part)


def _sections(ours: Collection, part: str) -> Iterator[str]:
    names = [name for name in ours.task_names if name.rpartition(".")[0] == part]
    for name in sorted(names, key=lambda name: (not ours[name].is_default, name)):
        yield from _task(ours[name], part if ours[name].is_default and part else name)


def _task(task: Any, name: str) -> Iterator[str]:
    """The section of a task: its name, how one types it, what it does, its flags."""
    said, _, examples = (inspect.getdoc(task) or "").partition("\nExamples:\n")
    first, _, rest = said.partition("\n")
    yield f"({_label(name)})=\n### `{name}`"
    yield _prose(first)
    flags = task.get_arguments()
    words = [f"<{argument.name.replace('_', '-')}>" for argument in flags if argument.positional]
    program = "tinyship" if name == "init" else "invoke"
    yield f"```console\n$ {' '.join([program, name, *words, *(['[flags]'] if _named(flags) else [])])}\n```"
    yield _prose(inspect.cleandoc(rest)) if rest.strip() else ""
    if examples:
        yield "\n".join(["```console", *(f"$ {line.strip()}" for line in examples.splitlines() if line.strip()), "```"])
    if flags:
        rows = [_row(argument) for argument in sorted(flags, key=lambda one: not one.positional)]
        yield "\n".join(["| flag | meaning |", "|---|---|", *rows])


def _named(flags: list[Argument]) -> list[Argument]:
    return [argument for argument in flags if not argument.positional]


def _row(argument: Argument) -> str:
    name = max(argument.names, key=len).replace("_", "-")
    value = "" if argument.kind is bool else "=N" if argument.kind is int else "=..."
    form = name if argument.positional else f"--{name}{value}"
    default = "" if argument.default in _UNSAID else f" By default `{argument.default}`."
    return f"| `{form}` | {_prose(argument.help or '').replace('|', BAR)}{default} |"


def _label(name: str) -> str:
    return f"task-{name.replace('.', '-')}"


def _prose(text: str) -> str:
    """Help as Markdown: what stands outside of code and looks like HTML is text."""
    parts = re.split(r"(`[^`]*`|^    .*$)", text, flags=re.M)
    return "".join(part if number % 2 else re.sub(r"([<*_])", r"\\\1", part) for number, part in enumerate(parts))
