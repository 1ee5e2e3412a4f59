"""What a manifest in a registry says of an image's size.

Source of the protocol: the OCI distribution and image specifications; python-dxf speaks it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinyship.errors import RegistryError

if TYPE_CHECKING:
    from tinyship.credentials import Credential

_HUB = "registry-1.docker.io"


def pull_size(
    reference: str, digest: str, *, platform: str = "", credential: Credential | None, timeout: float = 20.0
) -> int:
    """The compressed bytes that a pull of one image transfers: its config and its layers.

    Args:
        reference: as the image was pushed, ``[host[:port]/]repository:tag``.
        digest: of the manifest, or of an index of several.
        platform: ``os/architecture`` of the one that is meant in an index; its first image where empty or not there.
        credential: for the registry; None to ask anonymously.
        timeout: seconds without an answer.

    Raises:
        RegistryError: the registry cannot be asked, or its answer is no manifest of one image.
    """
    from dxf import DXF
    from dxf.exceptions import DXFError
    from requests import RequestException

    host, repository = _split(reference)

    def authenticate(dxf: Any, response: Any) -> None:
        basic = response.headers.get("www-authenticate", "").lower().startswith("basic")
        if credential and basic and _is_loopback(host):
            # Over plain HTTP python-dxf sends credentials to nobody; engines send them to the loopback address.
            pair = f"{credential.username}:{credential.secret}".encode()
            dxf._headers = {"Authorization": f"Basic {b64encode(pair).decode()}"}
            return
        name = credential.username if credential else None
        dxf.authenticate(name, credential.secret if credential else None, response=response)

    try:
        with DXF(host, repository, authenticate, insecure=_is_loopback(host), timeout=timeout) as registry:
            found = registry.get_manifest(digest)
        manifest = json.loads(found if isinstance(found, str) else _of_platform(found, platform))
        return int(manifest["config"]["size"]) + sum(int(layer["size"]) for layer in manifest["layers"])
    except (RequestException, DXFError, OSError) as error:
        raise RegistryError(f"{host} did not give the manifest: {type(error).__name__}", host=host) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"{host} gave no manifest of a single image", host=host) from error


def _of_platform(manifests: Mapping[str, str], platform: str) -> str:
    """One of an index's manifests; attestations, whose platform is unknown, are no images."""
    known = {name: manifest for name, manifest in manifests.items() if not name.startswith("unknown/")}
    near = (manifest for name, manifest in known.items() if name == platform or name.startswith(f"{platform}/"))
    return next(near, "") or next(iter(known.values()), "")


def _split(reference: str) -> tuple[str, str]:
    name = reference.rpartition(":")[0]
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return (_HUB if first == "docker.io" else first), rest
    return _HUB, name if slash else f"library/{name}"


def _is_loopback(host: str) -> bool:
    """Whether an engine would take plain HTTP from this host without being told to."""
    return host.partition(":")[0] in {"localhost", "127.0.0.1"} or host.startswith("[::1]")
