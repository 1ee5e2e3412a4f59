"""Credentials of one registry at a time, from the Docker config and its helpers, as docker-py reads them."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyship.errors import RegistryError
from tinyship.reference import split_host


@dataclass(frozen=True, slots=True)
class Credential:
    """What a registry wants to know of us.

    Args:
        username: empty for an identity token.
        secret: a password, or an identity token.
        identity_token: which of the two ``secret`` is.
        source: where it came from: a file, or "credential helper NAME".
    """

    username: str
    secret: str = field(repr=False)
    identity_token: bool
    source: str


def find(host: str) -> Credential | None:
    """The credentials for a registry; None where the Docker config has none for it.

    Only the helper that the config names for this one host is asked.

    Args:
        host: of the registry with its port; ``docker.io`` for Docker Hub.

    Raises:
        RegistryError: the helper is missing or failed; names it.
    """
    if not any(os.path.exists(file) for file in _places()):  # noqa: PTH110  what may not be seen is not there, to both
        return None  # docker-py takes as long to import as a whole push with nothing to do
    from docker import auth, errors

    try:
        config = auth.load_config()
    except (errors.DockerException, ValueError, AttributeError) as error:
        raise RegistryError(
            f"the Docker config {_file()} cannot be read: {_reason(error)}",
            host=host,
            hint="Repair it; credentials for the registry are looked for there.",
        ) from error
    helper = config.get_credential_store(host)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # docker-py warns of a missing helper, and then raises too
            found = config.resolve_authconfig(host)
    except (errors.DockerException, ValueError, KeyError) as error:
        raise RegistryError(
            f"the credential helper docker-credential-{helper} failed for {host}: {_reason(error)}",
            host=host,
            hint="Repair it, or take it out of `credHelpers` and `credsStore` in the Docker config.",
        ) from error
    by_helper = found and "ServerAddress" in found  # which docker-py writes so for what a helper answers only
    return _credential(found, helper if by_helper else None) if found else None


def _places() -> tuple[Path, ...]:
    """Where docker-py looks for a config (``docker.utils.config``)."""
    folder = os.environ.get("DOCKER_CONFIG")
    home = Path.home()
    own = (Path(folder) / "config.json",) if folder else ()
    return (*own, home / ".docker" / "config.json", home / ".dockercfg")


def host_of(reference: str) -> str:
    """The registry's host that a reference names, as ``find`` takes it: ``lacion/foo`` is at ``docker.io``."""
    return split_host(reference)[0]


def header(credential: Credential | None) -> str:
    """The value of ``X-Registry-Auth``; that of no credentials at all where there are none."""
    from docker.auth import encode_header

    return str(encode_header(as_mapping(credential)), "ascii")


def as_mapping(credential: Credential | None) -> dict[str, Any]:
    """Credentials as the Engine API's AuthConfig has them."""
    if credential is None:
        return {}
    if credential.identity_token:
        return {"identitytoken": credential.secret}
    return {"username": credential.username, "password": credential.secret}


def _credential(found: dict[str, Any], helper: str | None) -> Credential | None:
    token = found.get("IdentityToken") or found.get("identitytoken")
    username = found.get("username") or found.get("Username") or ""
    secret = token or found.get("password") or found.get("Password") or ""
    if not secret:
        return None
    return Credential(username, secret, bool(token), f"credential helper {helper}" if helper else _file())


def _file() -> str:
    from docker.utils import config

    return str(config.find_config_file() or "the Docker config")


def _reason(error: Exception) -> str:
    """What a helper's failure says, in one line: what docker-py quotes of it, and nothing of an answer."""
    from docker.errors import DockerException

    if not isinstance(error, DockerException):
        return "its answer is not what a helper answers"
    return str(error.__cause__ or error).strip().partition("\n")[0][:200]
