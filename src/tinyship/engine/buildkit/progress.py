"""BuildKit's status stream as events: steps, their lines, warnings; and what is left of it when a build fails.

Source: buildkit, ``api/services/control/control.proto``; vertices come again whenever they change.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Any

from tinyship.engine import advice
from tinyship.engine.output import Lines
from tinyship.errors import BuildFailed
from tinyship.events import Events, Notice, Step

_TAIL = 20
_INSTRUCTION = re.compile(r"\[[^\]]+\] (.*)", re.S)
_METADATA = re.compile(r"\[internal\] load metadata for (.*)", re.S)
_INTERNAL = "[internal]"
_CODE = re.compile(r"exit code: (\d+)")
_AROUND = re.compile(
    r"^(?:failed to solve(?: with frontend [\w.]+)?: |failed to create LLB definition: |rpc error: code = \w+ desc = "
    r"|dockerfile parse error on |failed to read dockerfile: )+"
)
_CANCELED = "context canceled"


@dataclass(slots=True)
class _Vertex:
    """A step as far as it is known."""

    number: str
    name: str
    lines: Lines
    state: str = ""
    error: str = ""


class Progress:
    """Reads status messages, and tells of them."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._vertices: dict[str, _Vertex] = {}
        self._count = 0
        self.cached = True

    def read(self, status: Any) -> None:
        """Take one StatusResponse."""
        for vertex in status.vertexes:
            self._vertex(vertex)
        for log in status.logs:
            self._log(log)
        for warning in status.warnings:
            lines = [entry.start.line for entry in warning.ranges]
            where = f"{warning.info.filename}:{lines[0]}: " if warning.info.filename and lines else ""
            self._events(Notice(f"{where}{warning.short.decode(errors='replace')}", "warning"))

    def failure(self, message: str) -> BuildFailed:
        """Why the build failed, from the step that did, and from BuildKit's message."""
        words = _AROUND.sub("", message)
        failed = next((one for one in self._vertices.values() if one.error and _CANCELED not in one.error), None)
        if failed is None:
            return BuildFailed(f"the Dockerfile cannot be built: {words}")
        if metadata := _METADATA.fullmatch(failed.name):
            reference = metadata[1].removeprefix("docker.io/library/").removeprefix("docker.io/")
            hint = advice.for_step("FROM", words)
            return BuildFailed(f"the base image {reference} is not to be had: {words}", hint=hint)
        failed.lines.close()
        match = _INSTRUCTION.fullmatch(failed.name)
        instruction = match[1] if match else failed.name
        code = _CODE.search(failed.error)
        why = f"failed with exit code {code[1]}" if code else f"failed: {_AROUND.sub('', failed.error)}"
        shown = " ".join(instruction.split())
        shown = shown if len(shown) <= 100 else f"{shown[:97]}..."
        return BuildFailed(
            f"step `{shown}` {why}", tail=tuple(failed.lines.tail), hint=advice.for_step(instruction, failed.error)
        )

    def _vertex(self, vertex: Any) -> None:
        known = self._vertices.get(vertex.digest)
        if known is None:
            self._count += not vertex.name.startswith(_INTERNAL)
            lines = Lines(str(self._count), self._events, deque(maxlen=_TAIL))
            known = self._vertices[vertex.digest] = _Vertex(str(self._count), vertex.name, lines)
        known.error = vertex.error or known.error
        state, seconds = _state(vertex)
        if state in {"", known.state} or known.state in {"done", "cached", "failed"}:
            return
        known.state = state
        if vertex.name.startswith(_INTERNAL):
            return
        if state == "done" and vertex.name.startswith("[") and not _is_from(vertex.name):
            self.cached = False
        if state == "done":
            known.lines.close()
        self._events(Step(known.number, 0, 0, vertex.name, state, seconds))  # type: ignore[arg-type]  # one of its four

    def _log(self, log: Any) -> None:
        if known := self._vertices.get(log.vertex):
            known.lines.write("stderr" if log.stream == 2 else "stdout", log.msg)


def _state(vertex: Any) -> tuple[str, float]:
    """The state of a vertex in the words of events, and the seconds that it took."""
    if vertex.cached:
        return "cached", 0.0
    if not vertex.HasField("started"):
        return "", 0.0
    if not vertex.HasField("completed"):
        return "running", 0.0
    seconds = vertex.completed.seconds - vertex.started.seconds + (vertex.completed.nanos - vertex.started.nanos) / 1e9
    return ("failed" if vertex.error else "done"), max(0.0, seconds)


def _is_from(name: str) -> bool:
    match = _INSTRUCTION.fullmatch(name)
    return bool(match and match[1].upper().startswith("FROM "))
