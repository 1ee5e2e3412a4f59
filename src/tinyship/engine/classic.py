"""The engine's classic builder: the context goes as a tar, the log comes as text.

Source: Docker Engine API, ``POST /build`` with ``version=1``; the lines are those of moby's ``builder/dockerfile``.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinyship import dockerfile
from tinyship.credentials import HUB, as_mapping, host_of
from tinyship.engine import advice, excerpt, faulty, images
from tinyship.engine.connect import Engine
from tinyship.engine.faults import translated
from tinyship.engine.frames import StreamError, frames
from tinyship.engine.request import BuildRequest, BuildResult
from tinyship.errors import BuildFailed, EngineError
from tinyship.events import Events, Log, Notice, Step, Transfer

if TYPE_CHECKING:
    from tinyship.context.source import Context

_STEP = re.compile(r"STEP (\d+)/(\d+) ?: (.*)", re.I)
_BOOKKEEPING = re.compile(
    r" ?---> (Using cache|Running in [0-9a-f]{12}|[0-9a-f]{12}|)$"
    r"|(?: ---> )?Remov(?:ing|ed) intermediate container [0-9a-f]{12}$"
)
_BUILT = re.compile(r"Successfully built ([0-9a-f]{12,64})$")
_TAGGED = re.compile(r"Successfully tagged ")
_WARNING = re.compile(r"(?: ?---> )?\[Warning\] (.+)")
_COLOUR = re.compile(r"\x1b\[(91|0)m")
"""What the engine puts around all that a step writes to its standard error."""
_TAIL = 20
_HUB_KEY = "https://index.docker.io/v1/"


class ClassicBuilder:
    """Builds with the builder that every engine has."""

    name = "classic"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def build(self, request: BuildRequest, events: Events) -> BuildResult:
        """Build an image; see ``Builder.build``. Leaving in the middle ends the build in the engine."""
        api = self.engine.api
        what = f"building {', '.join(request.tags)}"
        sent = _Sent(request, events)
        with translated(what):
            response = api._post(
                api._url("/build"),
                params=_parameters(request),
                data=sent.chunks(),
                headers={"Content-Type": "application/x-tar", **self._registry_config(request)},
                stream=True,
                timeout=None,
            )
        log = _Log(events, request.context)
        try:
            for frame in frames(response, what=what):
                log.read(frame)
        except StreamError as error:
            raise log.failure(error) from error
        except EngineError as error:
            if log.step is None and _is_refused(error):
                raise faulty.unreadable(*_file(request.context), error.message.removeprefix(f"{what}: ")) from error
            raise
        log.end("done")
        if not log.image_id:
            raise EngineError(f"{what}: the engine ended without an image")
        found = images.find(self.engine, log.image_id)
        if not found:
            raise EngineError(f"{what}: the image {log.image_id} is not in the engine")
        return BuildResult(found.id, log.cached)

    def _registry_config(self, request: BuildRequest) -> dict[str, str]:
        """Credentials for the registries of the base images that have to be pulled, and for no other."""
        text = request.context.dockerfile.read_text(errors="surrogateescape")
        missing = [base for base in dockerfile.parse(text).bases if base != "scratch"]
        hosts = {host_of(base) for base in missing if images.find(self.engine, base) is None}
        known = {host: request.credentials(host) for host in sorted(hosts)}
        config = {_HUB_KEY if host == HUB else host: as_mapping(found) for host, found in known.items() if found}
        if not config:
            return {}
        from docker.auth import encode_header

        return {"X-Registry-Config": str(encode_header(config), "ascii")}


class _Sent:
    """The context on its way into the engine, told about every megabyte."""

    def __init__(self, request: BuildRequest, events: Events) -> None:
        self.request = request
        self.events = events
        self.count = 0
        self.told = 0

    def chunks(self) -> Iterator[bytes]:
        yield from self.request.context.tar(on_bytes=self._counted)
        self.events(Transfer("context", "sending", self.count, self.count, done=True))

    def _counted(self, more: int) -> None:
        self.count += more
        if self.count - self.told > 1 << 20:
            self.told = self.count
            self.events(Transfer("context", "sending", self.count))


class _Log:
    """The text of a build, read into steps and lines."""

    def __init__(self, events: Events, context: Context) -> None:
        self.events = events
        self.context = context
        self.image_id = ""
        self.cached = True
        self.step: Step | None = None
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._begun = 0.0
        self._hit = False
        self._ran = False
        self._rest = ""
        self._warned: set[str] = set()

    def read(self, frame: dict[str, Any]) -> None:
        """Take one object of the stream."""
        aux = frame.get("aux")
        if isinstance(aux, dict) and aux.get("ID"):
            self.image_id = str(aux["ID"])
        if text := frame.get("stream"):
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                self._line(line.rstrip("\r"))
        elif (status := frame.get("status")) and (current := (frame.get("progressDetail") or {}).get("current")):
            total = int(frame["progressDetail"].get("total") or 0)
            self.events(Transfer(str(frame.get("id", "")), str(status).lower(), int(current), total))

    def end(self, state: Any, error: str = "") -> None:
        """The running step came to its end."""
        if self._rest:
            self._line(self._rest)
            self._rest = ""
        if self.step:
            if state == "done" and self._hit:
                state = "cached"
            seconds = time.monotonic() - self._begun
            self.events(replace(self.step, state=state, seconds=seconds, error=error))
            if not self._hit and not self.step.name.upper().startswith("FROM "):
                self.cached = False
        self.step = None

    def failure(self, error: StreamError) -> BuildFailed:
        """The error of the step that failed, with what it wrote."""
        step = self.step
        code = f"exit code {error.code}" if error.code else ""
        file = _file(self.context)
        if not step:
            return faulty.unreadable(*file, error.words)
        ran = step.name.upper().startswith("RUN")
        why = code if code and ran else error.words
        self.end("failed", why)
        if step.name.upper().startswith("FROM "):
            return self._no_base(step, error.words)
        message = f"step {step.number}/{step.total} `{_short(step.name)}` failed{' with' if why == code else ':'} {why}"
        return BuildFailed(
            message,
            tail=tuple(self.tail),
            hint=advice.for_step(step.name, f"{error.words} {code}", self.tail),
            source=excerpt.of_number(*file, step.number, step.name),
        )

    def _no_base(self, step: Step, why: str) -> BuildFailed:
        file, text = _file(self.context)
        source = excerpt.of_number(file, text, step.number, step.name)
        stages = dockerfile.parse(text).stages
        line = source.marked[0] if source else 0
        reference = next((stage.base for stage in stages if stage.line == line), step.name.split()[1])
        return faulty.no_image(file, text, reference, why, source)

    def _line(self, line: str) -> None:
        line = _COLOUR.sub("", line)
        if match := _STEP.fullmatch(line):
            self.end("done")
            number, total = int(match[1]), int(match[2])
            self.step = Step(f"{number}", number, total, match[3], "running")
            self._begun, self._hit = time.monotonic(), False
            self.tail.clear()
            self.events(self.step)
        elif match := _BOOKKEEPING.match(line):
            self._hit = self._hit or match[1] == "Using cache"
        elif match := _BUILT.match(line):
            self.image_id = self.image_id or match[1]
        elif match := _WARNING.match(line):
            if match[1] not in self._warned:
                self._warned.add(match[1])
                self.events(Notice(f"the engine warns: {match[1]}", "warning"))
        elif line.strip() and not _TAGGED.match(line):
            self.tail.append(line)
            seconds = time.monotonic() - self._begun if self.step else None
            self.events(Log(self.step.id if self.step else "build", line, seconds=seconds))


def _parameters(request: BuildRequest) -> dict[str, Any]:
    optional = {
        "target": request.target,
        "networkmode": request.network,
        "platform": ",".join(request.platforms),
        "extrahosts": list(request.extra_hosts),
        "nocache": "1" if request.no_cache else "",
    }
    return {
        "version": "1",
        "rm": "1",
        "forcerm": "1",
        "t": list(request.tags),
        "dockerfile": request.context.dockerfile_name,
        "buildargs": json.dumps(dict(request.args)),
        "labels": json.dumps(dict(request.labels)),
        **{key: value for key, value in optional.items() if value},
    }


def _file(context: Context) -> tuple[str, str]:
    """The name of the Dockerfile, and its text."""
    return context.dockerfile_name, context.dockerfile.read_text(errors="replace")


def _is_refused(error: EngineError) -> bool:
    """Whether the engine refused the request, which it does because of what the Dockerfile says."""
    cause: Any = error.__cause__
    return getattr(getattr(cause, "response", None), "status_code", 0) == 400 or "dockerfile" in error.message.lower()


def _short(instruction: str) -> str:
    joined = " ".join(instruction.split())
    return joined if len(joined) <= 100 else f"{joined[:97]}..."
