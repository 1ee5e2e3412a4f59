"""The builder's door: a request goes in; events, and the image's id, come out."""

from __future__ import annotations

import os
from typing import Protocol

from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest, BuildResult, Tls
from tinyship.errors import ConfigError, EngineError
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

    On Podman both ``auto`` and ``classic`` are Podman's own builder.

    Raises:
        ConfigError: the address is none, or BuildKit is asked for by name where the engine is Podman.
        EngineError: BuildKit is asked for, and there is no way to it.
    """
    from tinyship.engine.buildkit import door
    from tinyship.engine.buildkit.solve import BuildKitBuilder

    if "://" in wanted:
        return BuildKitBuilder(engine, door.of_daemon(wanted, tls), elsewhere=True)
    if engine.is_podman:
        return _podman(engine, wanted)
    if wanted == "buildkit":
        return BuildKitBuilder(engine)
    return _classic(engine, "`builder: classic` asks for it") if wanted == "classic" else _auto(engine)


def _auto(engine: Engine) -> Builder:
    from tinyship.engine.buildkit.solve import BuildKitBuilder

    if os.environ.get("DOCKER_BUILDKIT") == "0":
        return _classic(engine, "DOCKER_BUILDKIT=0 asks for it", "Unset DOCKER_BUILDKIT, or set `builder: buildkit`.")
    if not engine.has_buildkit:
        return _classic(engine, "this engine has no BuildKit", "Use an engine that speaks BuildKit.")
    try:
        return BuildKitBuilder(engine)
    except EngineError as error:
        # Whatever stands between the engine and us lets no upgrade through.
        return _classic(
            engine,
            f"there is no way to the engine's BuildKit: {error.message}",
            "Let POST /grpc and POST /session through to the engine, or set `builder` to the address of a `buildkitd`.",
        )


def _classic(engine: Engine, why: str, way_out: str = "Set `builder: auto` or `builder: buildkit`.") -> Builder:
    from tinyship.engine.classic import ClassicBuilder

    return ClassicBuilder(engine, why=why, way_out=way_out)


def _podman(engine: Engine, wanted: str) -> Builder:
    from tinyship.engine.podman import PodmanBuilder

    if wanted == "buildkit":
        raise ConfigError(
            "`builder: buildkit` is asked for, and this engine is Podman, which has none",
            hint="Set `builder: auto` for Podman's own builder, or the address of a `buildkitd`.",
        )
    return PodmanBuilder(engine)
