"""What a task is before it is mounted: a function of a session, and what Invoke should know of it.

Only the standard library is imported here and in the modules that use it: `invoke --list` reads them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

JSON_HELP = "Print the result as one line of JSON on standard output, and nothing else there."


@dataclass(frozen=True)
class Spec:
    """A task to be: its body takes a session first, and then the flags."""

    body: Callable[..., Any]
    name: str
    default: bool
    help: Mapping[str, str]


def task(
    name: str, *, default: bool = False, help: Mapping[str, str] | None = None
) -> Callable[[Callable[..., Any]], Spec]:
    """Make a function of a session a task of its collection; its docstring is the task's manual page.

    Args:
        name: the task's name.
        default: whether it runs when only its collection is named.
        help: a line for each flag; ``json`` needs none.
    """

    def wrap(body: Callable[..., Any]) -> Spec:
        lines = dict(help or {})
        if "json" in body.__annotations__:
            lines["json"] = JSON_HELP
        return Spec(body, name, default, lines)

    return wrap
