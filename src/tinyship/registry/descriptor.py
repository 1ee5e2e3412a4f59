"""What manifests and indexes say of other content: its digest, its size, its kind.

Source: the OCI image specification, ``descriptor.md`` and ``image-index.md``.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tinyship.errors import RegistryError
from tinyship.reference import DIGEST

_ATTESTS = "vnd.docker.reference.type"
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}
_PLAIN = {("amd64", "v1"): "", ("arm64", "v8"): "", ("arm64", "8"): "", ("arm", ""): "v7"}


class Descriptor(Struct, frozen=True):
    """One entry of a manifest or of an index.

    Args:
        digest: of the content.
        size: its bytes.
        media_type: its kind.
        platform: ``os/architecture[/variant]``; empty where it is not told.
        foreign: whether it may come from somewhere else than the registry.
        image: whether it may be one; attestations and artifacts say that they are none.
    """

    digest: str
    size: int
    media_type: str
    platform: str
    foreign: bool
    image: bool


def read(entry: Any, host: str, where: str) -> Descriptor:
    """A descriptor of a manifest.

    Args:
        entry: what the JSON says.
        host: of the registry that gave it.
        where: the manifest, for the error.

    Raises:
        RegistryError: it is none.
    """
    try:
        digest, size, media_type = entry["digest"], entry["size"], entry["mediaType"]
        if not DIGEST.fullmatch(digest) or type(size) is not int or size < 0 or not isinstance(media_type, str):
            raise ValueError
        annotations = entry.get("annotations") or {}
        platform = platform_of(entry.get("platform") or {})
        image = not (annotations.get(_ATTESTS) or entry.get("artifactType") or platform.startswith("unknown/"))
        foreign = bool(entry.get("urls")) or ".foreign." in media_type or ".nondistributable." in media_type
        return Descriptor(digest, size, media_type, platform, foreign, image)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RegistryError(f"{host} has an entry in {where} that is no descriptor", host=host) from error


def entries(document: dict[str, Any], key: str, host: str, where: str) -> tuple[Descriptor, ...]:
    """The descriptors that a manifest lists under a key.

    Raises:
        RegistryError: there is no list of them.
    """
    listed = document.get(key)
    if not isinstance(listed, list):
        raise RegistryError(f"{host} gave {where} without a list of `{key}`", host=host)
    return tuple(read(entry, host, where) for entry in listed)


def platform_of(content: Any) -> str:
    """``os/architecture[/variant]`` of an index's entry or of an image's config; empty where either is missing."""
    parts = [content.get(key) or "" for key in ("os", "architecture", "variant")]
    if not all(isinstance(part, str) for part in parts):
        raise TypeError
    return "/".join(part for part in parts if part) if parts[0] and parts[1] else ""


def normal(platform: str) -> str:
    """A platform in the one spelling of several: ``linux/aarch64`` and ``linux/arm64/v8`` are ``linux/arm64``.

    Source: containerd, ``platforms/database.go``.
    """
    system, _, rest = platform.lower().partition("/")
    architecture, _, variant = rest.partition("/")
    architecture = _ARCHITECTURES.get(architecture, architecture)
    variant = _PLAIN.get((architecture, variant), variant)
    return "/".join(part for part in (system, architecture, variant) if part)
