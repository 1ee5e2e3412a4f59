"""What a task is about to do, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that would be done: a verb, what it is done to, and how.

    ``Action("build", "lacion/foo:build", "from Dockerfile.build, context .")``
    """

    verb: str
    target: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at before anything is done.

    Args:
        name: what is looked at: "tree", "version", "engine", "tags".
        state: ``ok``; ``note`` where one should know; ``failed`` where a push would be refused or fail.
        said: what was found, in one line.
        lines: more of it, a line each.
        hint: what to do where it failed.
    """

    name: str
    state: Literal["ok", "note", "failed"]
    said: str
    lines: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a task would do to one image, in order, and what the user should know before.

    Version and commit are those of HEAD; empty where the task is about neither.
    """

    task: str
    image: str
    version: str
    commit: str
    dirty: bool
    actions: tuple[Action, ...]
    notices: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
