"""What was found in a project, and where: plain data, with file and line, so that nothing is carried over unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file, from 1; 0 where it is the file as a whole, or its being there."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Carried:
    """A setting that something said: its dotted key, its value as plain data, and where it was said."""

    key: str
    value: Any
    place: Place


@dataclass(frozen=True, slots=True)
class Unclear:
    """Something that was not carried over.

    Args:
        place: where it stands.
        text: what stands there, shortened; without values that may be secret.
        why: what is not understood of it, or what to do instead.
    """

    place: Place
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Build:
    """A build of an image, as a recipe, a service or a target describes it; texts may have marks (``init.marks``).

    Args:
        place: where it stands.
        name: of the service or target; empty for a command.
        tags: references that it gives the image.
        dockerfile: its path from the project's root.
        context: likewise.
        target: a stage of the Dockerfile.
        options: settings that it implies, by their key at the top of the section: single entries of lists, or scalars.
        pushes: whether it pushes its tags.
    """

    place: Place
    name: str = ""
    tags: tuple[str, ...] = ()
    dockerfile: str = "Dockerfile"
    context: str = "."
    target: str = ""
    options: tuple[Carried, ...] = ()
    pushes: bool = False


@dataclass(frozen=True, slots=True)
class Retag:
    """An image that gets another name."""

    place: Place
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A reference that is pushed."""

    place: Place
    reference: str


@dataclass(frozen=True, slots=True)
class Run:
    """An image that is run: with what, and where in it."""

    place: Place
    image: str
    workdir: str = ""
    command: tuple[str, ...] = ()


@dataclass(slots=True)
class Findings:
    """All that the files of a project say of its images."""

    builds: list[Build] = field(default_factory=list)
    retags: list[Retag] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    unclear: list[Unclear] = field(default_factory=list)
    settings: list[Carried] = field(default_factory=list)
    """Settings of the release that are no options of a build: how it is run, what says that it works."""
    compiled: list[Carried] = field(default_factory=list)
    """Files that commands say they make: the ``artifacts`` of a build image, as far as a Dockerfile copies them."""
    tested: list[Carried] = field(default_factory=list)
    """Commands of targets that are named ``test``."""

    def add(self, other: Findings) -> None:
        """Take in what was found elsewhere."""
        for name in ("builds", "retags", "sent", "runs", "unclear", "settings", "compiled", "tested"):
            getattr(self, name).extend(getattr(other, name))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The settings that a project's files come to.

    Args:
        values: of the section ``tinyship``.
        carried: what of them was said, and where; several places may have said one.
        unclear: what was not carried over.
    """

    values: Mapping[str, Any]
    carried: Sequence[Carried]
    unclear: Sequence[Unclear]
