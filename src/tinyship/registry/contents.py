"""Everything that the tags of a repository lead to: manifests, what they list, whose images they are. Pulls no layer.

Source: the OCI image specification, ``manifest.md`` and ``image-index.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from tinyship.errors import RegistryError
from tinyship.reference import DIGEST, TAG
from tinyship.registry.client import Repository
from tinyship.registry.descriptor import Descriptor, entries, read
from tinyship.registry.images import config_of
from tinyship.registry.manifest import INDEXES, MANIFESTS, Manifest
from tinyship.running import parallel

AT_ONCE = 8
"""Questions that a registry is asked at the same time."""
_DEEPEST = 4
_CONFIGS = {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Content:
    """A manifest or an index, and what it leads to.

    Args:
        digest: of it.
        lists: digests of the manifests that an index lists.
        images: those of them that may be images; attestations say that they are none.
        subject: the digest that it is about, as a signature is; empty where it is about none.
        blobs: the bytes of what it needs in the registry, by digest; itself is among them.
        labels: of an image's config; None where this is no image.
        created: when an image's config says that it was made; None where it does not say.
        fault: why it cannot be read; empty where it can.
        missing: it is not there.
        opaque: it is not known what it lists.
    """

    digest: str
    lists: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    subject: str = ""
    blobs: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] | None = None
    created: datetime | None = None
    fault: str = ""
    missing: bool = False
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """What a repository has, as far as tags lead there.

    Args:
        tags: the digest that each tag names.
        manifests: what is behind the tags, and behind what that lists, by digest.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    manifests: Mapping[str, Content] = field(default_factory=dict)


def read_all(repository: Repository, known: Mapping[str, Content] | None = None) -> Contents:
    """Ask a repository for all tags, and once for each digest that they lead to; nothing where it is not there.

    Args:
        known: what was read before: a digest never means anything else.

    Raises:
        RegistryError: the registry does not say. What it does say and is none of what we know is a ``fault``.
    """
    try:
        listed = [tag for tag in repository.tags() if TAG.fullmatch(tag)]
    except RegistryError as error:
        if error.status == 404:
            return Contents()
        raise
    named = zip(listed, each(repository.digest, listed), strict=True)
    tags = {tag: digest for tag, digest in named if digest}  # some registries list tags whose manifest is gone
    before = known or {}
    found: dict[str, Content] = {}
    wanted = set(tags.values())
    for _ in range(_DEEPEST):
        fresh = sorted(wanted - set(before))
        read_now = zip(fresh, each(partial(_content, repository), fresh), strict=True)
        found |= {**{digest: before[digest] for digest in wanted & set(before)}, **dict(read_now)}
        wanted = {below for digest in wanted for below in found[digest].lists} - set(found)
        if not wanted:
            break
    found |= {digest: Content(digest, fault="it is in indexes in indexes, too many", opaque=True) for digest in wanted}
    return Contents(tags, found)


def each(act: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """What ``act`` makes of each, in their order, a few at a time.

    Raises:
        RegistryError: that of the first that failed; from then on nothing more is begun.
    """
    return parallel.each(act, things, threads=AT_ONCE)


def _content(repository: Repository, digest: str) -> Content:
    """One manifest; what the registry has and is no image is no error, as long as it answers."""
    try:
        manifest = repository.manifest(digest)
        return _index(repository, manifest) if manifest.is_index else _image(repository, manifest)
    except RegistryError as error:
        if error.temporary or error.status not in {0, 404}:
            raise
        return Content(digest, fault=error.message, missing=error.status == 404, opaque=error.status != 404)


def _index(repository: Repository, manifest: Manifest) -> Content:
    document = manifest.parsed()
    listed = entries(document, "manifests", repository.host, f"{repository.name}@{manifest.digest}")
    manifests = [one for one in listed if one.media_type in MANIFESTS | INDEXES]
    blobs = {one.digest: one.size for one in listed if one.media_type not in MANIFESTS | INDEXES}
    return Content(
        manifest.digest,
        lists=tuple(dict.fromkeys(one.digest for one in manifests)),
        images=tuple(dict.fromkeys(one.digest for one in manifests if one.image)),
        subject=_subject(document),
        blobs={**blobs, manifest.digest: len(manifest.raw)},
    )


def _image(repository: Repository, manifest: Manifest) -> Content:
    document = manifest.parsed()
    where = f"{repository.name}@{manifest.digest}"
    config = read(document.get("config"), repository.host, where)
    blobs = {one.digest: one.size for one in _kept((config, *entries(document, "layers", repository.host, where)))}
    bare = Content(manifest.digest, subject=_subject(document), blobs={**blobs, manifest.digest: len(manifest.raw)})
    if config.media_type not in _CONFIGS:
        return bare
    try:
        own = config_of(repository, document, where)
    except RegistryError as error:
        if error.temporary or error.status not in {0, 404}:
            raise
        return replace(bare, fault=error.message)
    return replace(bare, labels=_labels(own), created=_created(own))


def _kept(listed: Iterable[Descriptor]) -> Iterator[Descriptor]:
    """Those that the registry has to have."""
    return (one for one in listed if not one.foreign)


def _subject(document: Mapping[str, Any]) -> str:
    found = document.get("subject")
    digest = found.get("digest") if isinstance(found, dict) else None
    return digest if isinstance(digest, str) and DIGEST.fullmatch(digest) else ""


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    run = config.get("config")
    said = run.get("Labels") if isinstance(run, dict) else None
    return {key: value for key, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}


def _created(config: Mapping[str, Any]) -> datetime | None:
    """The date of a config; None where it is none, or one from before there were images."""
    try:
        found = datetime.fromisoformat(str(config.get("created") or ""))
    except ValueError:
        return None
    return found if found.tzinfo and found.year > 1980 else None
