"""A manifest or an index as the registry keeps it, and which of the two it is.

Source: the OCI image specification, and Docker's image manifest version 2, schema 2.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from tinyship.errors import RegistryError

MANIFESTS = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
INDEXES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)


class Manifest(Struct, frozen=True):
    """A manifest or an index.

    Args:
        raw: its bytes, which its digest is of.
        digest: ``sha256:...``.
        media_type: one of ``MANIFESTS`` or ``INDEXES``.
    """

    raw: bytes
    digest: str
    media_type: str

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests, instead of layers."""
        return self.media_type in INDEXES

    def parsed(self) -> dict[str, Any]:
        """What it says: a JSON object."""
        return dict(json.loads(self.raw))


def kind_of(raw: bytes, told: str, host: str, what: str) -> str:
    """The media type of a manifest: its own word and HTTP's must not differ, or two readers would read two things.

    Args:
        told: the header ``Content-Type``.
        host: of the registry, for the error.
        what: was asked for, for the error.

    Raises:
        RegistryError: it is no JSON, of an unknown kind, or of two kinds.
    """
    own = json_object(raw, host, what).get("mediaType")
    told = told.partition(";")[0].strip().lower()
    known = MANIFESTS | INDEXES
    kind = told if told in known else str(own or told)
    if kind not in known:
        shown = kind[:100] or "nothing says what it is"
        raise RegistryError(f"{host} gave something for {what} that is no image: {shown}", host=host)
    if own and own != kind:
        raise RegistryError(f"{host} says that {what} is a {kind}, and it says {own}", host=host)
    return kind


def json_object(raw: bytes, host: str, what: str) -> dict[str, Any]:
    """What a registry's JSON says.

    Raises:
        RegistryError: it is no JSON object.
    """
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RegistryError(f"{host} gave something else than JSON for {what}", host=host, hint="Is this a registry?")
    return found
