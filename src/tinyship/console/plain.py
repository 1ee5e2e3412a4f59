"""Events as plain lines, for logs and pipes."""

from __future__ import annotations

import threading
import time

from tinyship.console.stream import Stream, without_codes
from tinyship.console.units import seconds, size
from tinyship.events import Event, Log, Notice, StageEnded, StageStarted, Step, Transfer

_PAUSE = 10.0
_QUICK = 1.0
_SMALL = 1_000_000


class PlainDisplay:
    """Writes a line for each event that a reader of a log wants to know of."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._steps: set[str] = set()
        self._told: dict[str, float] = {}

    def event(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            line = self._line(event)
        if line is not None:
            self._stream.line(line)

    def failed(self, word: str = "failed") -> None:
        """Nothing more to say: every line is out."""

    def close(self) -> None:
        """Nothing to close."""

    def _line(self, event: Event) -> str | None:
        match event:
            case StageStarted(stage, image, action):
                self._steps.clear()
                return f"{stage} {image}: {action}"
            case StageEnded(stage, image, outcome, took):
                return f"{stage} {image}: {outcome} ({seconds(took)})"
            case Step(state="running"):
                self._steps.add(event.id)
                return f"#{event.id} {_counted(event)}"
            case Step(state="cached"):
                seen = event.id in self._steps
                return f"#{event.id} CACHED" if seen else f"#{event.id} {_counted(event)} CACHED"
            case Step() if event.state == "done" and event.seconds < _QUICK:
                return None
            case Step():
                return f"#{event.id} {event.state} {seconds(event.seconds)}"
            case Log(source, line):
                name = f"#{source}" if source in self._steps else f"{source} |"
                return f"{name} {without_codes(line)}".rstrip()
            case Transfer():
                return self._transfer(event)
            case Notice(text, level):
                return f"{'warning' if level == 'warning' else 'note'}: {_one_line(text)}"

    def _transfer(self, event: Transfer) -> str | None:
        """What moves is told of every ten seconds, and at its end where it was large."""
        name = f"{event.action} {event.id}"
        if event.done:
            self._told.pop(name, None)
            return f"{name}: {size(event.current)}" if event.current >= _SMALL else None
        now = time.monotonic()
        if now - self._told.setdefault(name, now) < _PAUSE:
            return None
        self._told[name] = now
        of = f" of {size(event.total)}" if event.total else ""
        return f"{name}: {size(event.current)}{of}"


def _counted(step: Step) -> str:
    count = f"[{step.number}/{step.total}] " if step.total else ""
    return f"{count}{_one_line(step.name)}"


def _one_line(text: str) -> str:
    return " ".join(without_codes(text).split())
