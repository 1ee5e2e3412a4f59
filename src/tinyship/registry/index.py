"""Makes an index over images of one repository: one tag for several platforms.

Source: the OCI image specification, ``image-index.md``; Docker's manifest list, version 2.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from tinyship.errors import ConfigError, RegistryError
from tinyship.registry.client import Repository
from tinyship.registry.descriptor import entries, normal
from tinyship.registry.images import config_of, platform_in
from tinyship.registry.manifest import Manifest

_OCI = "application/vnd.oci.image.index.v1+json"
_DOCKER = "application/vnd.docker.distribution.manifest.list.v2+json"
_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant")


def make(repository: Repository, references: Sequence[str]) -> Manifest:
    """An index of images that are in a repository, to be put there; the same images make the same bytes.

    Of an index among them each entry is taken as it is, attestations included. It is a manifest list of Docker's where
    all that it lists is Docker's, and OCI's otherwise.

    Args:
        references: tags or digests, in the order that the index is to have.

    Raises:
        RegistryError: one is not there, is no image, does not say its platform, or has that of another one.
        ConfigError: there are none, or one is neither a tag nor a digest.
    """
    if not references:
        raise ConfigError("an index of no images is of no use")
    listed: dict[str, dict[str, Any]] = {}
    for reference in references:
        for entry in _entries(repository, reference):
            listed.setdefault(entry["digest"], entry)
    if not listed:
        raise RegistryError(f"{', '.join(references)} of {repository.name} list no images", host=repository.host)
    _check(repository, list(listed.values()))
    docker = all(str(entry["mediaType"]).startswith("application/vnd.docker.") for entry in listed.values())
    kind = _DOCKER if docker else _OCI
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": list(listed.values())}
    raw = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return Manifest(raw, f"sha256:{hashlib.sha256(raw).hexdigest()}", kind)


def _entries(repository: Repository, reference: str) -> Iterator[dict[str, Any]]:
    """What the index lists for one of the images."""
    found = repository.manifest(reference)
    where = f"{repository.name}@{found.digest}"
    document = found.parsed()
    if found.is_index:
        entries(document, "manifests", repository.host, where)  # raises where they are none
        yield from document["manifests"]
        return
    config = config_of(repository, document, where)
    if not platform_in(config, repository.host, where):
        raise RegistryError(f"{where} does not say its platform", host=repository.host, hint="Is it an image?")
    platform = {key: config[key] for key in _PLATFORM if config.get(key)}
    yield {"mediaType": found.media_type, "digest": found.digest, "size": len(found.raw), "platform": platform}


def _check(repository: Repository, listed: Sequence[dict[str, Any]]) -> None:
    """Raise where two images are for one platform, and a pull would get the one or the other by chance."""
    seen: dict[tuple[str, str], str] = {}
    for entry in entries({"manifests": listed}, "manifests", repository.host, repository.name):
        if not entry.image or not entry.platform:
            continue
        told = next(one for one in listed if one["digest"] == entry.digest).get("platform") or {}
        key = normal(entry.platform), json.dumps([told.get("os.version"), told.get("os.features")])
        other = seen.setdefault(key, entry.digest)
        if other != entry.digest:
            raise RegistryError(
                f"{other} and {entry.digest} are both for {entry.platform}",
                host=repository.host,
                hint="An index has one image for each platform.",
            )
