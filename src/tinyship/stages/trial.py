"""Running what was released: in the foreground for a look, or until a health check says whether it works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tinyship import labels
from tinyship.engine import containers, images
from tinyship.engine.containers import ContainerRequest
from tinyship.engine.images import Image
from tinyship.errors import CommandFailed, ConfigError, EngineError, Refused
from tinyship.kept import record
from tinyship.kept.record import Release
from tinyship.plan import Action
from tinyship.running import cancelling
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.settings.stages import Words

_PAUSE = 0.25


def plan_run(scope: Scope) -> tuple[Action, ...]:
    """What ``run`` would do."""
    ports = ", ".join(scope.settings.release.run.ports) or "the ports that it exposes"
    return (Action("run", f"{scope.settings.image}:local", f"with {ports}"),)


def plan_smoke(scope: Scope) -> tuple[Action, ...]:
    """What ``smoke`` would do."""
    smoke = scope.settings.release.smoke
    how = " ".join(_words(smoke.command)) or "its HEALTHCHECK"
    return (Action("smoke", f"{scope.settings.image}:local", f"{how}, for at most {smoke.timeout:g} s"),)


def run(scope: Scope, told: Callable[[Mapping[str, str]], None]) -> int:
    """Run the released image until it ends, its output as Log events; returns its exit code.

    Args:
        told: gets the published ports once it runs: ``{"8080/tcp": "127.0.0.1:49153"}``.
    """
    release = _released(scope)
    with _started(scope, release) as container:
        told(containers.published(scope.engine, container))
        return containers.logs(scope.engine, container, scope.events, source=release.image).exit_code


def smoke(scope: Scope) -> Release:
    """Run the released image until its health check, or the configured command in it, says that it works.

    Returns:
        the release as it now stands in the record.

    Raises:
        ConfigError: there is neither a command nor a HEALTHCHECK to go by.
        CommandFailed: it does not work; says what it wrote.
    """
    release = _released(scope)
    settings = scope.settings.release.smoke
    command = _words(settings.command)
    if not command and not _image(scope, release).has_healthcheck:
        raise ConfigError(
            "nothing says when the image works",
            hint="Give its Dockerfile a HEALTHCHECK, or set `release.smoke.command`.",
            stage="release",
            image=release.reference,
        )
    how = f"`{' '.join(command)}`" if command else "its health check"
    with scope.stage("release", release.reference, f"waiting for {how}") as outcome:
        try:
            with _started(scope, release) as container:
                _wait(scope, container, command, settings.timeout, how)
        except CommandFailed:
            record.amend(scope.root, release, lambda entry: replace(entry, smoke=False))
            raise
        outcome.word = "works"
    now = record.amend(scope.root, release, lambda entry: replace(entry, smoke=True))
    return now or replace(release, smoke=True)


def _wait(scope: Scope, container: str, command: tuple[str, ...], timeout: float, how: str) -> None:
    end = time.monotonic() + timeout
    last: tuple[str, ...] = ()
    while True:
        ended = containers.ended(scope.engine, container)
        if ended is not None:
            raise _failed(scope, container, f"it ended with exit code {ended} before {how} passed", ended)
        if command:
            try:
                finished = containers.execute(scope.engine, container, command)
            except EngineError:
                if containers.ended(scope.engine, container) is None:
                    raise
                continue  # it ended a moment ago, which is looked at above
            if not finished.exit_code:
                return
            last = finished.tail
        elif (health := containers.health(scope.engine, container)) == "healthy":
            return
        elif health == "unhealthy":
            raise _failed(scope, container, "its health check says that it does not work", 1)
        if time.monotonic() > end:
            raise _failed(scope, container, f"{how} did not pass within {timeout:g} s", 1, last)
        cancelling.sleep(_PAUSE)


def _failed(scope: Scope, container: str, why: str, code: int, said: tuple[str, ...] = ()) -> CommandFailed:
    tail = (*containers.tail(scope.engine, container), *said)
    return CommandFailed(why, exit_code_of_command=code, tail=tail, hint="`invoke release.run` shows it at work.")


def _released(scope: Scope) -> Release:
    release = record.read(scope.root).find(scope.settings.image)
    if not release or not images.find(scope.engine, release.id):
        raise Refused(
            "nothing is released yet" if not release else "the released image is no longer in the engine",
            hint="`invoke release` comes first.",
            stage="release",
            image=scope.settings.image,
        )
    return release


def _image(scope: Scope, release: Release) -> Image:
    image = images.find(scope.engine, release.id)
    assert image
    return image


@contextmanager
def _started(scope: Scope, release: Release) -> Iterator[str]:
    settings = scope.settings.release.run
    exposed = tuple(f"127.0.0.1::{port}" for port in _image(scope, release).exposed_ports)
    request = ContainerRequest(
        image=release.id,
        command=_words(settings.command),
        env=settings.env,
        labels=labels.own(scope.settings, "release"),
        ports=settings.ports or exposed,
    )
    with containers.container(scope.engine, request) as container:
        containers.start(scope.engine, container)
        yield container


def _words(command: Words) -> tuple[str, ...]:
    from tinyship.settings.stages import words

    return words(command)
