"""What a task is before it is mounted: a function of a session, and what Invoke should know of it.

Only the standard library is imported here and in the modules that use it, so that `--help` is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

BUILD_HELP = {
    "force": "Work even where nothing that decides the result changed; steps may still come from the builder's cache.",
    "explain": "Say why each image is made, or why it need not be; with --dry, why it would be.",
    "no_cache": "Build every step of the Dockerfiles again, whatever is cached.",
    "pull": "Ask the registries for newer base images; never for those that are made here.",
}
IMAGE_HELP = {"image": "The entry of `images` that is meant, or a glob of such; may be given several times."}
JOBS_HELP = {
    "image": "As a name of `images`, or a glob of such: that image and those that it stands on; repeatable.",
    "jobs": "How many images are worked on at the same time, at most; `tinyship.jobs` where 0.",
    "fail_fast": "When one image fails, begin no other one, and end those that are being made.",
}
JSON_HELP = "Print the result as one line of JSON on standard output, and nothing else there."


class Spec:
    """A task to be: its body takes a session first, and then the flags.

    A plain class, because making a dataclass takes a millisecond of every run.
    """

    __slots__ = ("bare", "body", "help", "iterable", "name", "positional")

    def __init__(
        self,
        body: Callable[..., Any],
        name: str,
        help: Mapping[str, str],
        positional: tuple[str, ...],
        bare: bool,
    ) -> None:
        self.body = body
        self.name = name
        self.help = help
        self.positional = positional
        self.iterable = [flag for flag, kind in body.__annotations__.items() if kind == "Sequence[str] | None"]
        self.bare = bare


def task(
    name: str,
    *,
    help: Mapping[str, str] | None = None,
    positional: tuple[str, ...] = (),
    bare: bool = False,
) -> Callable[[Callable[..., Any]], Spec]:
    """Make a function of a session a task of its collection; its docstring is the task's manual page.

    Args:
        name: the task's name.
        help: a line for each flag; ``json`` needs none.
        positional: the flags that may be given without their names, and must be given.
        bare: it needs no project, and gets a session without one.
    """

    def wrap(body: Callable[..., Any]) -> Spec:
        lines = dict(help or {})
        if "json" in body.__annotations__:
            lines["json"] = JSON_HELP
        return Spec(body, name, lines, positional, bare)

    return wrap
