"""BuildKit's status stream as events: steps, their lines, what they transfer, and the warnings of the frontend.

Source: buildkit, ``api/services/control/control.proto``; vertices come again whenever they change, and may run again.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tinyship.engine.output import Lines
from tinyship.events import Events, Notice, Step, Transfer

if TYPE_CHECKING:
    from tinyship.context.source import Context
    from tinyship.engine.buildkit.channel import RpcError
    from tinyship.errors import EngineError

_TAIL = 20
_NUMBERED = re.compile(r"\[(?:(.+) )?(\d+)/(\d+)\] (.*)", re.S)
_CANCELED = "context canceled"
_DIGEST = re.compile(r"sha256:([0-9a-f]{12})[0-9a-f]{52}")
_LINE = re.compile(r" \(line \d+\)$")

_State = Literal["", "running", "done", "cached", "failed", "canceled"]
_ENDED = {"cached", "failed", "canceled"}


@dataclass(slots=True)
class _Vertex:
    """A step as far as it is known; ``runs`` has the seconds of each of its runs by the time when that began."""

    name: str
    lines: Lines | None = None
    step: Step | None = None
    begun: float = 0.0
    runs: dict[float, float] = field(default_factory=dict)
    state: _State = ""
    told: _State = ""
    error: str = ""


class Progress:
    """Reads status messages, and tells of them.

    Args:
        events: gets what happens.
        context: what is built; its Dockerfile is read again for the lines that an error is about.
    """

    def __init__(self, events: Events, context: Context) -> None:
        self._events = events
        self._context = context
        self._vertices: dict[str, _Vertex] = {}
        self._count = 0
        self._moved: dict[tuple[str, str], tuple[int, bool]] = {}
        self._warnings: dict[str, int] = {}

    @property
    def cached(self) -> bool:
        """Whether every instruction so far came from the cache."""
        steps = (known.step for known in self._vertices.values() if known.state == "done")
        return not any(step and not step.internal and not step.name.upper().startswith("FROM ") for step in steps)

    def read(self, status: Any) -> None:
        """Take one StatusResponse."""
        changed = list({vertex.digest: self._learn(vertex) for vertex in status.vertexes}.values())
        for known in changed:
            if known.state == "cached":
                self._tell(known, "cached")
        for known in changed:
            if known.state == "running" or (known.state in {"done", "failed", "canceled"} and not known.told):
                self._tell(known, "running")
        for one in status.statuses:
            self._transfer(one)
        for log in status.logs:
            self._log(log)
        for known in changed:
            if known.state not in {"", "running"}:
                self._tell(known, known.state)
        for warning in status.warnings:
            self._warn(warning)

    def close(self) -> None:
        """Nothing more comes: tell what the frontend warned of, each once."""
        for text in sorted(self._warnings, key=self._warnings.__getitem__):
            self._events(Notice(text, "warning"))
        self._warnings.clear()

    def failure(self, error: RpcError) -> EngineError:
        """Why the build failed, from the step that did, and from what BuildKit said."""
        from tinyship.engine.buildkit import failure  # like all that needs it, only where something went wrong

        failed = next((one for one in self._vertices.values() if one.state == "failed"), None)
        step = None
        if failed:
            lines = self._lines(failed)
            lines.close()
            step = failure.FailedStep(self._step(failed), failed.name, failed.error, tuple(lines.tail))
        return failure.explain(error, step, self._context)

    def _learn(self, vertex: Any) -> _Vertex:
        known = self._vertices.setdefault(vertex.digest, _Vertex(vertex.name))
        known.error = vertex.error or known.error
        if vertex.HasField("started"):
            known.begun = _seconds(vertex.started)
            if vertex.HasField("completed"):
                known.runs[known.begun] = max(0.0, _seconds(vertex.completed) - known.begun)
        if known.state not in _ENDED:
            known.state = _state(vertex) or known.state
        return known

    def _tell(self, known: _Vertex, state: _State) -> None:
        if not state or state == known.told or known.told in _ENDED:
            return
        known.told = state
        if state != "running":
            self._lines(known).close()
        step = self._step(known)
        seconds = 0.0 if state in {"running", "cached"} else sum(known.runs.values())
        why = ""
        if state == "failed":
            from tinyship.engine.buildkit import failure

            why = failure.in_words(known.error)
        self._events(
            Step(
                step.id,
                step.number,
                step.total,
                step.name,
                state,
                seconds,
                part=step.part,
                internal=step.internal,
                error=why,
            )
        )

    def _step(self, known: _Vertex) -> Step:
        """What does not change about a step; it is numbered when it first begins."""
        if known.step is None:
            self._count += 1
            match = _NUMBERED.fullmatch(known.name)
            part, number, total, name = match.groups() if match else ("", 0, 0, known.name)
            internal = not match and not known.name.startswith("FROM ")
            known.step = Step(
                str(self._count), int(number), int(total), name, "running", part=part or "", internal=internal
            )
        return known.step

    def _lines(self, known: _Vertex) -> Lines:
        if known.lines is None:
            known.lines = Lines(self._step(known).id, self._events, deque(maxlen=_TAIL))
        return known.lines

    def _log(self, log: Any) -> None:
        if known := self._vertices.get(log.vertex):
            seconds = max(0.0, _seconds(log.timestamp) - known.begun) if log.HasField("timestamp") else None
            self._lines(known).write("stderr" if log.stream == 2 else "stdout", log.msg, seconds)

    def _transfer(self, status: Any) -> None:
        known = self._vertices.get(status.vertex)
        done = status.HasField("completed")
        if known is None or self._moved.get((status.vertex, status.ID)) == (status.current, done):
            return
        self._moved[status.vertex, status.ID] = (status.current, done)
        action, _, what = status.ID.rstrip(":").partition(" ")
        if not what:
            action, what = ("pulling", action) if action.startswith("sha256:") else ("", action)
        until = status.completed if done else status.timestamp
        seconds = max(0.0, _seconds(until) - _seconds(status.started)) if status.HasField("started") else 0.0
        what = _DIGEST.sub(r"\1", what)
        step = self._step(known).id
        self._events(Transfer(what, action, status.current, status.total, done, step=step, seconds=seconds))

    def _warn(self, warning: Any) -> None:
        from tinyship.engine.buildkit import failure

        lines = [entry.start.line for entry in warning.ranges]
        name = failure.shown_name(self._context, warning.info.filename)
        where = f"{name}:{lines[0]}: " if warning.info.filename and lines else ""
        url = f" ({warning.url})" if warning.url else ""
        text = f"{where}{_LINE.sub('', warning.short.decode(errors='replace'))}{url}"
        self._warnings.setdefault(text, lines[0] if lines else 0)


def _state(vertex: Any) -> _State:
    """The state of a vertex in the words of events."""
    if vertex.cached:
        return "cached"
    if not vertex.HasField("started"):
        return ""
    if not vertex.HasField("completed"):
        return "running"
    if vertex.error:
        from tinyship.engine.buildkit import failure

        return "canceled" if _CANCELED in vertex.error or failure.was_outrun(vertex.error) else "failed"
    return "done"


def _seconds(timestamp: Any) -> float:
    return float(timestamp.seconds) + float(timestamp.nanos) / 1e9
