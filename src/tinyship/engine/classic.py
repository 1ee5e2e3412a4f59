"""The classic builder of Docker's engines: what it takes of a request, and how it words its log.

Source: Docker Engine API, ``POST /build`` with ``version=1``; the lines are those of moby's ``builder/dockerfile``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tinyship.dockerfiles import dockerfile
from tinyship.engine import images, lacks, textbuild
from tinyship.engine.connect import Engine
from tinyship.engine.frames import StreamError
from tinyship.engine.request import BuildRequest, BuildResult
from tinyship.engine.textbuild import Cause, Dialect
from tinyship.events import Events, Notice

_STEP = re.compile(r"STEP (?P<number>\d+)/(?P<total>\d+) ?: (?P<name>.*)", re.I)
_HIT = re.compile(r" ?---> Using cache$")
_BOOKKEEPING = re.compile(
    r" ?---> (Running in [0-9a-f]{12}|[0-9a-f]{12}|)$"
    r"|(?: ---> )?Remov(?:ing|ed) intermediate container [0-9a-f]{12}$"
    r"|Successfully built [0-9a-f]{12,64}$|Successfully tagged "
)
_WARNING = re.compile(r"(?: ?---> )?\[Warning\] (.+)")
_NEEDS_BUILDKIT = re.compile(r"requires BuildKit|unknown flag: ", re.I)
_WAY_OUT = "Set `builder: buildkit`, with an engine that speaks BuildKit."


class ClassicBuilder:
    """Builds with the builder that all of Docker's engines have.

    It has no secrets, no SSH, no named contexts, no outputs, no attestations, one platform at a time, and a cache of
    images in the engine; whoever asks for more gets an error. So does a Dockerfile with what it lacks: since Docker 23
    it passes over here-documents and ``COPY --link`` in silence. Dates are its own: it does not hear of ``epoch``.
    """

    name = "classic"

    def __init__(self, engine: Engine, *, why: str = "", way_out: str = _WAY_OUT) -> None:
        """Take an engine.

        Args:
            why: what led to this builder, as a clause; empty where that goes without saying.
            way_out: how to get to another one.
        """
        self.engine = engine
        self.why = why
        self.way_out = way_out

    def build(self, request: BuildRequest, events: Events) -> BuildResult:
        """Build an image; see ``Builder.build``. Leaving in the middle ends the build in the engine.

        Raises:
            ConfigError: something is asked for that this builder lacks; nothing was sent.
        """
        because = f" ({self.why})" if self.why else ""
        text = request.context.dockerfile.read_text(errors="surrogateescape")
        lacking = [
            *lacks.lacking(request, has=()),
            *lacks.of_cache("cache_from", request.cache_from, ("ref",)),
            *(f"`{what}` (line {number} of the Dockerfile)" for number, what in dockerfile.beyond_classic(text)),
        ]
        lacks.refuse(f"the classic builder{because}", lacking, hint=self.way_out)
        for reference in _caches(request):
            if images.find(self.engine, reference) is None:
                events(Notice(f"`cache_from`: {reference} is not in the engine, and the classic builder pulls none"))
        dialect = Dialect(_STEP, _HIT, _BOOKKEEPING, _WARNING, _cause, self._hint)
        return textbuild.build(self.engine, request, events, dialect, _parameters(request))

    def _hint(self, words: str) -> str:
        """The way out where a Dockerfile asks for what only BuildKit has."""
        because = f" ({self.why})" if self.why else ""
        needs = _NEEDS_BUILDKIT.search(words)
        return f"This needs BuildKit, and here the classic builder builds{because}. {self.way_out}" if needs else ""


def _caches(request: BuildRequest) -> list[str]:
    return [entry.attributes["ref"] for entry in request.cache_from]


def _cause(error: StreamError, step: str) -> Cause:
    return Cause(error.words, int(error.code or 0))


def _parameters(request: BuildRequest) -> dict[str, Any]:
    optional = {
        "target": request.target,
        "networkmode": request.network,
        "platform": ",".join(request.platforms),
        "extrahosts": list(request.extra_hosts),
        "nocache": "1" if request.no_cache else "",
        "pull": "1" if request.pull else "",
        "shmsize": str(request.shm_size or ""),
        "ulimits": json.dumps([_limit(entry) for entry in request.ulimits]) if request.ulimits else "",
        "cachefrom": json.dumps(_caches(request)) if request.cache_from else "",
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


def _limit(entry: str) -> dict[str, Any]:
    """``name=soft[:hard]`` as the engine reads it."""
    name, _, values = entry.partition("=")
    soft, _, hard = values.partition(":")
    return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
