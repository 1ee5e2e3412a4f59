"""For the tests of projects that use tinyship: an engine's images and a registry that go when the test ends.

As context managers here, as pytest's fixtures in `tinyship.testing.fixtures`. Nothing else of tinyship imports this.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinyship.engine.connect import Engine

__all__ = ["namespace", "registry", "registry_program"]

_IN_USE = 409


@contextmanager
def namespace(engine: Engine | None = None) -> Iterator[str]:
    """The first part of names for images, like ``test-1a2b3c4d``: what is called so goes at the end, failed or not.

    At the end all containers go whose image or project is ``NAME/...``, then all images with such a name, in whatever
    registry, and those that tinyship made for such a project and that have no name any more.

    Args:
        engine: that the images are in; the one that docker-py finds where it is None.

    Raises:
        EngineUnreachable: there is no engine.
        EngineError: it did not remove something.
    """
    from tinyship.engine.connect import connect

    name = f"test-{secrets.token_hex(4)}"
    with nullcontext(engine) if engine else _closing(connect()) as found:
        try:
            yield name
        finally:
            _remove(found, name)


@contextmanager
def registry(folder: Path | None = None) -> Iterator[str]:
    """Host and port of an empty registry on this machine, which takes plain HTTP and pushes from anyone.

    It listens on 127.0.0.1 only, with which engines speak plain HTTP; an engine on another machine does not reach it.

    Args:
        folder: where it keeps what is pushed; a temporary one, removed at the end, where it is None.

    Raises:
        TinyshipError: its program is not on PATH, or it does not start.
    """
    from tinyship.errors import TinyshipError
    from tinyship.testing.server import running

    program = registry_program()
    if not program:
        raise TinyshipError("there is no `docker-registry` on PATH", hint="`apt-get install docker-registry` has it.")
    with (
        nullcontext(str(folder)) if folder else tempfile.TemporaryDirectory(prefix="tinyship-") as place,
        running(program, Path(place)) as host,
    ):
        yield host


def registry_program() -> str | None:
    """The path of the registry's program, where this machine has it."""
    return shutil.which("docker-registry") or shutil.which("registry")


@contextmanager
def _closing(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.close()


def _remove(engine: Engine, name: str) -> None:
    """Remove what is in a namespace; what others remove meanwhile is as good as removed."""
    from docker.errors import APIError, NotFound

    from tinyship.engine import containers, inventory
    from tinyship.engine.faults import translated
    from tinyship.labels import PROJECT

    for container in inventory.containers(engine):
        if _within(name, container.image) or _within(name, container.labels.get(PROJECT, "")):
            containers.remove(engine, container.id)
    for image in inventory.images(engine):
        names = [tag for tag in image.tags if _within(name, tag)]
        if not image.tags and _within(name, image.labels.get(PROJECT, "")):
            names = [image.id]
        for each in names:
            with translated(f"removing {each}"):
                try:
                    engine.api.remove_image(each, force=True)
                except NotFound:
                    continue
                except APIError as error:  # an image without a name stays where one of another namespace stands on it
                    if image.tags or error.response is None or error.response.status_code != _IN_USE:
                        raise


def _within(name: str, image: str) -> bool:
    """Whether an image's name is in a namespace, in whatever registry."""
    return image.startswith(f"{name}/") or f"/{name}/" in image
