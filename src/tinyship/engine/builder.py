"""The builder's door: a request goes in; events, and the image's id, come out."""

from __future__ import annotations

import os
from typing import Protocol

from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest, BuildResult
from tinyship.errors import EngineError
from tinyship.events import Events


class Builder(Protocol):
    """Something that builds images into the engine."""

    name: str

    def build(self, request: BuildRequest, events: Events) -> BuildResult:
        """Build an image and tag it in the engine.

        Raises:
            BuildFailed: a step failed, or the Dockerfile cannot be understood.
            EngineError: the engine failed, or went away.
        """


def choose(engine: Engine, wanted: str) -> Builder:
    """The builder for an engine.

    Args:
        wanted: the setting ``builder``: ``buildkit``, ``classic``, or ``auto``, which is BuildKit where the engine has
            it and the environment does not say ``DOCKER_BUILDKIT=0``.
    """
    if wanted == "classic" or (wanted == "auto" and not _prefers_buildkit(engine)):
        from tinyship.engine.classic import ClassicBuilder

        return ClassicBuilder(engine)
    from tinyship.engine.buildkit.solve import BuildKitBuilder

    return BuildKitBuilder(engine)


def _prefers_buildkit(engine: Engine) -> bool:
    """Whether BuildKit is there, wanted, and let through by whatever stands between the engine and us."""
    from tinyship.engine.buildkit import pipe

    if os.environ.get("DOCKER_BUILDKIT") == "0" or not engine.has_buildkit:
        return False
    try:
        pipe.through(engine)("/grpc").socket.close()
    except EngineError:
        return False
    return True
