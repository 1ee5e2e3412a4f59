"""Byte pipes to BuildKit: connections that carry HTTP/2 from now on, and were HTTP/1.1 where an engine is between.

Source: Docker Engine API, ``POST /grpc`` and ``POST /session``, upgraded to h2c; deprecated since API 1.53.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from tinyship.engine.buildkit import tls
from tinyship.engine.buildkit.tls import Socket
from tinyship.engine.connect import Engine
from tinyship.engine.request import Tls
from tinyship.errors import EngineError
from tinyship.running import cancelling

_LONGEST_HEAD = 65_536
_PATIENCE = 30.0


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
        opened = connection(engine)
        try:
            with cancelling.cutting(partial(cancelling.shut, opened)):
                opened.sendall(_upgrade(path, headers))
                return Pipe(opened, _read_head(opened, path))
        except OSError as error:
            opened.close()
            raise EngineError(f"opening BuildKit's {path}: {error}") from error
        except BaseException:
            opened.close()
            raise

    return open_pipe


def connection(engine: Engine) -> Socket:
    """A fresh connection as the engine's client would make it."""
    from tinyship.engine.faults import translated

    api = engine.api
    with translated("connecting to BuildKit"):
        adapter = api.get_adapter(api.base_url)
        pool = adapter.get_connection_with_tls_context(_request(api.base_url), verify=api.verify, cert=api.cert)
        made = pool._new_conn()
        try:
            made.connect()
        except OSError as error:
            raise EngineError(f"connecting to BuildKit: {error.strerror or error}") from error
        found = made.sock
        found.settimeout(None)
    return tls.shared(found)


def connect_unix(path: str) -> Socket:
    """A connection to a unix socket.

    Raises:
        EngineError: nothing listens there.
    """
    import socket

    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(path)
    except OSError as error:
        made.close()
        raise EngineError(
            f"there is no buildkitd at unix://{path}: {error.strerror or error}", hint="Is it running? See `builder`."
        ) from error
    return made


def connect_tcp(host: str, port: int, certificates: Tls | None = None) -> Socket:
    """A connection to a TCP port, behind TLS where certificates are given.

    Raises:
        EngineError: nothing listens there, or it does not know our certificate, or we not its.
    """
    return cancelling.abandonable(lambda: _connect_tcp(host, port, certificates))


def _connect_tcp(host: str, port: int, certificates: Tls | None) -> Socket:
    import socket

    where = f"tcp://{host}:{port}"
    try:
        made = socket.create_connection((host, port), timeout=_PATIENCE)
    except OSError as error:
        raise EngineError(
            f"there is no buildkitd at {where}: {error.strerror or error}", hint="Is it running? See `builder`."
        ) from error
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not certificates:
        made.settimeout(None)
        return made
    return tls.wrapped(made, host, certificates, where)


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
