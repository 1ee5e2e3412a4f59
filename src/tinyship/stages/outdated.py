"""Which base images from elsewhere have moved since they were pinned, and which releases stand on what is old."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tinyship import labels, reference
from tinyship.engine import images as local
from tinyship.errors import EngineError, RegistryError, TinyshipError
from tinyship.events import Notice
from tinyship.kept import record
from tinyship.registry import images
from tinyship.registry.client import Repository
from tinyship.stages import goals, moving, pins, published
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
    """A release, and a base image that it was made with.

    Args:
        reference: of the release.
        standing: of the base; None where the release does not say what it was made with.
        is_last: whether it is the last release: that of the record, or else the highest version in the registry.
    """

    reference: str
    standing: Standing | None
    is_last: bool


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
        return tuple(dict.fromkeys(one.reference for one in self.releases if _is_old(one)))

    @property
    def calls_for_work(self) -> bool:
        """Whether a pin is to be moved, or the last release made again: earlier ones stay what they are."""
        return bool(self.moved) or any(one.is_last and _is_old(one) for one in self.releases)


def find(scopes: Sequence[Scope]) -> Outdated:
    """Compare pins and releases with the registries; each name is asked for once.

    What cannot be asked is not known, which is worth a warning and no error.

    Raises:
        TinyshipError: a Dockerfile, the lock or the record cannot be used.
    """
    asked = cache(lambda name: _now(scopes[0], name))
    bases = dict.fromkeys(base for scope in scopes for base in pins.external(scope))
    return Outdated(
        tuple(_standing(base, asked) for base in bases),
        tuple(
            Release(name, _standing(base, asked) if base else None, is_last)
            for scope in scopes
            for name, base, is_last in _releases(scope)
            if not (base and pins.is_own(scope, base.name))  # what is made here is made anew, whatever it stands on
        ),
    )


def _is_old(release: Release) -> bool:
    return release.standing is not None and release.standing.state == "moved"


def _standing(base: BaseImage, asked: Asked) -> Standing:
    now, why = asked(base.name) if pins.has_tag(base) else ("", "only a digest names it, and that never moves")
    if not base.digest:
        return Standing(base, now, "not pinned", why)
    return Standing(base, now, "not known" if why else "current" if now == base.digest else "moved", why)


def _now(scope: Scope, name: str) -> tuple[str, str]:
    try:
        return moving.now(scope, name), ""
    except TinyshipError as error:
        return "", error.message


def _releases(scope: Scope) -> Iterator[tuple[str, BaseImage | None, bool]]:
    """The bases of each release: of the one in the record, then of those in the first registry of ``push.to``.

    Each comes with the release's name, and with whether that is the last one.
    """
    last = record.read(scope.root).find(scope.settings.image)
    known: set[str] = set()
    if last:
        known = {one.digest for one in last.pushed}
        recorded = tuple(BaseImage(one.name, one.digest) for one in last.bases)
        for base in _bases_of(_labels_of_last(scope, last), recorded):
            yield f"{last.image}:{last.version}", base, True
    name = goals.repositories(scope.settings)[0]
    try:
        with moving.opened(scope, name) as repository:
            found = list(_published(scope, repository))
    except RegistryError as error:
        scope.events(Notice(f"the releases in the registry are not known: {error.message}", "warning"))
        return
    # A tag that moves, like 1.4, names what a longer one, like 1.4.2, names too.
    longest = {image.index_digest or image.digest: image for image in sorted(found, key=lambda one: len(one.reference))}
    highest = (found[0].index_digest or found[0].digest) if found else ""
    for digest, image in longest.items():
        for base in _bases_of(image.labels) if digest not in known else ():
            yield f"{name}:{image.reference}", base, not last and digest == highest


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
            with moving.opened(scope, one.reference) as repository:
                return images.find(repository, one.digest).labels
        except RegistryError:
            continue
    return {}


def _bases_of(said: Mapping[str, str], recorded: Sequence[BaseImage] = ()) -> tuple[BaseImage | None, ...]:
    """What a release was made with; a single None where that is not known.

    Args:
        said: its labels: ours name all that files pin, OCI's what it stands on.
        recorded: what the record says of it, which may know digests that nothing pinned.
    """
    words = (word.partition("@") for word in said.get(labels.BASES, "").split())
    told = [BaseImage(base, digest) for base, _, digest in words]
    told.append(BaseImage(said.get(labels.BASE_NAME, ""), said.get(labels.BASE_DIGEST, "")))
    found: dict[str, BaseImage] = {}
    for base in (*told, *recorded):
        if (full := _full(base)) and not (full in found and found[full].digest):
            found[full] = base
    return tuple(found.values()) or (None,)


def _full(base: BaseImage) -> str:
    """The whole name of a base, to know it again by; empty where it is none: labels are other people's words."""
    try:
        reference.parse(f"{base.name}@{base.digest}" if base.digest else base.name)
        return str(reference.parse(base.name))
    except TinyshipError:
        return ""
