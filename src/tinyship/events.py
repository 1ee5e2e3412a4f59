"""What happens while tinyship works, as data for whoever wants to show it.

Every function that takes long has an ``events`` argument: a callable that gets these, one at a time. It may be called
from several threads at once when images are built in parallel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class StageStarted:
    """Work on one image began. ``action`` is a verb phrase: "building from Dockerfile.build"."""

    stage: str
    image: str
    action: str


@dataclass(frozen=True, slots=True)
class StageEnded:
    """Work on one image ended well. ``outcome`` is one word or two: "built", "up to date", "pushed"."""

    stage: str
    image: str
    outcome: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a build changed its state.

    ``number`` and ``total`` count the steps of the Dockerfile from 1, both 0 where that is not known; ``name`` is
    the instruction. ``id`` is the same for all events of one step. ``seconds`` is 0.0 until the step ended.
    """

    id: str
    number: int
    total: int
    name: str
    state: Literal["running", "done", "cached", "failed"]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Log:
    """One line that a step or a container wrote, without its line end. ``source`` is a step's id or a name."""

    source: str
    line: str
    stream: Literal["stdout", "stderr"] = "stdout"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bytes moved. ``total`` is 0 where it is not known; ``done`` marks the last event of a transfer.

    ``id`` names what moves ("context", a layer's short id), ``action`` what is done to it ("sending", "pushing").
    """

    id: str
    action: str
    current: int
    total: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know that is no error."""

    text: str
    level: Literal["info", "warning"] = "info"


Event: TypeAlias = StageStarted | StageEnded | Step | Log | Transfer | Notice
Events: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An ``events`` argument that shows nothing."""
