"""The builder's door: a request goes in; events, and the image's id, come out."""

from __future__ import annotations

import os
from typing import Protocol

from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest, BuildResult, Tls
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


def choose(engine: Engine, wanted: str, tls: Tls | None = None) -> Builder:
    """The builder for an engine.

    Args:
        wanted: the setting ``builder``: ``buildkit``, ``classic``, the address of a ``buildkitd``, or ``auto``, which
            is BuildKit where the engine has it and the environment does not say ``DOCKER_BUILDKIT=0``.
        tls: certificates for a ``buildkitd``.

    Raises:
        ConfigError: the address is none.
        EngineError: BuildKit is asked for, and there is no way to it.
    """
    from tinyship.engine.buildkit import door
    from tinyship.engine.buildkit.solve import BuildKitBuilder
    from tinyship.engine.classic import ClassicBuilder

    if "://" in wanted:
        return BuildKitBuilder(engine, door.of_daemon(wanted, tls), elsewhere=True)
    if wanted == "buildkit":
        return BuildKitBuilder(engine)
    if wanted == "auto" and os.environ.get("DOCKER_BUILDKIT") != "0" and engine.has_buildkit:
        try:
            return BuildKitBuilder(engine)
        except EngineError:
            pass  # whatever stands between the engine and us lets no upgrade through
    return ClassicBuilder(engine)
