"""What a registry says of one image, without a layer being pulled: its config, its layers, their sizes.

Source: the OCI image specification, ``manifest.md``, ``image-index.md`` and ``config.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from tinyship.errors import RegistryError
from tinyship.registry.client import Repository
from tinyship.registry.descriptor import Descriptor, entries, normal, platform_of, read
from tinyship.registry.manifest import INDEXES, MANIFESTS, Manifest

CONFIG_LIMIT = 16 << 20
"""Bytes of a config, at most."""

_DEEPEST = 4
_MOST = 64


class RemoteLayer(Struct, frozen=True):
    """A layer in a registry.

    Args:
        digest: of the layer as it is pulled.
        size: its bytes so.
        media_type: its kind, which tells its compression.
        foreign: whether the registry need not have it: its manifest names addresses to get it from.
    """

    digest: str
    size: int
    media_type: str
    foreign: bool = False


class RemoteImage(Struct, frozen=True):
    """An image in a registry, of one platform.

    Args:
        reference: that was asked for, a tag or a digest.
        digest: of the image's manifest.
        index_digest: of the index that lists it; empty where there is none.
        platform: ``os/architecture[/variant]``; empty where the config does not say it.
        config: the image's config.
        manifest: the image's manifest.
        layers: from the lowest up.
        pull: bytes that a pull transfers: the config and all layers.
    """

    reference: str
    digest: str
    index_digest: str
    platform: str
    config: dict[str, Any]
    manifest: dict[str, Any]
    layers: tuple[RemoteLayer, ...]
    pull: int

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its config; none where that has something else in their place."""
        run = self.config.get("config")
        said = run.get("Labels") if isinstance(run, dict) else None
        return {key: value for key, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}


class PlatformImage(Struct, frozen=True):
    """One of the images that a tag names.

    Args:
        platform: ``os/architecture[/variant]``; empty where the image does not say it.
        digest: of the image's manifest.
        pull: bytes that a pull transfers.
    """

    platform: str
    digest: str
    pull: int


def find(repository: Repository, reference: str, *, platform: str = "") -> RemoteImage:
    """One image: its manifest and its config, fetched and checked.

    Args:
        reference: a tag, or the digest of a manifest or of an index.
        platform: ``os/architecture[/variant]``; where empty, the first image of an index.

    Raises:
        RegistryError: it is not there, not for this platform, or no image.
    """
    top, found, told = _resolved(repository, reference, platform)
    where = _where(repository, found.digest)
    document = found.parsed()
    layers = entries(document, "layers", repository.host, where)
    config = config_of(repository, document, where)
    _check_layers(config, len(layers), repository.host, where)
    own = platform_in(config, repository.host, where)
    if platform and own and not told and not _is_for(own, platform):
        raise _missing(repository, reference, platform, [own])
    return RemoteImage(
        reference=reference,
        digest=found.digest,
        index_digest=top.digest if top is not found else "",
        platform=told or own,
        config=config,
        manifest=document,
        layers=tuple(RemoteLayer(layer.digest, layer.size, layer.media_type, layer.foreign) for layer in layers),
        pull=_pull(repository, found),
    )


def platforms(repository: Repository, reference: str) -> tuple[PlatformImage, ...]:
    """All images that a tag or a digest names, in the index's order, with what a pull of each transfers.

    Raises:
        RegistryError: it is not there, or an index or a manifest cannot be read.
    """
    top = repository.manifest(reference)
    if not top.is_index:
        return (PlatformImage(_own_platform(repository, top), top.digest, _pull(repository, top)),)
    found = []
    for entry, platform in _listed(repository, top):
        manifest = repository.manifest(entry.digest)
        found.append(PlatformImage(platform, entry.digest, _pull(repository, manifest)))
    return tuple(found)


def pull_size(repository: Repository, reference: str, *, platform: str = "", known: Manifest | None = None) -> int:
    """The compressed bytes that a pull of one image transfers: its config and its layers.

    Args:
        reference: a tag, or the digest of a manifest or of an index.
        platform: of the one that is meant in an index; where empty, its first image.
        known: the manifest or the index of the reference, where it was fetched before.

    Raises:
        RegistryError: it is not there, not for this platform, or no image.
    """
    return _pull(repository, _resolved(repository, reference, platform, known)[1])


def _resolved(
    repository: Repository, reference: str, platform: str, known: Manifest | None = None
) -> tuple[Manifest, Manifest, str]:
    """What was asked for, the manifest of one image in it, and its platform where an index tells it."""
    top = known or repository.manifest(reference)
    if not top.is_index:
        return top, top, ""
    near: Descriptor | None = None
    seen: list[str] = []
    for entry, has in _listed(repository, top):
        if not platform or normal(has) == normal(platform):
            return top, repository.manifest(entry.digest), has
        if near is None and _is_for(has, platform):
            near = entry
        seen.append(has or "one that it does not name")
    if not seen:
        raise RegistryError(f"{_where(repository, top.digest)} lists no images", host=repository.host)
    if near is None:
        raise _missing(repository, reference, platform, seen)
    return top, repository.manifest(near.digest), near.platform


def _listed(repository: Repository, top: Manifest) -> Iterator[tuple[Descriptor, str]]:
    """The images of an index and of the indexes in it, with their platforms; attestations are no images."""
    left = [(top, 1)]
    fetched = 0
    while left:
        index, depth = left.pop(0)
        for entry in entries(index.parsed(), "manifests", repository.host, _where(repository, index.digest)):
            if not entry.image:
                continue
            if entry.media_type in INDEXES:
                fetched += 1
                if depth >= _DEEPEST or fetched > _MOST:
                    raise RegistryError(
                        f"{repository.host} has indexes in indexes at {_where(repository, top.digest)}, too many",
                        host=repository.host,
                    )
                left.append((repository.manifest(entry.digest), depth + 1))
            elif entry.media_type in MANIFESTS:
                yield entry, entry.platform or _own_platform(repository, repository.manifest(entry.digest))


def _own_platform(repository: Repository, manifest: Manifest) -> str:
    where = _where(repository, manifest.digest)
    return platform_in(config_of(repository, manifest.parsed(), where), repository.host, where)


def config_of(repository: Repository, document: dict[str, Any], where: str) -> dict[str, Any]:
    """An image's config, as its manifest names it.

    Args:
        document: what the manifest says.
        where: the manifest is, for the error.

    Raises:
        RegistryError: it is not there, too large, or no config of an image.
    """
    entry = read(document.get("config"), repository.host, where)
    if entry.size > CONFIG_LIMIT:
        raise RegistryError(
            f"{repository.host} has a config of {entry.size} bytes in {where}; {CONFIG_LIMIT} are the most",
            host=repository.host,
        )
    raw = b"".join(repository.blob(entry.digest, size=entry.size))
    try:
        config = json.loads(raw)
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise RegistryError(f"{where} is no image: its config is a {entry.media_type}", host=repository.host)
    return config


def _check_layers(config: dict[str, Any], count: int, host: str, where: str) -> None:
    root = config.get("rootfs")
    named = root.get("diff_ids") if isinstance(root, dict) else None
    if named is None and isinstance(root, dict) and not count:
        return
    if not isinstance(named, list):
        raise RegistryError(f"{where} is no image: its config names no layers", host=host)
    if len(named) != count:
        raise RegistryError(f"{where} has {count} layers, and its config names {len(named)}", host=host)


def platform_in(config: dict[str, Any], host: str, where: str) -> str:
    """The platform that a config says, ``os/architecture[/variant]``; empty where it says none.

    Raises:
        RegistryError: what it says is none.
    """
    try:
        return platform_of(config)
    except TypeError as error:
        raise RegistryError(f"{where} has a config with a platform that is none", host=host) from error


def _pull(repository: Repository, manifest: Manifest) -> int:
    document = manifest.parsed()
    where = _where(repository, manifest.digest)
    layers = entries(document, "layers", repository.host, where)
    return read(document.get("config"), repository.host, where).size + sum(layer.size for layer in layers)


def _is_for(has: str, asked: str) -> bool:
    """Whether an image runs where another platform is asked for: with no variant asked, any will do."""
    mine, wanted = normal(has), normal(asked)
    return mine == wanted or (asked.count("/") == 1 and mine.split("/")[:2] == wanted.split("/")[:2])


def _missing(repository: Repository, reference: str, platform: str, there: list[str]) -> RegistryError:
    asked = f"{repository.name}{'@' if ':' in reference else ':'}{reference}"
    return RegistryError(
        f"{asked} at {repository.host} is not for {platform}",
        host=repository.host,
        hint=f"It is for {', '.join(dict.fromkeys(there))}.",
    )


def _where(repository: Repository, digest: str) -> str:
    return f"{repository.name}@{digest}"
