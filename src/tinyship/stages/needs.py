"""Which other images of the project an image stands on: by its Dockerfiles, its named contexts, and ``needs``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import PurePosixPath

from tinyship import reference
from tinyship.errors import ConfigError, ContextError
from tinyship.reference import Reference
from tinyship.running import graph
from tinyship.stages import pins, release
from tinyship.stages.scope import Scope

Needs = Mapping[str, Mapping[str, str]]
"""By the name of each image: the names of those that it stands on, and what says so."""


def of(scopes: Sequence[Scope]) -> Needs:
    """What the images of a project stand on. Files, settings and perhaps git are asked, no engine."""
    makers = _Makers(scopes)
    names = {scope.name for scope in scopes}
    found: dict[str, dict[str, str]] = {}
    for scope in scopes:
        below = found[scope.name] = {name: "`needs`" for name in scope.settings.needs if name in names}
        for wanted, why in _named(scope):
            if (maker := makers.find(scope, wanted)) and maker is not scope:
                below.setdefault(maker.name, why)
    return found


def order(needs: Needs) -> tuple[str, ...]:
    """The names, each after those that it stands on.

    Raises:
        ConfigError: some stand on each other; says the way round, and what says each step of it.
    """
    try:
        return graph.order(needs)
    except graph.Circle as circle:
        path = circle.path
        steps = [f"{one} needs {below}: {needs[one][below]}" for one, below in pairwise(path)]
        raise ConfigError(
            f"these images stand on each other: {circle}",
            tail=steps,
            hint="One of these has to go: an image is made after those that it stands on.",
        ) from None


def after(scopes: Sequence[Scope]) -> dict[str, tuple[str, ...]]:
    """What must not run at the same time: images with artifacts in one place come one after the other, as listed."""
    places = {scope.name: [PurePosixPath(one) for one in _artifacts(scope)] for scope in scopes}
    names = [scope.name for scope in scopes]
    return {
        name: tuple(other for other in names[:at] if _overlap(places[name], places[other]))
        for at, name in enumerate(names)
        if places[name]
    }


def _artifacts(scope: Scope) -> tuple[str, ...]:
    return scope.settings.build.artifacts if scope.settings.build else ()


def _overlap(some: Sequence[PurePosixPath], others: Sequence[PurePosixPath]) -> bool:
    return any(one.is_relative_to(other) or other.is_relative_to(one) for one in some for other in others)


class _Makers:
    """Who of a project makes which images."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._images = {_repository(reference.parse(scope.settings.image)): scope for scope in scopes}
        self._bases: dict[str, Scope] = {}
        for scope in scopes:
            for name in _bases(scope):
                self._bases.setdefault(name, scope)

    def find(self, scope: Scope, wanted: Reference) -> Scope | None:
        """Who makes an image that one of them names; None for one from elsewhere, or of its own."""
        name = str(wanted)
        if name in self._bases:
            return None if name in _bases(scope) else self._bases[name]
        maker = self._images.get(_repository(wanted))
        return maker if maker and is_made_by(maker, wanted) else None


def is_made_by(scope: Scope, wanted: Reference) -> bool:
    """Whether a release gives this tag, or somebody who leaves the tag out means it; not those of other releases.

    Args:
        wanted: in the repository of this image.
    """
    if wanted.digest:
        return False
    build, tag = scope.settings.build, wanted.tag
    return tag in {"local", "latest", build.tag if build else "local"} or tag in release.local_tags(scope)


def _bases(scope: Scope) -> set[str]:
    return {str(reference.parse(base.name)) for base in scope.settings.base if not base.pull}


def _repository(wanted: Reference) -> tuple[str, str]:
    return wanted.host, wanted.repository


def _named(scope: Scope) -> Iterator[tuple[Reference, str]]:
    """The images that an image names, and where."""
    every = [(value, f"`contexts`, {name}") for name, value in pins.contexts(scope).items()]
    with suppress(ContextError):  # the stage that needs the Dockerfile says it
        for file, place in pins.places(scope):
            if place.is_known and pins.named_context(scope, place.name) is None:
                every.append((place.name, f"{place.keyword} in {file}:{place.line}"))
    for name, why in every:
        with suppress(ConfigError):  # the builder says what is wrong with it
            yield reference.parse(name), why
