"""The builder's door: a request goes in; events, and the image's id, come out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tinyship.credentials import Credential
from tinyship.engine.connect import Engine
from tinyship.errors import EngineError
from tinyship.events import Events

if TYPE_CHECKING:
    from tinyship.context.source import Context


def no_credentials(host: str) -> None:
    """Know no credentials for any host."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRequest:
    """What is to be built.

    Args:
        context: the files, and the Dockerfile among them.
        tags: the references that the image gets.
        target: the stage to stop at; the last one where empty.
        args: build arguments; only such as the Dockerfile declares.
        labels: of the image.
        network: of RUN instructions, as ``docker build --network`` takes it.
        extra_hosts: ``name:address``.
        no_cache: build every step again.
        platform: ``os/architecture``; the engine's own where empty.
        credentials: finds those of a registry's host, when an image has to be pulled from it.
    """

    context: Context
    tags: tuple[str, ...]
    target: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    extra_hosts: tuple[str, ...] = ()
    no_cache: bool = False
    platform: str = ""
    credentials: Callable[[str], Credential | None] = no_credentials


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What was built.

    Args:
        image_id: the engine's id of the image.
        cached: every step came from the cache.
    """

    image_id: str
    cached: bool


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
