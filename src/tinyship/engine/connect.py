"""Finds the engine that docker-py finds, and says clearly why when there is none."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from tinyship.engine import contexts, quick
from tinyship.errors import Cancelled, EngineUnreachable
from tinyship.running import cancelling, cuttable

if TYPE_CHECKING:
    import docker

MINIMUM_API = (1, 41)
"""Docker Engine 20.10. Older ones are not tested."""

_CONNECTIONS = 32
"""That are kept for the next request; several images at the same time have a few each."""
_CONTEXT = "context "
_SNAPSHOTTER = "io.containerd.snapshotter.v1"


@dataclass(frozen=True)
class Engine:
    """An engine that answered.

    Args:
        client: docker-py's client; safe to use from several threads.
        address: where it listens, like ``unix:///var/run/docker.sock``.
        chosen_by: what led there: ``DOCKER_HOST``, ``context NAME``, or ``the default``.
        api_version: that is spoken with it.
    """

    client: docker.DockerClient
    address: str
    chosen_by: str
    api_version: str

    @property
    def api(self) -> Any:
        """docker-py's low-level client; untyped, because its annotations leave out what streams need."""
        return self.client.api

    @cached_property
    def containerd_store(self) -> bool:
        """Whether images lie in containerd's store, not in a graph driver's."""
        from tinyship.engine.faults import translated

        with translated("asking the engine for its image store"):
            status = self.get("/info").get("DriverStatus") or []
        return _SNAPSHOTTER in [value for _, value in status]

    @cached_property
    def _headers(self) -> dict[str, str]:
        """What comes with the answer to ``GET /_ping``, names in lower case; much cheaper than ``GET /version``."""
        from tinyship.engine.faults import translated

        if isinstance(self.client, quick.Client):
            with suppress(quick.Unanswered):
                return self.client.headers()
        with translated("asking the engine what it is"):
            response = self.api._get(self.api._url("/_ping", versioned_api=False))
        return {name.lower(): value for name, value in response.headers.items()}

    @cached_property
    def version(self) -> str:
        """Its own word for it."""
        from tinyship.engine.faults import translated

        with translated("asking the engine for its version"):
            return str(self.client.version().get("Version") or "")

    @cached_property
    def platform(self) -> str:
        """``os/architecture`` of what it runs by itself."""
        from tinyship.engine.faults import translated

        with translated("asking the engine for its platform"):
            said = self.client.version()
        return f"{said.get('Os') or 'linux'}/{said.get('Arch') or 'amd64'}"

    @property
    def is_podman(self) -> bool:
        """Whether it is Podman, which speaks Docker's API, and builds with a builder of its own."""
        return any(name.startswith("libpod-") for name in self._headers)

    @property
    def has_buildkit(self) -> bool:
        """Whether it has BuildKit inside: Docker's engines for Linux do, Podman does not."""
        return not self.is_podman and self._headers.get("ostype") == "linux"

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """What the engine answers to a question of its API, like ``/info``; raises what docker-py raises."""
        if isinstance(self.client, quick.Client):
            with suppress(quick.Unanswered):
                return self.client.get(path, params)
        return self.api._result(self.api._get(self.api._url(path), params=dict(params or {})), True)

    def close(self) -> None:
        """Close the client's connections."""
        self.client.close()

    def answers(self) -> bool:
        """Whether it still is there."""
        try:
            return bool(self.api.ping())
        except Exception:  # of whatever kind, it does not
            return False


def connect(*, timeout: float = 60.0) -> Engine:
    """The engine of ``DOCKER_HOST``, of the Docker CLI's context, or of the default socket, in this order.

    Args:
        timeout: seconds that a request may wait for an answer.

    Raises:
        EngineUnreachable: there is none, this user may not use it, it is too old, or what was asked for is unknown.
    """
    return _quickly(timeout) or _fully(timeout)


def _quickly(timeout: float) -> Engine | None:
    """The engine behind a unix socket, with docker-py's client as soon as that is needed; None where that is not so."""
    address = quick.address()
    if not address:
        return None

    def make(version: str) -> Any:
        import docker

        client = docker.DockerClient(
            base_url=address,
            version=version,
            timeout=timeout,  # type: ignore[arg-type]  # the stubs want whole seconds
            max_pool_size=_CONNECTIONS,
        )
        cuttable.make(client.api)
        return client

    try:
        client = quick.connect(address, timeout, make)
    except quick.Unanswered:
        return None
    if _numbers(client.api_version) < MINIMUM_API:
        raise _too_old(address, client.api_version)
    chosen_by = "DOCKER_HOST" if os.environ.get("DOCKER_HOST") else "the default"
    return Engine(cast("docker.DockerClient", client), address, chosen_by, client.api_version)


def _fully(timeout: float) -> Engine:
    import docker

    address, chosen_by, tls = _choice()
    more: dict[str, Any] = {"timeout": timeout, "max_pool_size": _CONNECTIONS}
    try:
        _probe(address)
        if chosen_by.startswith(_CONTEXT):
            client = cancelling.abandonable(lambda: docker.DockerClient(base_url=address, tls=tls, **more))
        else:
            client = cancelling.abandonable(lambda: docker.from_env(use_context=False, **more))
        cuttable.make(client.api)
    except Cancelled:
        raise
    except docker.errors.InvalidVersion as error:
        raise _too_old(address, "an older one") from error
    except Exception as error:
        raise _unreachable(error, address, chosen_by) from error
    api = str(client.api.api_version)
    if _numbers(api) < MINIMUM_API:
        client.close()
        raise _too_old(address, api)
    return Engine(client, address, chosen_by, api)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _choice() -> tuple[str, str, Any]:
    """The address, what led to it, and what the context that did says of TLS; the Docker CLI decides in this order."""
    if host := os.environ.get("DOCKER_HOST"):
        return host, "DOCKER_HOST", None
    if name := contexts.chosen():
        found = contexts.find(name)
        return found.host, f"{_CONTEXT}{name}", found.tls
    return contexts.DEFAULT, "the default", None


def _probe(address: str) -> None:
    """Connect to a unix socket and leave: docker-py hides why it could not, and leaves its own socket open then."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(10)
            probe.connect(address.removeprefix("unix://"))


def _too_old(address: str, api: str) -> EngineUnreachable:
    minimum = ".".join(str(part) for part in MINIMUM_API)
    return EngineUnreachable(
        f"the engine at {address} is too old: tinyship needs API {minimum}, it speaks {api}",
        hint="Docker Engine 20.10 or newer is needed.",
    )


def _unreachable(error: Exception, address: str, chosen_by: str) -> EngineUnreachable:
    """Why an engine could not be talked to, from the innermost cause that says something."""
    where = f"{address or 'the engine'} (from {chosen_by})"
    causes = _causes(error)
    texts = " ".join(str(cause) for cause in causes)
    if any(isinstance(cause, PermissionError) for cause in causes) or "Permission denied" in texts:
        return EngineUnreachable(
            f"no permission to talk to the engine at {where}",
            hint="Add this user to the group `docker` and log in again, or run with sudo.",
        )
    if any(isinstance(cause, FileNotFoundError) for cause in causes):
        return EngineUnreachable(
            f"there is no engine at {where}: no such socket",
            hint="Start Docker, or set DOCKER_HOST to where an engine listens.",
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return EngineUnreachable(
            f"there is no engine at {where}: nothing listens there",
            hint="Start Docker, or set DOCKER_HOST to where an engine listens.",
        )
    if "timed out" in texts.lower() or any(isinstance(cause, TimeoutError) for cause in causes):
        return EngineUnreachable(
            f"the engine at {where} did not answer in time", hint="Is it busy, or is something else listening there?"
        )
    if "paramiko" in texts:
        return EngineUnreachable(f"{where} needs ssh support", hint="Install it with `pip install 'docker[ssh]'`.")
    if "Name or service not known" in texts or "name resolution" in texts:
        return EngineUnreachable(f"the host of {where} is not known", hint="Check DOCKER_HOST.")
    if "SSL" in texts or "certificate" in texts or "TLS" in texts:
        return EngineUnreachable(
            f"no TLS connection to the engine at {where}: {_innermost(causes)}",
            hint="Check DOCKER_TLS_VERIFY and the certificates in DOCKER_CERT_PATH.",
        )
    signs = ("invalid bind address", "unrecognized", "port could not be cast", "scheme")
    if any(sign in texts.lower() for sign in signs):
        return EngineUnreachable(
            f"{where} is no address of an engine",
            hint="It is like unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host.",
        )
    return EngineUnreachable(
        f"what answers at {where} is no Docker engine: {_innermost(causes)}",
        hint="Set DOCKER_HOST to where an engine listens.",
    )


def _innermost(causes: list[BaseException]) -> str:
    return str(causes[-1]).partition("\n")[0][:200]


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and all that it wraps, as causes, contexts, or arguments (as urllib3 does), outermost first."""
    found: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue and len(found) < 30:
        cause = queue.pop(0)
        if cause is None or cause in found:
            continue
        found.append(cause)
        queue += [cause.__cause__, cause.__context__]
        inside = (getattr(cause, "reason", None), *cause.args)
        queue += [argument for argument in inside if isinstance(argument, BaseException)]
    return found
