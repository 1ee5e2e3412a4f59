"""What happens while tinyship works, as data for whoever wants to show it.

Every function that takes long has an ``events`` argument: a callable that gets these, one at a time. It may be called
from several threads at once when images are built in parallel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace


class StageStarted(Struct, frozen=True):
    """Work on one image began. ``action`` is a verb phrase: "building from Dockerfile.build"."""

    stage: str
    image: str
    action: str


class StageEnded(Struct, frozen=True):
    """Work on one image ended well. ``outcome`` is a few words: "built", "up to date", "pushed"."""

    stage: str
    image: str
    outcome: str
    seconds: float


class StageFailed(Struct, frozen=True):
    """Work on one of several images ended badly, and others go on. ``why`` is one line; more comes with the error.

    Where it was none of a stage, ``stage`` is empty, and ``image`` is what people call the image of the project. What
    several images fail for is told once, and then for each of them that it was that.
    """

    stage: str
    image: str
    why: str


class Step(Struct, frozen=True):
    """A step of a build changed its state.

    A step that was done may run again: a base image is pulled only when something needs its files.

    Args:
        id: the same for all events of one step of one image; the number that a log shows.
        number: of the instruction among those of its part of the Dockerfile, from 1; 0 where that is not known.
        total: of these instructions; 0 where that is not known.
        name: the instruction, or what the builder does.
        state: what became of it; ``canceled`` because another one failed.
        seconds: that it ran; 0.0 until it ended.
        part: the stage of the Dockerfile, with its platform where there are several; empty where there is one.
        internal: the builder's own work, worth a look where it takes long or fails.
        error: why it failed, in a few words.
        image: that it is a step of, as in ``StageStarted``; empty where that is not known.
    """

    id: str
    number: int
    total: int
    name: str
    state: Literal["running", "done", "cached", "failed", "canceled"]
    seconds: float = 0.0
    part: str = ""
    internal: bool = False
    error: str = ""
    image: str = ""


class Log(Struct, frozen=True):
    """One line that a step or a container wrote, without its line end.

    Args:
        source: a step's id, or a name.
        line: the text; it may hold control codes.
        stream: that it was written to.
        seconds: since the step began; None where that is not known.
        image: that it is about; empty where that is not known.
    """

    source: str
    line: str
    stream: Literal["stdout", "stderr"] = "stdout"
    seconds: float | None = None
    image: str = ""


class Transfer(Struct, frozen=True):
    """Bytes moved, or a part of a step went on.

    Args:
        id: what moves ("context", a layer's short id).
        action: what is done to it ("sending", "pushing", "extracting").
        current: the bytes so far; 0 where nothing is counted.
        total: 0 where it is not known.
        done: this is the last event of a transfer.
        step: the id of the step that it is a part of; empty where there is none.
        seconds: since it began; 0.0 where that is not known.
        image: that it is about; empty where that is not known.
    """

    id: str
    action: str
    current: int
    total: int = 0
    done: bool = False
    step: str = ""
    seconds: float = 0.0
    image: str = ""


class Notice(Struct, frozen=True):
    """Something the user should know that is no error."""

    text: str
    level: Literal["info", "warning"] = "info"


class Reason(Struct, frozen=True):
    """Why something is worked on, or why it is not.

    Args:
        stage: as in ``StageStarted``.
        image: as in ``StageStarted``.
        text: "`main.go` changed", "no image in this engine", "nothing changed since ...".
        works: it is worked on.
    """

    stage: str
    image: str
    text: str
    works: bool


Event: TypeAlias = StageStarted | StageEnded | StageFailed | Step | Log | Transfer | Notice | Reason
"""Anything that happens."""
Events: TypeAlias = Callable[[Event], None]
"""What gets to know of it, from whichever thread it happens in."""


def ignore(event: Event) -> None:
    """An ``events`` argument that shows nothing."""


def about(image: str, events: Events) -> Events:
    """An ``events`` argument that passes everything on, and says which image it is about.

    Args:
        image: as in ``StageStarted``.
        events: gets the events.
    """

    def tell(event: Event) -> None:
        if isinstance(event, (Step, Log, Transfer)) and not event.image:
            event = replace(event, image=image)
        events(event)

    return tell
