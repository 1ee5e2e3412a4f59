"""``POST /build``: a context goes in as a tar, and a log comes out as text; so build the classic builder and Podman.

Source: Docker Engine API, ``POST /build``, and Podman's compatible one.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tinyship.credentials import as_mapping, host_of
from tinyship.dockerfiles import dockerfile
from tinyship.engine import advice, excerpt, faulty, images
from tinyship.engine.connect import Engine
from tinyship.engine.faults import translated
from tinyship.engine.frames import StreamError, frames
from tinyship.engine.request import BuildRequest, BuildResult
from tinyship.errors import BuildFailed, EngineError, Excerpt
from tinyship.events import Events, Log, Notice, Step, Transfer
from tinyship.reference import HUB

if TYPE_CHECKING:
    from tinyship.context.source import Context

_COLOUR = re.compile(r"\x1b\[(91|0)m")
"""What the engine puts around all that a step writes to its standard error."""
_TAIL = 20
_HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a build failed.

    Args:
        words: of the builder.
        exit_code: of the command of a RUN; 0 where no command failed.
    """

    words: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a builder words its log.

    Args:
        step: a line that begins a step; its groups are ``number``, ``total`` and ``name``, and ``stage`` where every
            stage counts its own steps.
        hit: a line that says that the running step came from the cache.
        bookkeeping: a line that says nothing to people.
        warning: a line that is a warning, which is its first group.
        cause: takes the error at the end of the stream apart; gets the name of the running step as well.
        hint: what to do about an error, from its words; empty where there is nothing to say.
    """

    step: re.Pattern[str]
    hit: re.Pattern[str]
    bookkeeping: re.Pattern[str]
    warning: re.Pattern[str]
    cause: Callable[[StreamError, str], Cause]
    hint: Callable[[str], str]


def build(
    engine: Engine,
    request: BuildRequest,
    events: Events,
    dialect: Dialect,
    parameters: Mapping[str, Any],
    *,
    last: Mapping[str, bytes] | None = None,
) -> BuildResult:
    """Send the context, read the log, and find the image.

    Args:
        parameters: of the query.
        last: small files that the tar ends with, by name.
    """
    api = engine.api
    what = f"building {', '.join(request.tags)}"
    sent = _Sent(request, events, last or {})
    with translated(what):
        response = api._post(
            api._url("/build"),
            params=parameters,
            data=sent.chunks(),
            headers={"Content-Type": "application/x-tar", **_registry_config(engine, request)},
            stream=True,
            timeout=None,
        )
    log = TextLog(events, dialect, request.context)
    try:
        for frame in frames(response, what=what):
            log.read(frame)
    except StreamError as error:
        raise log.failure(error) from error
    except EngineError as error:
        if log.step is None and _is_refused(error):
            raise log.unreadable(error.message.removeprefix(f"{what}: ")) from error
        raise
    log.end("done")
    if not log.image_id:
        raise EngineError(f"{what}: the engine ended without an image")
    found = images.find(engine, log.image_id)
    if not found:
        raise EngineError(f"{what}: the image {log.image_id} is not in the engine")
    return BuildResult(found.id, log.cached)


def _registry_config(engine: Engine, request: BuildRequest) -> dict[str, str]:
    """Credentials for the registries that a build has to ask for images or for its cache, and for no other."""
    caches = [entry.attributes.get("ref", "") for entry in (*request.cache_from, *request.cache_to)]
    bases = [
        name for name in _bases(request) if name != "scratch" and (request.pull or images.find(engine, name) is None)
    ]
    hosts = {host_of(name) for name in (*bases, *caches) if name}
    known = {host: request.credentials(host) for host in sorted(hosts)}
    config = {_HUB_KEY if host == HUB else host: as_mapping(found) for host, found in known.items() if found}
    if not config:
        return {}
    from docker.auth import encode_header

    return {"X-Registry-Config": str(encode_header(config), "ascii")}


def _bases(request: BuildRequest) -> Iterable[str]:
    named = (str(context).removeprefix("docker-image://") for context in request.contexts.values())
    return (*dockerfile.parse(request.context.text).bases, *named)


class _Sent:
    """The context on its way into the engine, told about every megabyte."""

    def __init__(self, request: BuildRequest, events: Events, last: Mapping[str, bytes]) -> None:
        self.request = request
        self.events = events
        self.last = last
        self.count = 0
        self.told = 0

    def chunks(self) -> Iterator[bytes]:
        yield from self.request.context.tar(on_bytes=self._counted, last=self.last)
        self.events(Transfer("context", "sending", self.count, self.count, done=True))

    def _counted(self, more: int) -> None:
        self.count += more
        if self.count - self.told > 1 << 20:
            self.told = self.count
            self.events(Transfer("context", "sending", self.count))


class TextLog:
    """The text of a build, read into steps and lines."""

    def __init__(self, events: Events, dialect: Dialect, context: Context) -> None:
        self.events = events
        self.dialect = dialect
        self.context = context
        self.image_id = ""
        self.cached = True
        self.step: Step | None = None
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._begun = 0.0
        self._hit = False
        self._rest = ""
        self._warned: set[str] = set()

    def read(self, frame: dict[str, Any]) -> None:
        """Take one object of the stream."""
        aux = frame.get("aux")
        if isinstance(aux, dict) and aux.get("ID"):
            self.image_id = str(aux["ID"])
        if text := frame.get("stream"):
            if self._rest and self._is_the_builders(text.partition("\n")[0]):
                self._flush()
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                self._line(line.rstrip("\r"))
        elif (status := frame.get("status")) and (current := (frame.get("progressDetail") or {}).get("current")):
            total = int(frame["progressDetail"].get("total") or 0)
            self.events(Transfer(str(frame.get("id", "")), str(status).lower(), int(current), total))

    def end(self, state: Any, error: str = "") -> None:
        """The running step came to its end."""
        self._flush()
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
        cause = self.dialect.cause(error, step.name if step else "")
        if not step:
            return self.unreadable(cause.words)
        code = f"exit code {cause.exit_code}" if cause.exit_code else ""
        why = code if code and step.name.upper().startswith("RUN") else cause.words
        self.end("failed", why)
        source = self._source(step)
        hint = self.dialect.hint(cause.words)
        if step.name.upper().startswith("FROM ") and not hint:  # else it is about an ONBUILD of the image that is there
            return self._no_base(step, cause.words, source)
        message = f"step {step.number}/{step.total} `{_short(step.name)}` failed{' with' if why == code else ':'} {why}"
        hint = hint or advice.for_step(step.name, f"{cause.words} {code}", self.tail)
        return BuildFailed(message, tail=tuple(self.tail), hint=hint, source=source)

    def unreadable(self, words: str) -> BuildFailed:
        """The error for a Dockerfile that the builder cannot read."""
        error = faulty.unreadable(*self._file(), words)
        error.hint = self.dialect.hint(words) or error.hint
        return error

    def _file(self) -> tuple[str, str]:
        """The path of the Dockerfile, as it is shown, and its text."""
        return self.context.shown_name, self.context.dockerfile.read_text(errors="replace")

    def _source(self, step: Step) -> Excerpt | None:
        """The lines that a step is; where every stage counts its own steps, only those that are there once."""
        if "." in step.id:
            return excerpt.of_step(*self._file(), "", 0, step.name)
        return excerpt.of_number(*self._file(), step.number, step.name)

    def _no_base(self, step: Step, why: str, source: Excerpt | None) -> BuildFailed:
        file, text = self._file()
        line = source.marked[0] if source else 0
        stages = dockerfile.parse(text).stages
        reference = next((stage.base for stage in stages if stage.line == line), step.name.split()[1])
        if self.context.pinned is not None:
            pinned = dockerfile.parse(self.context.pinned).stages
            reference = next((stage.base for stage in pinned if stage.line == line), reference)
        return faulty.no_image(file, text, reference, why, source)

    def _is_the_builders(self, line: str) -> bool:
        """Whether a line is the builder's own; it may come behind what a step wrote without an end of the line."""
        dialect = self.dialect
        return bool(dialect.step.fullmatch(line) or dialect.hit.match(line) or dialect.bookkeeping.match(line))

    def _flush(self) -> None:
        if rest := self._rest:
            self._rest = ""
            self._line(rest)

    def _line(self, line: str) -> None:
        line = _COLOUR.sub("", line)
        if match := self.dialect.step.fullmatch(line):
            self._begin(match)
        elif self.dialect.hit.match(line):
            self._hit = True
        elif match := self.dialect.warning.fullmatch(line):
            if match[1] not in self._warned:
                self._warned.add(match[1])
                self.events(Notice(f"the engine warns: {match[1]}", "warning"))
        elif line.strip() and not self.dialect.bookkeeping.match(line):
            self.tail.append(line)
            seconds = time.monotonic() - self._begun if self.step else None
            self.events(Log(self.step.id if self.step else "build", line, seconds=seconds))

    def _begin(self, match: re.Match[str]) -> None:
        self.end("done")
        groups = match.groupdict()
        stage = f"{groups['stage']}." if groups.get("stage") else ""
        self.step = Step(
            f"{stage}{groups['number']}", int(groups["number"]), int(groups["total"]), groups["name"], "running"
        )
        self._begun, self._hit = time.monotonic(), False
        self.tail.clear()
        self.events(self.step)


def _is_refused(error: EngineError) -> bool:
    """Whether the engine refused the request, which it does because of what the Dockerfile says."""
    cause: Any = error.__cause__
    return getattr(getattr(cause, "response", None), "status_code", 0) == 400 or "dockerfile" in error.message.lower()


def _short(instruction: str) -> str:
    joined = " ".join(instruction.split())
    return joined if len(joined) <= 100 else f"{joined[:97]}..."
