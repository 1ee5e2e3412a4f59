"""Which base images from elsewhere have moved since they were pinned, and which releases stand on what is old."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from tinyship import labels, record, reference
from tinyship.engine import images as local
from tinyship.errors import EngineError, RegistryError, TinyshipError
from tinyship.events import Notice
from tinyship.registry import images
from tinyship.registry.client import Repository
from tinyship.stages import moving, pins, published
from tinyship.stages.pins import BaseImage
from tinyship.stages.scope import Scope

State = Literal["current", "moved", "not pinned", "not known"]
Asked = Callable[[str], tuple[str, str]]
"""Gives the digest that a registry has for a name now, and why it is not known; one of the two is empty."""

_MOST = 20
"""Tags of a repository that are looked at, the highest versions."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A base image, and what its registry has.

    Args:
        base: as it is pinned, or as a release was made with it.
        now: the digest that its registry has for its name now; empty where not known.
        state: how the two compare.
        why: why it is not known; empty where it is.
    """

    base: BaseImage
    now: str
    state: State
    why: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """A release, and a base image that it was made with; None where it does not say."""

    reference: str
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class Outdated:
    """What was found.

    Args:
        bases: those that the Dockerfiles and the settings name now.
        releases: of the record and of the registry, one entry for each base of each.
    """

    bases: tuple[Standing, ...]
    releases: tuple[Release, ...]

    @property
    def moved(self) -> int:
        """How many bases have moved."""
        return sum(one.state == "moved" for one in self.bases)

    @property
    def old(self) -> tuple[str, ...]:
        """The releases that stand on a base that has moved."""
        stale = (one.reference for one in self.releases if one.standing and one.standing.state == "moved")
        return tuple(dict.fromkeys(stale))


def find(scopes: Sequence[Scope]) -> Outdated:
    """Compare pins and releases with the registries; each name is asked for once.

    What cannot be asked is not known, which is no error; a repository that is not there has no releases.

    Raises:
        TinyshipError: a Dockerfile, the lock or the record cannot be used.
    """
    asked = cache(partial(_now, scopes[0]))
    bases = dict.fromkeys(base for scope in scopes for base in pins.external(scope))
    return Outdated(
        tuple(_standing(base, asked) for base in bases),
        tuple(
            Release(name, _standing(base, asked) if base else None)
            for scope in scopes
            for name, base in _releases(scope)
        ),
    )


def _standing(base: BaseImage, asked: Asked) -> Standing:
    now, why = asked(base.name) if _has_tag(base) else ("", "only a digest names it, and that never moves")
    if not base.digest:
        return Standing(base, now, "not pinned", why)
    return Standing(base, now, "not known" if why else "current" if now == base.digest else "moved", why)


def _has_tag(base: BaseImage) -> bool:
    return base.pinned_by != pins.DOCKERFILE or ":" in base.name.rpartition("/")[2]


def _now(scope: Scope, name: str) -> tuple[str, str]:
    try:
        return moving.now(scope, name), ""
    except TinyshipError as error:
        return "", error.message


def _releases(scope: Scope) -> Iterator[tuple[str, BaseImage | None]]:
    """The bases of each release: of the one in the record, then of those in the first registry of ``push.to``."""
    last = record.read(scope.root).find(scope.settings.image)
    known: set[str] = set()
    if last:
        known = {one.digest for one in last.pushed}
        yield from _bases_of(f"{last.image}:{last.version}", _labels_of_last(scope, last))
    name = f"{scope.settings.push.to[0]}/{scope.settings.image}" if scope.settings.push.to else scope.settings.image
    try:
        with scope.repository(name) as repository:
            found = list(_published(scope, repository))
    except RegistryError as error:
        scope.events(Notice(f"the releases in the registry are not known: {error.message}", "warning"))
        return
    # A tag that moves, like 1.4, names what a longer one, like 1.4.2, names too.
    longest = {image.index_digest or image.digest: image for image in sorted(found, key=lambda one: len(one.reference))}
    for digest, image in longest.items():
        if digest not in known:
            yield from _bases_of(f"{name}:{image.reference}", _labels(image.config))


def _published(scope: Scope, repository: Repository) -> Iterator[images.RemoteImage]:
    for tag in published.versioned(repository, scope.settings.version.scheme)[:_MOST]:
        try:
            yield images.find(repository, tag)
        except RegistryError:
            continue  # no image, and no reason to leave out the others


def _labels_of_last(scope: Scope, last: record.Release) -> Mapping[str, str]:
    """The labels of the release in the record: the engine's word, or else the registry's."""
    try:
        if image := local.find(scope.engine, last.id):
            return image.labels
    except EngineError:
        pass  # then the registry may know
    for one in last.pushed:
        try:
            with scope.repository(one.reference) as repository:
                return _labels(images.find(repository, one.digest).config)
        except RegistryError:
            continue
    return {}


def _labels(config: Mapping[str, Any]) -> Mapping[str, str]:
    run = config.get("config")
    said = run.get("Labels") if isinstance(run, dict) else None
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else {}


def _bases_of(name: str, said: Mapping[str, str]) -> Iterator[tuple[str, BaseImage | None]]:
    """What the labels of a release say that it was made with: ours name all, OCI's what it stands on."""
    bases = []
    for word in said.get(labels.BASES, "").split():
        base, _, digest = word.partition("@")
        bases.append(BaseImage(base, digest))
    named = said.get(labels.BASE_NAME, "")
    if named and not any(_is_same(base.name, named) for base in bases):
        bases.append(BaseImage(named, said.get(labels.BASE_DIGEST, "")))
    sound = [base for base in bases if _is_reference(base)]
    yield from ((name, base) for base in sound)
    if not sound:
        yield name, None


def _is_same(one: str, other: str) -> bool:
    return reference.parse(one) == reference.parse(other) if _is_reference(BaseImage(one, "")) else False


def _is_reference(base: BaseImage) -> bool:
    """Whether what a label says is an image: it is other people's words."""
    try:
        reference.parse(f"{base.name}@{base.digest}" if base.digest else base.name)
    except TinyshipError:
        return False
    return True
