"""Byte pipes into an engine: connections that were HTTP/1.1 and carry HTTP/2 from now on.

Source: Docker Engine API, ``POST /grpc`` and ``POST /session``, upgraded to h2c; deprecated since API 1.53.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from tinyship.engine.connect import Engine
from tinyship.errors import EngineError

_LONGEST_HEAD = 65_536


class Socket(Protocol):
    """What a pipe needs of a socket; TLS and SSH connections have it too."""

    def recv(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""

    def close(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Pipe:
    """An open connection, and the bytes that came right behind the answer to its upgrade."""

    socket: Socket
    first: bytes = b""


class Opener(Protocol):
    """Opens byte pipes."""

    def __call__(self, path: str, headers: Iterable[tuple[str, str]] = ()) -> Pipe:
        """Open a pipe.

        Args:
            path: ``/grpc`` or ``/session``.
            headers: in addition to the upgrade's; names may repeat.

        Raises:
            EngineError: there is no such way into the engine.
        """


def through(engine: Engine) -> Opener:
    """Pipes through an engine, each on a fresh connection of docker-py's own adapter (unix socket, TCP, TLS, SSH)."""

    def open_pipe(path: str, headers: Iterable[tuple[str, str]] = ()) -> Pipe:
        connection = _connect(engine)
        try:
            connection.sendall(_upgrade(path, headers))
            return Pipe(connection, _read_head(connection, path))
        except BaseException:
            connection.close()
            raise

    return open_pipe


def _connect(engine: Engine) -> Any:
    """A fresh connection as the engine's client would make it."""
    from tinyship.engine.faults import translated

    api = engine.api
    with translated("connecting to BuildKit"):
        adapter = api.get_adapter(api.base_url)
        pool = adapter.get_connection_with_tls_context(_request(api.base_url), verify=api.verify, cert=api.cert)
        connection = pool._new_conn()
        connection.connect()
        found = connection.sock
        found.settimeout(None)
    return found


def _request(url: str) -> Any:
    import requests

    return requests.Request("POST", url).prepare()


def _upgrade(path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The request, written by hand: requests cannot repeat a header, and loses bytes that follow the 101."""
    lines = [f"POST {path} HTTP/1.1", "Host: docker", "Connection: Upgrade", "Upgrade: h2c"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode()


def _read_head(connection: Socket, path: str) -> bytes:
    """Read up to the end of the answer's head, and return what came behind it.

    Raises:
        EngineError: the answer is not 101.
    """
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(4096)
        if not data or len(received) > _LONGEST_HEAD:
            raise EngineError(f"opening BuildKit's {path}: the engine closed the connection")
        received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode(errors="replace")
    if status.split(" ")[1:2] != ["101"]:
        said = rest.decode(errors="replace").strip()[:200]
        raise EngineError(f"opening BuildKit's {path}: the engine answers {status}: {said}")
    return rest
