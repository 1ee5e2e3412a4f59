"""Who called: the Invoke program, executor or collection that a task, or its mount, is asked by."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from invoke.collection import Collection
from invoke.program import Program

_T = TypeVar("_T")
_NAMES = Collection.task_names.fget.__code__  # type: ignore[attr-defined]  # it is a property
_CONTEXTS = Collection.to_contexts.__code__


def calling(kind: type[_T]) -> _T | None:
    """The nearest object of a class that called this; None where none did.

    A task knows its config, and not what it is a task of: only what called it does.
    """
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]  # it ends with None
        caller = frame.f_locals.get("self")
        if isinstance(caller, kind):
            return caller
    return None


def typed() -> tuple[str, list[str]] | None:
    """What is named on a command line that is about to be read; None where none is, or where any name may be meant.

    To be called by a collection that is asked for its names. Invoke makes flags of all tasks before it reads which of
    them are meant; those that nobody named it need not know.

    Returns:
        the collection's own name where it is mounted, and the words that were typed.
    """
    frame: Any = sys._getframe(2)
    around = []
    while frame and frame.f_code is _NAMES:
        around.append(frame.f_locals)
        frame = frame.f_back
    if not around or not frame or frame.f_code is not _CONTEXTS:
        return None
    program = calling(Program)
    core = getattr(program, "core", None)
    if program is None or core is None:
        return None
    said = [*core.unparsed, *core.remainder.split(), str(program.args.help.value or "")]
    words = [word.replace("_", "-") for word in said if word and word[0] != "-"]
    if any(one["coll"].default and is_named(one["coll_name"], words) for one in around[1:]):
        return None  # its name stands for a task of a collection below it
    return around[0]["coll_name"], words


def is_named(name: str, words: Iterable[str]) -> bool:
    """Whether one of some words is a name, or a dotted one that ends so."""
    return any(word == name or word.endswith(f".{name}") for word in words)
