"""What a task is about to do, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that would be done: a verb, what it is done to, and how.

    ``Action("build", "lacion/foo:build", "from Dockerfile.build, context .")``
    """

    verb: str
    target: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a task would do to one image, in order, and what the user should know before."""

    task: str
    image: str
    version: str
    commit: str
    dirty: bool
    actions: tuple[Action, ...]
    notices: tuple[str, ...] = ()
