"""Pins of base images and what the registries have now: moves the one to the other, and tells what they differ in."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyship import reference, state
from tinyship.errors import ConfigError, EngineError, RegistryError, TinyshipError
from tinyship.events import Notice
from tinyship.kept import lock
from tinyship.kept.lock import Lock, Pin
from tinyship.registry import images
from tinyship.registry.client import Repository
from tinyship.registry.images import RemoteImage
from tinyship.stages import pins
from tinyship.stages.scope import Scope

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Moved:
    """A base image whose pin moves.

    Args:
        name: as the Dockerfiles have it.
        old: what it was pinned to; None where nothing pinned it.
        new: what its registry has now.
        layers: of the new image.
        new_layers: those of them that the old image did not have; None where there is none, or it is gone.
    """

    name: str
    old: Pin | None
    new: Pin
    layers: int
    new_layers: int | None

    @property
    def change(self) -> int | None:
        """Bytes that a pull transfers more than before; None where one of the two is not known."""
        if not self.old or self.old.pull is None or self.new.pull is None:
            return None
        return self.new.pull - self.old.pull


@dataclass(frozen=True, slots=True)
class Update:
    """What an update did, or would do.

    Args:
        moved: pins that are new or other than before.
        kept: names whose pins are what the registries have.
        gone: names that were pinned and that no Dockerfile has any more.
        failures: names that could not be asked for, each with why; their pins stay.
    """

    moved: tuple[Moved, ...]
    kept: tuple[str, ...]
    gone: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]


def update(scopes: Sequence[Scope], *, only: Sequence[str] = (), dry: bool = False) -> Update:
    """Pin the external base images of a project's images to what their registries have now.

    Args:
        scopes: the images; pins of names that none of them has go only where these are all of the project.
        only: names of base images; all of them where empty, and then nothing else is touched.
        dry: write nothing.

    Raises:
        ConfigError: a name is none of a base image, or the lock cannot be used.
        TinyshipError: the lock cannot be written.
    """
    root = scopes[0].root
    kept = lock.read(root)
    before = dict(kept.pins) if kept else {}
    names = {base.name: scope for scope in scopes for base in pins.external(scope) if base.pinned_by in {"", lock.NAME}}
    for scope in scopes:
        for file, line, name in pins.unknown(scope):
            scope.events(Notice(f"{file}:{line}: `{name}` cannot be pinned: an argument in it has no value", "warning"))
    for name in only:
        if name not in names:
            raise ConfigError(
                f"`{name}` is no base image from elsewhere that this project names in a Dockerfile",
                hint=f"There are {', '.join(sorted(names))}." if names else "There are none.",
            )
    moved, same, failures = list[Moved](), list[str](), list[tuple[str, str]]()
    for name in only or sorted(names):
        try:
            found = _moved(names[name], name, before.get(name))
        except TinyshipError as error:
            failures.append((name, error.message))
            continue
        if found:
            moved.append(found)
        else:
            same.append(name)
    everything = not only and {scope.settings.image for scope in scopes} >= scopes[0].repositories
    gone = sorted(before.keys() - names.keys()) if everything else []
    if not dry and (kept is not None or moved):
        _write(root, {one.name: one.new for one in moved}, gone)
    return Update(tuple(moved), tuple(same), tuple(gone), tuple(failures))


def _write(root: Path, new: Mapping[str, Pin], gone: Iterable[str]) -> None:
    """Change these pins in the lock as it is now: asking took long enough for another update to write it."""
    with state.locked(root, "update.lock"):
        found = lock.read(root)
        pins = {**(found.pins if found else {}), **new}
        for name in gone:
            pins.pop(name, None)
        lock.write(root, Lock(pins))


def now(scope: Scope, name: str) -> str:
    """The digest of what the registry has under a name now.

    Raises:
        RegistryError: it does not have it, or cannot be asked.
    """
    with opened(scope, name) as repository:
        return repository.manifest(reference.parse(name).tag).digest


def opened(scope: Scope, name: str) -> Repository:
    """The repository of a name, to be closed or used in a `with`; asked as the settings of an image have it."""
    return scope.reading(name)


def _moved(scope: Scope, name: str, old: Pin | None) -> Moved | None:
    """How a pin moves; None where it is what the registry has."""
    digest = now(scope, name)
    if old and old.digest == digest:
        return None
    with opened(scope, name) as repository:
        wanted = _platform(scope)
        new = _image(repository, digest, wanted)
        last = _old(repository, old.digest, wanted) if old else None
    had = {layer.digest for layer in last.layers} if last else set()
    if old and last:
        old = Pin(old.digest, last.platform, last.pull)
    elif old and old.platform != new.platform:
        old = Pin(old.digest)  # the sizes of two platforms say nothing of what changed
    return Moved(
        name,
        old,
        Pin(digest, new.platform, new.pull),
        len(new.layers),
        sum(layer.digest not in had for layer in new.layers) if last else None,
    )


def _image(repository: Repository, digest: str, wanted: str) -> RemoteImage:
    """The image for a platform, or the first one where there is none for it: a stage may be of another platform."""
    try:
        return images.find(repository, digest, platform=wanted)
    except RegistryError:
        return images.find(repository, digest)


def _old(repository: Repository, digest: str, wanted: str) -> RemoteImage | None:
    """What was there before, as far as the registry still has it."""
    try:
        return _image(repository, digest, wanted)
    except RegistryError:
        return None


def _platform(scope: Scope) -> str:
    """The platform that sizes are told of: the first of the settings, the engine's, or else this machine's."""
    if scope.settings.platforms:
        return scope.settings.platforms[0]
    try:
        return scope.engine.platform
    except EngineError:
        machine = platform.machine()
        return f"linux/{_MACHINES.get(machine, machine)}"
