"""Cleaning up: what goes is only what bears this project's label and stands under one of its own names."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from tinyship.engine import containers, images
from tinyship.engine.images import Image
from tinyship.plan import Action
from tinyship.stages.scope import Scope

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that is gone: an artifact, a container, an image's name or an image without one."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a clean did.

    Args:
        removed: what is gone.
        kept: what could not go, each with why.
        freed: bytes, measured before and after: in the engine and in the project's folder together.
    """

    removed: tuple[Removed, ...]
    kept: tuple[tuple[str, str], ...]
    freed: int


@dataclass(frozen=True, slots=True)
class _Find:
    """What a clean would remove: paths of artifacts, containers, and images with the names that they would lose."""

    artifacts: tuple[str, ...]
    containers: tuple[str, ...]
    images: tuple[tuple[Image, tuple[str, ...]], ...]

    def actions(self) -> tuple[Action, ...]:
        return (
            *(Action("remove", artifact, "artifact") for artifact in self.artifacts),
            *(Action("remove", container[:12], "container") for container in self.containers),
            *(Action("remove", name, "image") for image, names in self.images for name in names or (_short(image),)),
        )


def plan(scope: Scope, what: str) -> tuple[Action, ...]:
    """What ``work``, ``old_releases`` or ``everything`` would remove; ``what`` is one of these names."""
    return _FINDERS[what](scope).actions()


def work(scope: Scope) -> Cleaned:
    """Remove artifacts, this project's containers, and its images without a name."""
    return _remove(scope, _find_work(scope))


def old_releases(scope: Scope) -> Cleaned:
    """Remove all releases from the engine but the last ``clean.keep``."""
    return _remove(scope, _find_old_releases(scope))


def everything(scope: Scope) -> Cleaned:
    """Remove all that this project made: artifacts, containers, releases, build image, base images."""
    return _remove(scope, _find_everything(scope))


def _find_work(scope: Scope) -> _Find:
    unnamed = tuple((image, ()) for image in _ours(scope) if not image.tags)
    return _Find(_artifacts(scope), _containers(scope), unnamed)


def _find_old_releases(scope: Scope) -> _Find:
    found = [
        (image, names)
        for image in _ours(scope)
        if image.labels.get("tinyship.stage") == "release" and (names := _names(scope, image))
    ]
    found.sort(key=lambda entry: _age(entry[0]), reverse=True)
    old = [(image, names) for image, names in found[scope.settings.clean.keep :] if not _is_local(scope, names)]
    return _Find((), (), tuple(old))


def _age(image: Image) -> tuple[datetime, tuple[int, ...]]:
    """What releases are ordered by: their date, which may be their commit's and so be shared, and then the version."""
    version = image.labels.get("org.opencontainers.image.version", "")
    return image.created or _NEVER, tuple(int(number) for number in re.findall(r"\d+", version))


def _find_everything(scope: Scope) -> _Find:
    named = [(image, _names(scope, image)) for image in _ours(scope)]
    going = tuple((image, names) for image, names in named if names or not image.tags)
    # What stands on others goes first, so that no image is refused for its children.
    ordered = sorted(going, key=lambda entry: len(entry[0].layers), reverse=True)
    return _Find(_artifacts(scope), _containers(scope), tuple(ordered))


_FINDERS = {"work": _find_work, "old_releases": _find_old_releases, "everything": _find_everything}


def _ours(scope: Scope) -> tuple[Image, ...]:
    return images.listing(scope.engine, project=scope.settings.image)


def _names(scope: Scope, image: Image) -> tuple[str, ...]:
    """The image's names that are this project's: a foreign image made FROM ours inherits the label, not the name."""
    registries = ("", *(f"{registry}/" for registry in scope.settings.push.to))
    repositories = {f"{registry}{scope.settings.image}" for registry in registries}
    bases = {
        base.name if ":" in base.name.rpartition("/")[2] else f"{base.name}:latest" for base in scope.settings.base
    }
    return tuple(tag for tag in image.tags if tag in bases or tag.rpartition(":")[0] in repositories)


def _is_local(scope: Scope, names: Iterable[str]) -> bool:
    return f"{scope.settings.image}:local" in names


def _artifacts(scope: Scope) -> tuple[str, ...]:
    build = scope.settings.build
    named = build.artifacts if build else ()
    return tuple(
        artifact for artifact in named if (scope.root / artifact).is_symlink() or (scope.root / artifact).exists()
    )


def _containers(scope: Scope) -> tuple[str, ...]:
    return containers.listing(scope.engine, project=scope.settings.image)


def _short(image: Image) -> str:
    return image.id.removeprefix("sha256:")[:12]


def _remove(scope: Scope, find: _Find) -> Cleaned:
    before = images.layers_size(scope.engine)
    removed: list[Removed] = []
    kept: list[tuple[str, str]] = []
    freed = 0
    for artifact in find.artifacts:
        freed += _remove_artifact(scope, artifact)
        removed.append(Removed("artifact", artifact))
    for container in find.containers:
        if containers.remove(scope.engine, container):
            removed.append(Removed("container", container[:12]))
    for image, names in find.images:
        for name in names:
            if images.untag(scope.engine, name):
                removed.append(Removed("image", name))
            else:
                kept.append((name, "a container uses it"))
        if not names:
            if images.remove(scope.engine, image.id):
                removed.append(Removed("image", _short(image)))
            else:
                kept.append((_short(image), "another image or a container uses it"))
    freed += max(0, before - images.layers_size(scope.engine))
    return Cleaned(tuple(removed), tuple(kept), freed)


def _remove_artifact(scope: Scope, artifact: str) -> int:
    path = scope.root / artifact
    if path.is_dir() and not path.is_symlink():
        size = sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
        shutil.rmtree(path)
        return size
    size = path.lstat().st_size
    path.unlink()
    return size
